"""The HTTP API: one small router a noun. A route parses, calls the service once, shapes the answer."""
