"""The shapes of trials: what previews, plans, tests and suggestions are asked with, and what they answer."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from headrace.domain.outcome import Change
from headrace.web.api.operations import JsonObject
from headrace.web.api.shapes import CallShape, RowShape, Shape, Text


class ColumnShape(Shape):
    name: str
    type: str = Field(description="Our word for its type.", examples=["text"])
    native: str = Field(description="The database's own word.", examples=["VARCHAR"])


class ColumnsShape(Shape):
    items: list[ColumnShape]


class TableShape(Shape):
    name: str
    columns: list[ColumnShape]


class TablesShape(Shape):
    items: list[TableShape]


class ProofShape(Shape):
    """What the primary key is worth."""

    key: list[str]
    rows: int
    nulls: int
    duplicates: int
    examples: list[str]
    holds: bool


class PreviewShape(Shape):
    columns: list[ColumnShape]
    rows: list[list[Any]]
    key: ProofShape | None = Field(description="Null where no key was named.")


class PreviewModel(Shape):
    """A model as it is written now; `source` is the name of a saved one, `primary_key` may be missing."""

    model: JsonObject = Field(examples=[{"source": "warehouse", "sql": "select 1 as id", "primary_key": "id"}])
    limit: int = Field(default=100, ge=1, le=1000)


class SourceDraft(Shape):
    """A source as it is written now; `name` where it is to replace a saved one."""

    source: JsonObject = Field(examples=[{"type": "csv", "path": "exports/accounts.csv"}])
    name: str = Field(default="unsaved", max_length=100)


class DestinationDraft(Shape):
    """A destination as it is written now, with the secrets that were typed. None of them is kept."""

    destination: JsonObject
    name: str = Field(default="unsaved", max_length=100)
    secrets: dict[str, Text] = Field(default_factory=dict, description="Secret setting -> its value.")


class ReachedShape(Shape):
    said: str = Field(description="What answered, in one line.", examples=["PostgreSQL 16.4, database shop"])


class ProbeShape(Shape):
    """One token, tested with one harmless request."""

    token: str
    state: str = Field(description="fine, refused, unreachable, failed, not_set.")
    message: str
    status: int | None
    method: str | None
    url: str | None
    ms: float | None


class ProbesShape(Shape):
    items: list[ProbeShape]


class PlanAsked(Shape):
    """What the dry run should show."""

    requests: int = Field(default=0, ge=0, le=100, description="So many exact requests.")
    full_resync: bool = False
    keys: list[Text] | None = Field(default=None, min_length=1, max_length=10_000)


class PlanShape(BaseModel):
    """What a run would do now. Nothing was sent."""

    sync: str
    rows: int
    added: int
    changed: int
    removed: int
    unchanged: int
    to_send: int
    operations: dict[str, int]
    invalid: list[dict[str, Any]]
    held: str | None
    notes: list[str]
    samples: list[dict[str, Any]] = Field(description="Rows with the old and new value of each mapped column.")
    requests: list[dict[str, Any]] = Field(description="Exact requests, without the credential.")


class TestRow(Shape):
    """One row to be really sent."""

    __test__ = False

    key: Text = Field(description="Its primary key.")
    as_: Change = Field(default=Change.CHANGED, alias="as", description="Send it as if it were so.")
    values: dict[str, Text] = Field(default_factory=dict, description="Other values for columns; empty is null.")


class RowTrialShape(Shape):
    run: int
    row: RowShape | None = Field(description="Null where nothing was to be sent.")
    calls: list[CallShape]


class SuggestionAsked(Shape):
    """A sync that is to be."""

    model: str = Field(max_length=200)
    destination: str = Field(max_length=200)
    type: str = Field(max_length=200)
    object: str | None = Field(default=None, max_length=200)


class SuggestedShape(BaseModel):
    """Lines that a mapping would probably have, each with its reason. Nothing is changed."""

    sync: str
    new: bool
    model: str
    destination: str
    type: str
    object: str | None
    mode: str | None
    match: dict[str, Any] | None
    suggestions: list[dict[str, Any]]
    missing: list[str]
    left_out: list[dict[str, Any]]
    yaml: str


class TemplateAsked(Shape):
    """A Liquid template, and rows to render it with."""

    template: Text = Field(examples=["{{ row.name | upcase }}"])
    rows: list[JsonObject] = Field(max_length=20, examples=[[{"name": "Acme"}]])


class RenderedShape(Shape):
    text: str | None
    fault: str | None = Field(description="Why the template failed on that row.")


class RenderedRows(Shape):
    items: list[RenderedShape]
