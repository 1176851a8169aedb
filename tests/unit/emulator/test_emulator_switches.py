"""Every switch over REST in both positions: what Vitally's documents leave open.  vitally.md 10.1"""

import pytest
from pydantic import ValidationError

from headrace.emulator import EmulatorSettings


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("organizations", {"externalId": "x", "name": "new"}),
        ("accounts", {"externalId": "x", "name": "new"}),
        ("users", {"externalId": "x", "name": "new"}),
        ("notes", {"externalId": "x", "note": "new", "noteDate": "2026-01-01"}),
        ("tasks", {"externalId": "x", "name": "new"}),
        ("conversations", {"externalId": "x", "subject": "new", "messages": []}),
        ("npsResponses", {"externalId": "x", "score": 9, "respondedAt": "2026-01-01"}),
    ],
)
@pytest.mark.parametrize(("switch", "status"), [("upsert", 200), ("400", 400), (409, 409)])
def test_post_on_a_taken_external_id(vitally, rest, acme, kind, body, switch, status):
    """Updates, or refuses with the status chosen: a client must be right under each."""
    parents = {"users": {"accountIds": [acme["account"]]}, "npsResponses": {"userId": acme["user"]}}
    body = body | parents.get(kind, {"accountId": acme["account"]} if kind in ("notes", "tasks") else {})
    first = rest.post(f"/{kind}", body)
    vitally.configure(post_on_existing={kind: switch})

    again = rest.post(f"/{kind}", body)

    assert (first.status, again.status) == (200, status)
    assert vitally.state.counts()[kind] == (2 if kind in ("accounts", "organizations", "users") else 1)
    assert status != 200 or again.json["id"] == first.json["id"]


def test_post_on_existing_is_set_kind_by_kind(vitally):
    """To turn one leaves the others."""
    vitally.configure(postOnExisting={"accounts": "409"})
    vitally.configure(postOnExisting={"npsResponses": 400})

    kept = vitally.settings.post_on_existing
    assert (kept.accounts, kept.nps_responses, kept.users) == ("409", "400", "upsert")


@pytest.mark.parametrize(("switch", "linked"), [("replace", ["acc-2"]), ("add", ["acc-1", "acc-2"])])
def test_user_parents_on_put(vitally, rest, acme, switch, linked):
    """Not documented: to send the union is right for both."""
    (second,) = vitally.seed("accounts", [{"externalId": "acc-2", "name": "x"}])
    vitally.configure(user_parents_on_put=switch)

    user = rest.put("/users/usr-1", {"accountIds": [second["id"]]}).json

    assert [each["externalId"] for each in user["accounts"]] == linked
    assert rest.get("/accounts/acc-1").json["usersCount"] == (0 if switch == "replace" else 1)


@pytest.mark.parametrize(("switch", "customer"), [("set", "acc-2"), ("ignore", "acc-1")])
def test_instance_parents_on_put(vitally, rest, acme, switch, customer):
    """One table of the documents lets them be edited, another leaves them out of PUT."""
    (second,) = vitally.seed("accounts", [{"externalId": "acc-2", "name": "x"}])
    vitally.seed("customObjects", [{"id": "o", "name": "site", "label": "Site", "writeMode": "writable"}])
    made = rest.post("/customObjects/o/instances", {"name": "HQ", "customerId": acme["account"]}).json
    vitally.configure(instance_parents_on_put=switch)

    moved = rest.put(f"/customObjects/o/instances/{made['id']}", {"name": "New", "customerId": second["id"]}).json

    assert (moved["name"], moved["customer"]["externalId"]) == ("New", customer)


@pytest.mark.parametrize(("accepts", "status"), [(True, 200), (False, 400)])
def test_parents_by_external_id(vitally, rest, acme, accepts, status):
    """Users' arrays, and an account's organizationId on PUT, each with its own switch."""
    vitally.configure(parents_accept_external_id={"users": accepts, "accounts": accepts})

    assert rest.put("/users/usr-1", {"accountIds": ["acc-1"]}).status == status
    assert rest.put("/accounts/acc-1", {"organizationId": "org-1"}).status == status


@pytest.mark.parametrize(("editable", "name"), [(True, "New"), (False, "Acme")])
def test_account_name_editable(vitally, rest, acme, editable, name):
    """Two copies of the documents disagree."""
    vitally.configure(account_name_editable=editable)

    assert rest.put("/accounts/acc-1", {"name": "New"}).json["name"] == name


@pytest.mark.parametrize(("switch", "status"), [("scheduled", 200), ("immediate", 404)])
def test_user_delete(vitally, rest, clock, acme, switch, status):
    """Live, 204 comes at once and the user stays readable with a new updatedAt."""
    vitally.configure(user_delete=switch)
    clock.advance(5)

    reply = rest.delete("/users/usr-1")

    after = rest.get("/users/usr-1")
    assert (reply.status, after.status) == (204, status)
    assert status == 404 or after.json["updatedAt"] == "2026-01-01T00:00:05.000Z"


