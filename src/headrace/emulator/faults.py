"""The faults that lie in wait, and which of them a request meets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from headrace.emulator.journal import Call
from headrace.emulator.settings import Fault, FaultMatch


@dataclass(slots=True)
class SetFault:
    """A fault with its count: `met` requests matched so far, `fired` of them suffered."""

    number: int
    fault: Fault
    met: int = 0
    fired: int = 0

    @property
    def is_spent(self) -> bool:
        return self.fault.times is not None and self.fired >= self.fault.times

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, **self.fault.model_dump(by_alias=True), "met": self.met, "fired": self.fired}


class Faults:
    """All faults in the order they were set; the first that is ready wins."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self._set: list[SetFault] = []
        self._number = 0
        for fault in faults:
            self.add(fault)

    def __iter__(self) -> Iterator[SetFault]:
        return iter(self._set)

    def __len__(self) -> int:
        return len(self._set)

    def add(self, fault: Fault) -> SetFault:
        self._number += 1
        found = SetFault(self._number, fault)
        self._set.append(found)
        return found

    def remove(self, number: int) -> bool:
        kept = [each for each in self._set if each.number != number]
        was_there = len(kept) < len(self._set)
        self._set = kept
        return was_there

    def clear(self) -> None:
        self._set.clear()

    def meet(self, call: Call, key: str | None) -> Fault | None:
        """The fault this request suffers, counted; None for an undisturbed one. `key` is the credential's key."""
        for each in self._set:
            if each.is_spent or not _is_match(each.fault.match, call, key):
                continue
            each.met += 1
            if each.met > each.fault.skip:
                each.fired += 1
                return each.fault
        return None


def _is_match(match: FaultMatch, call: Call, key: str | None) -> bool:
    if match.method is not None and match.method.upper() != call.method:
        return False
    if match.key is not None and match.key != key:
        return False
    if match.body is not None and match.body.encode() not in call.body:
        return False
    return match.path is None or call.path.startswith(match.path) or re.search(match.path, call.path) is not None
