"""What a drift verdict costs: `make bench ONLY=drift ROWS=1000000`. In processor time, for machines are shared.

The peer is Evidently's DataDriftPreset on the same rows, in the same run. It looks at the reference's rows each time,
we at what was counted of them once; so both are measured: the verdict of a batch, and with the reference counted too.
Memory is that of a process of its own that counts 200 columns of ten times as many rows as they pass by.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from benchmarks.harness import Figure, figure
from incumbent.config import Monitor
from incumbent.features.profile import CHUNK_ROWS, Counting, Profile, profile
from incumbent.monitor import DriftVerdict, drift_verdict, reference_of
from incumbent.stats import paired_auc_difference

ROWS = "INCUMBENT_BENCH_ROWS"
T = TypeVar("T")
NUMBERS, COUNTS, WORDS, SCORE = 10, 6, 4, "score"  # 21 columns
WIDE = 200
TIMES = 10  # as many rows as the peer gets
REPEATS = 3
FEW = 2000


def measure() -> Iterator[Figure]:
    """Yield each figure as it is known."""
    rows = int(os.environ.get(ROWS, 1_000_000))
    reference, batch = table(1, rows), table(2, rows)
    values = batch.num_rows * batch.num_columns
    reference_seconds, known = _processor(lambda: profile(reference, reference.column_names))
    counted, found = _processor(lambda: profile(batch, batch.column_names))
    tested, verdict = _processor(lambda: judged(found, known))
    if verdict.tier != "none":
        raise RuntimeError(f"two batches of one kind differ: {verdict.sentence}")
    start = time.process_time()
    profile(batch, batch.column_names)
    yield figure(
        "processor_time_of_each_million_values", (time.process_time() - start) / values * 1e6, "s", goal=1 / 20
    )
    yield figure("verdict", counted + tested, "s")
    yield figure("verdict_of_which_test", tested, "s")
    peer = evidently(reference, batch)
    yield figure("evidently_preset", peer, "s")
    yield figure("verdict_share_of_evidently", (counted + tested) / peer, "ratio", goal=0.05)
    yield figure("with_reference_share_of_evidently", (reference_seconds + counted + tested) / peer, "ratio")
    yield from beside_scoring(batch, known)
    yield figure("delong_of_1000000_rows_processor_time", delong(), "s", goal=1.0)
    yield figure(f"test_of_{WIDE}_columns_40_batches", many(), "s")
    peak = _apart(TIMES * rows)
    yield figure(f"profile_of_{WIDE}_columns_peak_memory", peak["peak_mb"], "MB", goal=1000)
    yield figure(
        f"profile_of_{WIDE}_columns_processor_time_each_million_values", peak["seconds"] / peak["values"] * 1e6, "s"
    )


def table(seed: int, rows: int) -> pa.Table:
    """Return a batch: numbers of several shapes, counts, words and a score."""
    random = np.random.default_rng(seed)
    shapes: list[Callable[[], np.ndarray]] = [
        lambda: random.normal(size=rows),
        lambda: random.lognormal(3, 1, rows),
        lambda: random.random(rows),
    ]
    columns: dict[str, Any] = {f"f{at}": shapes[at % len(shapes)]() for at in range(NUMBERS)}
    columns |= {f"n{at}": random.poisson(3 * at + 1, rows) for at in range(COUNTS)}
    levels = pa.array([f"level {at}" for at in range(50)])
    columns |= {f"s{at}": levels.take(pa.array(random.zipf(1.5, rows) % 50)) for at in range(WORDS)}
    return pa.table({**columns, SCORE: random.beta(2, 5, rows)})


def judged(found: Profile, *known: Profile) -> DriftVerdict:
    """Return the verdict of a batch."""
    features = [name for name in found.columns if name != SCORE]
    importance = dict.fromkeys(features, 1 / len(features))
    return drift_verdict("2020-02", 1, "bench", found, reference_of(known), importance, Monitor())


def evidently(reference: pa.Table, batch: pa.Table) -> float:
    """Return the processor seconds that the peer takes, from frames that it is given."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    words = [name for name in batch.column_names if pa.types.is_string(batch[name].type)]
    numbers = [name for name in batch.column_names if name not in words]
    kinds = DataDefinition(
        numerical_columns=numbers, categorical_columns=words
    )  # left to guess, it takes some for text
    frames = [rows.to_pandas() for rows in (batch, reference)]
    start = time.process_time()
    Report([DataDriftPreset()]).run(*(Dataset.from_pandas(frame, kinds) for frame in frames)).dict()
    return time.process_time() - start


