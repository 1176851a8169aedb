"""Organizations, accounts and users over REST.  vitally.md 5, 10.2"""

import pytest

USER_FIELDS = {
    "id", "createdAt", "updatedAt", "externalId", "name", "email", "avatar", "traits", "firstKnown", "joinDate",
    "lastSeenTimestamp", "lastInboundMessageTimestamp", "lastOutboundMessageTimestamp", "npsLastScore",
    "npsLastFeedback", "npsLastRespondedAt", "unsubscribedFromConversations", "unsubscribedFromConversationsAt",
    "deactivatedAt", "segments", "accounts", "organizations", "accountIds", "organizationIds",
}  # fmt: skip


def test_created_account_is_answered_with_every_field(rest):
    """A client's schema must meet nulls in all places where Vitally puts them."""
    reply = rest.post("/accounts", {"externalId": "a", "name": "Acme"})

    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.json["traits"] == {}
    assert reply.json["createdAt"] == "2026-01-01T00:00:00.000Z"
    nulls = ["organizationId", "accountOwnerId", "mrr", "churnedAt", "healthScore", "csmId", "firstSeenTimestamp"]
    assert [reply.json[name] for name in nulls] == [None] * len(nulls)
    assert (reply.json["usersCount"], reply.json["keyRoles"], reply.json["segments"]) == (0, [], [])


def test_user_is_answered_with_parents_both_ways(rest, acme):
    """Documents list ids, clients read embedded objects: both are there."""
    user = rest.get("/users/usr-1").json

    assert set(user) >= USER_FIELDS
    assert user["accountIds"] == [acme["account"]]
    assert [(each["id"], each["name"]) for each in user["accounts"]] == [(acme["account"], "Acme")]
    assert user["organizations"] == []


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/organizations", {"name": "x"}, "externalId is required"),
        ("/organizations", {"externalId": "x"}, "name is required"),
        ("/accounts", {"name": "x"}, "externalId is required"),
        ("/accounts", {"externalId": "x", "name": ""}, "name is required"),
        ("/accounts", {"externalId": "x", "name": None}, "name is required"),
        ("/users", {"accountIds": ["x"]}, "externalId is required"),
        ("/users", {"externalId": "x"}, "Must specify at least one of: accountIds or organizationIds"),
        (
            "/users",
            {"externalId": "x", "accountIds": [], "organizationIds": []},
            "Must specify at least one of: accountIds or organizationIds",
        ),
        ("/accounts", {"externalId": 7, "name": "x"}, "externalId must be a string"),
        ("/accounts", {"externalId": "x", "name": 7}, "name must be a string"),
        ("/accounts", {"externalId": "x", "name": "x", "traits": ["a"]}, "traits must be a JSON object"),
        ("/accounts", {"externalId": "x", "name": "x", "traits": None}, "traits must be a JSON object"),
        ("/accounts", {"externalId": "x", "name": "x", "organizationId": 7}, "organizationId must be an id (string)"),
        ("/accounts", {"externalId": "x", "name": "x", "plan": "pro"}, "plan is not a field of account"),
        ("/users", {"externalId": "x", "accountIds": "a"}, "accountIds must be an array of ids (strings)"),
        ("/users", {"externalId": "x", "accountIds": [7]}, "accountIds must be an array of ids (strings)"),
        ("/accounts", [], "The body must be a JSON object"),
    ],
)
def test_create_names_the_field_that_is_wrong(rest, path, body, error):
    """The message is all a client has to tell its user what to mend."""
    reply = rest.post(path, body)

    assert (reply.status, reply.json) == (400, {"error": error})


@pytest.mark.parametrize(
    ("name", "value", "phrase"),
    [
        ("email", 7, "a string"),
        ("avatar", [], "a string"),
        ("joinDate", "yesterday", "an ISO-8601 date and time"),
        ("joinDate", 1700000000, "an ISO-8601 date and time"),
        ("joinDate", "2026-02-30", "an ISO-8601 date and time"),
        ("unsubscribedFromConversations", "true", "a boolean"),
        ("traits", "x", "a JSON object"),
    ],
)
def test_update_names_the_field_of_the_wrong_type(rest, acme, name, value, phrase):
    """Nothing is coerced: a client's conversion is its own matter."""
    reply = rest.put("/users/usr-1", {name: value})

    assert (reply.status, reply.json) == (400, {"error": f"{name} must be {phrase}"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/accounts", {"externalId": "x", "name": "x", "organizationId": "nobody"}),
        ("/accounts", {"externalId": "x", "name": "x", "organizationId": "org-1"}),  # create wants the Vitally id
        ("/users", {"externalId": "x", "accountIds": ["nobody"]}),
        ("/users", {"externalId": "x", "organizationIds": ["nobody"]}),
        ("/users", {"externalId": "x", "accountIds": ["acc-1"]}),
    ],
)
def test_an_unknown_parent_is_refused_and_nothing_is_made(vitally, rest, acme, path, body):
    """Parents go by Vitally id: an externalId is unknown."""
    reply = rest.post(path, body)

    assert reply.status == 400
    assert vitally.state.find(path[1:], "x") is None


