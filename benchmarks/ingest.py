"""What a delivery costs on its way to features: `make bench ONLY=ingest ROWS=1000000`.

Each step runs in a process of its own, and beside its peer: Great Expectations on pandas and bare DuckDB, in the same
memory, for the rules, SHA-256 of the same bytes for a snapshot. Rows and columns: `benchmarks.ingest_table`.
Above ten million rows there is no peer for the rules: a frame of them fits into few machines.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import file_digest
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import ingest_table as table
from benchmarks.harness import Figure, figure
from incumbent.features.build import build, build_window
from incumbent.records import Part, digest_of
from incumbent.room import private_duckdb
from incumbent.snapshot import take
from incumbent.store import ModelStore, Store
from incumbent.validate import ingest
from incumbent.validate.contract import SourceContract
from incumbent.validate.delivered import DeliveredRows
from incumbent.validate.rules import RowRule, row_rules
from incumbent.validate.suite import judge

ROWS = "INCUMBENT_BENCH_ROWS"
REPEATS = 3
MONTHS = 12
PEERS_UP_TO = 10_000_000


def measure() -> Iterator[Figure]:
    """Yield each figure as it is known."""
    rows = int(os.environ.get(ROWS, 1_000_000))
    with tempfile.TemporaryDirectory(prefix="incumbent-bench-") as name:
        folder = Path(name)
        table.write(folder / "events.parquet", rows)
        table.write_prices(folder / "prices.parquet")
        if rows <= PEERS_UP_TO:
            rules = _apart("validate", folder)
            yield figure("validate_rows", rules["ours"], "s")
            yield figure("validate_share_of_bare_duckdb", rules["ours"] / rules["duckdb"], "ratio", goal=1.5)
            peer = _apart("pandas", folder)
            yield figure("validate_share_of_gx_on_pandas", rules["ours"] / peer["pandas"], "ratio", goal=0.1)
        whole = _apart("ingest", folder)
        yield figure("ingest_to_features", whole["seconds"] / rows * 1e6, "us/row", goal=1e6 / 300_000)
        yield figure("ingest_of_which_features", whole["features"] / rows * 1e6, "us/row")
        yield figure("ingest_peak_memory", whole["peak_mb"], "MB", goal=2000)
        snapshot = _apart("snapshot", folder)
        yield figure("snapshot_share_of_sha256", snapshot["ours"] / snapshot["sha256"], "ratio", goal=1.3)
        cache = _apart("cache", folder)
        yield figure("month_13_share_of_one_month", cache["thirteenth"] / cache["one"], "ratio", goal=1.3)


def _apart(step: str, folder: Path) -> dict[str, Any]:
    """Run a step in a process of its own, for its memory is measured."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest", step, str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{step} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _store(folder: Path) -> ModelStore:
    return Store(folder / "store").model("bench")


def validate(folder: Path) -> dict[str, Any]:
    """Count what the rules say of loaded rows, as the ingest does and as one hand-written query does."""
    contract, model = table.contract(), table.model()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        rows = DeliveredRows(Path(scratch), contract, "events", row_rules(contract, model, "events", table.PARTITION))
        delivered = pq.ParquetFile(folder / "events.parquet")
        rows.load(pa.RecordBatchReader.from_batches(delivered.schema_arrow, delivered.iter_batches()))
        ours, bare, connection = [], [], private_duckdb(Path(scratch) / "bare")
        connection.execute(f"CREATE TABLE batch AS SELECT * FROM '{folder / 'events.parquet'}'")
        for _ in range(REPEATS):
            ours.append(_seconds(lambda: judge(contract, rows.rules, rows.tally())))
            bare.append(_seconds(lambda: connection.execute(_by_hand(rows.rules)).fetchall()))
    return {"ours": median(ours), "duckdb": median(bare)}


def _by_hand(rules: Sequence[RowRule]) -> str:
    counted = [f"coalesce(count_if(NOT ({rule.good})), 0)" for rule in rules if rule.kind != "unique"]
    return f"SELECT count(*), count(DISTINCT hash(k1, k2)), {', '.join(counted)} FROM batch"


def pandas(folder: Path) -> dict[str, Any]:
    """Run the same rules by Great Expectations on pandas."""
    import great_expectations as gx
    import pandas as pd

    from incumbent.validate.suite import expectation, hush

    hush()
    contract, model = table.contract(), table.model()
    rules = row_rules(contract, model, "events", table.PARTITION)
    frame = pd.read_parquet(folder / "events.parquet")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("events")
    suite = context.suites.add(gx.ExpectationSuite(name="events"))
    suite.expectations = [expectation(config, "events") for config in _on_pandas(rules, contract)]
    suite.save()
    batch = asset.add_batch_definition_whole_dataframe("all")
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="all", data=batch, suite=suite))
    found: list[Any] = []
    seconds = _seconds(lambda: found.append(definition.run(batch_parameters={"dataframe": frame})))
    if not found[0].success:
        raise RuntimeError(f"the peer found {found[0].statistics}")
    return {"pandas": seconds}


