"""The Analytics API: what is accepted, and what it does.  vitally.md 7, 10.3"""

import pytest

SUCCESS = {"message": "Success."}


@pytest.fixture
def definition(vitally):
    (made,) = vitally.seed("customObjects", [{"name": "site", "label": "Site", "writeMode": "writable"}])
    return made["id"]


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("organization", {"organizationId": "o", "messageId": "1"}),
        ("account", {"accountId": "a", "timestamp": "2026-01-01T00:00:00.000Z"}),
        ("account", {"accountId": "a", "type": "account", "organizationId": "o", "traits": {}, "messageId": "1"}),
        ("user", {"userId": "u", "accountId": "a", "traits": {}, "messageId": "1"}),
        ("user", {"userId": "u", "organizationId": "o", "traits": {}, "messageId": "1"}),
        ("track", {"userId": "u", "event": "e", "properties": {}, "messageId": "1"}),
        ("track", {"accountId": "a", "event": "e", "properties": {"n": 1}, "messageId": "1"}),
        ("unlink", {"userId": "u", "accountId": "a", "messageId": "1"}),  # a pair never linked
        ("batch", []),
        ("batch", [{"type": "account", "accountId": "a", "messageId": "1"}]),
    ],
)
def test_a_valid_message_is_a_success(analytics, endpoint, body):
    """Success means accepted, and always looks the same."""
    reply = analytics.post(f"/{endpoint}", body)

    assert (reply.status, reply.json) == (200, SUCCESS)


@pytest.mark.parametrize(
    ("endpoint", "body", "error"),
    [
        ("organization", {"messageId": "1"}, "organizationId is required"),
        ("account", {"messageId": "1", "accountId": ""}, "accountId is required"),
        ("account", {"accountId": "a"}, "Must specify at least one of: messageId or timestamp"),
        ("account", {"accountId": 7, "messageId": "1"}, "accountId must be a string"),
        ("account", {"accountId": "a", "messageId": 1}, "messageId must be a string"),
        ("account", {"accountId": "a", "messageId": "1", "traits": []}, "traits must be a JSON object"),
        ("account", {"accountId": "a", "timestamp": 1700000000}, "timestamp must be an ISO-8601 UTC string"),
        ("account", {"accountId": "a", "timestamp": "2026-01-01T00:00:00"}, "timestamp must be an ISO-8601 UTC string"),
        ("account", {"accountId": "a", "messageId": "1", "externalId": "a"}, "externalId is not a field of account"),
        ("account", {"accountId": "a", "messageId": "1", "type": "user"}, "type is wrong"),
        ("user", {"userId": "u", "accountId": "a", "messageId": "1"}, "traits is required"),
        (
            "user",
            {"userId": "u", "traits": {}, "messageId": "1"},
            "Must specify at least one of: accountId or organizationId",
        ),
        (
            "user",
            {"userId": "u", "accountIds": ["a"], "traits": {}, "messageId": "1"},
            "accountIds is not a field of user",
        ),
        ("track", {"userId": "u", "properties": {}, "messageId": "1"}, "event is required"),
        ("track", {"userId": "u", "event": "e", "messageId": "1"}, "properties is required"),
        (
            "track",
            {"event": "e", "properties": {}, "messageId": "1"},
            "Must specify at least one of: userId or accountId or organizationId",
        ),
        ("unlink", {"userId": "u", "messageId": "1"}, "accountId is required"),
        ("unlink", {"accountId": "a", "messageId": "1"}, "userId is required"),
        ("account", [], "A message must be a JSON object"),
        ("batch", {"batch": []}, "The body of a batch must be an array of messages"),
        ("batch", [{"type": "account", "accountId": "a", "messageId": "1"}] * 101, "A batch has at most 100 messages"),
    ],
)
def test_a_faulty_message_is_refused_by_field(analytics, endpoint, body, error):
    """400 is the only sign a client gets: after a 200 nothing more is said."""
    reply = analytics.post(f"/{endpoint}", body)

    assert (reply.status, reply.json) == (400, {"error": error})


@pytest.mark.parametrize("bad", [{"accountId": "b"}, {"type": "page", "messageId": "1"}, {"type": "Account"}, 7])
@pytest.mark.parametrize(("partial", "status", "kept"), [(False, 400, []), (True, 200, ["a", "c"])])
def test_one_bad_message_in_a_batch(vitally, analytics, bad, partial, status, kept):
    """Refuses all of it, or lets the good ones through: unknown, so a switch."""
    vitally.configure(batch_partial=partial)
    good = [{"type": "account", "accountId": name, "messageId": name} for name in ("a", "c")]

    reply = analytics.post("/batch", [good[0], bad, good[1]])

    assert reply.status == status
    assert status == 200 or reply.json["error"].startswith("messages[1]: ")
    assert list(vitally.state.by_external_id("accounts")) == kept


