"""Headrace: rows from a warehouse to Vitally, only what changed, every API call in sight."""

from importlib.metadata import version

__version__ = version("headrace")
