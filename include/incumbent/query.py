"""A source's SQL query, and its parameters in the way that a driver wants them.

A query says `:start`, `:end` and `:partition`. They are parameters, bound by the driver, and never
pasted into the text. Databases write literals and comments in different ways: what would mean two
different things is refused, so that a placeholder is never taken for text, nor text for a placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

PARAMETERS = ("start", "end", "partition")
# The parameter styles of PEP 249, and PostgreSQL's own, which ADBC takes over.
Style = Literal["qmark", "numeric", "named", "format", "pyformat", "dollar"]
WRITTEN = {
    "qmark": "?",
    "numeric": ":{number}",
    "named": ":{name}",
    "format": "%s",
    "pyformat": "%({name})s",
    "dollar": "${number}",
}
TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<text> '(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*` | (?<![\w$])(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag) )
    | (?P<open> ['"`] | /\* )
    | (?<![:\w)\]"]):(?P<name>[A-Za-z_]\w*)  # after those: a cast, a slice, a field of a JSON value
    """,
    re.VERBOSE | re.DOTALL,
)


def parameters_of(query: str) -> frozenset[str]:
    """Return the names of the parameters that a query has.

    Raises:
        ValueError: A placeholder has another name, or a literal or comment cannot be read in one way only.

    >>> sorted(parameters_of("SELECT day::date, ':end' FROM t WHERE day >= :start -- until :end"))
    ['start']
    """
    return frozenset(match["name"] for match in _tokens(query) if match["name"])


def bind(query: str, style: Style, values: Mapping[str, Any]) -> tuple[str, list[Any] | dict[str, Any]]:
    """Return a query's text in a driver's parameter style, and the parameters to hand over with it.

    >>> bind("SELECT * FROM t WHERE a >= :start AND b LIKE 'x%'", "format", {"start": 1})
    ("SELECT * FROM t WHERE a >= %s AND b LIKE 'x%%'", [1])
    >>> bind("SELECT :start, :end, :start", "dollar", {"start": 1, "end": 2})
    ('SELECT $1, $2, $1', [1, 2])
    """
    by_name, repeats = style in ("named", "pyformat"), style in ("qmark", "format")
    text, names, last = [], list[str](), 0
    escape = (lambda part: part.replace("%", "%%")) if style in ("format", "pyformat") else str
    for match in _tokens(query):
        if name := match["name"]:
            if repeats or name not in names:
                names.append(name)
            text += [
                escape(query[last : match.start()]),
                WRITTEN[style].format(name=name, number=names.index(name) + 1),
            ]
            last = match.end()
    if not names:  # without parameters no driver reads the text as a format
        return query, []
    text.append(escape(query[last:]))
    given = {name: values[name] for name in names} if by_name else [values[name] for name in names]
    return "".join(text), given


def _tokens(query: str) -> list[re.Match[str]]:
    """Return comments, literals and placeholders, in order."""
    found = list(TOKEN.finditer(query))
    for match in found:
        if match["open"]:
            raise ValueError(f"line {_line(query, match)}: {match['open']} is not closed")
        if match["comment"] and "/*" in match["comment"][2:] and match["comment"].startswith("/*"):
            raise ValueError(f"line {_line(query, match)}: a comment within a comment ends elsewhere in each database")
        if match["text"] and not match["tag"] and re.search(r"\\['\"`]", match["text"]):
            raise ValueError(
                f"line {_line(query, match)}: a backslash before a quote means another thing in each database; "
                "write the quote twice, or join the backslash with ||"
            )
        if match["name"] and match["name"] not in PARAMETERS:
            known = ", ".join(f":{name}" for name in PARAMETERS)
            raise ValueError(f"line {_line(query, match)}: there is no parameter :{match['name']}, only {known}")
    return found


def _line(query: str, match: re.Match[str]) -> int:
    return query.count("\n", 0, match.start()) + 1
