"""What the status of an answer means, as the configuration says it, and what follows from that for every request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from headrace.destinations import Retry, Stop
from headrace.destinations.answers import retry_floor, words
from headrace.domain.request import NoResponse, Request, Response

_STATUS = re.compile(r"[2-5](\d\d|xx)\Z")


def _read_statuses(raw: Any) -> Any:
    items = raw if isinstance(raw, list) else [raw]
    found = [str(one).lower() for one in items]
    for one, text in zip(items, found, strict=True):
        if isinstance(one, bool) or not _STATUS.match(text):
            raise ValueError(f"holds {one!r}, which is no status: write for example 404 or 4xx")
    return found


Statuses = Annotated[list[str], BeforeValidator(_read_statuses)]


class _Meanings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _each_once(self) -> _Meanings:
        written = [one for name in self.model_fields_set for one in getattr(self, name)]
        twice = sorted({one for one in written if written.count(one) > 1})
        if twice:
            raise ValueError(f"The status {twice[0]} has two meanings under answers. Leave it in one list")
        return self

    def table(self) -> Mapping[str, str]:
        """Status or class of statuses -> meaning. A list that is written takes the place of its default."""
        names = list(type(self).model_fields)
        defaults = [name for name in names if name not in self.model_fields_set]
        ordered: Iterable[str] = [*defaults, *(name for name in names if name in self.model_fields_set)]
        return {status: name for name in ordered for status in getattr(self, name)}


class EventAnswers(_Meanings):
    """What a status means. `4xx` is all of a hundred; a single status goes before it. The rest is `rejected`."""

    delivered: Statuses = Field(default=["2xx"], description="The row is acknowledged.")
    retried: Statuses = Field(
        default=["408", "425", "429", "5xx"],
        description="Sent again later, after `Retry-After` where the answer has it.",
    )
    stopped: Statuses = Field(
        default=["401", "403", "3xx"], description="The run stops: no row is to blame. Redirects are never followed."
    )
    rejected: Statuses = Field(default=[], description="The row is to blame; its siblings go on.")


class RecordAnswers(EventAnswers):
    """What a status means. `4xx` is all of a hundred; a single status goes before it. The rest is `rejected`."""

    not_found: Statuses = Field(
        default=["404", "410"],
        description="There is no such record: upsert sends `create` where there is one, update skips the row, and "
        "what was to be deleted is gone.",
    )


class BatchAnswers(EventAnswers):
    """What a status means for all rows of a request. `4xx` is all of a hundred; a single status goes before it."""

    stopped: Statuses = Field(
        default=["401", "403", "404", "405", "3xx"],
        description="The run stops: no row is to blame. Redirects are never followed.",
    )
    rejected: Statuses = Field(
        default=[],
        description="A row is to blame, as for every status that no list has: the batch is halved until it is known.",
    )
    too_large: Statuses = Field(default=["413"], description="The batch is halved by its bytes.")


def meaning_of(table: Mapping[str, str], status: int) -> str:
    """The word for a status: of itself, else of its hundred, else `rejected`."""
    return table.get(str(status)) or table.get(f"{status // 100}xx") or "rejected"


def common_verdict(table: Mapping[str, str], request: Request, answer: Response | NoResponse) -> Retry | Stop | None:
    """The verdict that no row has a part in: nothing came, try again, stop. None where the answer speaks of rows."""
    if isinstance(answer, NoResponse):
        return Retry(answer.reason)
    meaning = meaning_of(table, answer.status)
    if meaning == "retried":
        return Retry(f"{answer.status}: {words(answer)}", retry_floor(answer), pause=answer.status == 429)
    if meaning == "stopped":
        return stop(request, answer)
    return None


def stop(request: Request, answer: Response) -> Stop:
    """Why the run ends, with the mend."""
    where = request.url.split("?")[0]
    if answer.status in (401, 403):
        return Stop(
            "credentials_refused",
            f"{where} refused the credential ({answer.status}: {words(answer)}). Check bearer_token, basic_password or "
            "secret_headers of the destination. Where it answers so for single rows, list the status under "
            "settings.answers.rejected.",
        )
    if 300 <= answer.status < 400:
        return Stop(
            "destination_misconfigured",
            f"{where} answered {answer.status}, a redirect to {answer.headers.get('location', 'nowhere')}. Redirects "
            "are never followed, since they would carry the credential along. Check base_url and path.",
        )
    return Stop(
        "destination_misconfigured",
        f"{where} answered {answer.status}: {words(answer)}. Check base_url and path. Where single rows are to blame "
        "for such answers, list the status under settings.answers.rejected.",
    )
