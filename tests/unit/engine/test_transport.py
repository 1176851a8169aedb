"""One HTTP exchange over a real socket: what goes out, what comes back, and what is said where nothing does."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop

from headrace.domain.errors import Bug
from headrace.domain.request import NoResponse, Request, Response
from headrace.engine.transport import LARGEST_BODY, HttpTransport

from .wire import HANG, HANG_UP, Came, Say, Wire, answer, certificate

TOKEN = "Basic c2VjcmV0LXRva2Vu"
LAST_ANSWER = Say(answer(b"{}", "Connection: close").octets, then_close=True)
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
Answer = TypeVar("Answer")


def on_loop(work: Coroutine[Any, Any, Answer], loop: Callable[[], Any] = uvloop.new_event_loop) -> Answer:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(work)


def authorize(_api: str) -> Mapping[str, str]:
    return {"Authorization": TOKEN}


def put(url: str, body: bytes = b'{"name":"Acme"}') -> Request:
    return Request("PUT", f"{url}/records/1", "rest", body=body, headers=JSON)


def create(url: str) -> Request:
    return Request("POST", f"{url}/records", "rest", body=b'{"externalId":"1"}', headers=JSON)


def read(url: str) -> Request:
    return Request("GET", f"{url}/records/1", "rest", "look_up", headers={"Accept": "application/json"})


def ask(*requests: Callable[[str], Request], wire: Wire, timeout_s: float = 5.0) -> list[Response | NoResponse]:
    """The answers to requests that are sent one after the other through one transport."""

    async def go() -> list[Response | NoResponse]:
        async with wire, HttpTransport(4) as transport:
            return [await transport.send(one(wire.url), authorize, timeout_s) for one in requests]

    return on_loop(go())


# What goes out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
def test_a_request_leaves_as_it_is_with_the_credential_and_nothing_of_its_own(method: str):
    """What the plan shows is what is sent; a second Content-Type or an `Expect` would be neither."""
    body = b'{"name":"Ac\xc3\xa9me"}'

    ask(lambda url: Request(method, f"{url}/records/1?x=%2F", "rest", body=body, headers=JSON), wire=(wire := Wire()))

    (came,) = wire.came
    assert (method, "/records/1?x=%2F", body) == (came.method, came.target, came.body)
    assert {
        ("host", f"127.0.0.1:{wire.port}"),
        ("user-agent", came.header("user-agent")),
        ("accept-encoding", "gzip, deflate"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("authorization", TOKEN),
        ("content-length", str(len(body))),
    } == set(came.headers)
    assert 7 == len(came.headers)


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("DELETE", None), ("POST", "0"), ("PUT", "0")])
def test_a_request_without_a_body_sends_none_and_says_so_where_one_is_expected(method: str, length: str | None):
    ask(lambda url: Request(method, f"{url}/records/1", "rest"), wire=(wire := Wire()))

    (came,) = wire.came
    assert (method, b"") == (came.method, came.body)
    assert (length, None) == (came.header("content-length"), came.header("content-type"))


@pytest.mark.parametrize("key", ["..", ".", "%2E%2E", "a%2Fb", "%20", "~", "%C3%A9"])
def test_an_external_id_that_looks_like_a_path_stays_what_it_is(key: str):
    """`..` squashed would write to the list, or to another record."""
    ask(lambda url: Request("GET", f"{url}/records/{key}", "rest"), wire=(wire := Wire()))

    assert [f"/records/{key}"] == [came.target for came in wire.came]


def test_a_large_body_goes_whole_and_at_once():
    """Without `Expect: 100-continue`, which costs a second where the other side does not know it."""
    body = os.urandom(3_000_000)

    answers = ask(lambda url: put(url, body), lambda url: create(url)._replace(body=body), wire=(wire := Wire()))

    assert [200, 200] == [one.status for one in answers if isinstance(one, Response)]
    assert [body, body] == [came.body for came in wire.came]


def test_a_header_with_a_line_break_is_never_sent():
    """A token with a line break would begin a header, or a request, of somebody else's choice."""
    wire = Wire()

    with pytest.raises(Bug, match="line break"):
        ask(lambda url: put(url)._replace(headers={"X-Name": "a\r\nX-Other: b"}), wire=wire)

    assert 0 == wire.connections