def test_a_refused_batch_may_be_sent_again(vitally, analytics):
    """Its messageIds were not used up: a client bisects and resends."""
    good = {"type": "account", "accountId": "a", "messageId": "1"}
    analytics.post("/batch", [good, {}])

    analytics.post("/batch", [good])

    assert list(vitally.state.by_external_id("accounts")) == ["a"]


def test_both_apis_share_one_store(rest, analytics):
    """An Analytics accountId is the account's externalId."""
    rest.post("/accounts", {"externalId": "a", "name": "Acme", "traits": {"x": 1}})

    analytics.post("/account", {"accountId": "a", "messageId": "1", "traits": {"name": "New", "y": 2, "x": None}})

    account = rest.get("/accounts/a").json
    assert (account["name"], account["traits"]) == ("New", {"name": "New", "y": 2})


def test_a_user_of_an_unknown_account_makes_it(rest, analytics):
    """The account is named by its id until it is told its name."""
    analytics.post("/user", {"userId": "u", "accountId": "a", "messageId": "1", "traits": {}})

    account, user = rest.get("/accounts/a").json, rest.get("/users/u").json
    assert account["name"] == "a"
    assert user["accountIds"] == [account["id"]]


def test_another_account_is_added_and_unlink_takes_it_away(rest, analytics):
    """One message, one link; other links stay."""
    for account in ("a", "b"):
        analytics.post("/user", {"userId": "u", "accountId": account, "messageId": account, "traits": {}})
    both = [each["externalId"] for each in rest.get("/users/u").json["accounts"]]

    analytics.post("/unlink", {"userId": "u", "accountId": "a", "messageId": "c"})

    assert both == ["a", "b"]
    assert [each["externalId"] for each in rest.get("/users/u").json["accounts"]] == ["b"]


@pytest.mark.parametrize("switch", ["copy", "move"])
def test_reserved_traits_set_the_fields(vitally, rest, analytics, switch):
    """`createdAt` is the join date in Vitally; whether a copy stays in traits is not known."""
    vitally.configure(analytics_reserved_traits=switch)
    traits = {"name": "Jo", "email": "jo@x.com", "avatar": "http://x/y.png", "createdAt": "2025-01-01T00:00:00Z"}

    analytics.post("/user", {"userId": "u", "accountId": "a", "messageId": "1", "traits": {**traits, "role": "x"}})

    user = rest.get("/users/u").json
    assert [user[name] for name in ("name", "email", "avatar")] == ["Jo", "jo@x.com", "http://x/y.png"]
    assert user["joinDate"] == "2025-01-01T00:00:00.000Z"
    assert user["traits"] == ({**traits, "role": "x"} if switch == "copy" else {"role": "x"})


@pytest.mark.parametrize(("switch", "kept"), [("remove", {}), ("ignore", {"x": 1})])
def test_null_traits(vitally, rest, analytics, switch, kept):
    """By analogy with REST a null removes; not documented."""
    vitally.configure(analytics_null_traits=switch)
    for number, value in enumerate((1, None)):
        analytics.post("/account", {"accountId": "a", "messageId": str(number), "traits": {"x": value}})

    assert rest.get("/accounts/a").json["traits"] == kept


def test_an_event_is_stored_and_marks_who_was_seen(vitally, analytics, rest):
    """With a user alone it belongs to the account they were last associated with."""
    for account in ("a", "b"):
        analytics.post("/user", {"userId": "u", "accountId": account, "messageId": account, "traits": {}})
    for day in ("02", "01"):
        body = {"event": "login", "properties": {"n": 1}, "userId": "u", "timestamp": f"2026-01-{day}T00:00:00Z"}
        analytics.post("/track", body)

    event, user, account = vitally.state.events[0], rest.get("/users/u").json, rest.get("/accounts/b").json
    assert (event["event"], event["properties"], event["attachedAccountId"]) == ("login", {"n": 1}, "b")
    assert (user["firstKnown"], user["lastSeenTimestamp"]) == ("2026-01-02T00:00:00.000Z",) * 2
    assert account["firstSeenTimestamp"] == "2026-01-02T00:00:00.000Z"
    assert rest.get("/accounts/a").json["lastSeenTimestamp"] is None


def test_an_instance_is_upserted_by_external_id(vitally, analytics, definition):
    """The newest endpoint; an unknown definition is refused."""
    body = {"externalId": "s", "customObjectId": definition, "accountId": "a", "traits": {"x": 1}}
    analytics.post("/customobjectinstance", {**body, "messageId": "1"})
    analytics.post("/customobjectinstance", {**body, "messageId": "2", "name": "Site", "traits": {"y": 2}})

    (instance,) = vitally.state.records("instances")
    assert (instance["name"], instance["traits"]) == ("Site", {"x": 1, "y": 2})
    assert instance["customer"]["externalId"] == "a"
    wrong = {**body, "customObjectId": "nobody", "messageId": "3"}
    assert analytics.post("/customobjectinstance", wrong).status == 400


