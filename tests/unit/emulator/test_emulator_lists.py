"""Pages, filters and sub-lists.  vitally.md 4.1, 5"""

import base64
from urllib.parse import quote

import orjson
import pytest


@pytest.fixture
def seven(vitally, clock):
    """Seven accounts a second apart, a1 oldest; each updated when made."""
    for number in range(1, 8):
        clock.advance(1)
        vitally.seed("accounts", [{"externalId": f"a{number}", "name": "x"}])
    clock.advance(1)
    return vitally


def names(reply):
    return [each["externalId"] for each in reply.json["results"]]


def read_all(rest, path):
    pages, cursor = [], ""
    while cursor is not None:
        reply = rest.get(f"{path}&from={quote(cursor, safe='')}")
        pages.append(names(reply))
        cursor = reply.json["next"]
    return pages


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?limit=100", [["a4", "a7", "a6", "a5", "a3", "a2", "a1"]]),  # updatedAt is the default
        ("?sortBy=createdAt", [["a7", "a6", "a5", "a4", "a3", "a2", "a1"]]),
        ("?sortBy=createdAt&limit=3", [["a7", "a6", "a5"], ["a4", "a3", "a2"], ["a1"]]),
        ("?sortBy=createdAt&limit=7", [["a7", "a6", "a5", "a4", "a3", "a2", "a1"]]),  # no empty last page
    ],
)
def test_lists_are_descending_and_page_to_the_end(seven, rest, query, expected):
    """`next` is null at the end, and only there."""
    rest.put("/accounts/a4", {"name": "y"})

    assert read_all(rest, f"/accounts{query}") == expected


def test_records_of_the_same_instant_are_all_read_once(vitally, rest):
    """A bulk import gives hundreds of records one createdAt."""
    vitally.seed("organizations", [{"externalId": f"o{number}", "name": "x"} for number in range(250)])

    pages = read_all(rest, "/organizations?limit=100")

    assert [len(page) for page in pages] == [100, 100, 50]
    assert len({name for page in pages for name in page}) == 250


def test_the_cursor_is_base64_of_json(seven, rest):
    """As the one documented sample."""
    cursor = rest.get("/accounts?limit=1").json["next"]

    assert list(orjson.loads(base64.b64decode(cursor))) == ["sortValue", "id"]


@pytest.mark.parametrize(
    "query", ["from=nonsense", "from=e30%3D", "limit=0", "limit=x", "limit=-1", "sortBy=name", "status=gone"]
)
def test_a_bad_parameter_is_400(seven, rest, query):
    """Better than a page of something else."""
    assert rest.get(f"/accounts?{query}").status == 400


def test_an_empty_or_unknown_parameter_is_ignored(seven, rest):
    """Public clients send `from=` empty, and parameters that never existed."""
    assert len(names(rest.get("/accounts?from=&updatedAt=2020&limit="))) == 7


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["live"]),
        ("?status=active", ["live"]),
        ("?status=churned", ["gone"]),
        ("?status=activeOrChurned", ["gone", "live"]),
    ],
)
def test_churned_accounts_are_hidden_unless_asked_for(vitally, rest, query, expected):
    """The default status is active: a lookup by list misses churned accounts."""
    vitally.seed("accounts", [{"externalId": "live", "name": "x"}])
    vitally.seed("accounts", [{"externalId": "gone", "name": "x", "traits": {"churnedAt": "2025-01-01"}}])

    assert sorted(names(rest.get(f"/accounts{query}"))) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/organizations/org-1/accounts", ["acc-1"]),
        ("/accounts/acc-1/users", ["usr-1"]),
        ("/organizations/org-1/users", ["boss"]),
    ],
)
def test_children_are_listed_under_their_parent(vitally, rest, acme, path, expected):
    """Only those linked directly."""
    vitally.seed("users", [{"externalId": "boss", "organizationIds": ["org-1"]}])

    assert names(rest.get(path)) == expected
    assert rest.get(path.replace("org-1", "x").replace("acc-1", "x")).status == 404
