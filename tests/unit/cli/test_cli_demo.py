"""The demo keeps its promises, cleans up after itself, and leaves alone what it did not make."""

import socket

import orjson
import pytest

from headrace.cli import demo
from headrace.domain.errors import UserError


def test_the_demo_makes_its_folder_anew_and_keeps_what_is_not_its_own(tmp_path):
    folder = demo._fresh_folder(tmp_path / "demo", keep=False)
    (folder / "warehouse.duckdb").write_text("old")
    (folder / "notes.txt").write_text("mine")

    again = demo._fresh_folder(folder, keep=False)
    beside = demo._fresh_folder(folder, keep=True)

    assert folder == again
    assert not (folder / "warehouse.duckdb").exists()
    assert "mine" == (folder / "notes.txt").read_text()
    assert tmp_path / "demo-2" == beside


def test_the_demo_refuses_a_folder_that_no_demo_made(tmp_path):
    (tmp_path / "headrace.yaml").write_text("mine")

    with pytest.raises(UserError, match="they stay"):
        demo._fresh_folder(tmp_path, keep=False)

    assert "mine" == (tmp_path / "headrace.yaml").read_text()


def test_the_emulator_of_the_demo_ends_whatever_happens():
    port = demo._free_port()

    def fails_inside():
        with demo.emulator(port) as url:
            assert demo._get(url, "/emulator/settings")["rateLimit"] is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_inside()

    with socket.socket() as probe:
        assert 0 != probe.connect_ex(("127.0.0.1", port))


@pytest.mark.slow
def test_the_demo_tells_its_story_with_numbers_that_hold(project):
    """A real token of the surroundings must not be sent to the emulator."""
    done = project.process("demo", "--json", env={"VITALLY_REST_TOKEN": "sk_live_of_somebody"})

    assert 0 == done.code, done.err
    told = orjson.loads(done.out)
    assert [] == told["broken"]
    assert [0, 0, 0, 0, 0] == [one["requests"] for one in told["rounds"]["second"]]
    assert [2, 6, 22, 10, 12] == [one["delivered"] for one in told["rounds"]["third"]]
    assert {"organizations": 40, "accounts": 401, "users": 2503, "events": 10_012} == told["held"]