@pytest.mark.parametrize(
    ("scope", "taken"), [("type", {"accounts": 1, "events": 1}), ("global", {"accounts": 1, "events": 0}),
                         ("none", {"accounts": 2, "events": 1})]
)  # fmt: skip
def test_dedupe_scope(vitally, analytics, scope, taken):
    """The documented example repeats one id over several types."""
    vitally.configure(dedupe_scope=scope)

    analytics.post(
        "/batch",
        [
            {"type": "account", "accountId": "a", "messageId": "1"},
            {"type": "account", "accountId": "b", "messageId": "1"},
            {"type": "track", "event": "e", "properties": {}, "accountId": "a", "messageId": "1"},
        ],
    )

    assert {name: vitally.state.counts()[name] for name in taken} == taken


def test_dedupe_window(vitally, analytics, clock):
    """How long an id is remembered is unknown; by default for ever."""
    vitally.configure(dedupe_seconds=60)
    message = {"event": "e", "properties": {}, "accountId": "a", "messageId": "1"}

    for seconds in (0, 59, 1):
        clock.advance(seconds)
        analytics.post("/track", message)

    assert len(vitally.state.events) == 2  # at 0 s, and again at 60 s


def test_without_message_id_the_whole_message_is_the_id(vitally, analytics):
    """The server hashes the message if only the timestamp is there."""
    message = {"event": "e", "properties": {"n": 1}, "accountId": "a", "timestamp": "2026-01-01T00:00:00Z"}

    for properties in ({"n": 1}, {"n": 1}, {"n": 2}):
        analytics.post("/track", {**message, "properties": properties})

    assert [event["properties"] for event in vitally.state.events] == [{"n": 1}, {"n": 2}]


def test_analytics_delay(vitally, analytics, rest, clock):
    """Processing is asynchronous: a client that reads at once finds nothing."""
    vitally.configure(analytics_delay_ms=2000)
    analytics.post("/account", {"accountId": "a", "messageId": "1"})

    found = []
    for seconds in (0, 1.9, 0.1):
        clock.advance(seconds)
        found.append(rest.get("/accounts/a").status)

    assert found == [404, 404, 200]


@pytest.mark.parametrize(
    ("switches", "endpoint", "body", "status"),
    [
        ({"blocked_types": ["track"]}, "track", {"event": "e", "properties": {}, "userId": "u", "messageId": "1"}, 400),
        ({"blocked_types": ["track"]}, "account", {"accountId": "a", "messageId": "1"}, 200),
        ({"organizations_enabled": False}, "organization", {"organizationId": "o", "messageId": "1"}, 400),
        ({"analytics_numeric_ids": True}, "account", {"accountId": 7, "messageId": 1}, 200),
        ({"batch_max_items": 1}, "batch", [{"type": "account", "accountId": "a", "messageId": "1"}] * 2, 400),
        ({"batch_max_items": 1, "batch_limit_status": 413}, "batch", [{}, {}], 413),
        ({"batch_max_bytes": 10}, "batch", [{"type": "account", "accountId": "a", "messageId": "1"}], 400),
        ({"batch_max_bytes": 10, "batch_limit_status": 413}, "account", {"accountId": "a", "messageId": "1"}, 413),
    ],
)
def test_switches_that_refuse_or_allow(vitally, analytics, switches, endpoint, body, status):
    """Settings of the workspace, and limits that are not documented."""
    vitally.configure(**switches)

    assert analytics.post(f"/{endpoint}", body).status == status


@pytest.mark.parametrize(("creates", "known"), [(True, ["a"]), (False, [])])
def test_analytics_creates_parents(vitally, analytics, creates, known):
    """If it does not, the message was accepted and is lost, as live."""
    vitally.configure(analytics_creates_parents=creates)

    reply = analytics.post("/user", {"userId": "u", "accountId": "a", "messageId": "1", "traits": {}})

    assert reply.status == 200
    assert list(vitally.state.by_external_id("accounts")) == known


@pytest.mark.parametrize(("switch", "value"), [("apply", "old"), ("ignore", "new")])
def test_stale_timestamps(vitally, analytics, switch, value):
    """Whether a late message may undo a newer one is unknown."""
    vitally.configure(stale_timestamps=switch)
    for day, plan in (("02", "new"), ("01", "old")):
        analytics.post("/account", {"accountId": "a", "timestamp": f"2026-01-{day}T00:00:00Z", "traits": {"p": plan}})

    assert vitally.state.find("accounts", "a")["traits"] == {"p": value}


@pytest.mark.parametrize(("method", "path"), [("GET", "/account"), ("POST", "/page"), ("PUT", "/batch"), ("POST", "/")])
def test_there_is_nothing_to_read_and_no_other_endpoint(analytics, method, path):
    """No read API, no page, no alias."""
    assert analytics(method, path, None if method == "GET" else []).status == 404
