"""What scoring a partition costs, beside bare prediction and two scripts: `make bench ONLY=score ROWS=1000000`.

Twenty features of which one is text, a hundred trees, two cores. Ours is the whole step: from a committed, verified
features partition to a committed predictions partition. Each side is a process of its own, they take turns, and
imports and Ray's start do not count. Above ten million rows only memory is measured.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import score_table as table
from benchmarks.harness import Figure, at_least, figure

ROWS = "INCUMBENT_BENCH_ROWS"
REPEATS = 3
PEERS_UP_TO = 10_000_000
CHUNK = 65_536


def measure() -> Iterator[Figure]:
    """Yield each figure as it is known."""
    rows = int(os.environ.get(ROWS, PEERS_UP_TO))
    with tempfile.TemporaryDirectory(prefix="incumbent-bench-") as name:
        folder = Path(name)
        _apart("build", folder, rows)
        if rows > PEERS_UP_TO:
            yield figure("peak_memory", _apart("ours", folder)["peak_mb"], "MB", goal=1200)
            return
        steps = ("ours", "bare", "alone", "pyfunc", "ray_data")
        found = [{step: _apart(step, folder) for step in steps} for _ in range(REPEATS)]
        ours = [each["ours"]["seconds"] for each in found]
        yield figure("million_rows_a_second", [rows / 1e6 / seconds for seconds in ours], "M/s")
        pairs = list(zip(ours, found, strict=True))
        yield at_least("share_of_bare_rate", [each["bare"]["seconds"] / own for own, each in pairs], "ratio", 0.35)
        alone = [own / each["alone"]["seconds"] for own, each in pairs]
        yield figure("share_of_read_predict_write_alone", alone, "ratio", goal=1.2)
        yield at_least("times_pyfunc_in_chunks", [each["pyfunc"]["seconds"] / own for own, each in pairs], "times", 1.5)
        yield at_least("times_ray_data", [each["ray_data"]["seconds"] / own for own, each in pairs], "times", 2)
        yield figure("peak_memory", [each["ours"]["peak_mb"] for each in found], "MB", goal=1200)
        explained = [_apart("explained", folder) for _ in range(REPEATS)]  # of what the last scoring left
        for name, goal in (("one_percent", 0.25), ("default", None)):
            shares = [each[name] / own for own, each in zip(ours, explained, strict=True)]
            yield figure(f"explaining_{name}_of_scoring", shares, "ratio", goal=goal)
        for step in ("pyfunc", "ray_data"):
            yield figure(f"peak_memory_of_{step}", [each[step]["peak_mb"] for each in found], "MB")


def _apart(step: str, folder: Path, *more: object) -> dict[str, Any]:
    """Run a step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.score", step, str(folder), *map(str, more)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{step} failed: {done.stdout[-1000:]}{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def build(folder: Path, rows: str) -> dict[str, Any]:
    """Write the partition, and give the seat to a version."""
    table.build(folder, int(rows))
    return {}


def ours(folder: Path) -> dict[str, Any]:
    """Score the partition as the task does."""
    from incumbent.estimators import predictor
    from incumbent.score import score

    store = table.store_in(folder)
    shutil.rmtree(folder / "store" / table.MODEL.name / "tables" / "predictions", ignore_errors=True)
    predict = predictor(store)
    started = time.perf_counter()
    done = score(store, table.MODEL, table.KEY, predict)
    seconds = time.perf_counter() - started
    assert done.changed, done
    return {"seconds": seconds, "peak_mb": _peak_mb()}


def explained(folder: Path) -> dict[str, Any]:
    """Explain one row of a hundred, and as many as a model folder does that says nothing of it."""
    from incumbent.estimators import explainer
    from incumbent.score import explain

    seconds = {}
    for name, settings in (("one_percent", {"most": 10**9}), ("default", {})):
        shutil.rmtree(folder / "store" / table.MODEL.name / "tables" / "explanations", ignore_errors=True)
        store = table.store_in(folder)
        model = table.MODEL.model_copy(update={"explain": table.MODEL.explain.model_copy(update=settings)})
        started = time.perf_counter()
        done = explain(store, model, table.KEY, explainer(store))
        seconds[name] = time.perf_counter() - started
        assert done.changed, done
    return seconds


