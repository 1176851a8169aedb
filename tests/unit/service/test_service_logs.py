"""Lines for people and for programs, and that no secret gets into one, whatever way it takes."""

from __future__ import annotations

import base64
import io
import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.domain.config import SecretRef
from headrace.domain.errors import UserError, WorldError
from headrace.domain.events import RunFinished, RunHeld, RunPlanned, RunProgressed, RunStarted, StageStarted
from headrace.domain.outcome import Counts, RunStatus
from headrace.service import logs
from headrace.service.redaction import MASK, Redactor
from headrace.service.secrets import Secrets

CANARY = "sk_live_C4n/ary+7\"q'ü"


class Lines(io.StringIO):
    """A stream that is, or is not, a terminal."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def documents(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("headrace")
    before = (list(root.handlers), root.level, ours.level)
    yield
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    ours.setLevel(before[2])


def told(*events: object, environment: dict[str, str] | None = None, terminal: bool = False) -> Lines:
    stream = Lines(terminal=terminal)
    logs.set_up(environment or {}, Redactor(), stream)
    lines = logs.RunLines()
    for event in events:
        lines.tell(7, event)  # type: ignore[arg-type]
    return stream


STARTED = RunStarted(7, "accounts")
FAILED = RunFinished(7, "accounts", RunStatus.FAILED, Counts(rows=5, delivered=2), 1.25, "rate_limited", "Too fast.")


def test_each_fact_of_a_run_is_a_line_with_its_run_and_sync() -> None:
    """Whoever searches the logs of ten workers does so by run or by sync."""
    stream = told(
        STARTED,
        StageStarted("read"),
        RunPlanned(Counts(rows=5), 3, ("The mapping changed.",)),
        RunProgressed(Counts(), 3, 0.5),
        RunHeld(7, "9 rows would be removed."),
        FAILED,
    )

    lines = stream.documents()
    assert {(7, "accounts")} == {(one["run"], one["sync"]) for one in lines}
    assert ["info", "info", "warning", "warning", "error"] == [one["level"] for one in lines]
    assert {"to_send": 3, "rows": 5, "stage": "plan"}.items() <= lines[1].items()
    assert {"status": "failed", "code": "rate_limited", "delivered": 2, "seconds": 1.25}.items() <= lines[-1].items()


def test_stages_are_told_to_who_debugs() -> None:
    stream = told(STARTED, StageStarted("fold"), environment={"HEADRACE_LOG_LEVEL": "debug"})

    assert ["run 7 of accounts: started", "run 7 of accounts: fold begins"] == [
        one["message"] for one in stream.documents()
    ]


def test_a_person_at_a_terminal_reads_plain_lines() -> None:
    text = told(STARTED, FAILED, terminal=True).getvalue()

    assert " info    run 7 of accounts: started\n" in text
    assert " error   run 7 of accounts: failed after 1.2 s, 2 delivered: Too fast.\n" in text


def test_the_form_can_be_asked_for() -> None:
    assert told(STARTED, environment={"HEADRACE_LOG": "json"}, terminal=True).documents()
    assert " info " in told(STARTED, environment={"HEADRACE_LOG": "TEXT"}).getvalue()


@pytest.mark.parametrize("name", ["HEADRACE_LOG", "HEADRACE_LOG_LEVEL"])
def test_a_form_or_level_that_is_none_is_said_at_the_start(name: str) -> None:
    with pytest.raises(UserError, match=name) as caught:
        logs.set_up({name: "loud"}, Redactor(), Lines())

    assert "setting_invalid" == caught.value.code


def test_somebody_elses_words_stay_on_their_line() -> None:
    """A message of a destination with a line end could forge the next line, or play with the terminal."""
    stream = told(RunHeld(7, "all well\n12:00:00 info    run 8: \x1b[2Jdelivered"), terminal=True)

    assert 1 == len(stream.getvalue().splitlines())
    assert "\x1b" not in stream.getvalue()


def test_a_bug_is_told_with_its_traceback_and_the_world_in_a_line() -> None:
    stream = Lines()
    logs.set_up({}, Redactor(), stream)
    lines = logs.RunLines()

    lines.broken(7, ZeroDivisionError("oops"))
    lines.broken(0, WorldError("The store is away.", code="store_read_failed"))

    bug, world = stream.documents()
    assert "ZeroDivisionError: oops" in str(bug["traceback"])
    assert "store_read_failed" == world["code"]
    assert "traceback" not in world


# No secret --------------------------------------------------------------------------------------------------------


def raised(message: str) -> Exception:
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


WAYS = {
    "a message": lambda secret: f"token {secret} was refused",
    "a header": lambda secret: f"{{'Authorization': 'Basic {secret}', 'Accept': '*/*'}}",
    "basic authentication": lambda secret: f"basic {base64.b64encode(f'{secret}:'.encode()).decode()}",
    "basic authentication with a user": lambda secret: base64.b64encode(f"robot:{secret}".encode()).decode(),
    "an address": lambda secret: f"GET https://x.test/?key={quote(secret, safe='')}&page=2",
    "an address of a database": lambda secret: f"postgresql://me:{quote(secret, safe='')}@db:5432/x",
    "a body": lambda secret: json.dumps({"deep": [{"value": secret}]}),
    "a body in a body": lambda secret: json.dumps({"body": json.dumps({"token": secret})}),
    "a representation": lambda secret: repr({"value": secret}),
    "bytes": lambda secret: str(secret.encode()),
    "the end of a long line": lambda secret: "x" * 19_990 + secret,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("place", ["message", "fact", "traceback"])
def test_no_secret_is_in_a_log_whatever_way_it_takes(way: str, form: str, place: str) -> None:
    """Logs are copied to other machines and kept by others: a token in one must be changed (T10 of our bar)."""
    redactor, stream = Redactor(), Lines()
    redactor.add(CANARY)
    logs.set_up({"HEADRACE_LOG": form}, redactor, stream)
    words = WAYS[way](CANARY)
    logger = logging.getLogger("headrace.canary")

    match place:
        case "message":
            logger.error("it failed: %s", words)
        case "fact":
            logs.say(logger, logging.ERROR, "it failed", said=words)
        case "traceback":
            logger.error("it failed", exc_info=raised(words))

    text = stream.getvalue()
    assert text
    for trace in traces(CANARY):
        assert trace not in text


def traces(secret: str) -> list[str]:
    """What of a secret would give it away: its tail in the forms that it travels in."""
    tail = secret[-12:]
    encoded = [base64.b64encode(f"{secret}:".encode()).decode()[8:-4], base64.b64encode(secret.encode()).decode()[8:-4]]
    shifted = base64.b64encode(f"robot:{secret}".encode()).decode()[12:-4]
    return [secret, "C4n/ary", quote("C4n/ary+7", safe=""), tail, *encoded, shifted]


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs")), min_size=8, max_size=40))
def test_a_known_secret_leaves_no_form_of_itself(secret: str) -> None:
    redactor = Redactor()
    redactor.add(secret)

    for text in (secret, f"a{secret}b", quote(secret, safe=""), json.dumps(secret), f"k={secret}&"):
        assert secret not in redactor(text) or secret in MASK
    assert base64.b64encode(f"{secret}:".encode()).decode() not in redactor(
        f"Basic {base64.b64encode(f'{secret}:'.encode()).decode()}"
    )


UNKNOWN = {
    "Authorization: Basic YWJjZGVmZ2hpajo=": "Authorization: ***",
    "curl -H 'authorization: Bearer abc.def-ghi'": "curl -H 'authorization: ***'",
    "Cookie: headrace=abc; other=def": "Cookie: ***",
    'set-cookie: "headrace=abc"': 'set-cookie: "***"',
    "postgresql://app:pa%20ss@db/x": "postgresql://app:***@db/x",
    "smtps://robot:hunter2@mail.test:465": "smtps://robot:***@mail.test:465",
    "password=hunter2&user=me": "password=***&user=me",
    '{"api_key": "abc", "name": "Acme"}': '{"api_key": "***", "name": "Acme"}',
    "hr_0123456789abcdef0123": "hr_***",
}


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_looks_like_a_secret_is_masked_though_nobody_knows_it(text: str) -> None:
    """A library's error may dump a header that we never resolved."""
    assert UNKNOWN[text] == Redactor()(text)


