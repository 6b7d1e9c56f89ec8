"""The syntax tree of a feature definition, as DuckDB's own parser sees it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb

Node = Mapping[str, Any]


class NoSelect(ValueError):
    """A text is not one SELECT; the message is DuckDB's."""


@dataclass(frozen=True)
class Function:
    """What DuckDB's catalog says of a function.

    Attributes:
        kinds: `scalar`, `aggregate`, `macro`, `table` or `window`; a name may be several.
        stable: Whether the same arguments always give the same value.
        bodies: What a macro stands for.
    """

    kinds: frozenset[str]
    stable: bool
    bodies: tuple[str, ...]


class Syntax:
    """One SELECT, parsed.

    Args:
        sql: Its text.

    Raises:
        NoSelect: It cannot be parsed, is another statement, or more than one.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql.encode()
        answer = _parser(os.getpid()).execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0]
        parsed = json.loads(answer)
        if parsed["error"]:
            raise NoSelect(parsed["error_message"])
        if len(parsed["statements"]) != 1:
            raise NoSelect(f"{len(parsed['statements'])} statements")
        self.root: Node = parsed["statements"][0]["node"]

    def line(self, node: Node) -> int:
        """Return the line that a node is written in; the first when it is written nowhere."""
        at = node.get("query_location", 0)
        return self.sql[:at].count(b"\n") + 1 if at < len(self.sql) else 1

    def text(self, node: Node) -> str:
        """Return how a node is written."""
        at = node["query_location"]
        return self.sql[at : at + node["query_location_length"]].decode(errors="replace")


@cache
def _parser(process: int) -> duckdb.DuckDBPyConnection:
    """Return a database without data that parses; one for a process, for its threads do not live on in a fork."""
    return duckdb.connect()


def seconds(interval: str) -> float | None:
    """Return the length of an interval that is written as text; None when it is none."""
    found = _parser(os.getpid()).execute("SELECT epoch(TRY_CAST(? AS INTERVAL))", [interval]).fetchall()[0][0]
    return None if found is None else float(found)


@cache
def functions() -> Mapping[str, Function]:
    """Return the functions of DuckDB by name."""
    query = "SELECT lower(function_name), function_type, stability, macro_definition FROM duckdb_functions()"
    rows = _parser(os.getpid()).execute(query).fetchall()
    found: dict[str, Function] = {}
    for name, kind, stability, body in rows:
        known = found.get(name, Function(frozenset(), True, ()))
        found[name] = Function(
            known.kinds | {kind},
            known.stable and stability in (None, "CONSISTENT"),
            known.bodies + ((body,) if kind == "macro" else ()),
        )
    return found


def macro(function: Function) -> Iterator[Syntax]:
    """Yield what a macro stands for, as far as that is an expression."""
    for body in function.bodies:
        with suppress(NoSelect):
            yield Syntax(f"SELECT {body}")


def walk(node: Any) -> Iterator[Node]:
    """Yield a node and all below it, in the order of the tree."""
    if isinstance(node, Mapping):
        yield node
        for child in node.values():
            yield from walk(child)
    elif isinstance(node, list):
        for child in node:
            yield from walk(child)


def calls(node: Any) -> Iterator[Node]:
    """Yield the function calls below a node, aggregates and windows among them."""
    return (each for each in walk(node) if each.get("class") in ("FUNCTION", "WINDOW"))
