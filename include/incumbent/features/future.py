"""Find the joins of a feature definition that reach into the future.

A column is followed through the definition's subqueries to the source that it comes from, with what was added to it
on the way. A row of a context source may be looked up by a row of the batch if it was known by then: `known_at` of
the source says when it was, and without it whatever column is compared with the batch's time. What can be
read neither way is left to `incumbent.features.hindsight`, which computes instead of reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from incumbent.config import Model
from incumbent.features.syntax import Node, Syntax, seconds, walk

Found = tuple[int, str, str]
MIRRORED = {
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_EQUAL": "COMPARE_EQUAL",
}
UNITS_S = {
    "to_microseconds": 1e-6, "to_milliseconds": 1e-3, "to_seconds": 1, "to_minutes": 60, "to_hours": 3600,
    "to_days": 86400, "to_weeks": 604800,
}  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """Where a column comes from.

    Attributes:
        source: `batch` or a context source.
        column: Its column there.
        shift_s: Seconds that were added to it; None when they are not the same for every row.
    """

    source: str
    column: str
    shift_s: float | None = 0.0


@dataclass(frozen=True)
class Relation:
    """What a name in FROM stands for: columns that are known, and sources all of whose columns come along."""

    columns: Mapping[str, Origin | None] = field(default_factory=dict)
    whole: tuple[str, ...] = ()

    def origin(self, column: str) -> Origin | None:
        """Return where one of its columns comes from, or None."""
        if column in self.columns:
            return self.columns[column]
        return Origin(self.whole[0], column) if len(self.whole) == 1 else None


Scope = Mapping[str, Relation]


@dataclass(frozen=True)
class Comparison:
    """A time of the batch compared with one of a context source, as `batch <kind> context`."""

    node: Node
    kind: str
    batch: Origin
    context: Origin
    is_asof: bool

    @property
    def ahead_s(self) -> float | None:
        """Seconds by which the context's column may be later than the batch's time, where it is bounded."""
        if self.batch.shift_s is None or self.context.shift_s is None:
            return None
        return self.batch.shift_s - self.context.shift_s

    @property
    def bounds(self) -> bool:
        """Whether the context's column is nowhere much later than the batch's time."""
        return self.kind in ("COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO", "COMPARE_EQUAL")


def joins_on_the_future(syntax: Syntax, model: Model) -> Iterator[Found]:
    """Yield line, what and next step of each join that surely finds rows that were not known yet."""
    for comparisons in _Reader(model).read(syntax.root):
        for comparison in comparisons:
            context = comparison.context
            others = [each for each in comparisons if each.context.source == context.source]
            if not comparison.bounds and (comparison.is_asof or not any(each.bounds for each in others)):
                says = f"rows of {context.source} whose {context.column} is later than {model.time} of the batch"
                yield syntax.line(comparison.node), f"it looks up {says}", _advice(model, context)
            elif comparison.bounds and (comparison.ahead_s or 0) > 0:
                says = f"{context.column} of {context.source} may be {comparison.ahead_s:.0f} s after {model.time}"
                yield syntax.line(comparison.node), f"{says} of the batch", _advice(model, context)


def unproven(syntax: Syntax, model: Model) -> Iterator[Found]:
    """Yield a warning for each context source with rows over time of which nobody says when they were known."""
    seen = set()
    for node in walk(syntax.root):
        name = str(node.get("table_name", "")).lower() if node.get("type") == "BASE_TABLE" else ""
        source = model.sources.get(name) if name in model.context_sources and name not in seen else None
        if source is not None and not source.once and source.known_at is None:
            seen.add(name)
            advice = f"name the column that says when a row was known: sources.{name}.known_at in model.yaml"
            yield syntax.line(node), f"nothing shows that its rows of {name} were known by {model.time}", advice


def _advice(model: Model, context: Origin) -> str:
    turned = f"compare so that {context.column} is not after {model.time}"
    if model.sources[context.source].known_at is None:
        turned += (
            f"; or, if its rows are known before that, name the column that says when: known_at of {context.source}"
        )
    return turned


class _Reader:
    """Follows columns through a query."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def read(self, query: Node) -> list[list[Comparison]]:
        """Return the comparisons that matter, one list for each query that has some."""
        self.found: list[list[Comparison]] = []
        self._query(query, {}, {})
        return self.found

    def _query(self, query: Node, ctes: Mapping[str, Relation], outer: Scope) -> Relation:
        """Read a query and return what it gives."""
        known = dict(ctes)
        for entry in (query.get("cte_map") or {}).get("map", ()):
            known[entry["key"].lower()] = self._query(entry["value"]["query_node"], known, outer)
        if query.get("type") != "SELECT_NODE":
            children = query.get("children") or [query[side] for side in ("left", "right") if query.get(side)]
            given = [self._query(child, known, outer) for child in children]
            return given[0] if given else Relation()
        own: dict[str, Relation] = {}
        conditions: list[tuple[Node, bool]] = []
        self._from(query["from_table"], known, outer, own, conditions)
        scope = {**outer, **own}
        if query.get("where_clause"):
            conditions.append((query["where_clause"], False))
        comparisons = [found for node, is_asof in conditions for found in self._condition(node, is_asof, scope)]
        if comparisons:
            self.found.append(comparisons)
        for expression in (query["select_list"], query.get("where_clause"), query.get("having"), query.get("qualify")):
            for node in _own_subqueries(expression):
                self._query(node, known, scope)
        return self._selected(query["select_list"], own, scope)

    def _from(
        self, node: Node, ctes: Mapping[str, Relation], outer: Scope, own: dict[str, Relation],
        conditions: list[tuple[Node, bool]],
    ) -> None:  # fmt: skip
        kind = node.get("type")
        if kind == "JOIN":
            for side in ("left", "right"):
                self._from(node[side], ctes, {**outer, **own}, own, conditions)
            if node.get("condition"):
                conditions.append((node["condition"], node["ref_type"] == "ASOF"))
            conditions += [(_using(node, name, own), node["ref_type"] == "ASOF") for name in _inequality_of_using(node)]
        elif kind == "BASE_TABLE":
            name = node["table_name"].lower()
            own[(node["alias"] or name).lower()] = ctes[name] if name in ctes else Relation(whole=(name,))
        elif kind == "SUBQUERY":
            own[node["alias"].lower()] = self._query(node["subquery"]["node"], ctes, outer)

    def _selected(self, items: list[Node], own: Scope, scope: Scope) -> Relation:
        columns: dict[str, Origin | None] = {}
        whole: tuple[str, ...] = ()
        for item in items:
            if item["class"] == "STAR":
                chosen = [own[name] for name in own if item["relation_name"].lower() in ("", name)]
                for relation in chosen:
                    columns |= relation.columns
                    whole += relation.whole
                columns |= {each["key"].lower(): None for each in item["replace_list"]}
            elif name := (item["alias"] or (item.get("column_names") or [""])[-1]).lower():
                columns[name] = self._origin(item, scope)
        return Relation(columns, whole)

    def _condition(self, node: Node, is_asof: bool, scope: Scope) -> Iterator[Comparison]:
        if node.get("class") == "CONJUNCTION" and node["type"] == "CONJUNCTION_AND":
            for child in node["children"]:
                yield from self._condition(child, is_asof, scope)
        elif node.get("class") == "BETWEEN":
            for bound, kind in (("lower", "COMPARE_GREATERTHANOREQUALTO"), ("upper", "COMPARE_LESSTHANOREQUALTO")):
                yield from self._compared(node, kind, node["input"], node[bound], is_asof, scope)
        elif node.get("class") == "COMPARISON":
            yield from self._compared(node, node["type"], node["left"], node["right"], is_asof, scope)

    def _compared(
        self, node: Node, kind: str, left: Node, right: Node, is_asof: bool, scope: Scope
    ) -> Iterator[Comparison]:
        first, second = self._origin(left, scope), self._origin(right, scope)
        if first is None or second is None or kind not in MIRRORED:
            return
        if first.source != "batch":
            first, second, kind = second, first, MIRRORED[kind]
        if (first.source, first.column) == ("batch", self.model.time.lower()) and self._is_known_at(second):
            yield Comparison(node, kind, first, second, is_asof)

    def _is_known_at(self, origin: Origin) -> bool:
        source = self.model.sources.get(origin.source)
        if source is None or source.role != "context" or source.once:
            return False
        return source.known_at is None or source.known_at.lower() == origin.column

    def _origin(self, node: Node, scope: Scope) -> Origin | None:
        """Return the one column that an expression shifts in time, or None."""
        if node["class"] == "COLUMN_REF":
            return _column([name.lower() for name in node["column_names"]], scope)
        if node["class"] == "CAST":
            return self._origin(node["child"], scope)
        if node["class"] == "FUNCTION" and node["function_name"] in ("+", "-") and len(node["arguments"]) == 2:
            left, right = (argument["expression"] for argument in node["arguments"])
            base = self._origin(left, scope)
            if base is None:
                return None
            seconds = _seconds(right)
            if seconds is None or base.shift_s is None:
                return replace(base, shift_s=None)
            return replace(base, shift_s=base.shift_s + (seconds if node["function_name"] == "+" else -seconds))
        return None