def test_cookies_are_not_kept():
    wire = Wire(lambda _came: answer(b"{}", "Set-Cookie: session=1; Path=/"))

    ask(read, read, wire=wire)

    assert [None, None] == [came.header("cookie") for came in wire.came]


# What comes back -------------------------------------------------------------------------------------------------


def test_an_answer_has_its_status_its_body_and_names_of_headers_in_lower_case():
    wire = Wire(lambda _came: answer(b'{"id":"v"}', "X-RateLimit-Remaining:  7 ", "Empty:", status="422 No"))

    (got,) = ask(put, wire=wire)

    assert Response(422, {"content-length": "10", "x-ratelimit-remaining": "7", "empty": ""}, b'{"id":"v"}') == got


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_an_answer_and_is_not_followed(status: str):
    """It would carry the token to wherever the answer says."""
    wire = Wire(lambda _came: answer(b"", "Location: /elsewhere", status=status))

    (got,) = ask(put, wire=wire)

    assert isinstance(got, Response)
    assert (int(status[:3]), "/elsewhere") == (got.status, got.headers["location"])
    assert 1 == len(wire.came)


def test_a_word_before_the_answer_is_not_the_answer():
    hints = b"HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n"
    wire = Wire(lambda _came: Say(hints + answer(b"{}").octets))

    (got,) = ask(put, wire=wire)

    assert Response(200, {"content-length": "2"}, b"{}") == got


def test_a_body_in_chunks_is_put_together():
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n3\r\n   \r\n0\r\n\r\n"

    (got,) = ask(put, wire=Wire(lambda _came: Say(chunks)))

    assert isinstance(got, Response)
    assert b"{}   " == got.body


def test_a_compressed_body_is_unpacked():
    wire = Wire(lambda _came: answer(gzip.compress(b'{"id":"v"}'), "Content-Encoding: gzip"))

    (got,) = ask(put, wire=wire)

    assert isinstance(got, Response)
    assert b'{"id":"v"}' == got.body


@pytest.mark.parametrize("packed", [False, True])
def test_a_huge_body_is_cut(packed: bool):
    """A page of errors, or a bomb of zeros, must not fill the memory; the next request does not suffer from it."""
    body = bytes(16 * LARGEST_BODY)
    huge = answer(gzip.compress(body), "Content-Encoding: gzip") if packed else answer(body)
    wire = Wire(lambda came: huge if came.connection == 1 else answer())

    first, second = ask(put, put, wire=wire)

    assert isinstance(first, Response)
    assert (200, LARGEST_BODY) == (first.status, len(first.body))
    assert isinstance(second, Response)
    assert b"{}" == second.body


def test_a_body_of_just_the_greatest_size_is_whole():
    wire = Wire(lambda _came: answer(bytes(LARGEST_BODY)))

    first, second = ask(put, put, wire=wire)

    assert isinstance(first, Response)
    assert isinstance(second, Response)
    assert (LARGEST_BODY, LARGEST_BODY, 1) == (len(first.body), len(second.body), wire.connections)


# Where nothing comes back ----------------------------------------------------------------------------------------


