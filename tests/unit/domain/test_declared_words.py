"""Words of the declaration that hold for every destination: open names, settings of an object, many secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Key

from headrace.domain.config import SyncConfig
from headrace.domain.errors import Finding
from headrace.domain.lint import lint_sync
from headrace.domain.mapping import compile_mapping, fingerprint
from headrace.domain.spec import (
    DestinationSpec,
    Field,
    FieldType,
    Mode,
    ObjectSpec,
    Secret,
    SettingsSpec,
    SyncTypeSpec,
)

from .world import T, coded, columns_of


class Letter(BaseModel):
    """The settings of a destination that sends letters."""

    model_config = ConfigDict(extra="forbid")

    paper: str = "A4"
    copies: int = Key(default=1, ge=1)


def check(settings: Letter, sync: SyncConfig) -> Iterator[Finding]:
    if settings.paper not in sync.fields:
        yield Finding("field_required", f"No field says what stands on {settings.paper}.", "settings.paper")


OPEN = ObjectSpec(
    name="letter",
    title="Letters",
    help="",
    fields=(Field("to", FieldType.TEXT, "", required_for=frozenset({Mode.INSERT})),),
    others=Field("any name", FieldType.ANY, "", sends_null=True),
    modes=frozenset({Mode.INSERT}),
    matchings=(),
    settings=SettingsSpec(Letter, check, frozenset({"paper"})),
)
CLOSED = ObjectSpec("card", "Cards", "", OPEN.fields, OPEN.modes, ())
POST = DestinationSpec(
    type="post",
    title="Post",
    help="",
    settings=BaseModel,
    secrets=(Secret("stamp", "Stamp"), Secret("seals", "Seals", many=True)),
    sync_types=(
        SyncTypeSpec("mail", "Mail", "", None, (OPEN, CLOSED)),
        SyncTypeSpec("parcels", "Parcels", "", "stamp", (OPEN,)),
    ),
)
COLUMNS = columns_of(id=T.INTEGER, name=T.TEXT)
FIELDS = {"to": {"column": "name"}, "A4": {"column": "id"}}


def letter(**more: Any) -> SyncConfig:
    document = {"model": "m", "destination": "d", "type": "mail", "object": "letter", "fields": FIELDS}
    return SyncConfig.model_validate(document | more)


def found(sync: SyncConfig) -> list[tuple[str, str]]:
    return coded(list(lint_sync("s", sync, POST, COLUMNS)))


def test_an_open_object_takes_fields_of_any_name_and_type():
    sync = letter(fields=FIELDS | {"Größe in cm": {"column": "id"}, "nested": {"object": {"a": {"static": [1]}}}})

    assert [] == found(sync)
    record = compile_mapping(sync, OPEN, COLUMNS, {}).record(("Ann", 7))
    assert {"to": "Ann", "A4": 7, "Größe in cm": 7, "nested": {"a": [1]}} == record.values


def test_an_open_object_still_knows_its_own_fields():
    assert [("field_required", "syncs.s.fields.to")] == found(letter(fields={"A4": {"column": "id"}}))
    assert ("type_mismatch", "syncs.s.fields.to") in found(letter(fields=FIELDS | {"to": {"column": "id"}}))


def test_where_a_field_sends_null_its_rule_may_still_leave_it_out():
    sync = letter(fields={"to": {"static": "Ann"}, "A4": {"column": "id"}, "b": {"column": "id", "null": "skip"}})

    record = compile_mapping(sync, OPEN, COLUMNS, {}).record((None,))

    assert {"to": "Ann", "A4": None} == record.values


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({"copies": 0}, "wrong_type", "settings.copies"),
        ({"paper": ["A4"]}, "wrong_type", "settings.paper"),
        ({"colour": "red"}, "unknown_key", "settings.colour"),
        ({"paper": "A5"}, "field_required", "settings.paper"),
    ],
)
def test_settings_are_held_to_their_shape_and_to_the_rest_of_the_sync(settings: dict[str, Any], code: str, path: str):
    assert [(code, f"syncs.s.{path}")] == found(letter(settings=settings))


def test_settings_of_an_object_that_has_none_are_refused():
    assert [("unknown_key", "syncs.s.settings")] == found(
        letter(object="card", fields={"to": {"static": "x"}}, settings={"paper": "A4"})
    )


def test_only_settings_that_shape_what_is_sent_send_every_row_again():
    """Who raises a limit doesn't want a million rows to be sent once more."""
    assert fingerprint(letter(), {"paper"}) == fingerprint(letter(settings={"copies": 2}), {"paper"})
    assert fingerprint(letter(), {"paper"}) != fingerprint(letter(settings={"paper": "A5"}), {"paper"})


def test_each_secret_of_a_mapping_is_a_secret_of_its_own():
    settings = {"seals": {"wax": {"env": "WAX"}}}

    assert {"stamp": None, "seals.wax": {"env": "WAX"}} == POST.secret_references(settings)
    assert {"seals.wax"} == POST.needed_secrets(settings, "mail")
    assert {"stamp"} == POST.needed_secrets(settings, "parcels")
