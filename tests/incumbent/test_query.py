"""A query's parameters are found where they are parameters, and nowhere else, for every style of a driver."""

import sqlite3
from typing import Any

import pytest

from incumbent.query import WRITTEN, Style, bind, parameters_of

pytestmark = pytest.mark.unit
VALUES = {"start": 1, "end": 2, "partition": "2020-01"}
QUERY = "SELECT a::text, b LIKE 'x%' FROM t WHERE a >= :start AND (:end > a OR :partition = '') AND c <> :start"


@pytest.mark.parametrize(
    ("style", "text", "given"),
    [
        ("qmark", "?|?|?|?", [1, 2, "2020-01", 1]),
        ("numeric", ":1|:2|:3|:1", [1, 2, "2020-01"]),
        ("dollar", "$1|$2|$3|$1", [1, 2, "2020-01"]),
        ("format", "%s|%s|%s|%s", [1, 2, "2020-01", 1]),
        ("named", ":start|:end|:partition|:start", VALUES),
        ("pyformat", "%(start)s|%(end)s|%(partition)s|%(start)s", VALUES),
    ],
)
def test_each_style_of_pep_249(style: Style, text: str, given: Any) -> None:
    percent = "%%" if style in ("format", "pyformat") else "%"
    first, second, third, fourth = text.split("|")
    written = f"SELECT a::text, b LIKE 'x{percent}' FROM t WHERE a >= {first} AND ({second} > a OR {third} = '') "
    assert bind(QUERY, style, VALUES) == (f"{written}AND c <> {fourth}", given)
    assert style in WRITTEN


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ':start'",
        "SELECT 'it''s :start'",
        'SELECT ":start", "a"":end"',
        "SELECT `:start`",
        "SELECT 1 -- :start",
        "SELECT 1 /* :start\n :end */",
        "SELECT $$ it's :start $$, $tag$ $$ :end $tag$",
        "SELECT x::start, x :: int",
        "SELECT a[1:end], b[n:start]",
        'SELECT payload:start, parse_json(x):end, a[0]:start, "A":end',
        "SELECT E'\\n:start'",
        'SELECT a AS start, b AS "end" FROM t',
    ],
)
def test_what_only_looks_like_a_parameter_stays(query: str) -> None:
    assert parameters_of(query) == frozenset()
    assert bind(query, "pyformat", VALUES) == (query, [])


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT :strat", "no parameter :strat"),
        ("SELECT\n\n'x", "line 3: ' is not closed"),
        ('SELECT "x', '" is not closed'),
        ("SELECT 1 /* x", "/* is not closed"),
        ("SELECT 1 # it's", "' is not closed"),
        ("SELECT 'it\\'s :start'", "a backslash before a quote"),
        ("/* a /* b */ :start */ SELECT 1", "a comment within a comment"),
    ],
)
def test_what_two_databases_read_in_two_ways_is_refused(query: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("*", r"\*")):
        parameters_of(query)


def test_a_text_with_every_trap_means_the_same_to_a_database() -> None:
    query = (
        'SELECT :start, \':end\', "x:y", :end -- it\'s :start\n, /* ? $1 */ :partition, :start FROM (SELECT 7 AS "x:y")'
    )
    with sqlite3.connect(":memory:") as connection:
        for style in ("qmark", "named"):
            text, given = bind(query, style, VALUES)  # type: ignore[arg-type]
            assert connection.execute(text, given).fetchall() == [(1, ":end", 7, 2, "2020-01", 1)]
