"""Names of tables and columns: quoting them for SQL, and finding the one a person meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from headrace.domain.columns import Column, Columns, column_named
from headrace.domain.errors import SourceError

_PLAIN = re.compile(r'[^."]+')
_PART = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^."]+))\s*(\.|$)')


def quoted(name: str) -> str:
    """The name as an SQL identifier that no character of it can leave."""
    return '"' + name.replace('"', '""') + '"'


def quoted_path(parts: Sequence[str]) -> str:
    """`("sales", "accounts")` as `"sales"."accounts"`."""
    return ".".join(quoted(part) for part in parts)


def shown(parts: Sequence[str]) -> str:
    """A table's name as a person writes it in `table:`, with quotes only where a part holds a dot or a quote."""
    return ".".join(part if _PLAIN.fullmatch(part) else quoted(part) for part in parts)


def split_name(text: str) -> tuple[str, ...]:
    """The parts of a name that may be qualified and quoted. A name that can't be split is taken as one part."""
    parts: list[str] = []
    at = 0
    while found := _PART.match(text, at):
        parts.append(found[1].replace('""', '"') if found[1] is not None else found[2].strip())
        at = found.end()
        if not found[3]:
            return tuple(parts)
    return (text,)


def find_table(asked: str, offered: Iterable[Sequence[str]], preferred_schema: str = "") -> tuple[str, ...]:
    """The offered path (catalog, schema, table, or fewer) that `asked` names; it may leave out parts at the front.

    Exact spelling beats another case, and `preferred_schema` beats other schemas.
    Raises SourceError with the nearest names when nothing or more than one table fits.
    """
    paths = [tuple(path) for path in offered]
    wanted = split_name(asked)
    folded = tuple(part.casefold() for part in wanted)
    exact = [path for path in paths if path[-len(wanted) :] == wanted]
    loose = [path for path in paths if tuple(part.casefold() for part in path[-len(wanted) :]) == folded]
    for fitting in (exact, loose):
        preferred = [path for path in fitting if len(path) > 1 and path[-2] == preferred_schema]
        if len(preferred) == 1:
            return preferred[0]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            choices = ", ".join(sorted(shown(path) for path in fitting))
            raise SourceError(
                f'More than one table is named "{asked}": {choices}. Write the name with its schema.',
                code="sql_error",
                table=asked,
            )
    names = {path[-1] for path in paths} | {shown(path) for path in paths}
    raise SourceError(
        f'The source has no table "{asked}".{_near(asked, sorted(names), "It offers no tables at all.")}',
        code="sql_error",
        table=asked,
    )


def chosen_columns(columns: Columns, names: Sequence[str] | None) -> Columns:
    """The columns of those names, in the order asked; all of them for None. Raises SourceError `column_missing`."""
    if names is None:
        return columns
    chosen: list[Column] = []
    for name in names:
        column = column_named(columns, name)
        if column is None:
            raise SourceError(
                f'The model has no column "{name}".{_near(name, [c.name for c in columns], "It has no columns.")}'
                " Bring it back in the model or map another column.",
                code="column_missing",
                column=name,
            )
        chosen.append(column)
    return tuple(chosen)


def refuse_repeated_names(names: Sequence[str]) -> None:
    """Raises SourceError when two columns have one name: a mapping could not say which it means."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SourceError(
            f'The SQL returns more than one column named "{repeated[0]}". Give each its own name with AS.',
            code="sql_error",
            column=repeated[0],
        )


def _near(asked: str, names: Sequence[str], none: str) -> str:
    if not names:
        return f" {none}"
    by_folded = {name.casefold(): name for name in names}
    near = get_close_matches(asked.casefold(), list(by_folded), n=3, cutoff=0.5)
    if near:
        return f" Did you mean {' or '.join(by_folded[name] for name in near)}?"
    return f" There are: {', '.join(list(names)[:10])}{', ...' if len(names) > 10 else ''}."
