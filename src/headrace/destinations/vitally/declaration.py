"""Vitally as one declaration: settings, secrets, sync types. Lint, forms, reference and tests are made from it."""

from __future__ import annotations

from headrace.destinations.vitally.connection import ANALYTICS_TOKEN, REST_TOKEN, VitallySettings
from headrace.destinations.vitally.ingestion import ANALYTICS_OBJECTS, EVENTS
from headrace.destinations.vitally.objects import REST_OBJECTS
from headrace.domain.spec import DestinationSpec

VITALLY = DestinationSpec(
    type="vitally",
    title="Vitally",
    help="Customer success: organizations, accounts, users and what they do.",
    settings=VitallySettings,
    secrets=(REST_TOKEN, ANALYTICS_TOKEN),
    sync_types=(REST_OBJECTS, ANALYTICS_OBJECTS, EVENTS),
)
