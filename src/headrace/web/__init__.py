"""Faces over HTTP: the API, and what guards it. Parses, calls the service once, shapes the answer."""