def test_a_port_where_nobody_listens_had_no_effect():
    """A row is tried again without a second thought only where that is certain."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    async def go() -> Response | NoResponse:
        async with HttpTransport(1) as transport:
            return await transport.send(create(f"http://127.0.0.1:{port}"), authorize, 5.0)

    assert NoResponse(f"no connection to 127.0.0.1:{port}: Connection refused", sent=False) == on_loop(go())


def test_a_failure_to_connect_is_told_apart_from_what_was_sent_before():
    """The bytes that an earlier request sent with the same handle are not those of this one."""

    async def go() -> list[Response | NoResponse]:
        async with HttpTransport(1) as transport:
            async with Wire(lambda _came: LAST_ANSWER) as wire:
                before = await transport.send(create(wire.url), authorize, 5.0)
            return [before, await transport.send(create(wire.url), authorize, 5.0)]

    before, after = on_loop(go())

    assert isinstance(before, Response)
    assert isinstance(after, NoResponse)
    assert not after.sent


def test_a_host_that_is_unknown_is_named():
    host = f"{'x' * 64}.example"  # a label too long for any name server to be asked

    async def go() -> Response | NoResponse:
        async with HttpTransport(1) as transport:
            return await transport.send(put(f"https://{host}"), authorize, 5.0)

    assert NoResponse(f"the host name is unknown: {host}", sent=False) == on_loop(go())


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path):
    """Whoever stands between us and Vitally must not get the token."""
    tls, _ = certificate(tmp_path)

    (got,) = ask(put, wire=(wire := Wire(tls=tls)))

    assert isinstance(got, NoResponse)
    assert not got.sent
    assert got.reason.startswith("the certificate is not trusted: ")
    assert [] == wire.came


def test_a_certificate_of_another_host_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tls, trusted = certificate(tmp_path, host="other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    (got,) = ask(put, wire=(wire := Wire(tls=tls)))

    assert isinstance(got, NoResponse)
    assert not got.sent
    assert got.reason.startswith("the certificate is not trusted: ")
    assert [] == wire.came


def test_an_authority_that_the_machine_trusts_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Companies look into their own traffic with an authority of their own."""
    tls, trusted = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    first, second = ask(put, create, wire=(wire := Wire(tls=tls)))

    assert isinstance(first, Response)
    assert isinstance(second, Response)
    assert (200, 200, 1) == (first.status, second.status, wire.connections)


def test_an_answer_that_does_not_come_in_time_may_have_taken_effect():
    wire = Wire(lambda _came: HANG)

    (got,) = ask(create, wire=wire, timeout_s=0.1)

    assert NoResponse("no answer within 0.1 s", sent=True) == got
    assert 1 == len(wire.came)


def test_half_an_answer_that_goes_no_further_is_none():
    (got,) = ask(put, wire=Wire(lambda _came: Say(answer(b"x" * 10).octets[:-5])), timeout_s=0.1)

    assert NoResponse("no answer within 0.1 s", sent=True) == got


def test_a_connection_that_does_not_come_about_in_time_had_no_effect():
    """Here the port is open and says nothing to the greeting of TLS."""

    async def go() -> Response | NoResponse:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with HttpTransport(1) as transport:
                url = f"https://127.0.0.1:{silent.getsockname()[1]}"
                return await transport.send(put(url), authorize, 0.1)

    assert NoResponse("no connection within 0.1 s", sent=False) == on_loop(go())


@pytest.mark.parametrize("request_of", [put, create, read])
def test_a_server_that_hangs_up_on_a_new_connection_may_have_taken_the_request(
    request_of: Callable[[str], Request],
):
    (got,) = ask(request_of, wire=(wire := Wire(lambda _came: HANG_UP)))

    assert isinstance(got, NoResponse)
    assert got.sent
    assert got.reason.startswith("the connection broke: ")
    assert 1 == len(wire.came)


def test_an_answer_that_breaks_off_is_none():
    """Half of a JSON document may read like a whole one of another meaning."""
    (got,) = ask(put, wire=Wire(lambda _came: Say(answer(b"x" * 100).octets[:-50], then_close=True)))

    assert isinstance(got, NoResponse)
    assert got.sent


def test_an_answer_that_is_not_http_is_none():
    (got,) = ask(put, wire=Wire(lambda _came: Say(b"SSH-2.0-OpenSSH\r\n", then_close=True)))

    assert isinstance(got, NoResponse)
    assert got.sent


def test_no_word_of_a_failure_holds_the_credential():
    """Promise 9. The reason goes into the record of the call and to the terminal."""
    said = ask(create, create, wire=Wire(lambda _came: HANG_UP)) + ask(
        put, wire=Wire(lambda _came: HANG), timeout_s=0.1
    )

    assert TOKEN.split()[1] not in repr(said)


# Connections -----------------------------------------------------------------------------------------------------


def test_requests_one_after_the_other_share_a_connection():
    ask(*[put, create, read] * 10, wire=(wire := Wire()))

    assert (30, 1) == (len(wire.came), wire.connections)


