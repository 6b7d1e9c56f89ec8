"""A definition that is planned once gives what it gives a batch, and is refused for the same reasons."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from small_served import KEY, SQL, batch, small

from incumbent.definition import packed
from incumbent.errors import FeatureError
from incumbent.features.compute import Prepared, compute
from incumbent.features.inputs import delivered, pinned_inputs
from incumbent.serve.context import OPEN, Context

pytestmark = pytest.mark.unit
ALONE = SQL.replace("count(*) OVER ()", "1")
PYTHON = """
import pyarrow.compute as pc


def features(table, context):
    return table.append_column("double", pc.multiply(table["x"], context["prices"].num_rows))
"""


@pytest.mark.parametrize("text", [SQL, ALONE + "  -- the end", ALONE + ";", packed(ALONE, PYTHON)])
def test_it_gives_what_the_batch_has(text: str, tmp_path: Path) -> None:
    store, folder = small(tmp_path)
    inputs = pinned_inputs(store, folder.model, KEY)
    expected = compute(store, folder.model, text, inputs)
    columns = batch().drop_columns(["name"])
    context = Context(
        store, folder.model, delivered(store, folder.model),
        lambda connection, partition: Prepared(connection, text, folder.model, partition, columns.schema),
    )  # fmt: skip
    prepared = context.opened(KEY, context.of(KEY))
    for rows in (columns, columns.slice(0, 3), columns):  # what was put before is gone
        prepared.put(rows)
        found = prepared.rows(rows)
        assert found.schema == expected.schema
        if rows.num_rows == columns.num_rows:
            assert found.equals(expected)


def test_a_definition_that_loses_rows_is_refused(tmp_path: Path) -> None:
    store, folder = small(tmp_path)
    columns, text = batch(3).drop_columns(["name"]), ALONE + " WHERE b.row <> 1"
    context = Context(
        store, folder.model, delivered(store, folder.model),
        lambda connection, partition: Prepared(connection, text, folder.model, partition, columns.schema),
    )  # fmt: skip
    prepared = context.opened(KEY, context.of(KEY))
    prepared.put(columns)
    with pytest.raises(FeatureError, match="loses or repeats rows"):
        prepared.rows(columns)
    with pytest.raises(FeatureError, match="does not run"):
        Prepared(prepared._connection, "SELECT nothing FROM batch", folder.model, KEY, columns.schema)


def test_the_context_of_few_partitions_is_kept(tmp_path: Path) -> None:
    store, folder = small(tmp_path)
    for month in range(2, 12):
        prices = pa.table({"kind": ["a"], "price": [float(month)]})
        store.context("prices").replace(f"2020-{month:02d}", prices)
    context = Context(store, folder.model, delivered(store, folder.model), lambda connection, _: connection)
    for month in (*range(1, 12), 1):
        key = f"2020-{month:02d}"
        looked = context.of(key)
        assert looked.missing == ()
        (first,) = context.opened(key, looked).execute("SELECT min(price) FROM prices").fetchall()
        assert first[0] == float(month)
    tables = context.opened(key, looked).execute("SELECT count(*) FROM duckdb_tables()").fetchall()[0][0]
    assert tables == OPEN
    assert context.of("2021-01").missing == ("prices",)
