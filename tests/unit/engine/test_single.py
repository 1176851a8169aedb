"""The test of one row: values that a person sets from text are those that the source would have given."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from headrace.destinations.vitally import SPEC
from headrace.domain.columns import Column, ColumnType
from headrace.domain.errors import NotFound, UserError
from headrace.domain.mapping import Mapping, compile_mapping
from headrace.engine.single import with_values

from .world import VARIABLES, sync_of

T = ColumnType


def mapping_of(kind: ColumnType) -> Mapping:
    target = SPEC.sync_types[0].object("account")
    assert target is not None
    columns = (Column("id", T.TEXT, "VARCHAR"), Column("v", kind, kind.value))
    return compile_mapping(sync_of(["v"]), target, columns, VARIABLES)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (T.TEXT, "gold", "gold"),
        (T.INTEGER, str(2**70), 2**70),
        (T.NUMBER, "0.5", 0.5),
        (T.DECIMAL, "19.90", Decimal("19.90")),
        (T.BOOLEAN, "yes", True),
        (T.DATE, "2026-01-31", date(2026, 1, 31)),
        (T.DATETIME, "2026-01-31T09:30", datetime(2026, 1, 31, 9, 30)),
        (T.JSON, '{"a": 1}', '{"a": 1}'),
        (T.BINARY, "AP8=", b"\x00\xff"),
        (T.INTEGER, "", None),
    ],
)
def test_a_value_is_read_as_the_type_of_its_column(kind: ColumnType, text: str, value: Any):
    mapping = mapping_of(kind)

    row = with_values(mapping, ("a1", None), {"v": text})

    assert ("a1", value) == row
    mapping.record(row)


@pytest.mark.parametrize(
    ("kind", "text"),
    [(T.INTEGER, "1.5"), (T.DATE, "soon"), (T.BOOLEAN, "maybe"), (T.BINARY, "no base64!"), (T.DECIMAL, "many")],
)
def test_a_text_that_is_none_of_the_column_s_values_is_refused(kind: ColumnType, text: str):
    with pytest.raises(UserError, match=f"is no {kind}") as caught:
        with_values(mapping_of(kind), ("a1", None), {"v": text})

    assert "type_mismatch" == caught.value.code


def test_only_mapped_columns_can_be_set():
    with pytest.raises(NotFound):
        with_values(mapping_of(T.TEXT), ("a1", None), {"w": "x"})