@pytest.mark.parametrize("kind", ["organizations", "accounts", "users"])
def test_a_record_is_found_by_id_and_by_external_id(vitally, rest, acme, kind):
    """The path takes both."""
    ((external_id, record),) = vitally.state.by_external_id(kind).items()

    assert rest.get(f"/{kind}/{external_id}").json == rest.get(f"/{kind}/{record['id']}").json


def test_an_external_id_is_decoded_once_per_path_segment(rest):
    """Ids with slashes, spaces and percent signs are real."""
    external_id = "a/b c%2Fd+é"
    rest.post("/accounts", {"externalId": external_id, "name": "x"})

    reply = rest.get("/accounts/a%2Fb%20c%252Fd%2B%C3%A9")

    assert reply.json["externalId"] == external_id


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("kind", ["organizations", "accounts", "users"])
def test_an_unknown_id_is_404_with_an_error_key(vitally, rest, kind, method):
    """PUT never creates; a public client tells absence by the key `error`."""
    reply = rest(method, f"/{kind}/nobody", {"name": "x"} if method == "PUT" else None)

    assert reply.status == 404
    assert "error" in reply.json
    assert len(vitally.state.records(kind)) == 0


def test_put_merges_traits_and_null_deletes_one(rest, clock):
    """The rule that lets a sync send only what changed."""
    rest.post(
        "/accounts", {"externalId": "a", "name": "Acme", "traits": {"plan": "pro", "seats": 5, "vitally.custom.x": 1}}
    )
    clock.advance(60)

    account = rest.put("/accounts/a", {"traits": {"plan": None, "seats": 6, "tags": ["x"], "deep": {"a": [None]}}}).json

    assert account["traits"] == {"seats": 6, "vitally.custom.x": 1, "tags": ["x"], "deep": {"a": [None]}}
    assert (account["createdAt"], account["updatedAt"]) == ("2026-01-01T00:00:00.000Z", "2026-01-01T00:01:00.000Z")


def test_put_ignores_what_is_read_only(rest, acme):
    """externalId is set on create only; mrr comes from a trait."""
    reply = rest.put("/accounts/acc-1", {"externalId": "other", "mrr": 5, "usersCount": 9, "id": "x", "name": "New"})

    assert reply.status == 200
    assert (reply.json["externalId"], reply.json["mrr"], reply.json["usersCount"]) == ("acc-1", None, 1)
    assert (reply.json["id"], reply.json["name"]) == (acme["account"], "New")


def test_account_is_linked_and_unlinked_by_put(rest, acme):
    """null removes the relation; the organization counts along."""
    unlinked = rest.put("/accounts/acc-1", {"organizationId": None})
    count = rest.get("/organizations/org-1").json["accountsCount"]
    linked = rest.put("/accounts/acc-1", {"organizationId": acme["organization"]})

    assert (unlinked.json["organizationId"], count) == (None, 0)
    assert linked.json["organizationId"] == acme["organization"]
    assert rest.get("/organizations/org-1").json["accountsCount"] == 1


@pytest.mark.parametrize(("value", "status"), [(None, 200), ("b6cf3a3c-0d3c-4a6e-8a3c-000000000000", 400)])
def test_account_owner_can_only_be_cleared(rest, acme, value, status):
    """Otherwise the owner is set in the app."""
    assert rest.put("/accounts/acc-1", {"accountOwnerId": value}).status == status


