"""What every test stands on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace.domain.access import whole
from headrace.service.verbs import acting_as


@pytest.fixture(autouse=True)
def somebody_acts() -> Iterator[None]:
    """Tests ask the service as somebody who may do everything, unless they say otherwise."""
    with acting_as(whole("test")):
        yield
