"""A definition that gives other rows each time, reads something else, or knows the future is refused by its text."""

from pathlib import Path
from typing import Any

import pytest

from incumbent.config import Model, load_model
from incumbent.errors import FeatureError
from incumbent.features.definition import register, stored_text
from incumbent.features.lint import lint, order_matters, refuse
from incumbent.records import digest_of
from incumbent.store import Store

pytestmark = pytest.mark.unit
MODELS = Path(__file__).parents[3] / "include" / "models"
PLAIN: dict[str, Any] = {
    "name": "small",
    "owner": "tests",
    "task": "binary",
    "grain": "month",
    "start": "2020-01",
    "keys": ["id"],
    "time": "time",
    "sources": {
        "events": {"role": "batch", "path": "events/{partition}.parquet"},
        "weather": {"role": "context", "path": "weather/{partition}.parquet", "known_at": "seen"},
        "forecast": {"role": "context", "path": "forecast/{partition}.parquet"},
        "places": {"role": "context", "path": "places.csv", "once": True},
        "truth": {"role": "outcomes", "path": "truth/{partition}.parquet"},
    },
    "label": {"sql": "late"},
}
MODEL = Model.model_validate(PLAIN)


def refused(sql: str) -> list[str]:
    verdict = lint(sql, MODEL)
    return [finding.what for finding in verdict.refused]


@pytest.mark.parametrize("name", ["flights_delay", "flights_airtime"])
def test_the_shipped_definitions_pass_without_a_warning(name: str) -> None:
    folder = load_model(MODELS / name)
    assert refuse(folder.features_sql, folder.model) == ()


@pytest.mark.parametrize(
    "expression",
    [
        "random()", "RANDOM()", "uuid()", "gen_random_uuid()", "uuidv7()", "now()", "current_date", "CURRENT_TIMESTAMP",
        "current_time", "localtime", "localtimestamp", "today()", "get_current_time()", "current_localtime()",
        "transaction_timestamp()", "age(time)", "ago(INTERVAL 1 DAY)", "nextval('s')", "setseed(0.5)",
        "current_setting('threads')", "getvariable('x')", "reservoir_quantile(x, 0.5)", "txid_current()",
        "id + CASE WHEN x > 1 THEN random() ELSE 0 END",
    ],
)  # fmt: skip
def test_what_is_another_value_in_each_run_is_refused(expression: str) -> None:
    assert len(refused(f"SELECT *, {expression} AS y FROM batch")) == 1
    assert len(refused(f"WITH a AS (SELECT *, {expression} AS y FROM batch) SELECT * FROM a")) == 1
    assert len(refused(f"SELECT * FROM batch WHERE id IN (SELECT {expression} FROM batch)")) == 1


@pytest.mark.parametrize(
    "expression",
    [
        '"current_date"',
        "b.current_date",
        "age(time, other)",
        "x AS now",
        "hash(x)",
        "list_sort([x])",
        "mode(x)",
        "user",
    ],
)
def test_what_only_looks_like_it_is_not(expression: str) -> None:
    assert refused(f"SELECT {expression} FROM batch AS b") == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM batch USING SAMPLE 10%",
        "SELECT * FROM batch TABLESAMPLE 10%",
        "SELECT * FROM batch LIMIT 5",
        "SELECT * FROM batch JOIN (SELECT * FROM places LIMIT 10%) USING (id)",
        "SELECT DISTINCT ON (id) * FROM batch",
        "SELECT * FROM batch POSITIONAL JOIN places",
        "SELECT first(x) FROM batch",
        "SELECT any_value(x) FROM batch",
        "SELECT arbitrary(x) FROM batch",
        "SELECT list(x) FROM batch",
        "SELECT array_agg(x) FROM batch",
        "SELECT string_agg(x, ',') FROM batch",
        "SELECT row_number() OVER () FROM batch",
        "SELECT row_number() OVER (PARTITION BY id) FROM batch",
        "SELECT lag(x) OVER (PARTITION BY id) FROM batch",
        "SELECT first_value(x) OVER w FROM batch WINDOW w AS (PARTITION BY id)",
        "SELECT sum(x) OVER (ROWS BETWEEN 5 PRECEDING AND CURRENT ROW) FROM batch",
    ],
)
def test_what_depends_on_the_order_of_stored_rows_is_refused(query: str) -> None:
    assert len(refused(query)) == 1