def beside_scoring(batch: pa.Table, known: Profile) -> Iterator[Figure]:
    """Yield what the verdict adds to the scoring of the same rows, in processor time.

    The features of a batch are counted once, while they are written; once scored, its scores are, and all is tested.
    """
    import xgboost

    names = [name for name in batch.column_names if name != SCORE]
    coded = [batch[name].combine_chunks() for name in names]
    coded = [each.dictionary_encode().indices if pa.types.is_string(each.type) else each for each in coded]
    values = np.column_stack([np.asarray(each, np.float32) for each in coded])
    labels = np.random.default_rng(5).random(len(values)) < 1 / (1 + np.exp(-values[:, 0]))
    rows = slice(0, 50_000)
    trees = {"objective": "binary:logistic", "max_depth": 6, "nthread": 1}
    booster = xgboost.train(trees, xgboost.DMatrix(values[rows], labels[rows]), 150)  # as many rounds as are shipped
    scoring, scores = _processor(lambda: booster.inplace_predict(values))
    features, found = _processor(lambda: profile(batch, names))
    table = pa.table({SCORE: pa.array(scores.astype(np.float64))})
    monitor, _ = _processor(lambda: judged(Profile({**found.columns, **profile(table, [SCORE]).columns}), known))
    yield figure("scoring_and_verdict_share_of_scoring", (scoring + monitor) / scoring, "ratio", goal=1.05)
    yield figure("scoring_counting_and_verdict_share_of_scoring", (scoring + features + monitor) / scoring, "ratio")


def delong() -> float:
    """Return the processor seconds of a paired AUC difference with its error, of a million rows."""
    random = np.random.default_rng(6)
    labels = (random.random(1_000_000) < 0.1).astype(np.float64)
    first, second = (labels + random.normal(size=(2, labels.size))).astype(np.float64)
    return _processor(lambda: paired_auc_difference(labels, first, second))[0]


def many() -> float:
    """Return the seconds of a verdict on a wide table when 40 partitions are its reference, all of them counted."""
    random = np.random.default_rng(3)

    def wide() -> Profile:
        rows = {f"f{at}": random.normal(size=FEW) for at in range(WIDE)}
        return profile(pa.table({**rows, SCORE: random.random(FEW)}), [*rows, SCORE])

    reference, batch = reference_of([wide() for _ in range(40)]), wide()
    importance = {f"f{at}": 1 / WIDE for at in range(WIDE)}
    return _processor(lambda: drift_verdict("2020-02", 1, "bench", batch, reference, importance, Monitor()))[0]


def wide_rows(rows: int) -> dict[str, float]:
    """Count many columns of rows that pass by; nothing of them is held."""
    random = np.random.default_rng(4)
    names = [f"f{at}" for at in range(WIDE)]
    base = random.normal(size=(WIDE, CHUNK_ROWS))
    counting = Counting(pa.schema([(name, pa.float64()) for name in names]), names)
    seconds, done = 0.0, 0
    while done < rows:
        batch = pa.record_batch([pa.array(each) for each in base + 1e-4 * done], names=names)
        start = time.process_time()
        counting.add(batch)
        seconds += time.process_time() - start
        done += batch.num_rows
    found = counting.profile()
    return {
        "values": float(sum(column.values for column in found.columns.values())),
        "seconds": seconds,
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    """Return the most memory that this process had; `ru_maxrss` would count what its parent had, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def _processor(work: Callable[[], T]) -> tuple[float, T]:
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return median(seconds), result


def _apart(rows: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.drift", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"counting failed: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    print(json.dumps(wide_rows(int(sys.argv[1]))))
