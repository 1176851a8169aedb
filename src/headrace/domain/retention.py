"""How long what runs leave behind is kept: calls, outcomes of rows, the runs themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from headrace.domain.errors import UserError

LONGEST_DAYS = 36_500
LARGEST_MB = 10_000_000


@dataclass(frozen=True, slots=True)
class Keep:
    """Days, counted from the end of a run; None keeps for ever.

    `calls_mb` bounds the calls of all syncs together, the oldest go first. Rows are kept no longer than their run, and
    neither are calls.
    """

    calls_days: float | None = 30
    rows_days: float | None = 90
    runs_days: float | None = 400
    calls_mb: float | None = None

    def changed(self, document: Mapping[str, Any]) -> Keep:
        """With what the document says instead. Raises UserError `retention_invalid`."""
        values = asdict(self)
        for name, value in document.items():
            if name not in values:
                known = ", ".join(values)
                raise UserError(f'Retention has no "{name}". There are: {known}.', code="retention_invalid")
            values[name] = _number(name, value)
        return Keep(**values)


OF_SYNC = tuple(one.name for one in fields(Keep) if one.name != "calls_mb")
"""What a sync may say for itself; the size is of all calls together."""


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    most = LARGEST_MB if name == "calls_mb" else LONGEST_DAYS
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= most:
        what = "megabytes" if name == "calls_mb" else "days"
        message = f"{name} is {value!r}. Write a number of {what} from 1 to {most:,}, or null to keep for ever."
        raise UserError(message, code="retention_invalid")
    return value