@pytest.mark.parametrize(
    "query",
    [
        "SELECT first(x ORDER BY time) FROM batch",
        "SELECT string_agg(x, ',' ORDER BY x) FROM batch",
        "SELECT lag(x) OVER (PARTITION BY id ORDER BY time) FROM batch",
        "SELECT first_value(x) OVER w FROM batch WINDOW w AS (PARTITION BY id ORDER BY time)",
        "SELECT sum(x) OVER (PARTITION BY id) FROM batch",
        "SELECT sum(x) OVER (ORDER BY time ROWS BETWEEN 5 PRECEDING AND CURRENT ROW) FROM batch",
        "SELECT * FROM batch ORDER BY id LIMIT 5",
        "SELECT *, EXISTS (SELECT 1 FROM places AS p WHERE p.id = b.id LIMIT 1) AS known FROM batch AS b",
        "SELECT DISTINCT x FROM batch",
        "SELECT DISTINCT ON (id) * FROM batch ORDER BY id, time",
        "SELECT unnest(range(3)) FROM batch",
    ],
)
def test_what_says_its_order_is_not(query: str) -> None:
    assert refused(query) == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "read_csv"),
        ("SELECT * FROM batch, glob('*')", "glob"),
        ("SELECT * FROM '/tmp/other.parquet'", "/tmp/other.parquet"),
        ("SELECT * FROM batch JOIN truth USING (id)", "truth"),
        ("SELECT * FROM batch WHERE id IN (SELECT id FROM information_schema.tables)", "tables"),
        ("SELECT * FROM duckdb_settings()", "duckdb_settings"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("ATTACH 'x.db'", "not one SELECT"),
        ("COPY batch TO 'x.csv'", "not one SELECT"),
        ("CREATE TABLE x AS SELECT 1", "not one SELECT"),
        ("SELEC 1", "not one SELECT"),
        ("WITH x AS (INSERT INTO batch SELECT 1 RETURNING *) SELECT * FROM x", "something else than select"),
    ],
)
def test_only_the_batch_and_the_context_are_read(query: str, says: str) -> None:
    found = refused(query)
    assert found
    assert says in found[0]


WEATHER = "ASOF LEFT JOIN weather AS w ON b.place = w.place AND"


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT b.*, w.temp FROM batch AS b {WEATHER} b.time <= w.seen",
        f"SELECT b.*, w.temp FROM batch AS b {WEATHER} w.seen > b.time",
        f"SELECT b.*, w.temp FROM batch AS b {WEATHER} b.time - INTERVAL 1 DAY <= w.seen",
        f"SELECT b.*, w.temp FROM batch AS b {WEATHER} b.time + INTERVAL '2 hours' >= w.seen",
        f"SELECT b.*, w.temp FROM batch AS b {WEATHER} b.time >= w.seen - to_minutes(5)",
        "SELECT b.*, w.temp FROM batch AS b LEFT JOIN weather AS w ON w.seen = b.time + INTERVAL 1 HOUR",
        "SELECT b.*, w.temp FROM batch AS b, weather AS w WHERE b.place = w.place AND b.time < w.seen",
        "SELECT *, (SELECT avg(temp) FROM weather AS w WHERE w.seen > b.time) AS later FROM batch AS b",
        """WITH asked AS (SELECT *, time + INTERVAL 1 HOUR AS until FROM batch),
                observed AS (SELECT place, seen AS at, temp FROM weather)
           SELECT a.*, o.temp FROM asked AS a ASOF LEFT JOIN observed AS o ON a.place = o.place AND a.until >= o.at""",
        "SELECT b.*, w.temp FROM batch AS b JOIN weather AS w ON w.seen BETWEEN b.time AND b.time + INTERVAL 1 DAY",
        "SELECT b.*, f.temp FROM batch AS b ASOF JOIN forecast AS f ON b.place = f.place AND b.time < f.at",
    ],
)
def test_a_join_on_the_future_is_refused(query: str) -> None:
    found = refused(query)
    assert len(found) == 1
    assert "later than time" in found[0] or "after time" in found[0]


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT b.*, w.temp FROM batch AS b {WEATHER} b.time >= w.seen",
        f"SELECT b.*, w.temp FROM batch AS b {WEATHER} b.time > w.seen + INTERVAL 2 HOURS",
        f"SELECT b.*, w.temp FROM batch AS b {WEATHER} b.time - to_minutes(b.minute) >= w.seen",
        f"SELECT b.*, w.temp FROM batch AS b {WEATHER} b.x <= w.threshold",
        f"SELECT b.*, w.temp FROM batch AS b {WEATHER} b.time <= w.valid_until",
        "SELECT b.*, w.temp FROM batch AS b LEFT JOIN weather AS w ON b.time >= w.seen AND b.time < w.valid_until",
        "SELECT b.*, w.temp FROM batch AS b LEFT JOIN weather AS w ON b.place = w.place AND b.time = w.seen",
        "SELECT b.*, w.temp FROM batch AS b JOIN weather AS w ON w.seen BETWEEN b.time - INTERVAL 1 DAY AND b.time",
        "SELECT b.*, p.since FROM batch AS b LEFT JOIN places AS p ON b.place = p.place AND b.time < p.since",
        "SELECT b.*, f.temp FROM batch AS b LEFT JOIN forecast AS f ON f.at > b.time AND f.at <= b.time",
    ],
)
def test_a_join_on_what_may_have_been_known_is_not(query: str) -> None:
    assert refused(query) == []


