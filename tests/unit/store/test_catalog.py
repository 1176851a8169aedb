from __future__ import annotations

import pytest

from headrace.domain.errors import NotFound, UserError
from headrace.store.catalog import Delete, Put, Rename, SetSetting
from headrace.store.workspace import Workspace

from .world import NOON


def test_a_document_comes_back_as_it_was_put(workspace: Workspace) -> None:
    document = {"sql": "select 'ü'", "primary_key": ["a", "b"], "limit": None, "nested": {"n": 1.5}}

    stored = workspace.catalog.put("model", "accounts", document)

    assert (document, NOON) == (stored.document, stored.updated_at)
    assert [stored] == workspace.catalog.list("model")
    assert workspace.catalog.list("sync") == []


def test_an_apply_that_fails_changes_nothing(workspace: Workspace) -> None:
    """Half an apply would be a configuration that nobody wrote."""
    workspace.catalog.put("sync", "old", {"v": 1})

    with pytest.raises(NotFound):
        workspace.catalog.apply(
            [Put("sync", "new", {}), Delete("sync", "old"), SetSetting("workspace.name", "x"), Delete("sync", "gone")]
        )

    assert [stored.name for stored in workspace.catalog.list("sync")] == ["old"]
    assert workspace.catalog.setting("workspace.name") is None


def test_a_rename_may_free_a_name_for_another_in_one_apply(workspace: Workspace) -> None:
    workspace.catalog.put("sync", "a", {"v": "a"})
    workspace.catalog.put("sync", "b", {"v": "b"})

    workspace.catalog.apply([Rename("sync", "a", "c"), Rename("sync", "b", "a")])

    assert {s.name: s.document["v"] for s in workspace.catalog.list("sync")} == {"a": "b", "c": "a"}


def test_a_rename_never_overwrites(workspace: Workspace) -> None:
    for name in ("a", "b"):
        workspace.catalog.put("sync", name, {"v": name})

    with pytest.raises(UserError, match="another sync has that name") as caught:
        workspace.catalog.rename("sync", "a", "b")

    assert caught.value.code == "name_taken"
    assert [s.document["v"] for s in workspace.catalog.list("sync")] == ["a", "b"]


def test_a_wrong_name_is_answered_with_those_there_are(workspace: Workspace) -> None:
    workspace.catalog.put("source", "warehouse", {})

    with pytest.raises(NotFound, match="There are: warehouse"):
        workspace.catalog.get("source", "warehose")


def test_a_setting_is_any_json_and_none_takes_it_away(workspace: Workspace) -> None:
    workspace.catalog.set_setting("paused", ["a"])
    assert workspace.catalog.setting("paused") == ["a"]

    workspace.catalog.set_setting("paused", None)
    assert workspace.catalog.setting("paused", "-") == "-"
    assert list(workspace.catalog.settings()) == ["workspace.id"]
