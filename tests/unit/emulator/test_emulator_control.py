"""The emulator's own doors: page, state, journal, settings, faults, seeds, reset; and life in a thread or a loop."""

import asyncio
import http.client

import pytest

from headrace.emulator import Emulator, EmulatorSettings, PortInUse, serve


def test_the_root_leads_to_the_page(vitally):
    """What a person types is the bare address."""
    connection = http.client.HTTPConnection(vitally.url.removeprefix("http://"))
    connection.request("GET", "/")
    reply = connection.getresponse()
    connection.close()

    assert (reply.status, reply.getheader("Location")) == (302, "/emulator")


def test_the_page_shows_what_is_held_and_escapes_it(vitally, rest, analytics, control, acme):
    """Names come from customers' databases."""
    rest.put("/users/usr-1", {"name": "<script>alert(1)</script>", "traits": {"<b>": "</td>"}})
    analytics.post("/track", {"event": "Signed <in>", "properties": {}, "userId": "usr-1", "messageId": "1"})

    reply = control.get("")

    page = reply.body.decode()
    assert reply.headers["Content-Type"].startswith("text/html")
    assert "<script" not in page
    assert "</td>:" not in page
    for text in (
        "&lt;script&gt;alert(1)",
        "Acme Group",
        "Signed &lt;in&gt;",
        "PUT /resources/users/usr-1",
        "rateLimit",
    ):
        assert text in page


def test_the_empty_page_is_a_page(control):
    """Zeros in the normal structure."""
    assert "None yet." in control.get("").body.decode()


def test_state_tells_everything_by_kind(control, acme):
    """For demos and for tests in other languages."""
    state = control.get("/state").json
    only = control.get("/state?kind=users").json

    assert [each["externalId"] for each in state["accounts"]] == ["acc-1"]
    assert state["counts"]["users"] == 1
    assert state["events"] == []
    assert "accounts" not in only
    assert control.get("/state?kind=cats").status == 404


def test_the_journal_masks_credentials(vitally, rest, control):
    """A journal is shown to others; in Python it is as sent."""
    rest.get("/users?limit=1")
    rest.post("/accounts", {"name": "x"})

    entries = control.get("/journal").json["entries"]

    assert [(each["number"], each["method"], each["status"]) for each in entries] == [(1, "GET", 200), (2, "POST", 400)]
    assert (entries[0]["query"], entries[1]["body"]) == ({"limit": "1"}, {"name": "x"})
    assert entries[1]["answer"] == {"error": "externalId is required"}
    assert entries[0]["headers"]["Authorization"] == "Basic ..." + rest.authorization[-4:]
    assert vitally.journal[0].headers["authorization"] == rest.authorization


def test_the_journal_is_read_on_from_a_number(rest, control):
    """And is emptied without starting to count again."""
    for _ in range(4):
        rest.get("/users")

    part = control.get("/journal?since=1&limit=2").json
    control.delete("/journal")
    rest.get("/users")

    assert [each["number"] for each in part["entries"]] == [2, 3]
    assert [each["number"] for each in control.get("/journal").json["entries"]] == [5]


def test_requests_are_found_by_method_and_path(vitally, rest, analytics):
    """What most tests of a client ask."""
    rest.put("/accounts/a%2F1", {"name": "x"})
    rest.get("/users")
    analytics.post("/batch", [])

    assert [entry.path for entry in vitally.requests("put")] == ["/resources/accounts/a%2F1"]
    assert [entry.json for entry in vitally.requests(path="/batch$")] == [[]]
    assert [entry.body for entry in vitally.requests(path="/analytics/v1")] == [b"[]"]
    assert len(vitally.requests(api="rest")) == 2


def test_the_journal_keeps_the_latest(vitally, rest):
    """A benchmark must not fill the memory."""
    vitally.configure(journal_limit=2)
    for _ in range(3):
        rest.get("/users")

    assert [entry.number for entry in vitally.journal] == [2, 3]


def test_settings_are_turned_at_run_time(vitally, control, rest):
    """And are answered whole."""
    reply = control("PATCH", "/settings", {"createStatus": 201, "rateLimit": {"writeCost": 5}})

    assert (reply.status, reply.json["createStatus"]) == (200, 201)
    assert reply.json["rateLimit"]["units"] == 1000
    assert rest.post("/accounts", {"externalId": "x", "name": "x"}).headers["RateLimit-Remaining"] == "995"
    assert control.get("/settings").json == reply.json


