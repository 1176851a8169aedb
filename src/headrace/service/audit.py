"""The audit log, read and proved. Nothing here writes it: verbs do, by what they change."""

from __future__ import annotations

from headrace.domain.access import Scope
from headrace.service.verbs import verb
from headrace.store.audit import Audit, AuditEntry
from headrace.store.page import Page


class AuditService:
    """Who changed what in one workspace."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    @verb(Scope.ADMIN)
    def entries(self, subject: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[AuditEntry]:
        """Newest first; those about one thing (`sync nightly`) where it is named."""
        return self._audit.list(subject, limit, cursor)

    @verb(Scope.ADMIN)
    def first_broken(self) -> int | None:
        """The first entry that was altered afterwards; None where every link of the chain holds."""
        return self._audit.first_broken()
