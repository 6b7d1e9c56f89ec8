"""Which sources, and which of their columns, each feature is made of, read from the definition's text.

For who explains a change: columns that moved together and come from one feed point at that feed. Only what a
column is computed from counts, and not what its rows were joined or filtered by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from incumbent.definition import unpacked
from incumbent.features.syntax import Node, NoSelect, Syntax

ANY = "*"  # in the place of a column: whichever is asked for
Sources = frozenset[tuple[str, str]]  # source and column
NOTHING: Sources = frozenset()


@dataclass(frozen=True)
class _Relation:
    """What a name in FROM stands for: columns whose sources are known, and sources that give all others."""

    columns: Mapping[str, Sources] = field(default_factory=dict)
    whole: Sources = NOTHING

    def sources(self, column: str) -> Sources:
        return self.columns.get(column, _named(self.whole, column))


Scope = Mapping[str, _Relation]


def sources_of(definition: str, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the sources of some columns that a definition gives; a column that cannot be followed has none.

    Args:
        definition: Text of a feature definition. What a function of `model.py` adds is not followed.
        names: Columns of its rows.

    >>> sql = "SELECT b.id, b.x + w.temp AS warmth, w.* FROM batch AS b JOIN weather AS w USING (id)"
    >>> sources_of(sql, ["id", "warmth", "wind"])
    {'id': ('batch',), 'warmth': ('batch', 'weather'), 'wind': ('weather',)}
    """
    found = columns_of(definition, names)
    return {name: tuple(sorted({source for source, _ in columns})) for name, columns in found.items()}


def columns_of(definition: str, names: Sequence[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the sources and columns, in lower case, of some columns that a definition gives; see `sources_of`.

    A column that is named without its table is one of each table that may have it: who knows their columns can tell.

    >>> sql = "SELECT b.id, b.x + w.temp AS warmth, w.* FROM batch AS b JOIN weather AS w USING (id)"
    >>> columns_of(sql, ["warmth", "wind"])
    {'warmth': (('batch', 'x'), ('weather', 'temp')), 'wind': (('weather', 'wind'),)}
    """
    sql, python = unpacked(definition)
    try:
        found = _query(Syntax(sql).root, {})
    except NoSelect:
        return dict.fromkeys(names, ())
    relation = _Relation(found.columns, NOTHING if python else found.whole)
    return {name: tuple(sorted(relation.sources(name.lower()))) for name in names}


def _named(sources: Sources, column: str) -> Sources:
    return frozenset((source, column if each == ANY else each) for source, each in sources)


def _query(query: Node, ctes: Scope) -> _Relation:
    known = dict(ctes)
    for entry in (query.get("cte_map") or {}).get("map", ()):
        known[entry["key"].lower()] = _query(entry["value"]["query_node"], known)
    if query.get("type") != "SELECT_NODE":  # UNION and the like: columns are named by the first, made of all
        children = query.get("children") or [query[side] for side in ("left", "right") if query.get(side)]
        given = [_query(child, known) for child in children]
        if not given:
            return _Relation()
        beside = [list(each.columns.values()) for each in given]
        columns = {
            name: NOTHING.union(*(each[at] for each in beside if at < len(each)))
            for at, name in enumerate(given[0].columns)
        }
        return _Relation(columns, NOTHING.union(*(each.whole for each in given)))
    scope = dict(_from(query["from_table"], known))
    columns = dict[str, Sources]()
    whole = NOTHING
    for item in query["select_list"]:
        if item["class"] == "STAR":
            for name, relation in scope.items():
                if item["relation_name"].lower() in ("", name):
                    columns |= relation.columns
                    whole |= relation.whole
        else:
            name = (item["alias"] or (item.get("column_names") or [""])[-1]).lower()
            columns[name or f"#{len(columns)}"] = _made_of(item, scope, known)
    return _Relation(columns, whole)


def _from(node: Node, ctes: Scope) -> Iterator[tuple[str, _Relation]]:
    kind = node.get("type")
    if kind == "JOIN":
        yield from _from(node["left"], ctes)
        yield from _from(node["right"], ctes)
    elif kind == "BASE_TABLE":
        name = node["table_name"].lower()
        yield (node["alias"] or name).lower(), ctes.get(name, _Relation(whole=frozenset([(name, ANY)])))
    elif kind == "SUBQUERY":
        yield node["alias"].lower(), _query(node["subquery"]["node"], ctes)


def _made_of(node: Any, scope: Scope, ctes: Scope) -> Sources:
    """Return the sources of all columns that an expression names, those of its subqueries among them."""
    if isinstance(node, list):
        return NOTHING.union(*(_made_of(child, scope, ctes) for child in node))
    if not isinstance(node, Mapping):
        return NOTHING
    if node.get("class") == "COLUMN_REF":
        return _column([name.lower() for name in node["column_names"]], scope)
    if node.get("class") == "SUBQUERY":
        inner = _query(node["subquery"]["node"], ctes)
        return inner.whole.union(*inner.columns.values())
    return NOTHING.union(*(_made_of(child, scope, ctes) for child in node.values()))


def _column(names: list[str], scope: Scope) -> Sources:
    if len(names) > 1 and names[-2] in scope:
        return scope[names[-2]].sources(names[-1])
    # Without its table's name it is of one that says it has it, or else of any that may.
    named = [relation for relation in scope.values() if names[-1] in relation.columns]
    return NOTHING.union(*(relation.sources(names[-1]) for relation in named or scope.values()))