def test_many_at_once_open_no_more_connections_than_allowed_and_each_gets_its_own_answer():
    wire = Wire(lambda came: answer(came.body))

    async def go() -> list[Response | NoResponse]:
        async with wire, HttpTransport(8) as transport:
            bodies = (b"%d" % number for number in range(200))
            return await asyncio.gather(*(transport.send(put(wire.url, body), authorize, 5.0) for body in bodies))

    answers = on_loop(go())

    assert [b"%d" % number for number in range(200)] == [one.body for one in answers if isinstance(one, Response)]
    assert wire.most_open <= 8


def test_a_connection_whose_end_was_announced_is_not_used_again():
    """Servers say so after some hundreds of requests; a create on it would be of unknown outcome."""
    answers = ask(put, create, put, create, wire=(wire := Wire(lambda _came: LAST_ANSWER)))

    assert [200] * 4 == [one.status for one in answers if isinstance(one, Response)]
    assert 4 == wire.connections


def second_on_the_first_connection(came: list[Came]) -> Callable[[Came], Say]:
    def answers(one: Came) -> Say:
        came.append(one)
        served = sum(other.connection == one.connection for other in came)
        return HANG_UP if (one.connection, served) == (1, 2) else answer()

    return answers


@pytest.mark.parametrize("request_of", [put, read])
def test_what_may_be_repeated_is_where_a_kept_connection_breaks(request_of: Callable[[str], Request]):
    """The server closed it in the moment we took it up again: common, and no failure."""
    wire = Wire(second_on_the_first_connection([]))

    answers = ask(read, request_of, wire=wire)

    assert [200, 200] == [one.status for one in answers if isinstance(one, Response)]
    assert [1, 1, 2] == [came.connection for came in wire.came]


def test_a_create_is_never_repeated_behind_our_back():
    """The server may have made the record before it broke off: a second one would be a duplicate for ever."""
    wire = Wire(second_on_the_first_connection([]))

    _, got = ask(read, create, wire=wire)

    assert NoResponse("the connection broke: it ended before an answer came", sent=True) == got
    assert ["GET", "POST"] == [came.method for came in wire.came]


def test_a_create_without_a_body_is_not_repeated_either():
    wire = Wire(lambda came: HANG_UP if came.method == "POST" else answer())

    _, got = ask(read, lambda url: Request("POST", f"{url}/records", "rest"), wire=wire)

    assert isinstance(got, NoResponse)
    assert got.sent
    assert ["GET", "POST"] == [came.method for came in wire.came]


def test_what_is_cancelled_is_given_up_and_the_rest_goes_on():
    """Ctrl-C must not wait half a minute for an answer."""
    wire = Wire(lambda came: HANG if came.method == "POST" else answer())

    async def go() -> Response | NoResponse:
        async with wire, HttpTransport(1) as transport:
            hanging = asyncio.create_task(transport.send(create(wire.url), authorize, 60.0))
            await wire.first_came.wait()
            hanging.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hanging
            got = await transport.send(put(wire.url), authorize, 5.0)
        await asyncio.wait_for(wire.all_closed.wait(), 5)
        return got

    assert isinstance(on_loop(go()), Response)


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_leaving_closes_every_connection_also_of_what_is_under_way(loop: Callable[[], Any]):
    wire = Wire(lambda came: HANG if came.method == "POST" else answer())

    async def go() -> None:
        async with wire:
            async with HttpTransport(2) as transport:
                assert isinstance(await transport.send(put(wire.url), authorize, 5.0), Response)
                wire.first_came.clear()
                hanging = asyncio.create_task(transport.send(create(wire.url), authorize, 60.0))
                await wire.first_came.wait()
            with pytest.raises(asyncio.CancelledError):
                await hanging
            await asyncio.wait_for(wire.all_closed.wait(), 5)

    on_loop(go(), loop)


# Proxies ---------------------------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch):
    """Many companies let nothing out but through one."""

    async def go() -> Response | NoResponse:
        async with Wire(lambda came: answer(came.target.encode())) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            async with HttpTransport(1) as transport:
                return await transport.send(put("http://records.example"), authorize, 5.0)

    got = on_loop(go())

    assert isinstance(got, Response)
    assert b"http://records.example/records/1" == got.body


def test_what_runs_on_this_machine_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch):
    """The emulator, in a shell where a proxy is set for everything else."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "intranet.example")

    (got,) = ask(put, wire=Wire())

    assert isinstance(got, Response)