@pytest.mark.parametrize(("delete_on", "status"), [("2026-09-01", 204), ("soon", 400)])
def test_user_delete_on_a_day(vitally, rest, acme, delete_on, status):
    """A day in the future schedules, whatever the switch."""
    vitally.configure(user_delete="immediate")

    assert rest.delete(f"/users/usr-1?deleteOn={delete_on}").status == status
    assert rest.get("/users/usr-1").status == 200


@pytest.mark.parametrize("shape", ["error", "message"])
def test_error_shape(vitally, rest, shape):
    """`error` was observed; one client's comment shows `message`."""
    vitally.configure(error_shape=shape)

    assert rest.post("/accounts", {"name": "x"}).json == {shape: "externalId is required"}


@pytest.mark.parametrize("status", [200, 201])
def test_create_status(vitally, rest, status):
    """Clients must accept any 2xx."""
    vitally.configure(create_status=status)

    assert rest.post("/accounts", {"externalId": "x", "name": "x"}).status == status


@pytest.mark.parametrize("status", [200, 204])
def test_delete_status(vitally, rest, acme, status):
    """Only third parties say 204."""
    vitally.configure(delete_status=status)

    assert rest.delete("/accounts/acc-1").status == status


@pytest.mark.parametrize(("status", "unknown_route"), [(404, 404), (405, 404)])
def test_wrong_method_status(vitally, rest, acme, status, unknown_route):
    """PATCH is in no table of endpoints."""
    vitally.configure(wrong_method_status=status)

    assert rest("PATCH", "/accounts/acc-1", {"name": "x"}).status == status
    assert rest("PATCH", "/nowhere", {"name": "x"}).status == unknown_route


@pytest.mark.parametrize(("switch", "status"), [("reject", 400), ("ignore", 200)])
def test_unknown_fields(vitally, rest, analytics, switch, status):
    """A field that is in no table is a client's mistake; the live service may let it pass."""
    vitally.configure(unknown_fields=switch)

    assert rest.post("/accounts", {"externalId": "x", "name": "x", "plan": "pro"}).status == status
    assert analytics.post("/account", {"accountId": "x", "messageId": "1", "plan": "pro"}).status == status


@pytest.mark.parametrize(("emits", "keys"), [(False, ["results", "next"]), (True, ["results", "next", "atEnd"])])
def test_emit_at_end(vitally, rest, emits, keys):
    """One client reads it."""
    vitally.configure(emit_at_end=emits)

    assert list(rest.get("/users").json) == keys


@pytest.mark.parametrize(("switch", "status"), [("clamp", 200), ("400", 400), (400, 400)])
def test_limit_over_100(vitally, rest, switch, status):
    """100 is the documented maximum; what is beyond is not."""
    vitally.seed("organizations", [{"externalId": f"o{number}", "name": "x"} for number in range(101)])
    vitally.configure(limit_over_100=switch)

    reply = rest.get("/organizations?limit=101")

    assert reply.status == status
    assert status == 400 or len(reply.json["results"]) == 100


def test_trait_field_map(vitally, rest):
    """Which trait fills a field is a setting of the workspace."""
    vitally.configure(trait_field_map={"arr": "mrr"})

    account = rest.post("/accounts", {"externalId": "x", "name": "x", "traits": {"arr": 7, "mrr": 5}}).json

    assert account["mrr"] == 7


@pytest.mark.parametrize(
    ("switch", "status", "kept"), [("accept", 200, {"a": 1, "b": 2}), ("ignore", 200, {"a": 1}), ("reject", 400, None)]
)
def test_unknown_custom_traits(vitally, rest, acme, switch, status, kept):
    """Notes, tasks, projects and instances want the path of an existing custom trait."""
    vitally.seed("customFields", [{"label": "A", "path": "a", "type": "string", "model": "tasks"}])
    vitally.configure(unknown_custom_traits=switch)

    reply = rest.post("/tasks", {"name": "x", "accountId": acme["account"], "traits": {"a": 1, "b": 2}})

    assert (reply.status, reply.json.get("traits")) == (status, kept)


@pytest.mark.parametrize(
    "switches",
    [
        {"userDelete": "maybe"},
        {"noSuchSwitch": 1},
        {"rateLimit": {"units": 0}},
        {"rateLimit": {"algorithm": "luck"}},
        {"faults": [{"action": "respond"}]},
        {"faults": [{"match": {"path": "("}, "status": 500}]},
        {"blockedTypes": ["page"]},
    ],
)
def test_a_switch_that_does_not_exist_is_refused(switches):
    """A misspelt switch would test nothing."""
    with pytest.raises(ValidationError):
        EmulatorSettings.model_validate(switches)


def test_settings_read_camel_case_as_documented():
    """The names of the table are the names of the file."""
    settings = EmulatorSettings.model_validate(
        {"restKeys": "k", "retryAfterOn429": True, "limitOver100": "400", "rateLimit": None, "batchMaxBytes": 5}
    )

    assert settings.rest_keys == ("k",)
    assert (settings.retry_after_on_429, settings.limit_over_100, settings.rate_limit) == (True, "400", None)
