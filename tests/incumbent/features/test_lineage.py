"""Which source a feature is made of, through subqueries, joins and expressions."""

from pathlib import Path

import pytest

from incumbent.definition import packed
from incumbent.features.lineage import sources_of

pytestmark = pytest.mark.unit
FLIGHTS = Path(__file__).parents[3] / "include" / "models" / "flights_delay" / "features.sql"


def test_the_shipped_definition_is_followed() -> None:
    names = ["airline", "departure_minute", "seats", "temp", "precip_6h"]
    assert sources_of(FLIGHTS.read_text(), names) == {
        "airline": ("airlines",),
        "departure_minute": ("batch",),
        "seats": ("planes",),
        "temp": ("weather",),
        "precip_6h": ("weather",),
    }


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT *, x + 1 AS y FROM batch", ("batch",)),
        ("SELECT b.x * w.t AS y FROM batch b JOIN weather w USING (id)", ("batch", "weather")),
        ("SELECT (SELECT max(t) FROM weather) AS y FROM batch", ("weather",)),
        ("WITH w AS (SELECT t AS y FROM weather) SELECT w.* FROM batch, w", ("weather",)),
        ("SELECT x AS y FROM (SELECT id, t AS x FROM weather) AS w", ("weather",)),
        ("SELECT 1 AS y FROM batch", ()),
        ("SELECT x AS y FROM batch UNION ALL SELECT t FROM weather", ("batch", "weather")),
        ("SELECT z AS other FROM batch", ()),
        ("no SQL at all", ()),
        ('SELECT "X" AS "Y" FROM BATCH', ("batch",)),
    ],
)
def test_a_column_is_followed(sql: str, expected: tuple[str, ...]) -> None:
    assert sources_of(sql, ["y"]) == {"y": expected}


def test_what_a_function_adds_is_not_known() -> None:
    text = packed("SELECT id, x, w.t FROM batch JOIN weather w USING (id)", "def features(table, context): ...")
    assert sources_of(text, ["t", "made"]) == {"t": ("weather",), "made": ()}
