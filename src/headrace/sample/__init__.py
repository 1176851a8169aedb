"""A believable B2B SaaS warehouse and the projects that sync it, for the demo, `init`, tests and first steps.

Stands apart: it knows DuckDB and the standard library, and nothing of the program that reads what it writes.
"""

from headrace.sample.changes import change_some
from headrace.sample.projects import demo_project, starter_project
from headrace.sample.warehouse import write_warehouse

__all__ = ["change_some", "demo_project", "starter_project", "write_warehouse"]
