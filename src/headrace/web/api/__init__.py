"""The API: one small router a noun, under `/api/v1`. Each route parses, calls the service once, shapes the answer."""