@pytest.mark.parametrize(
    ("query", "status", "found"),
    [
        ("email=jo%40acme.com", 200, ["usr-1"]),  # compared without case
        ("externalId=usr-1", 200, ["usr-1"]),
        ("emailSubdomain=acme.com", 200, ["usr-1"]),
        ("emailSubdomain=cme.com", 200, []),
        ("email=nobody%40acme.com", 200, []),
        ("", 400, None),
        ("query=jo", 400, None),
        ("email=jo%40acme.com&externalId=usr-1", 400, None),
        ("externalId=usr-1&updatedAt=x", 200, ["usr-1"]),  # unknown parameters are ignored
    ],
)
def test_user_search_takes_exactly_one_criterion(rest, acme, query, status, found):
    """Two criteria are an error, not a conjunction."""
    reply = rest.get(f"/users/search?{query}")

    results = reply.json.get("results")
    assert reply.status == status
    assert found == (None if results is None else [each["externalId"] for each in results])


def test_a_plus_in_an_email_must_be_encoded(rest, acme):
    """An unencoded plus is a space."""
    rest.post("/users", {"externalId": "p", "accountIds": [acme["account"]], "email": "a+b@acme.com"})

    raw, encoded = (
        rest.get(f"/users/search?email={each}").json["results"] for each in ("a+b@acme.com", "a%2Bb@acme.com")
    )

    assert (len(raw), len(encoded)) == (0, 1)


def test_deleting_an_account_takes_its_exclusive_users_along(vitally, rest, acme):
    """A user who is in another account too stays, without the link."""
    vitally.seed("accounts", [{"externalId": "acc-2", "name": "Second"}])
    vitally.seed("users", [{"externalId": "both", "accountIds": ["acc-1", "acc-2"]}])
    vitally.seed("users", [{"externalId": "boss", "accountIds": ["acc-1"], "organizationIds": ["org-1"]}])

    reply = rest.delete("/accounts/acc-1")

    assert (reply.status, reply.body) == (204, b"")
    assert rest.get("/accounts/acc-1").status == rest.get("/users/usr-1").status == 404
    assert [each["externalId"] for each in rest.get("/users/both").json["accounts"]] == ["acc-2"]
    assert rest.get("/users/boss").json["accountIds"] == []


def test_deleting_an_organization_takes_all_that_belongs_only_to_it(vitally, rest, acme):
    """Its accounts, and their users."""
    rest.delete("/organizations/org-1")

    assert vitally.state.counts()["accounts"] == vitally.state.counts()["users"] == 0


def test_a_deleted_external_id_is_free_again(rest, acme):
    """Deleted records reappear if a source still pushes them, with a new id."""
    rest.delete("/accounts/acc-1")

    again = rest.post("/accounts", {"externalId": "acc-1", "name": "Again"}).json

    assert again["id"] != acme["account"]


def test_traits_fill_the_top_level_fields(rest):
    """mrr and the dates are sent as traits; a value that cannot stand there leaves the field empty."""
    traits = {"mrr": 12.5, "churnedAt": "2026-01-02", "nextRenewalDate": "soon"}
    account = rest.post("/accounts", {"externalId": "a", "name": "x", "traits": traits}).json

    assert (account["mrr"], account["churnedAt"]) == (12.5, "2026-01-02T00:00:00.000Z")
    assert account["nextRenewalDate"] is None
    assert account["traits"] == traits
    assert rest.put("/accounts/a", {"traits": {"mrr": None}}).json["mrr"] is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nowhere"),
        ("GET", "/accounts/a/b/c"),
        ("PATCH", "/accounts/acc-1"),
        ("PUT", "/accounts"),
        ("DELETE", "/accounts"),
        ("POST", "/accounts/acc-1"),
        ("GET", "/accounts/external/acc-1"),  # told of in public files, in no document
        ("PUT", "/accounts/acc-1/traits"),
    ],
)
def test_an_undocumented_route_is_404(rest, acme, method, path):
    """Folk tales about this API are not served."""
    assert rest(method, path, {"name": "x"} if method != "GET" else None).status == 404


@pytest.mark.parametrize("raw", [b"{", b"", b'{"name": NaN}', b"name=x"])
def test_malformed_json_is_400(rest, acme, raw):
    """Also an empty body where one is needed."""
    assert rest("PUT", "/accounts/acc-1", raw=raw).status == 400


def test_another_content_type_is_400(rest, acme):
    """JSON is asked for by the documents; a form would not be read."""
    reply = rest("PUT", "/accounts/acc-1", {"name": "x"}, headers={"Content-Type": "text/plain"})

    assert (reply.status, reply.json) == (400, {"error": "Content-Type must be application/json"})


def test_a_large_body_is_read_whole(rest):
    """No size limit is documented, so none of a web framework's may hide in here."""
    reply = rest.post("/accounts", {"externalId": "x", "name": "x" * 3_000_000})

    assert (reply.status, len(reply.json["name"])) == (200, 3_000_000)
