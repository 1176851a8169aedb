"""How a row finds its record: by external id, by email, by Vitally's own id; and every way in which it can't."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from headrace.domain.spec import Mode, ObjectSpec

from .test_modes import EXPECTED
from .world import CREATED_OBJECTS, MODES, OBJECTS, SHELVES, World, every_field, text_of

USER = {"accountIds": {"column": "account"}, "externalId": {"column": "ref"}, "name": {"column": "name"}}
BY_EMAIL = ("email", "email")


def user(key: str, email: str | None, **more: str | None) -> dict[str, str | None]:
    return {"key": key, "ref": f"user-{key}", "email": email, "account": "account-1", "name": f"New {key}", **more}


@OBJECTS
def test_a_row_without_a_match_value_is_invalid_and_its_siblings_go_out(spec: ObjectSpec, world: World):
    world.arrange(spec)
    world.there_if_never_created(spec, "fine")
    columns, rules = every_field(spec)
    before = set(world.held(spec.name))
    world.rows(*({"key": str(n), "ref": ref, **columns} for n, ref in enumerate([None, "", "  ", "fine"])))
    world.sync(spec.name, rules)

    ran = world.run()

    missing = ("invalid", "match_value_missing")
    assert {"0": missing, "1": missing, "2": missing, "3": ("delivered", None)} == ran.outcomes
    assert {"fine"} == {*world.held(spec.name)} - before | {"fine"}
    assert columns[text_of(spec)] == world.held(spec.name)["fine"][text_of(spec)]


@OBJECTS
def test_two_rows_with_one_match_value_are_both_invalid(spec: ObjectSpec, world: World):
    """Sending either would be a coin's toss, also when the other was delivered long ago."""
    world.arrange(spec)
    world.there_if_never_created(spec, "same", "other")
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "same", **columns})
    world.sync(spec.name, rules)
    world.run()

    twins = [{"key": key, "ref": "same", **columns, text_of(spec): f"Twin {key}"} for key in ("1", "2")]
    world.rows(*twins, {"key": "3", "ref": "other", **columns})
    ran = world.run()

    twice = ("invalid", "match_value_duplicate")
    assert {"1": twice, "2": twice, "3": ("delivered", None)} == ran.outcomes
    assert columns[text_of(spec)] == world.held(spec.name)["same"][text_of(spec)]


@OBJECTS
def test_an_external_id_reaches_its_record_whatever_signs_it_has(spec: ObjectSpec, world: World):
    world.arrange(spec)
    columns, rules = every_field(spec)
    refs = ["a/b", "a b?c=d&e", "50%", "%2F", "ünï/東京", "..", "a+b", "#1", "'", "a;b,c"]
    world.there(spec, *refs)
    world.rows(*({"key": ref, "ref": ref, **columns, text_of(spec): f"New {ref}"} for ref in refs))
    world.sync(spec.name, rules, mode="update")

    assert dict.fromkeys(refs, ("delivered", None)) == world.run().outcomes
    held = world.held(spec.name)
    assert {ref: f"New {ref}" for ref in refs} == {ref: held[ref][text_of(spec)] for ref in refs}


@CREATED_OBJECTS
def test_an_external_id_of_any_signs_makes_a_record_of_that_name(spec: ObjectSpec, world: World):
    world.arrange(spec)
    columns, rules = every_field(spec)
    refs = ["a/b", "a b?c=d&e", "%2F", "..", "a+b", " a "]
    world.rows(*({"key": ref, "ref": ref, **columns} for ref in refs))
    world.sync(spec.name, rules)

    assert dict.fromkeys(refs, ("delivered", None)) == world.run().outcomes
    assert set(refs) <= set(world.held(spec.name))


# Users by email ---------------------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize("given", ["ann@acme.test", "ANN@Acme.Test", "  ann@acme.test "])
def test_an_email_finds_its_user_in_any_case_and_with_blanks_around_it(mode: Mode, given: str, world: World):
    world.parents()
    world.vitally.seed("users", [{"externalId": "old-7", "email": "Ann@acme.test", "accountIds": ["account-1"]}])
    world.rows(user("1", given), user("2", "new+tag@acme.test"))
    world.sync("user", USER, mode=mode, match=BY_EMAIL)

    ran = world.run()

    assert {"1": EXPECTED[mode][0], "2": EXPECTED[mode][1]} == ran.outcomes
    held = world.held("user")
    assert "user-1" not in held, "the user was found, so none is made"
    assert ("Ann@acme.test", None if mode is Mode.INSERT else "New 1") == (
        held["old-7"]["email"],
        held["old-7"]["name"],
    )
    if mode is not Mode.UPDATE:
        assert ("new+tag@acme.test", "New 2") == (held["user-2"]["email"], held["user-2"]["name"])
    puts = [one.path for one in ran.requests if one.method == "PUT"]
    assert [f"/resources/users/{held['old-7']['id']}"] * (mode is not Mode.INSERT) == puts


