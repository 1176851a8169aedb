"""What can be said of a model's SQL without asking its database."""

from __future__ import annotations

from headrace.domain.errors import Finding


def lint_sql(name: str, sql: str) -> list[Finding]:
    """A LIMIT without an ORDER BY gives other rows each time: rows would seem to come and go."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(sql)
    except SqlglotError:
        return []  # the database itself says what is wrong with it
    if isinstance(tree, exp.Query) and tree.args.get("limit") and not tree.args.get("order"):
        message = (
            "LIMIT without ORDER BY may return other rows each time: they look added and removed. Add an ORDER BY."
        )
        return [Finding("limit_without_order", message, f"models.{name}.sql", warning=True)]
    return []