def test_a_source_that_says_when_its_rows_were_known_may_speak_of_the_future() -> None:
    sources = {**PLAIN["sources"], "forecast": {**PLAIN["sources"]["forecast"], "known_at": "issued"}}
    model = Model.model_validate({**PLAIN, "sources": sources})
    sql = "SELECT b.*, f.temp FROM batch AS b ASOF JOIN forecast AS f ON b.place = f.place AND b.time < f.at"
    assert lint(sql, MODEL).refused
    assert lint(sql, model).refused == lint(sql, model).warnings == ()


def test_a_source_of_which_nobody_knows_when_is_a_warning() -> None:
    sql = "SELECT b.*, f.temp\nFROM batch AS b\nASOF JOIN forecast AS f ON b.place = f.place AND b.time >= f.at"
    (warning,) = lint(sql, MODEL).warnings
    assert (warning.line, "sources.forecast.known_at" in warning.next_step) == (3, True)
    assert refuse(sql, MODEL) == (warning,)
    assert lint("SELECT * FROM batch JOIN weather USING (id) JOIN places USING (id)", MODEL).warnings == ()


def test_the_error_names_the_line_also_behind_other_letters() -> None:
    sql = "-- Größe, Temperatur\nSELECT *,\n  random() AS luck,\n  now() AS späte_zeit\nFROM batch"
    with pytest.raises(FeatureError) as caught:
        refuse(sql, MODEL)
    assert "model small, features.sql, line 3" in str(caught.value)
    assert "random() is another value in each run" in str(caught.value)
    assert "line 4: now() is another value" in str(caught.value)
    assert caught.value.next_step


def test_what_a_store_holds_already_is_not_judged_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path).model("small")
    chance = "SELECT *, random() AS luck FROM batch"
    with pytest.raises(FeatureError, match="is refused"):
        register(store, MODEL, chance)
    assert digest_of(chance.encode()) not in store.objects
    held = store.objects.put(chance.encode())
    assert register(store, MODEL, chance) == held
    sql = "SELECT * FROM batch JOIN forecast USING (id)"
    for _ in range(2):
        assert stored_text(store, register(store, MODEL, sql)) == sql
    assert [record.getMessage().count("forecast.known_at") for record in caplog.records] == [1], "once, when it comes"


@pytest.mark.parametrize(
    ("expression", "matters"),
    [
        ("x * 2 + abs(x)", False), ("count(*)", False), ("max(x)", False), ("count(*) OVER (PARTITION BY id)", False),
        ("nullif(x, 0)", False), ("isodow(time)", False), ("CASE WHEN x IS NULL THEN 'a' ELSE lower(s) END", False),
        ("sum(x)", True), ("avg(x)", True), ("stddev(x)", True), ("corr(x, y)", True), ("geomean(x)", True),
        ("sum(x) OVER (PARTITION BY id)", True), ("lag(x) OVER (ORDER BY time)", True), ("mode(x)", True),
        ("max_by(x, y)", True), ("unheard_of(x)", True),
    ],
)  # fmt: skip
def test_only_what_no_order_can_change_is_computed_by_several_threads(expression: str, matters: bool) -> None:
    assert order_matters(f"SELECT {expression} AS y FROM batch") is matters