@MODES
def test_an_email_that_several_users_have_is_ambiguous(mode: Mode, world: World):
    """Vitally does not keep emails unique. Which one is meant can't be known, so none is touched."""
    world.parents()
    twins = [{"externalId": one, "email": email, "name": "Old", "accountIds": ["account-1"]} for one, email in
             (("t1", "Twin@acme.test"), ("t2", "twin@acme.test"))]  # fmt: skip
    world.vitally.seed("users", twins)
    world.rows(user("1", "twin@acme.test"), user("2", "alone@acme.test"))
    world.sync("user", USER, mode=mode, match=BY_EMAIL)

    ran = world.run()

    assert ("invalid", "match_ambiguous") == ran.outcomes["1"]
    assert EXPECTED[mode][1] == ran.outcomes["2"]
    assert {"Old"} == {world.held("user")[one]["name"] for one in ("t1", "t2")}


@MODES
def test_emails_are_found_alike_in_a_listing_and_one_by_one(mode: Mode, world: World):
    """A first sync of many rows lists the users. Case, blanks and twins must mean the same there as in a search."""
    world.parents()
    world.vitally.seed(
        "users",
        [{"externalId": f"old-{n}", "email": f"User{n}@acme.test", "name": "Old", "accountIds": ["account-1"]}
         for n in range(12)]
        + [{"externalId": f"twin-{n}", "email": "twin@acme.test", "accountIds": ["account-1"]} for n in (1, 2)],
    )  # fmt: skip
    world.rows(*(user(str(n), f" uSER{n}@ACME.test") for n in range(24)), user("t", "TWIN@acme.test"))
    world.sync("user", USER, mode=mode, match=BY_EMAIL)

    ran = world.run()

    assert ("invalid", "match_ambiguous") == ran.outcomes.pop("t")  # type: ignore[attr-defined]
    assert {str(n): EXPECTED[mode][0 if n < 12 else 1] for n in range(24)} == ran.outcomes
    emails = [one["email"].strip().lower() for one in world.vitally.state.records("users")]
    assert 14 + (0 if mode is Mode.UPDATE else 12) == len(emails)


@pytest.mark.parametrize("others", [0, 30], ids=["asked one by one", "listed"])
def test_rows_whose_emails_differ_in_case_only_are_one_user_twice(others: int, world: World):
    """Vitally compares emails without case: both rows would write to one user, or make two users with one email."""
    world.parents()
    many = [user(f"n{n}", f"other{n}@acme.test") for n in range(others)]
    world.rows(user("1", "Ann@acme.test"), user("2", "ann@acme.test "), *many)
    world.sync("user", USER, match=BY_EMAIL)

    ran = world.run()

    twice = ("invalid", "match_value_duplicate")
    assert {"1": twice, "2": twice} == {key: ran.outcomes[key] for key in ("1", "2")}


@pytest.mark.parametrize("rule", ["clear", "delete"])
def test_an_email_that_changed_in_case_only_is_the_same_user(rule: str, tmp_path: Path):
    """Removing "the old one" would delete the very user that the row is about."""
    with World(tmp_path, user_delete="immediate") as world:
        world.parents()
        world.rows(user("1", "ann@acme.test"))
        world.sync("user", USER, match=BY_EMAIL, removed=rule)
        world.run()
        world.rows(user("1", "Ann@ACME.test", name="Ann"))

        ran = world.run()

        assert {"1": ("delivered", None)} == ran.outcomes
        assert ["GET", "PUT"] == [one.method for one in ran.requests]
        assert "Ann" == world.held("user")["user-1"]["name"]