def _on_pandas(rules: Sequence[RowRule], contract: SourceContract) -> Iterator[dict[str, Any]]:
    """Yield the rules as expectations that the library has for a frame."""
    for rule in rules:
        kind, more = _for_frames(rule, contract)
        if kind:
            about = {"column_list": list(contract.key)} if rule.kind == "unique" else {"column": rule.column}
            yield {"type": kind, "kwargs": about | more}


def _for_frames(rule: RowRule, contract: SourceContract) -> tuple[str, dict[str, Any]]:
    column = contract.columns.get(rule.column)
    if rule.kind == "required":
        return "expect_column_values_to_not_be_null", {}
    if rule.kind == "unique":
        return "expect_compound_columns_to_be_unique", {}
    if column is not None and rule.kind == "range":
        return "expect_column_values_to_be_between", {"min_value": column.min, "max_value": column.max}
    if rule.kind == "values":
        return "expect_column_values_to_be_in_set", {"value_set": list(table.KINDS)}
    if column is not None and rule.name.endswith(".pattern"):
        return "expect_column_values_to_match_regex", {"regex": column.pattern}
    if rule.name.endswith(".finite"):  # the nearest that it has
        return "expect_column_values_to_be_between", {"min_value": -1e308, "max_value": 1e308}
    return "", {}


def whole_ingest(folder: Path) -> dict[str, Any]:
    """Take a delivery from its file to committed features."""
    store, model = _store(folder), table.model()

    def accept(source: str, contract: SourceContract) -> None:
        record = ingest(store, model, contract, source, table.PARTITION, folder / f"{source}.parquet")
        if record.verdict != "accepted":
            raise RuntimeError(record.message)

    accept("prices", table.prices_contract())
    definition = store.objects.put(table.SQL.encode())
    first = _seconds(lambda: accept("events", table.contract()))
    second = _seconds(lambda: build(store, model, definition, table.PARTITION))
    return {"seconds": first + second, "features": second, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """Return the most memory that this process had, and with it the one that read the file, as if both at once."""
    used = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used) * 1024 / 1e6


def snapshot(folder: Path) -> dict[str, Any]:
    """Record a training set and verify the contents that it names, and hash the same bytes bare; with a warm cache."""
    store, model, definition = _store(folder), table.model(), digest_of(table.SQL.encode())
    store.outcomes("truth").replace(table.PARTITION, pa.table({"k1": [1], "k2": [1], "late": [True]}))
    features, (part,) = store.features(definition), store.features(definition).parts().values()
    (named,) = features.files([part], folder / "named")
    file = named.resolve()

    def verified(number: int) -> None:
        taken = take(store, model, definition, table.PARTITION, f"r{number}", {})
        features.files([Part(**each) for each in taken.features], folder / f"named-{number}")

    ours, bare = [], []
    for number in range(REPEATS + 1):
        times = (_seconds(partial(verified, number)), _seconds(lambda: _hashed(file)))
        if number:  # the first look warms the cache
            ours.append(times[0])
            bare.append(times[1])
    return {"ours": median(ours), "sha256": median(bare)}


def _hashed(file: Path) -> str:
    with file.open("rb") as handle:
        return file_digest(handle, "sha256").hexdigest()


def cache(folder: Path) -> dict[str, Any]:
    """Build the features of twelve months, then those that a thirteenth adds to the window."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        store, model, rows = Store(Path(scratch)).model("bench"), table.model(), 100_000
        definition = store.objects.put(table.SQL.encode())
        table.write_prices(Path(scratch) / "prices.parquet")
        prices = pq.read_table(Path(scratch) / "prices.parquet")
        months = [f"2020-{month:02d}" for month in range(1, MONTHS + 1)] + ["2021-01"]
        alone = []
        for number, month in enumerate(months):
            table.write(Path(scratch) / "events.parquet", rows, number * rows)
            store.batches("events").replace(month, pq.read_table(Path(scratch) / "events.parquet"))
            store.context("prices").replace(month, prices)
            start = time.perf_counter()
            done = build_window(store, model, definition, month)
            alone.append(time.perf_counter() - start)
            if done != [month]:
                raise RuntimeError(f"{month} computed {done}")
    return {"one": median(alone[:3]), "thirteenth": alone[-1]}


STEPS = {"validate": validate, "pandas": pandas, "ingest": whole_ingest, "snapshot": snapshot, "cache": cache}

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](Path(sys.argv[2]))))
