"""Every stable code of a fault: what it means, what usually causes it, and the mend. The reference is made from this.

A code, once published, keeps its meaning. A test holds this table and the codes that the program uses together.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headrace.domain.codes.code import ABOUT, About, Code
from headrace.domain.codes.service import SERVICE
from headrace.domain.codes.trip import TRIP

__all__ = ["ABOUT", "CODES", "About", "Code"]

CODES: Mapping[str, Code] = MappingProxyType({**TRIP, **SERVICE})