@pytest.mark.parametrize("refusal", ["upsert", "400", "409"])
def test_insert_by_email_never_changes_the_user_who_has_the_external_id(refusal: str, world: World):
    """Nobody has the email, yet the external id is taken: a POST could overwrite that user."""
    world.vitally.configure(post_on_existing={"users": refusal})
    world.parents()
    world.vitally.seed(
        "users", [{"externalId": "user-1", "email": "old@acme.test", "name": "Old", "accountIds": ["account-2"]}]
    )
    world.rows(user("1", "new@acme.test"))
    world.sync("user", USER, mode="insert", match=BY_EMAIL)

    ran = world.run()

    assert {"1": ("skipped", "record_exists")} == ran.outcomes
    assert ("Old", "old@acme.test") == (world.held("user")["user-1"]["name"], world.held("user")["user-1"]["email"])


@pytest.mark.parametrize("refusal", ["upsert", "400", "409"])
def test_upsert_by_email_updates_the_user_who_has_the_external_id(refusal: str, world: World):
    """A person changed their email: nobody has the new one, the external id is theirs. All readings end alike."""
    world.vitally.configure(post_on_existing={"users": refusal})
    world.parents()
    world.vitally.seed(
        "users", [{"externalId": "user-1", "email": "old@acme.test", "name": "Old", "accountIds": ["account-1"]}]
    )
    world.rows(user("1", "new@acme.test"))
    world.sync("user", USER, match=BY_EMAIL)

    ran = world.run()

    assert {"1": ("delivered", None)} == ran.outcomes
    assert ("New 1", "new@acme.test") == (world.held("user")["user-1"]["name"], world.held("user")["user-1"]["email"])


def test_matching_on_email_needs_external_id_and_a_parent(world: World):
    """Both findings at once, in the words of the API (product A18, A19)."""
    world.rows(user("1", "a@acme.test"))
    for mode in ("upsert", "update"):
        findings = world.findings("user", {"name": {"column": "name"}}, mode=mode, match=BY_EMAIL)
        assert [
            ("field_required", "syncs.the-sync.fields.externalId"),
            ("parent_required", "syncs.the-sync.fields.accountIds"),
        ] == findings
    findings = world.findings("user", {"name": {"column": "name"}})
    assert [("parent_required", "syncs.the-sync.fields.accountIds")] == findings


def test_a_row_without_external_id_or_parent_is_invalid_when_matching_on_email(world: World):
    world.parents()
    world.rows(user("1", "a@acme.test", ref=None), user("2", "b@acme.test", account=None), user("3", "c@acme.test"))
    world.sync("user", USER, match=BY_EMAIL)

    ran = world.run()

    assert {"1": ("invalid", "field_required"), "2": ("invalid", "parent_required"), "3": ("delivered", None)} == (
        ran.outcomes
    )
    assert "Must specify at least one of: accountIds or organizationIds" in (ran.messages["2"] or "")


# Vitally's own id -------------------------------------------------------------------------------------------------


@OBJECTS
def test_vitallys_own_id_finds_a_record_and_makes_none(spec: ObjectSpec, world: World):
    world.arrange(spec)
    (there,) = world.there(spec, "there")
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": there["id"], **columns}, {"key": "2", "ref": "nobody", **columns})
    world.sync(spec.name, rules, mode="update", match=("ref", "id"))

    ran = world.run()

    assert {"1": ("delivered", None), "2": ("skipped", "record_not_found")} == ran.outcomes
    assert columns[text_of(spec)] == world.held(spec.name)["there"][text_of(spec)]
    ends = [line.rsplit("/", 2)[1:] for line in ran.lines if line.startswith("PUT")]
    assert [SHELVES[spec.name], quote(there["id"])] in ends


@OBJECTS
@pytest.mark.parametrize("mode", ["upsert", "insert"])
def test_vitallys_own_id_is_refused_for_modes_that_create(spec: ObjectSpec, mode: str, world: World):
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "x", **columns})

    code, place = ("mode_not_allowed", "match.field") if mode in spec.modes else ("unknown_value", "mode")
    assert (code, f"syncs.the-sync.{place}") in world.findings(spec.name, rules, mode=mode, match=("ref", "id"))


def test_a_whole_number_serves_as_external_id_when_matching_on_email(world: World):
    """Most warehouses number their users. The id goes out as its digits, as it does when it is matched on."""
    world.parents()
    world.rows({**user("1", "ann@acme.test"), "number": 42})
    world.sync("user", {**USER, "externalId": {"column": "number"}}, match=BY_EMAIL)

    assert {"1": ("delivered", None)} == world.run().outcomes
    assert "42" in world.held("user")
