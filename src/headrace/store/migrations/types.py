"""The types of columns, as migrations lay them: the same order and the same room in every database."""

from __future__ import annotations

import sqlalchemy as sa

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""64 bits. SQLite's INTEGER has them too, and only under that name it counts up by itself."""

Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Ordered by its bytes, as SQLite does: the order of a list must not hang on how the server was set up."""
