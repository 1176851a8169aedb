"""The connection test: one harmless request a token, and its answer in a sentence. Nothing is written to Vitally."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.destinations import Probe
from headrace.destinations.answers import parsed, words
from headrace.destinations.vitally.connection import ANALYTICS_TOKEN, JSON_HEADERS, REST_TOKEN, Connection
from headrace.domain.request import NoResponse, Request, Response


def probes(connection: Connection) -> Sequence[Probe]:
    """One probe a token that is set; a token that is not set, or can't be proved, is said in `note`."""
    found = []
    if connection.has("rest"):
        # vitally 2.3: the check that other clients use; it reads one account.
        url = connection.url("rest", "/resources/accounts?limit=1")
        found.append(
            Probe(REST_TOKEN.name, Request("GET", url, "rest", "test", headers={"Accept": "application/json"}))
        )
    else:
        found.append(Probe(REST_TOKEN.name, None, "Not set. Syncs of REST objects need it."))
    if connection.has("analytics"):
        # vitally 2.3: the API has no read endpoint. An empty batch writes nothing; what Vitally answers is unknown, but
        # a wrong token must be refused before a body is read.
        url = connection.url("analytics", "/analytics/v1/batch")
        found.append(Probe(ANALYTICS_TOKEN.name, Request("POST", url, "analytics", "test", b"[]", JSON_HEADERS)))
    else:
        found.append(Probe(ANALYTICS_TOKEN.name, None, "Not set. Analytics objects and events need it."))
    return found


def read_probe(connection: Connection, probe: Probe, answer: Response | NoResponse) -> tuple[str, str]:
    """(`fine` | `refused` | `unreachable` | `failed`, one sentence with the mend)."""
    assert probe.request is not None
    url = probe.request.url.split("?")[0]
    if isinstance(answer, NoResponse):
        mend = "Check region, subdomain and rest_url or analytics_url, and that this machine may reach the network."
        return "unreachable", f"{url} could not be reached ({answer.reason}). {mend}"
    region = connection.settings.region
    other = "eu" if region == "us" else "us"
    if answer.status in (401, 403):
        return "refused", (
            f"Vitally refused the token ({answer.status}: {words(answer)}). Copy it again from Settings > "
            f"Integrations. The region is set to {region}: a token of a workspace in {other} is unknown there."
        )
    if probe.secret == ANALYTICS_TOKEN.name:
        if answer.status < 300 or answer.status == 400:
            return "fine", f"Vitally let the token in ({answer.status})."
    elif answer.status < 300 and isinstance(parsed(answer).get("results"), list):
        return "fine", f"Vitally let the token in ({answer.status})."
    elif answer.status < 400:
        return (
            "failed",
            f"{url} answered {answer.status}, but not as Vitally does. Check region, subdomain and rest_url.",
        )
    return "failed", f"{url} answered {answer.status}: {words(answer)}"
