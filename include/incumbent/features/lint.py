"""Judge the text of a feature definition before anything is computed with it.

The same inputs must give the same rows, today and in a year, and no row may know what came after it. What is
surely wrong is refused; what cannot be shown to be right is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from incumbent.config import Model
from incumbent.errors import FeatureError
from incumbent.features.future import joins_on_the_future, unproven
from incumbent.features.syntax import Node, NoSelect, Syntax, calls, functions, macro, walk

CLOCKS = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}  # columns, to the parser
# Known to DuckDB as stable, and yet of this moment or of this machine.
UNSTABLE = {"age": 1, "current_localtime": 0, "current_localtimestamp": 0, "getenv": 1}
ORDERED_AGGREGATES = {
    "any_value", "arbitrary", "array_agg", "first", "group_concat", "last", "list", "listagg", "lttb", "string_agg",
}  # fmt: skip
ORDERED_WINDOWS = ORDERED_AGGREGATES | {
    "cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "ntile", "percent_rank", "rank",
    "row_number",
}  # fmt: skip
CHANCE = {"reservoir_quantile"}
TABLE_FUNCTIONS = {"generate_series", "json_each", "json_tree", "range", "unnest"}
# Of any order of rows, and of any partial results put together: more threads give the same.
FREE_OF_ORDER = {"bool_and", "bool_or", "count", "count_if", "count_star", "countif", "max", "min"}
SELECT_ONE = "write one SELECT over `batch` and the context sources"


@dataclass(frozen=True)
class Finding:
    """What is wrong with a definition, or cannot be shown to be right.

    Attributes:
        line: Line of `features.sql`.
        what: One clause.
        next_step: What to write instead.
    """

    line: int
    what: str
    next_step: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}; {self.next_step}"


@dataclass(frozen=True)
class Verdict:
    """What a definition's text says about it.

    Attributes:
        refused: Why it cannot be used.
        warnings: What cannot be shown to be right.
    """

    refused: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def lint(sql: str, model: Model) -> Verdict:
    """Return what is wrong with a definition.

    Args:
        sql: Text of `features.sql`.
        model: Whose it is: names the sources, and the columns that say when something was known.
    """
    try:
        syntax = Syntax(sql)
    except NoSelect as error:
        return Verdict((Finding(1, f"it is not one SELECT: {' '.join(str(error).split())[:300]}", SELECT_ONE),), ())
    refused = [finding for rule in RULES for finding in rule(syntax)]
    refused += tables(syntax, {"batch", *(name.lower() for name in model.context_sources)})
    refused += [Finding(*found) for found in joins_on_the_future(syntax, model)]
    return Verdict(
        tuple(sorted(dict.fromkeys(refused), key=lambda finding: finding.line)),
        tuple(Finding(*found) for found in unproven(syntax, model)),
    )


def refuse(sql: str, model: Model) -> tuple[Finding, ...]:
    """Return the warnings of a definition that can be used.

    Raises:
        FeatureError: It cannot; the message names the line.
    """
    verdict = lint(sql, model)
    if not verdict.refused:
        return verdict.warnings
    first, others = verdict.refused[0], verdict.refused[1:]
    raise FeatureError(
        "the feature definition is refused",
        where=f"model {model.name}, features.sql, line {first.line}",
        expected="the same rows from the same inputs, and nothing from after a row's time",
        found=first.what,
        next_step=first.next_step,
        examples=others,
    )


def order_matters(sql: str) -> bool:
    """Return whether the last digit of a result may depend on the order in which rows are put together.

    A sum of floats is another one when threads take turns, and among equals the first that comes wins.
    """
    try:
        syntax = Syntax(sql)
    except NoSelect:
        return True
    cuts = [node for node in walk(syntax.root) if str(node.get("type")).startswith("LIMIT") or _is_distinct_on(node)]
    return bool(cuts) or any(_is_of_order(call) for call in calls(syntax.root))


def _is_of_order(call: Node) -> bool:
    name = _name(call)
    if name in FREE_OF_ORDER:
        return False
    known = functions().get(name)
    if call["class"] == "WINDOW" or known is None or not known.kinds <= {"scalar", "macro"}:
        return True
    return any(_is_of_order(inner) for body in macro(known) for inner in calls(body.root))


def _name(call: Node) -> str:
    return str(call["function_name"]).lower()


def _chance(syntax: Syntax) -> Iterator[Finding]:
    advice = "take it out: the same inputs must give the same rows"
    for call in calls(syntax.root):
        if _is_unstable(call):
            yield Finding(syntax.line(call), f"{_name(call)}() is another value in each run", advice)
    for node in walk(syntax.root):
        if node.get("class") == "COLUMN_REF" and _is_clock(syntax, node):
            yield Finding(syntax.line(node), f"{node['column_names'][0]} is another value in each run", advice)
        if node.get("sample"):
            yield Finding(_line_of_sample(syntax, node), "a sample is other rows in each run", advice)


def _is_unstable(call: Node) -> bool:
    name = _name(call)
    if UNSTABLE.get(name) == len(call["arguments"]) or name in CHANCE:
        return True
    known = functions().get(name)
    return known is not None and (not known.stable or any(any(_chance(body)) for body in macro(known)))


def _is_clock(syntax: Syntax, column: Node) -> bool:
    names = [str(name).lower() for name in column["column_names"]]
    return len(names) == 1 and names[0] in CLOCKS and not syntax.text(column).startswith('"')


def _line_of_sample(syntax: Syntax, node: Node) -> int:
    lines = [syntax.line(each) for each in walk(node) if 0 < each.get("query_location", 0) < len(syntax.sql)]
    return max(lines, default=1)


def _aggregates_without_order(syntax: Syntax) -> Iterator[Finding]:
    for call in calls(syntax.root):
        name, is_window = _name(call), call["class"] == "WINDOW"
        if is_window and not call["orders"] and not call["arg_orders"]:
            if name in ORDERED_WINDOWS or _is_frame_of_rows(call):
                what = f"{name}() OVER without ORDER BY depends on the order in which rows are stored"
                yield Finding(syntax.line(call), what, "add ORDER BY to the window, over columns without equals")
        elif not is_window and name in ORDERED_AGGREGATES and not call["order_bys"]["orders"]:
            what = f"{name}() without ORDER BY depends on the order in which rows are stored"
            yield Finding(syntax.line(call), what, f"write {name}(… ORDER BY …), or min() or max()")


def _is_frame_of_rows(window: Node) -> bool:
    return any(str(window[bound]).endswith("_ROWS") for bound in ("start", "end"))


def _cuts_without_order(syntax: Syntax) -> Iterator[Finding]:
    tested = {id(node["subquery"]["node"]) for node in walk(syntax.root) if node.get("subquery_type") == "EXISTS"}
    for node in walk(syntax.root):
        modifiers = node.get("modifiers") or ()
        if any(modifier["type"] == "ORDER_MODIFIER" for modifier in modifiers) or id(node) in tested:
            continue
        for modifier in modifiers:
            if modifier["type"].startswith("LIMIT") or _is_distinct_on(modifier):
                what = "DISTINCT ON" if _is_distinct_on(modifier) else "LIMIT"
                yield Finding(_line_of_query(syntax, node), f"{what} without ORDER BY keeps any rows", "add ORDER BY")
    for node in walk(syntax.root):
        if node.get("ref_type") == "POSITIONAL":
            what = "a POSITIONAL JOIN depends on the order in which rows are stored"
            yield Finding(syntax.line(node), what, "join on a key")


def _is_distinct_on(node: Node) -> bool:
    return bool(node.get("distinct_on_targets"))


def _line_of_query(syntax: Syntax, query: Node) -> int:
    """Return the line of what a query selects: the query itself is written nowhere, to the parser."""
    items = query.get("select_list") or [query]
    return syntax.line(items[0])


RULES: tuple[Callable[[Syntax], Iterator[Finding]], ...] = (_chance, _aggregates_without_order, _cuts_without_order)


def tables(syntax: Syntax, known: Collection[str]) -> Iterator[Finding]:
    """Find what is read besides some tables, named in small letters."""
    named = {entry["key"].lower() for node in walk(syntax.root) for entry in (node.get("cte_map") or {}).get("map", ())}
    advice = f"read only {', '.join(sorted(known))}"
    for node in walk(syntax.root):
        kind = node.get("type")
        if kind == "BASE_TABLE":
            name = str(node["table_name"])
            is_elsewhere = bool(node["schema_name"] or node["catalog_name"])
            if is_elsewhere or name.lower() not in {*known, *named}:
                what = f"it reads {name}, which is nothing that it may look at"
                yield Finding(syntax.line(node), what, advice)
        elif kind == "TABLE_FUNCTION" and (name := _name(node["function"])) not in TABLE_FUNCTIONS:
            yield Finding(syntax.line(node), f"it reads {name}(…), which is no source of the model", advice)
        elif str(kind) in ("SHOW_REF", "INSERT_QUERY_NODE", "UPDATE_QUERY_NODE", "DELETE_QUERY_NODE"):
            yield Finding(syntax.line(node), "it does something else than select", SELECT_ONE)
