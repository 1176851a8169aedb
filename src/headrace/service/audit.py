"""The audit log, read and proved. Nothing here writes it: verbs do, by what they change."""

from __future__ import annotations

from headrace.domain.access import Scope
from headrace.service.verbs import verb
from headrace.store.audit import Audit, AuditEntry, Proof
from headrace.store.page import Page


class AuditService:
    """Who changed what in one workspace."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    @verb(Scope.ADMIN)
    def entries(
        self,
        subject: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        *,
        actor: str | None = None,
        verb: str | None = None,
    ) -> Page[AuditEntry]:
        """Newest first; those about one thing (`sync nightly`), of one actor or of one verb where that is named."""
        return self._audit.list(subject, limit, cursor, actor=actor, verb=verb)

    @verb(Scope.ADMIN)
    def verify(self) -> Proof:
        """Whether every entry is as it was written, and none is missing."""
        return self._audit.verify()
