"""From a row to a record: the mapping rules of a sync, compiled once, run per row.

In: a tuple of column values in the order of `Mapping.columns`. Out: a `Record` of typed fields, or every fault of the
row at once. It never looks at the destination's answers and never sees a secret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from collections.abc import Mapping as Dict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from headrace.domain import rules as r
from headrace.domain.coerce import Mismatch, field_check, id_text, read_document
from headrace.domain.columns import Column, Columns, ColumnType
from headrace.domain.config import SECTIONS, SyncConfig
from headrace.domain.errors import Bug
from headrace.domain.outcome import RowFault
from headrace.domain.spec import Field, FieldType, ObjectSpec, Requirement
from headrace.domain.values import SKIP, Compute, Mismatches, Row, RuleCompiler, each_mismatch


class Reference(NamedTuple):
    """Ids of other records. `by` says whose: ours (`external_id`, looked up) or the destination's (`vitally_id`)."""

    kind: str
    ids: tuple[str, ...]
    by: str
    many: bool


class Record(NamedTuple):
    """A row as the destination wants it: the value it is matched by, its plain fields, its references by field.

    `match` is empty where the object is matched by nothing.
    """

    match: str
    values: dict[str, Any]
    references: dict[str, Reference]


class RowRefused(Exception):
    """The row can't become a record. Every fault of it is in `faults`."""

    def __init__(self, faults: Sequence[RowFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(fault.message for fault in faults))

    def as_fault(self) -> RowFault:
        """The first fault's code and field, with the words of all of them."""
        return RowFault(self.faults[0].code, str(self), self.faults[0].field)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A sync's mapping, compiled against the columns its model has now."""

    columns: Columns
    """The columns it reads, each once, the match column (if any) first; rows come in this order."""
    parent_columns: frozenset[str]
    """Those that references are made from."""
    parent_kinds: Dict[str, tuple[str, ...]]
    """Kind of record -> plain columns that hold its external ids, one a row: what may be asked for in bulk."""
    fingerprint: str
    """Changes when the mapping does, never when only data or variables do."""
    match: Column | None
    _fields: tuple[tuple[Field, str, str | None, Compute, Compute, str], ...]
    """The field, its name, the object it is sent in, its value, its check, and whose ids a reference holds."""
    _fresh: frozenset[str]
    """Objects that are built anew for every row."""
    _match_field: str
    _required: tuple[str, ...]
    _rules: tuple[Requirement, ...]

    def match_value(self, row: Row) -> str:
        """The value the row's record is found by, verbatim; empty where the object is matched by nothing.

        Raises RowRefused where it is null or blank.
        """
        if self.match is None:
            return ""
        value = row[0]
        if value is None or not (text := str(value)).strip():
            message = f'Column "{self.match.name}" is {"null" if value is None else "blank"}: '
            message += f"the row has nothing to find its record by ({self._match_field})."
            raise RowRefused([RowFault("match_value_missing", message, self._match_field)])
        return text

    def record(self, row: Row) -> Record:
        """The row as a record. Raises RowRefused with every fault of the row."""
        match = self.match_value(row)
        faults: list[RowFault] = []
        values, references = self._fill(row, faults)
        if not self._is_complete(values, references):
            faults += self._missing(values, references, {str(fault.field).partition(".")[0] for fault in faults})
        if faults:
            raise RowRefused(faults)
        return Record(match, values, references)

    def last_record(self, row: Row, match: str) -> Record:
        """A row of the ledger as the record it was sent as, as far as today's mapping still makes one of it."""
        values, references = self._fill(row, [])
        return Record(match, values, references)

    def _fill(self, row: Row, faults: list[RowFault]) -> tuple[dict[str, Any], dict[str, Reference]]:
        values: dict[str, Any] = {}
        references: dict[str, Reference] = {}
        ours: set[str] = set()  # objects made here: another may be a constant that every row shares
        for spec, name, inside, compute, check, by in self._fields:
            try:
                value = compute(row)
                if value is SKIP:
                    continue
                if spec.refers_to is not None:
                    if value is None and spec.type is FieldType.REFERENCE:
                        values[spec.name] = None
                    elif ids := _ids(value, spec):
                        references[spec.name] = Reference(
                            spec.refers_to, ids, by, many=spec.type is FieldType.REFERENCES
                        )
                    continue
                if value is not None:
                    value = check(value)
            except (Mismatch, Mismatches) as refused:
                for mismatch in each_mismatch(refused):
                    path = ".".join((spec.name, *mismatch.path))
                    faults.append(RowFault(mismatch.code, f'Field "{path}": {mismatch}.', path))
                if isinstance(refused, Mismatch) or spec.refers_to is not None:
                    continue
                value = refused.rest  # for a row of the ledger: what else the object held is still to be cleared
            if inside is None:
                values[name] = value
            elif inside in ours or (inside in self._fresh and inside in values):
                values[inside][name] = value
            else:
                values[inside] = {**(values.get(inside) or {}), name: value}
                ours.add(inside)
        return values, references

    def _is_complete(self, values: Dict[str, Any], references: Dict[str, Reference]) -> bool:
        """Whether everything that is required is there: the usual case, told without making sets of it."""
        for name in self._required:
            if is_blank(values.get(name)) and name not in references:
                return False
        for rule in self._rules:
            if not any(name in references or not is_blank(values.get(name)) for name in rule.any_of):
                return False
        return True

    def _missing(
        self, values: Dict[str, Any], references: Dict[str, Reference], refused: Collection[str]
    ) -> list[RowFault]:
        """Faults of what is required and not there. A field that was refused is there, and has its own fault."""
        faults = [
            RowFault("field_required", f'Required field "{name}" is null or empty.', name)
            for name in self._required
            if name not in references and is_blank(values.get(name)) and name not in refused
        ]
        there = {name for name, value in values.items() if not is_blank(value)} | references.keys() | set(refused)
        faults += [
            RowFault(rule.code, rule.message, rule.any_of[0]) for rule in self._rules if there.isdisjoint(rule.any_of)
        ]
        return faults


def compile_mapping(sync: SyncConfig, spec: ObjectSpec, columns: Columns, variables: Dict[str, Any]) -> Mapping:
    """The sync's mapping as functions over a row.

    `columns` are those the model has; `variables` the values of `domain.rules.VARIABLES` for this run.
    The caller has linted the sync against the same columns: what lint would have found is a Bug here.
    """
    if (sync.match is None) != (not spec.matchings):
        raise Bug("a sync without its match reached the mapping")
    compiler = RuleCompiler(columns, variables)
    match = compiler.column(sync.match.column) if sync.match else None
    matched, mode = sync.match.field if sync.match else "", spec.mode(sync.mode)
    fields: list[tuple[Field, Compute, str]] = []
    parents: list[str] = []
    kinds: dict[str, tuple[str, ...]] = {}
    for name, rule in sync.rules.items():
        field_spec = spec.field(name)
        if field_spec is None:
            raise Bug("a field that the object does not have reached the mapping", field=name)
        compute = compiler.top(rule, field_spec)
        fields.append((field_spec, compute, rule.by or "external_id"))
        if field_spec.refers_to:
            parents += [compiler.column(column).name for column in compiler.reads(rule)]
            if isinstance(rule, r.ColumnRule) and (rule.by or "external_id") == "external_id":
                column = compiler.column(rule.column)
                if column.type in (ColumnType.TEXT, ColumnType.INTEGER):
                    kinds[field_spec.refers_to] = (*kinds.get(field_spec.refers_to, ()), column.name)
    # Fields that travel inside an object come last, so that the object is there.
    fields.sort(key=lambda one: one[0].inside is not None)
    return Mapping(
        columns=tuple(compiler.read),
        parent_columns=frozenset(parents),
        parent_kinds=kinds,
        fingerprint=fingerprint(sync, spec.settings.shaping if spec.settings else ()),
        match=match,
        _fields=tuple(
            (one, one.name, one.inside, compute, field_check(one.type, one.between), by) for one, compute, by in fields
        ),
        _fresh=frozenset(name for name, rule in sync.rules.items() if isinstance(rule, r.ObjectRule | r.ColumnsRule)),
        _match_field=matched,
        _required=tuple(one.name for one in spec.fields if mode in one.required_for and one.name != matched),
        _rules=tuple(one for one in spec.requirements if one.holds_for(matched, mode)),
    )


def is_blank(value: Any) -> bool:
    """Null, or text with nothing in it: not there, where something is required."""
    return value is None or (isinstance(value, str) and not value.strip())


def fingerprint(sync: SyncConfig, shaping: Collection[str] = ()) -> str:
    """Sixteen hex digits that change when what is sent for the same row could change.

    `shaping` are the settings of the sync that do.
    """
    relevant = sync.model_dump(
        mode="json",
        by_alias=True,
        exclude_unset=True,
        include={"type", "object", "match", "fields", *SECTIONS},
    )
    if settings := {name: value for name, value in sync.settings.items() if name in shaping}:
        relevant["settings"] = settings
    return hashlib.sha256(_canonical(relevant)).hexdigest()[:16]


def _canonical(document: Any) -> bytes:
    try:
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a static whole number past 64 bits
        return json.dumps(document, sort_keys=True).encode()


def _ids(value: Any, spec: Field) -> tuple[str, ...]:
    """The ids in a reference's value: a scalar is a list of one; text that is a JSON array is that array."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(Mismatch):  # an id may begin with a bracket
            value = read_document(value)
    items = value if isinstance(value, list) else [] if value is None else [value]
    texts = [id_text(item) for item in items if item is not None]
    ids = tuple(dict.fromkeys(text for text in texts if text.strip()))
    if spec.type is FieldType.REFERENCE and len(ids) > 1:
        raise Mismatch(value, "one id", "this field holds one")
    return ids
