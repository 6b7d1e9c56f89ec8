"""The function of a definition goes on from the rows of its SQL: what it sees, what it may give, whose text it is."""

import logging
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from tests.incumbent.features.test_hindsight import FIRST, KEY, MODEL, PLAIN, hours

from incumbent.config import Model
from incumbent.definition import packed
from incumbent.errors import FeatureError
from incumbent.features.build import build, rows_beside, stored_profile
from incumbent.features.definition import register
from incumbent.sensitive import Sensitive
from incumbent.store import ModelStore, Store
from incumbent.store.check import check_model

pytestmark = pytest.mark.unit
NEXT = "2020-02"
SQL = "SELECT id, time, id * 2 AS twice FROM batch"
SQUARE = """
import pyarrow.compute as pc

def features(table, context):
    return table.append_column("square", pc.multiply(table["id"], table["id"]))
"""
HOURLY = """
import pandas as pd
import pyarrow as pa

def features(table, context):
    rows, weather = table.to_pandas(), context["weather"].to_pandas().sort_values("seen")
    found = pd.merge_asof(rows.sort_values("time"), weather, left_on="time", right_on="seen"{how})
    return pa.Table.from_pandas(found.sort_values("id").drop(columns="seen"), preserve_index=False)
"""
WITHOUT_RECORDS = "accepted rows are named by the record of their delivery"  # nothing here was delivered


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return filled(Store(tmp_path).model("small"))


def filled(store: ModelStore) -> ModelStore:
    """Give two partitions of a batch, with weather that goes on for some hours after its last row."""
    for key in (KEY, NEXT):
        deliver(store, key)
        weather = pa.table({"seen": hours(100), "temp": [float(hour * hour % 17) for hour in range(100)]})
        store.context("weather").replace(key, weather)
    return store


def deliver(store: ModelStore, key: str, late: int = 0) -> None:
    ids = [(number * 7) % 90 for number in range(90)]  # in no order
    times = pa.array([FIRST + timedelta(hours=id_, minutes=late) for id_ in ids], pa.timestamp("us", "UTC"))
    store.batches("events").replace(key, pa.table({"id": pa.array(ids, pa.int64()), "time": times}))


def made(store: ModelStore, python: str, sql: str = SQL, model: Model = MODEL, key: str = KEY) -> pa.Table:
    definition = register(store, model, packed(sql, python))
    assert build(store, model, definition, key).part is not None
    return store.features(definition).read([key]).drop_columns(["partition"])


def test_its_columns_are_features_like_any_other(store: ModelStore) -> None:
    rows = made(store, SQUARE)
    assert rows.column_names == ["id", "time", "twice", "square"]
    assert rows["id"].to_pylist() == list(range(90))
    assert rows["square"].to_pylist() == [number**2 for number in range(90)]
    definition = register(store, MODEL, packed(SQL, SQUARE))
    part = store.features(definition).part(KEY)
    assert part is not None
    profile = stored_profile(store, definition, KEY, part.digest)
    assert profile is not None
    assert "square" in str(profile.to_json())
    assert {each.promise for each in check_model(store)} <= {WITHOUT_RECORDS}


def test_it_sees_the_context_that_the_sql_sees(store: ModelStore) -> None:
    sql = "SELECT b.*, w.temp FROM batch AS b ASOF LEFT JOIN weather AS w ON b.time >= w.seen"
    joined = made(store, HOURLY.format(how=""), "SELECT id, time FROM batch")
    assert joined.equals(made(store, "", sql))
    assert len(set(joined["temp"].to_pylist())) > 5


def test_what_the_contract_keeps_out_is_not_in_the_context(store: ModelStore) -> None:
    kept_out = MODEL.with_sensitive(Sensitive(kept_out={"weather": ("temp",)}))
    text = "def features(table, context):\n    return table.append_column('n', table['id'] if {} else table['time'])\n"
    is_right = "list(context) == ['weather'] and context['weather'].column_names == ['seen']"
    assert "n" in made(store, text.format(is_right), model=kept_out).column_names


@pytest.mark.parametrize(("how", "column"), [(", direction='forward', allow_exact_matches=False", "temp")])
def test_a_function_that_knows_the_future_is_found_by_its_rows(store: ModelStore, how: str, column: str) -> None:
    definition = register(store, MODEL, packed(SQL, HOURLY.format(how=how)))
    with pytest.raises(FeatureError, match=f"(?s)looks into the future.*column {column}") as caught:
        build(store, MODEL, definition, KEY)
    assert "features.sql and model.py, partition 2020-01" in caught.value.where
    assert (store.records.names("profiles"), store.features(definition).parts()) == ([], {})