@pytest.mark.parametrize(
    "text",
    [
        "run 7 of accounts: succeeded after 1.0 s, 12 delivered",
        "https://rest.vitally.io/resources/accounts?limit=100",
        "The token was refused. Set another with `headrace secret set crm.rest_api_token`.",
        '{"at": "2026-11-25T12:00:00.000+00:00", "level": "info"}',
    ],
)
def test_plain_words_stay_as_they_are(text: str) -> None:
    redactor = Redactor()
    redactor.add("s3cret-value")

    assert text == redactor(text)


def test_a_secret_is_known_before_whoever_asked_has_it(tmp_path: Path) -> None:
    """From the environment, from a file, from the vault: the log knows them all."""
    redactor = Redactor()
    (tmp_path / "token").write_text("from-a-file-1")
    kept = {"x.token": "from-the-vault-2"}
    secrets = Secrets({"TOKEN": "from-the-env-3"}, [], kept.get, redactor.add)

    for reference in (SecretRef(env="TOKEN"), SecretRef(file=str(tmp_path / "token")), None):
        secrets.resolve(reference, "x.token")

    assert "*** *** ***" == redactor("from-a-file-1 from-the-vault-2 from-the-env-3")


def test_an_error_in_a_line_does_not_end_what_it_tells_of() -> None:
    """A fact that can't be shown is no reason to lose a run."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    stream = Lines()
    logs.set_up({}, Redactor(), stream)

    logging.getLogger("headrace.canary").error("it failed: %s", Broken())

    assert "a line of headrace.canary could not be written: RuntimeError\n" == stream.getvalue()
    assert traceback.format_exc() == "NoneType: None\n"