def _column(names: list[str], scope: Scope) -> Origin | None:
    if len(names) > 1:
        relation = scope.get(names[-2])
        return None if relation is None else relation.origin(names[-1])
    # Without its table's name it is one that says it has it, or else the only one that may.
    named = [relation for relation in scope.values() if names[0] in relation.columns]
    candidates = named or [relation for relation in scope.values() if relation.whole]
    return candidates[0].origin(names[0]) if len(candidates) == 1 else None


def _inequality_of_using(node: Node) -> list[str]:
    """Return the column that an ASOF JOIN … USING compares: its last, as `left >= right`."""
    return node["using_columns"][-1:] if node["ref_type"] == "ASOF" else []


def _using(node: Node, column: str, own: Mapping[str, Relation]) -> Node:
    right = list(own)[-1]
    sides = [name for name in own if name != right]
    left, right_ = (
        {"class": "COLUMN_REF", "column_names": [*([name] if name else []), column]}
        for name in (sides[-1] if sides else "", right)
    )
    return {
        "class": "COMPARISON", "type": "COMPARE_GREATERTHANOREQUALTO", "left": left, "right": right_,
        "query_location": node["query_location"],
    }  # fmt: skip


def _own_subqueries(expression: object) -> Iterator[Node]:
    """Yield the subqueries of an expression, and not those within them."""
    if isinstance(expression, Mapping):
        if expression.get("class") == "SUBQUERY":
            yield expression["subquery"]["node"]
            return
        expression = list(expression.values())
    if isinstance(expression, list):
        for child in expression:
            yield from _own_subqueries(child)


def _seconds(node: Node) -> float | None:
    """Return the length of a constant interval; None when it is none."""
    if node["class"] == "FUNCTION" and node["function_name"] in UNITS_S:
        number = _number(node["arguments"][0]["expression"])
        return None if number is None else number * UNITS_S[node["function_name"]]
    if node["class"] == "CAST" and node["child"]["class"] == "CONSTANT":
        return seconds(str(node["child"].get("literal", {}).get("text", "")))
    return None


def _number(node: Node) -> float | None:
    if node["class"] == "CAST":
        return _number(node["child"])
    if node["class"] == "FUNCTION" and node["function_name"] == "trunc":
        return _number(node["arguments"][0]["expression"])
    if node["class"] != "CONSTANT":
        return None
    try:
        return float(node["literal"]["text"])
    except (KeyError, ValueError):
        return None