def test_a_context_of_which_nobody_says_when_it_was_known_is_a_warning(
    store: ModelStore, caplog: pytest.LogCaptureFixture
) -> None:
    sources = {**PLAIN["sources"], "weather": {**PLAIN["sources"]["weather"], "known_at": None}}
    unsaid = Model.model_validate({**PLAIN, "sources": sources})
    with caplog.at_level(logging.WARNING):
        register(store, MODEL, packed(SQL, SQUARE))
        register(store, unsaid, SQL)
        assert caplog.messages == []
        register(store, unsaid, packed(SQL, SQUARE + "#"))
    assert caplog.messages == [
        "model small, model.py: nothing shows that its rows of weather were known by time; name the column that says "
        "when: sources.weather.known_at in model.yaml"
    ]


@pytest.mark.parametrize(
    ("gives", "says", "column"),
    [
        ("table.slice(1)", "changes, loses or reorders rows", "id"),
        ("table.take(list(range(89, -1, -1)))", "changes, loses or reorders rows", "id"),
        ("pa.concat_tables([table, table.slice(0, 1)])", "changes, loses or reorders rows", "id"),
        ("table.set_column(0, 'id', pc.add(table['id'], 1))", "changes, loses or reorders rows", "id"),
        ("table.set_column(1, 'time', table['time'].take(list(range(89, -1, -1))))", "changes, loses or reor", "time"),
        ("table.drop_columns(['id'])", "leaves out a key or the time", ""),
        ("table.set_column(1, 'time', pc.cast(table['time'], pa.int64()))", "the time column has another type", "time"),
        ("table.drop_columns(['twice'])", "has no features", "*"),
        ("table.append_column('x', pc.divide(pc.cast(table['id'], 'double'), 0.0))", "a feature is infinite", "x"),
        ("table.append_column('x', table['time'])", "a type that no model takes", "x"),
        ("table.append_column('x', pa.nulls(90))", "a type that no model takes", "x"),
        ("table.append_column('x', pa.array([[1]] * 90))", "a type that no model takes", "x"),
        ("table.append_column('label', table['id'])", "a reserved name", "label"),
        ("table.append_column('twice', table['id'])", "gives no table", "*"),
        ("table.to_pandas()", "gives no table", "*"),
        ("table.append_column('x', pa.array([2**64 - 1] * 90, pa.uint64()))", "cannot be stored", "*"),
        ("context['wether']", "a function of model.py failed", ""),
    ],
)
def test_what_breaks_the_rows_is_one_error(store: ModelStore, gives: str, says: str, column: str) -> None:
    text = f"import pyarrow as pa\nimport pyarrow.compute as pc\ndef features(table, context):\n    return {gives}\n"
    definition = register(store, MODEL, packed(SQL, text))
    with pytest.raises(FeatureError, match=says) as caught:
        build(store, MODEL, definition, KEY)
    assert caught.value.where.startswith("model small, model.py, partition 2020-01")
    assert caught.value.where.endswith(f", column {column}" if column else "") or "line 4" in caught.value.where
    assert (store.records.names("profiles"), store.features(definition).parts()) == ([], {})


def test_types_are_those_that_features_are_stored_in_and_nothing_of_pandas_is_kept(store: ModelStore) -> None:
    text = """
import pandas as pd
import pyarrow as pa

def features(table, context):
    rows = table.to_pandas()
    rows["kind"] = pd.Categorical(["even" if number % 2 == 0 else "odd" for number in rows["id"]])
    rows["small"] = rows["id"].astype("int8") / 3
    rows["small"] = rows["small"].astype("float32").where(rows["id"] > 3)
    rows["count"], rows["flag"] = rows["id"].astype("uint16"), rows["id"] > 5
    return pa.Table.from_pandas(rows)
"""
    rows = made(store, text)
    assert [str(field.type) for field in rows.schema][2:] == ["int64", "string", "double", "int64", "bool"]
    assert rows["small"].null_count == 4
    pieces = text.replace(
        "return pa.Table.from_pandas(rows)",
        """found = pa.Table.from_pandas(rows)
    return pa.concat_tables([found.slice(at, 7) for at in range(0, 90, 7)]).replace_schema_metadata({"a": "b"})""",
    )
    parts = [build(store, MODEL, register(store, MODEL, packed(SQL, each)), KEY).part for each in (text, pieces)]
    assert len({part.digest for part in parts if part is not None}) == 1, "the same rows are the same bytes"


