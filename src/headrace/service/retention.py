"""What is kept how long, and the sweep that throws the rest away, a little at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from headrace.domain.errors import HeadraceError, UserError
from headrace.domain.retention import OF_SYNC, Keep
from headrace.store.retention import Rest, Sweeper, Swept
from headrace.store.workspace import Workspace

SETTING = "retention"
VARIABLE = "HEADRACE_RETENTION_DAYS"
EVERY_S = 3600.0
Broken = Callable[[HeadraceError], None]


class Retention:
    """What one workspace keeps. The setting of a sync goes before that of the workspace, and that before VARIABLE."""

    def __init__(self, workspace: Workspace, environment: Mapping[str, str]) -> None:
        """Raises UserError `retention_invalid` for a variable that is no number of days."""
        self._workspace = workspace
        self._given = _given(environment.get(VARIABLE))

    def setting(self) -> dict[str, Any]:
        """What was set: the workspace's own values, and under `syncs` those of each sync."""
        stored = self._workspace.catalog.setting(SETTING, {})
        return {"syncs": {}, **stored}

    def keep_of(self, sync: str) -> Keep:
        """How long the things of that sync are kept; of the workspace itself for a name that says nothing."""
        return self._resolve(self.setting(), sync)

    def _resolve(self, setting: Mapping[str, Any], sync: str) -> Keep:
        own = {name: value for name, value in setting.items() if name != "syncs"}
        return self._given.changed(own).changed(setting["syncs"].get(sync, {}))

    def change(self, changes: Mapping[str, Any], sync: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Sets values, for one sync or for all; `default` takes one back. Returns the setting before and after.

        Raises UserError `retention_invalid`.
        """
        before = self.setting()
        after: dict[str, Any] = {**before, "syncs": {name: dict(own) for name, own in before["syncs"].items()}}
        if sync is not None and (wrong := set(changes) - set(OF_SYNC)):
            message = f"A sync has no {', '.join(sorted(wrong))} of its own. It has {', '.join(OF_SYNC)}."
            raise UserError(message, code="retention_invalid")
        into = after if sync is None else after["syncs"].setdefault(sync, {})
        for name, value in changes.items():
            if value == "default":
                into.pop(name, None)
            else:
                into[name] = value
        if sync is not None and not into:
            del after["syncs"][sync]
        self._resolve(after, sync or "")
        self._workspace.catalog.set_setting(SETTING, after)
        return before, after

    def sweep(self, rest: Rest) -> Swept:
        """Throws away what is too old. Raises WorldError `store_write_failed`."""
        setting = self.setting()
        keeps: dict[str, Keep] = {}

        def keep_of(sync: str) -> Keep:
            if sync not in keeps:
                keeps[sync] = self._resolve(setting, sync)
            return keeps[sync]

        sweeper = Sweeper(self._workspace.database, self._workspace.now, keep_of, self._workspace.has_plan, rest)
        return sweeper.sweep(keep_of("").calls_mb)

    def document(self) -> dict[str, Any]:
        """What holds: for the workspace, and for each sync that differs."""
        setting = self.setting()
        syncs = {name: asdict(self._resolve(setting, name)) for name in sorted(setting["syncs"])}
        of_syncs = {name: {key: own[key] for key in OF_SYNC} for name, own in syncs.items()}
        return {**asdict(self._resolve(setting, "")), "syncs": of_syncs}


def _given(days: str | None) -> Keep:
    if not days:
        return Keep()
    try:
        number: float | None = None if days.strip().lower() == "forever" else float(days)
    except ValueError:
        message = f'{VARIABLE} is "{days[:40]}". Write a number of days, or "forever".'
        raise UserError(message, code="retention_invalid") from None
    return Keep().changed({"calls_days": number, "rows_days": number})


class Sweeping:
    """Sweeps now and then in a thread of its own, as long as the process stays. `broken` hears what went wrong."""

    def __init__(self, retention: Retention, broken: Broken, every_s: float = EVERY_S) -> None:
        self._retention = retention
        self._broken = broken
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="retention", daemon=True)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the sweep under way at its next rest."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                self._retention.sweep(self._stop.wait)
            except HeadraceError as error:  # the store is away or full: the next sweep goes on
                self._broken(error)
            self._stop.wait(self._every_s)
