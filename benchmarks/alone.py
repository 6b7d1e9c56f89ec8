"""The commands that need no service, each from the start of its process to its verdict, on 100,000 rows of 20 columns.

Processor time stands beside the wall's, for the wall's is also that of whatever else the machine does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import yaml

from benchmarks.harness import Figure, figure

ROWS, NUMBERS, TEXTS, LEVELS = 100_000, 14, 3, 12
GOAL_S = 3.0
TRIES = 3
COMMANDS = {
    "compare": "compare a.parquet b.parquet --key id --label y --cluster day --slice c0",
    "drift": "drift a.parquet other.parquet --ignore y --score score",
    "check": "check a.parquet --contract contract.yaml",
    "check of CSV": "check a.csv --contract contract.yaml",
    "leaks": "leaks a.parquet --target y --ignore score",
}


def measure() -> Iterator[Figure]:
    """Yield the best of three tries of each command."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        for name, command in COMMANDS.items():
            tries = [timed(command, Path(folder)) for _ in range(TRIES)]
            yield figure(f"{name}, from start to verdict", min(wall for wall, _ in tries), "s", goal=GOAL_S)
            yield figure(f"{name}, processor", min(cpu for _, cpu in tries), "s")


def write(folder: Path, rows: int = ROWS) -> None:
    """Write predictions of two models, another batch, and a contract that holds."""
    table = drawn(rows, 1)
    noisy = table["score"].to_numpy() + 0.02 * np.random.default_rng(2).normal(size=rows)
    pq.write_table(table, folder / "a.parquet")
    pacsv.write_csv(table, folder / "a.csv")
    other = table.select(["id"]).append_column("score", pa.array(np.clip(noisy, 0, 1)))
    pq.write_table(other.take(np.random.default_rng(3).permutation(rows)), folder / "b.parquet")
    pq.write_table(drawn(rows, 4), folder / "other.parquet")
    kinds: dict[str, dict[str, object]] = {
        "int64": {"dtype": "int64"},
        "double": {"dtype": "float64", "min": -10, "max": 10},
    }
    texts: dict[str, object] = {"dtype": "string", "values": [f"level {at}" for at in range(LEVELS)]}
    columns = {name: kinds.get(str(table[name].type), texts) for name in table.column_names}
    source = {"key": ["id"], "columns": {name: dict(column) for name, column in columns.items()}}
    contract = {"sources": {"rows": source}}
    (folder / "contract.yaml").write_text(yaml.dump(contract, Dumper=Plain, sort_keys=False))


class Plain(yaml.SafeDumper):
    """Writes what stands there twice twice: a contract takes no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        """Return that nothing is to be an alias."""
        return True


def drawn(rows: int, seed: int) -> pa.Table:
    """Return rows of twenty columns: key, day, label, score, numbers and texts."""
    random = np.random.default_rng(seed)
    numbers = {f"x{at}": random.normal(size=rows) for at in range(NUMBERS - 1)}
    levels = [f"level {at}" for at in range(LEVELS)]
    texts = {f"c{at}": random.choice(levels, rows).tolist() for at in range(TEXTS)}
    score = 1 / (1 + np.exp(2 - numbers["x0"] + 0.5 * numbers["x1"]))
    known = {"id": np.arange(rows) + seed * rows, "day": np.sort(random.integers(0, 60, rows))}
    return pa.table({**known, **numbers, **texts, "score": score, "y": (random.random(rows) < score).astype(np.int64)})


def timed(command: str, folder: Path) -> tuple[float, float]:
    """Return the seconds of the wall and of processors that a command takes, its children's among them."""
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "incumbent.cli.main", *command.split()], cwd=folder, capture_output=True, check=False
    )
    wall, after = time.perf_counter() - began, os.times()
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{command}\n{done.stderr.decode()[-2000:]}")
    return wall, sum(after[2:4]) - sum(before[2:4])
