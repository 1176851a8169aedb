"""The ledger in plain Python: what it must know and plan, in a few lines, to hold the real one against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Values = Mapping[str, Any]


@dataclass
class Entry:
    """What is known of one key. `state`: delivered, skipped_new, skipped_known, removed, gone, intended."""

    state: str = "intended"
    values: Values | None = None
    mapping: str | None = None
    match: str | None = None
    generation: int = 0
    intended: Any = None


@dataclass
class Expected:
    """What a plan must hold. `rows`: key -> (change, old values, old match, generation, fault)."""

    rows: dict[str, tuple[str, Values | None, str | None, int, str | None]] = field(default_factory=dict)
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    invalid: int = 0
    gone: set[str] = field(default_factory=set)
    back: set[str] = field(default_factory=set)
    present: dict[str, tuple[Values, str | None]] = field(default_factory=dict)
    matches: set[str | None] = field(default_factory=set)
    mapping: str = ""
    kinds: str = ""


TYPED = "n"
"""The column whose type the histories change."""


class Oracle:
    """A dict of entries by key."""

    def __init__(self) -> None:
        self.known: dict[str, Entry] = {}
        self.kinds = ""

    def plan(
        self,
        rows: Sequence[tuple[str | None, Values, str | None]],
        mapping: str,
        removed: str,
        *,
        full_resync: bool = False,
        keys: Collection[str] | None = None,
        kinds: str = "",
    ) -> Expected:
        """`rows` are (key, mapped values, match value); `kinds` names the types that the columns have now."""
        found = Expected(mapping=mapping, kinds=kinds)
        copies = Counter(key for key, _, _ in rows)
        matches = Counter(match for _, _, match in rows)
        found.matches = set(matches)
        found.invalid = sum(count for key, count in copies.items() if key is None or count > 1)
        found.present = {key: (values, match) for key, values, match in rows if key is not None and copies[key] == 1}
        for key, (values, match) in found.present.items():
            change = self._change(self.known.get(key), values, mapping, full_resync=full_resync)
            if change == "back":
                found.back.add(key)
            if change in ("back", "unchanged"):
                found.unchanged += 1
                continue
            found.added += change == "added"
            found.changed += change == "changed"
            if keys is None or key in keys:
                fault = "match_value_duplicate" if match is not None and matches[match] > 1 else None
                self._expect(found, key, change, (values, mapping), fault, again=full_resync)
        ours = {"delivered"} if removed == "ignore" else {"delivered", "skipped_known"}
        for key in [key for key, one in self.known.items() if one.state in ours and key not in copies]:
            found.removed += 1
            if removed == "ignore":
                found.gone.add(key)
            elif keys is None or key in keys:
                if self.known[key].match in matches:
                    found.gone.add(key)
                else:
                    self._expect(found, key, "removed", "removed", None, again=full_resync)
        return found

    @staticmethod
    def _change(entry: Entry | None, values: Values, mapping: str, *, full_resync: bool) -> str:
        if entry is None:
            return "added"
        same = entry.values == values and entry.mapping == mapping and not full_resync
        # A later version may have arrived without our knowing.
        same = same and Oracle._is_acknowledged(entry)
        if same and entry.state in ("delivered", "skipped_new", "skipped_known"):
            return "unchanged"
        if same and entry.state == "gone":
            return "back"
        return "changed" if entry.state in ("delivered", "skipped_known", "gone") else "added"

    def _expect(self, found: Expected, key: str, change: str, intended: Any, fault: str | None, *, again: bool) -> None:
        entry = self.known.get(key) or Entry()
        # An intent that was never acknowledged is known by its hash alone, and another type of value has another hash.
        # (A null has the same in every type.)
        typed = intended != "removed" and intended[0].get(TYPED) is not None
        forgotten = typed and found.kinds != self.kinds and not self._is_acknowledged(entry)
        forgotten = forgotten and entry.intended != "removed"
        generation = entry.generation + (1 if again or forgotten or entry.intended != intended else 0)
        old = entry.values if change != "added" else None
        found.rows[key] = (change, old, entry.match if change != "added" else None, generation, fault)

    @staticmethod
    def _is_acknowledged(entry: Entry) -> bool:
        return entry.intended == (entry.values, entry.mapping)

    def _is_refused(self, plan: Expected, key: str, outcome: str | None) -> bool:
        """Whether the record is surely as it was. Where an old record was to go first, that may have been done."""
        change, _, old_match, _, fault = plan.rows[key]
        match = plan.present[key][1] if key in plan.present else None
        moves = change == "changed" and fault is None and match is not None and match != old_match
        replaces = moves and old_match not in plan.matches
        return outcome == "invalid" or (outcome == "rejected" and not replaces)

    def fold(self, plan: Expected, outcomes: Mapping[str, str]) -> None:
        """`outcomes`: key -> outcome, of the rows that got one."""
        taken = {key for key in plan.rows if not self._is_refused(plan, key, outcomes.get(key))}
        for key, entry in self.known.items():
            unknown = plan.kinds != self.kinds and not self._is_acknowledged(entry) and entry.intended != "removed"
            if unknown and key not in taken:
                entry.intended = None
        self.kinds = plan.kinds
        for key, (change, _, _, generation, _) in plan.rows.items():
            if key not in taken:
                continue
            entry = self.known.setdefault(key, Entry())
            entry.generation = generation
            entry.intended = "removed" if change == "removed" else (plan.present[key][0], plan.mapping)
            if outcomes.get(key) not in ("delivered", "skipped"):
                continue
            if change == "removed":
                entry.state, entry.values, entry.mapping, entry.match = "removed", None, None, None
                continue
            if outcomes[key] == "delivered":
                entry.state = "delivered"
            else:
                known = entry.state in ("delivered", "skipped_known", "gone")
                entry.state = "skipped_known" if known else "skipped_new"
            entry.values, entry.match = plan.present[key]
            entry.mapping = plan.mapping
        for key in plan.gone:
            self.known[key].state = "gone"
        for key in plan.back:
            self.known[key].state = "delivered"