def test_the_sql_may_give_what_only_the_function_makes_use_of(store: ModelStore) -> None:
    text = """
import pyarrow.compute as pc

def features(table, context):
    return table.drop_columns(["day"]).append_column("weekday", pc.day_of_week(table["day"]))
"""
    rows = made(store, text, "SELECT id, time, time::DATE AS day FROM batch")
    assert rows.column_names == ["id", "time", "weekday"]
    assert rows["weekday"].to_pylist()[:25] == [2] * 24 + [3]
    with pytest.raises(FeatureError, match="the feature definition loses or repeats rows"):
        made(store, SQUARE, "SELECT * FROM batch WHERE id > 5")


def test_the_stored_text_goes_on_when_the_folder_has_another(store: ModelStore) -> None:
    """What serves is what was trained on: an edited function is another definition, and a rollback brings this back."""
    trebled = SQUARE.replace('table["id"], table["id"]', '3, table["id"]')
    first, edited = (register(store, MODEL, packed(SQL, text)) for text in (SQUARE, trebled))
    assert first != edited
    for definition in (first, edited):
        assert build(store, MODEL, definition, KEY).part is not None
    rows = store.batches("events").read([NEXT]).drop_columns(["partition"])
    store.batches("events").replace(NEXT, rows.slice(1))  # the same rows again would be held
    assert build(store, MODEL, edited, NEXT).part is not None
    assert build(store, MODEL, first, NEXT).part is not None
    last = {name: store.features(name).read([NEXT])["square"].to_pylist()[-1] for name in (first, edited)}
    assert last == {first: 89**2, edited: 3 * 89}
    (part,) = (each for key, each in store.features(first).parts().items() if key == NEXT)
    beside = rows_beside(store, MODEL, edited, first, part)
    assert beside["square"].to_pylist()[-1] == 3 * 89


def test_rows_that_depend_on_chance_replace_nothing(store: ModelStore) -> None:
    sources = {**PLAIN["sources"], "weather": {**PLAIN["sources"]["weather"], "known_at": None}}
    unproven = Model.model_validate({**PLAIN, "sources": sources})  # the proof would find it too
    text = "import numpy as np\n" + SQUARE.replace('table["id"], table["id"]', 'table["id"], np.random.rand()')
    definition = register(store, unproven, packed(SQL, text))
    assert build(store, unproven, definition, KEY).part is not None
    deliver(store, KEY, late=1)
    second = build(store, unproven, definition, KEY).part
    deliver(store, KEY)
    with pytest.raises(FeatureError, match="other rows from the same inputs") as caught:
        build(store, unproven, definition, KEY)
    assert "features of model.py" in caught.value.next_step
    assert store.features(definition).part(KEY) == second


def test_another_model_takes_the_rows_over_only_with_the_same_function(tmp_path: Path) -> None:
    whole, log = Store(tmp_path / "store"), tmp_path / "log"
    noted = SQUARE.replace("    return", f"    open({str(log)!r}, 'a').write('x')\n    return")
    other = Model.model_validate({**PLAIN, "name": "other"})
    small = filled(whole.model("small"))
    made(small, noted)
    calls = len(log.read_text())
    assert calls == 3, "once, and twice to prove it"
    beside = filled(whole.model("other"))
    assert made(beside, noted, model=other).equals(made(small, noted))
    assert len(log.read_text()) == calls
    assert made(beside, noted + "#", model=other).num_rows == 90
    assert len(log.read_text()) == 2 * calls


def test_an_error_repeats_no_value_that_was_let_in(store: ModelStore) -> None:
    seen = MODEL.with_sensitive(Sensitive(masked={"events": ("id",)}))
    text = "def features(table, context):\n    raise ValueError(f\"of {table['id'][3].as_py() + 70_000}\")\n"
    for model, said in ((MODEL, "ValueError: of 70003"), (seen, "ValueError, not shown")):
        with pytest.raises(FeatureError) as caught:
            build(store, model, register(store, model, packed(SQL, text)), KEY)
        assert str(caught.value.found).startswith(said)