@pytest.mark.parametrize("changes", [{"createStatus": 500}, {"noSuch": 1}, {"postOnExisting": {"cats": "400"}}, []])
def test_a_bad_setting_is_told_and_changes_nothing(vitally, control, changes):
    """Validation errors are JSON."""
    before = vitally.settings

    reply = control("PATCH", "/settings", changes)

    assert reply.status == 400
    assert reply.json["error"]
    assert vitally.settings == before


def test_faults_are_set_listed_and_removed(control, rest):
    """One by number, or all."""
    (first,) = control.post("/faults", {"match": {"path": "/resources/users"}, "status": 500, "delayMs": 0}).json
    control.post("/faults", [{"status": 503, "times": 1}, {"action": "drop_before", "match": {"method": "DELETE"}}])
    rest.get("/users")

    listed = control.get("/faults").json
    removed = [control.delete(f"/faults/{number}").status for number in (first["number"], 99)]

    assert [(each["number"], each["action"], each["fired"]) for each in listed] == [
        (1, "respond", 1),
        (2, "respond", 0),
        (3, "drop_before", 0),
    ]
    assert removed == [204, 404]
    assert control.delete("/faults").status == 204
    assert control.get("/faults").json == []
    assert control.post("/faults", {"action": "respond"}).status == 400


def test_seeds_may_name_parents_by_external_id_in_any_order(control, rest):
    """Also what no client may write: times, health, owners."""
    reply = control.post(
        "/seed",
        {
            "users": [{"externalId": "u", "accountIds": ["a"]}],
            "accounts": [{"externalId": "a", "name": "A", "organizationId": "o", "healthScore": 7.5}],
            "organizations": [{"externalId": "o", "name": "O", "createdAt": "2020-01-01T00:00:00Z"}],
        },
    )

    assert reply.status == 201
    assert rest.get("/users/u").json["accounts"][0]["healthScore"] == 7.5
    assert rest.get("/organizations/o").json["updatedAt"] == "2020-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("seed", "status"),
    [
        ({"cats": []}, 404),
        ({"accounts": {}}, 400),
        ({"accounts": [{"externalId": "b", "name": "x"}, {"externalId": "c"}]}, 400),
        ({"accounts": [{"externalId": "b", "name": "x", "colour": "red"}]}, 400),
        ({"accounts": [{"externalId": "acc-1", "name": "x"}]}, 409),
        ({"users": [{"externalId": "b", "accountIds": ["nobody"]}]}, 400),
    ],
)
def test_a_bad_seed_leaves_nothing_behind(vitally, control, acme, seed, status):
    """Half a seed would be a riddle."""
    before = vitally.state.counts()

    assert control.post("/seed", seed).status == status
    assert vitally.state.counts() == before


def test_reset_forgets_records_journal_and_budget_but_no_switch(vitally, control, rest, acme):
    """Between two tests, or two demos."""
    vitally.configure(create_status=201)
    rest.get("/users")

    control.post("/reset", {})

    assert set(vitally.state.counts().values()) == {0}
    assert vitally.journal == []
    assert rest.get("/users").headers["RateLimit-Remaining"] == "999"
    assert vitally.settings.create_status == 201


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("POST", "/state"), ("DELETE", "/settings")])
def test_an_unknown_door_is_404(control, method, path):
    """And nothing under /emulator is journalled."""
    assert control(method, path).status == 404
    assert control.vitally.journal == []


def test_a_port_in_use_is_told_by_number(vitally):
    """The message must say what to do."""
    port = int(vitally.url.rpartition(":")[2])

    with pytest.raises(PortInUse, match=f"cannot listen on 127.0.0.1:{port}"):
        Emulator(port=port).start()
    with pytest.raises(OSError, match="Choose another port"):
        asyncio.run(serve(EmulatorSettings(), "127.0.0.1", port))


def test_serve_runs_until_it_is_cancelled():
    """For the command line: one coroutine, one way to end it."""

    async def start_and_cancel():
        ready = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(EmulatorSettings(), port=0, on_ready=ready.set_result))
        url = await ready
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        return url

    assert asyncio.run(start_and_cancel()).startswith("http://127.0.0.1:")