def bare(folder: Path) -> dict[str, Any]:
    """Predict a matrix that is in memory, and do nothing else."""
    booster, matrix = table.booster(folder), table.matrix(folder)
    started = time.perf_counter()
    for first in range(0, len(matrix), table.BATCH):
        booster.inplace_predict(matrix[first : first + table.BATCH], validate_features=False)
    return {"seconds": time.perf_counter() - started}


def alone(folder: Path) -> dict[str, Any]:
    """Read all, predict all, and write all, each by itself."""
    import hashlib

    from incumbent.estimators import predictor

    store = table.store_in(folder)
    version, part = table.version(store), table.part(store)
    predict = predictor(store)
    predict(version, store.features(version.definition).read_parts([part]).slice(0, 10))  # loaded once, not counted
    path = next((folder / "store").rglob(f"{part.digest}.parquet"))
    started = time.perf_counter()
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    for _ in pq.ParquetFile(path, page_checksum_verification=True).iter_batches(table.BATCH):
        pass
    seconds = time.perf_counter() - started
    written = []
    for batch in pq.ParquetFile(path).iter_batches(table.BATCH):
        rows = pa.Table.from_batches([batch])
        started = time.perf_counter()
        values = predict(version, rows)
        seconds += time.perf_counter() - started
        written.append(table.predictions(rows, values))
    rows = pa.concat_tables(written)
    started = time.perf_counter()
    with store.table("scratch").staged(table.KEY, rows):
        seconds += time.perf_counter() - started
    return {"seconds": seconds}


def pyfunc(folder: Path) -> dict[str, Any]:
    """Load the model by MLflow, and predict chunks of pandas into a Parquet file."""
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(str(table.mlflow_model(folder)))
    source, writer = pq.ParquetFile(table.plain_file(folder)), None
    started = time.perf_counter()
    for batch in source.iter_batches(CHUNK):
        frame = batch.to_pandas()
        out = frame[["row", "at"]].copy()
        out["prediction"] = np.asarray(model.predict(table.with_levels(frame)), dtype=np.float64)
        rows = pa.Table.from_pandas(out, preserve_index=False)
        writer = writer or pq.ParquetWriter(folder / "pyfunc.parquet", rows.schema, compression="zstd")
        writer.write_table(rows)
    assert writer is not None
    writer.close()
    return {"seconds": time.perf_counter() - started, "peak_mb": _peak_mb()}


def ray_data(folder: Path) -> dict[str, Any]:
    """Predict by Ray Data on two cores, a model in each worker, into Parquet files."""
    import ray

    class Scorer:
        def __init__(self) -> None:
            self.booster = table.booster(folder)
            self.booster.set_param({"nthread": 1})

        def __call__(self, batch: pa.Table) -> pa.Table:
            values = self.booster.inplace_predict(table.encoded(batch), validate_features=False)
            return batch.select(["row", "at"]).append_column("prediction", pa.array(values.astype(np.float64)))

    shutil.rmtree(folder / "ray", ignore_errors=True)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        started = time.perf_counter()
        data = ray.data.read_parquet(str(table.plain_file(folder)))
        scored = data.map_batches(Scorer, batch_format="pyarrow", batch_size=CHUNK, concurrency=1, num_cpus=1)
        scored.write_parquet(str(folder / "ray"))
        seconds = time.perf_counter() - started
    finally:
        ray.shutdown()
    return {"seconds": seconds, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """Return the most that this process has held; the child that parses a model first is small and gone by then."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    each.__name__: each for each in (build, ours, explained, bare, alone, pyfunc, ray_data)
}

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])))
