"""What people configure and a server calls: never our own network, by whatever name."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from headrace.domain.errors import HeadraceError, UserError, WorldError
from headrace.service.outside import AllowedHosts, Outside, is_outside


class Listener:
    """A server on this machine that counts who connects, and answers as it is told."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        listener = self
        self.connections = 0
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.headers, self.body = 200, {}, b"ok"

        class Handler(BaseHTTPRequestHandler):
            def setup(self) -> None:
                listener.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.requests.append((self.path, dict(self.headers), body))
                self.send_response(listener.status)
                for name, value in listener.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(listener.body)

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(HTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that hangs up is what is tested

        self._server = Quiet(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener()
    yield one
    one.close()


CORPUS = """
https://127.0.0.1:PORT/ https://127.1:PORT/ https://127.0.1:PORT/ https://2130706433:PORT/
https://0x7f000001:PORT/ https://0x7f.0.0.1:PORT/ https://0x7f.1:PORT/ https://017700000001:PORT/
https://0177.0.0.1:PORT/ https://0177.1:PORT/ https://0000000127.0.0.1:PORT/ https://127.000.000.001:PORT/
https://127.255.255.254:PORT/ https://0:PORT/ https://0.0.0.0:PORT/ https://00000:PORT/
https://localhost:PORT/ https://LOCALHOST:PORT/ https://localhost.:PORT/ https://LocalHost:PORT/x
https://[::1]:PORT/ https://[0:0:0:0:0:0:0:1]:PORT/ https://[::]:PORT/ https://[::ffff:127.0.0.1]:PORT/
https://[::ffff:7f00:1]:PORT/ https://[0:0:0:0:0:ffff:7f00:0001]:PORT/ https://[::127.0.0.1]:PORT/
https://[::7f00:1]:PORT/ https://[64:ff9b::7f00:1]:PORT/ https://[64:ff9b::127.0.0.1]:PORT/
https://[64:ff9b:1::7f00:1]:PORT/ https://[2002:7f00:1::]:PORT/ https://[2002:7f00:0001::1]:PORT/
https://[2001::7f00:1]:PORT/ https://[fe80::1]:PORT/ https://[fe80::1%25lo]:PORT/ https://[fc00::1]:PORT/
https://[fd00::1]:PORT/ https://[fec0::1]:PORT/ https://[ff02::1]:PORT/ https://[2001:db8::1]:PORT/
https://１２７.０.０.１:PORT/ https://①②⑦.⓪.⓪.①:PORT/ https://127。0。0。1:PORT/ https://169.254.169.254/
https://[::ffff:169.254.169.254]/ https://10.0.0.1/ https://172.16.0.1/ https://192.168.0.1/
https://100.64.0.1/ https://192.0.0.192/ https://192.0.2.1/ https://198.18.0.1/ https://224.0.0.1/
https://240.0.0.1/ https://255.255.255.255/ https://user@127.0.0.1:PORT/ https://user:pass@localhost:PORT/
https://example.com@127.0.0.1:PORT/ https://example.com#@127.0.0.1:PORT/ https://127.0.0.1:PORT\\@example.com/
http://127.0.0.1:PORT/ http://example.com/ ftp://127.0.0.1:PORT/ file:///etc/passwd gopher://127.0.0.1:PORT/
//127.0.0.1:PORT/ https:127.0.0.1:PORT https:///127.0.0.1:PORT/ https://:PORT/ HTTPS://127.0.0.1:PORT/
https://127.0.0.1:PORT:443/ https://127.0.0.1:99999/ https://[::1/ dict://localhost:PORT/
https://127.0.0.1%00:PORT/ https://127.0.0.1%2f:PORT/ https://example.com:22/ https://example.com:0/
"""
FORMS = CORPUS.split()


def local_resolver(host: str, port: int) -> Sequence[str]:
    """The system's own reading of numeric forms, and of this machine's name; no other name is asked for."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_an_inner_address_is_called(listener: Listener, form: str) -> None:
    """Each of these has been a hole in somebody's webhooks. The listener must hear nothing."""
    url = form.replace("PORT", str(listener.port))
    outside = Outside(resolve=local_resolver, ports=frozenset({443, listener.port}), timeout_s=2)

    with pytest.raises(HeadraceError) as refused:
        outside.post(url, {}, b"{}")

    assert refused.value.code in ("address_refused", "channel_failed")
    assert 0 == listener.connections


def test_there_are_sixty_forms() -> None:
    """The corpus must not shrink by accident."""
    assert 60 <= len(set(FORMS))


def test_the_corpus_is_sharp(listener: Listener) -> None:
    """Excepted, the same listener is reached, by name and by odd forms: so a silence above is no accident."""
    allowed = AllowedHosts.read({"HEADRACE_ALLOW_HOSTS": f"127.0.0.1, localhost:{listener.port},127.1"})
    outside = Outside(allowed)

    for host in ("127.0.0.1", "localhost", "127.1"):
        assert 200 == outside.post(f"http://{host}:{listener.port}/hook?x=1", {"X": "y"}, b"{}").status
    assert ["/hook?x=1"] * 3 == [path for path, _, _ in listener.requests]
    assert 3 == listener.connections


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::200e"])
def test_the_world_is_outside(address: str) -> None:
    """A check that refuses everything protects nobody for long: it is switched off."""
    assert is_outside(address)


class Rebinding:
    """A name server that first says an address of the world and then one of ours."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self._answers[min(self.asked, len(self._answers)) - 1]


def test_a_name_is_resolved_once_and_every_address_is_checked(listener: Listener) -> None:
    """DNS rebinding: what was checked is what is connected to, and one inner address among many is enough to refuse."""
    mixed = Rebinding(["8.8.8.8", "127.0.0.1"])
    with pytest.raises(UserError) as refused:
        Outside(resolve=mixed, ports=frozenset({listener.port})).post(f"https://a.example:{listener.port}/", {}, b"")
    assert ("address_refused", 1) == (refused.value.code, mixed.asked)

    turning = Rebinding(["::ffff:127.0.0.1"], ["127.0.0.1"])
    with pytest.raises(UserError):
        Outside(resolve=turning, ports=frozenset({listener.port})).post(f"https://a.example:{listener.port}/", {}, b"")
    assert 1 == turning.asked
    assert 0 == listener.connections


def test_a_redirect_is_not_followed(listener: Listener) -> None:
    """A redirect would lead around every check, with the headers."""
    listener.status, listener.headers = 302, {"Location": f"http://127.0.0.1:{listener.port}/inner"}
    outside = Outside(AllowedHosts(frozenset({"127.0.0.1"})))

    answer = outside.post(f"http://127.0.0.1:{listener.port}/hook", {"Authorization": "Bearer x"}, b"{}")

    assert 302 == answer.status
    assert 1 == len(listener.requests)


def test_a_long_answer_is_cut(listener: Listener) -> None:
    """Whoever answers with a gigabyte must not fill our memory."""
    listener.body = b"x" * 300_000
    outside = Outside(AllowedHosts(frozenset({"127.0.0.1"})))

    assert 64 * 1024 == len(outside.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}").body)


def test_a_server_that_sends_a_byte_now_and_then_is_given_up() -> None:
    """Each byte would start the time-out anew; the deadline is for the whole exchange."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, done = server.getsockname()[1], threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not done.wait(0.05):
                    try:
                        connection.sendall(b"X")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        outside = Outside(AllowedHosts(frozenset({"127.0.0.1"})), timeout_s=0.5)

        with pytest.raises(WorldError) as failed:
            outside.post(f"http://127.0.0.1:{port}/", {}, b"{}")
        done.set()
        thread.join()

    assert "within 0.5 s" in failed.value.message


def certificate(folder: Path, name: str) -> Path:
    """A certificate for that name, signed by itself, with its key, as one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("192.0.2.7"))])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + built.public_bytes(serialization.Encoding.PEM)
    file = folder / f"{name}.pem"
    file.write_bytes(text)
    return file


def test_a_certificate_is_checked_against_the_name_that_was_configured(tmp_path: Path) -> None:
    """The connection goes to a checked address, and still the server must prove the name."""
    file = certificate(tmp_path, "hooks.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    listener = Listener(context)
    trusting = ssl.create_default_context(cafile=file)
    everything = frozenset({"hooks.example", "other.example"})
    here = Rebinding(["127.0.0.1"])
    try:
        trusted = Outside(AllowedHosts(everything), resolve=here, context=trusting)
        answer = trusted.post(f"https://hooks.example:{listener.port}/x", {}, b"{}")
        with pytest.raises(WorldError) as other:
            trusted.post(f"https://other.example:{listener.port}/x", {}, b"{}")
        with pytest.raises(WorldError) as unknown:
            Outside(AllowedHosts(everything), resolve=here).post(f"https://hooks.example:{listener.port}/", {}, b"{}")
    finally:
        listener.close()

    assert 200 == answer.status
    ((_, headers, _),) = listener.requests
    assert f"hooks.example:{listener.port}" == headers["Host"]
    assert "certificate is not trusted" in other.value.message
    assert "certificate is not trusted" in unknown.value.message
