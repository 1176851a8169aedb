"""What whoever runs Headrace types: what is kept, how it is, a copy of it."""

import pytest


def test_what_is_kept_can_be_said_and_taken_back(applied):
    """For all, and less for the sync that carries people."""
    assert 30 == applied.headrace("retention", "show", "--json").json["calls_days"]

    applied.headrace("retention", "set", "--calls-days", "7", "--runs-days", "forever")
    shown = applied.headrace("retention", "set", "--sync", "accounts", "--calls-days", "1").out

    assert [
        "days of    calls  rows     runs",
        "all syncs      7    90  forever",
        "accounts       1    90  forever",
    ] == (shown.splitlines())
    back = applied.headrace("retention", "set", "--sync", "accounts", "--calls-days", "default", "--json")
    assert {} == back.json["syncs"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--calls-days"),
        (("--calls-days", "soon"), '--calls-days is "soon"'),
        (("--rows-days", "0"), "rows_days is 0"),
        (("--sync", "nobody", "--rows-days", "5"), 'no sync "nobody"'),
    ],
)
def test_a_time_that_makes_no_sense_is_refused(applied, arguments, said):
    done = applied.headrace("retention", "set", *arguments)

    assert 2 == done.code
    assert said in done.err


def test_a_sweep_says_what_went(applied):
    applied.headrace("run", "accounts")

    done = applied.headrace("sweep", "--json")

    assert {"calls": 0, "rows": 0, "runs": 0, "others": 0, "longest_s": done.json["longest_s"]} == done.json
    assert "0 calls, 0 rows and 0 runs thrown away.\n" == applied.headrace("sweep").out
