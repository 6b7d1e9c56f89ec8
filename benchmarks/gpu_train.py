"""The GPU beside the CPU of the same machine, on the same rows: `python -m benchmarks.gpu_train [ROWS] [ROUNDS]`.

Writes `docs/measured/gpu-train.json`: device, driver, commit, rows a second on both, how far predictions differ, and
whether a killed fit goes on to the same bytes. Run where a GPU is; without one it says so and writes nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import train_table as table
from incumbent.estimators.xgboost import parse
from incumbent.features.out_of_core import snapshot_files
from incumbent.records import digest_of
from incumbent.train.checkpoints import Checkpoints, State
from incumbent.train.choose import count_gpus
from incumbent.train.fit import Fitted
from incumbent.train.provenance import commit_of, hardware
from incumbent.train.work import Place, Prepared, Work

TARGET = Path("docs") / "measured" / "gpu-train.json"
TOLERANCE = 1e-3  # of a probability: the GPU adds in another order, and in other precision
PARAMS = {"max_depth": 8}
SAMPLED = {**PARAMS, "subsample": 0.8, "colsample_bynode": 0.8}
KILL_AT = 40


def main(rows: int, rounds: int) -> int:
    """Measure, write the file, and return 0 if the GPU keeps its promises."""
    if not count_gpus():
        sys.stdout.write("no GPU here: nothing is measured\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="incumbent-gpu-") as name:
        folder = Path(name)
        table.build(folder, rows)
        found = _measured(folder, rows, rounds)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(TARGET.read_text())
    return 0 if found["within_tolerance"] and all(found["resumed_to_the_same_bytes"].values()) else 2


def _measured(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    _fitted(folder, "cuda", PARAMS, 10)  # the first use of a GPU loads its code
    fits = {device: _fitted(folder, device, PARAMS, rounds) for device in ("cpu", "cuda")}
    speed = {device: rows * rounds / fitted.seconds for device, (fitted, _) in fits.items()}
    difference = _difference(folder, [fitted.model for fitted, _ in fits.values()])
    resumed = {name: _resumed(folder, params, rounds) for name, params in (("plain", PARAMS), ("sampled", SAMPLED))}
    return {
        "hardware": hardware("cuda"),
        "driver": _driver(),
        "commit": commit_of(Path.cwd()),
        "rows": rows,
        "columns": len(table.FEATURES),
        "rounds": rounds,
        "rows_per_s": {device: round(value) for device, value in speed.items()},
        "gpu_times_cpu": round(speed["cuda"] / speed["cpu"], 2),
        "reading_s": {device: round(seconds, 2) for device, (_, seconds) in fits.items()},
        "largest_difference": difference,
        "tolerance": TOLERANCE,
        "within_tolerance": difference <= TOLERANCE,
        "resumed_to_the_same_bytes": resumed,
    }


def _fitted(folder: Path, device: str, params: dict[str, Any], rounds: int) -> tuple[Fitted, float]:
    """Return a fit on a device, and how long its rows took to read and to bin."""
    work, place = _work(params, rounds, folder), Place(device=device, threads=os.cpu_count() or 1)
    store, _ = table.opened(folder)
    began = time.monotonic()
    with snapshot_files(store, work.snapshot) as files:
        prepared: Prepared = work.prepare(store, files)
        fitted = work.fit(files, prepared, place, None, lambda state, model: None)
    return fitted, time.monotonic() - began - fitted.seconds


def _resumed(folder: Path, params: dict[str, Any], rounds: int) -> bool:
    """Return whether a fit whose process is killed goes on to the bytes of one that was not."""
    whole, _ = _fitted(folder, "cuda", params, rounds)
    command = [sys.executable, "-m", "benchmarks.gpu_train", "killed", str(folder), json.dumps(params), str(rounds)]
    code = subprocess.run(command, check=False).returncode
    if code != -signal.SIGKILL:
        raise RuntimeError(f"the fit that was to be killed ended with {code}")
    work = _work(params, rounds, folder)
    store, _ = table.opened(folder)
    with snapshot_files(store, work.snapshot) as files:
        checkpoints = work.checkpoints(store)
        place = Place(device="cuda", threads=os.cpu_count() or 1)
        start = checkpoints.newest()
        fitted = work.fit(files, work.prepare(store, files), place, start, checkpoints.write)
        checkpoints.clear()
    return fitted.resumed_from == KILL_AT and digest_of(fitted.model) == digest_of(whole.model)


def killed(folder: Path, params: str, rounds: str) -> None:
    """Fit until a checkpoint is kept, and be killed."""
    work = _work(json.loads(params), int(rounds), folder)
    store, _ = table.opened(folder)
    checkpoints: Checkpoints = work.checkpoints(store)

    def keep(state: State, model: bytes) -> None:
        checkpoints.write(state, model)
        if state.rounds >= KILL_AT:
            os.kill(os.getpid(), signal.SIGKILL)

    with snapshot_files(store, work.snapshot) as files:
        place = Place(device="cuda", threads=os.cpu_count() or 1)
        work.fit(files, work.prepare(store, files), place, None, keep)


def _work(params: dict[str, Any], rounds: int, folder: Path) -> Work:
    _, snapshot = table.opened(folder)
    return Work(table.model(params=params, rounds=rounds, checkpoint_every=20), snapshot)


def _difference(folder: Path, models: Sequence[bytes]) -> float:
    """Return how far two models' predictions differ at most, on a part of the rows."""
    import pyarrow.parquet as pq
    import xgboost as xgb

    file = pq.ParquetFile(folder / "joined.parquet")
    rows = file.read_row_group(0, columns=table.FEATURES)
    matrix = np.column_stack([rows[name].to_numpy() for name in table.FEATURES]).astype(np.float32)
    data = xgb.DMatrix(matrix, feature_names=table.FEATURES)
    one, other = (parse(model).predict(data) for model in models)
    return float(np.abs(one - other).max())


def _driver() -> str:
    found = Path("/proc/driver/nvidia/version")
    return found.read_text().splitlines()[0].strip() if found.exists() else ""


if __name__ == "__main__":
    if sys.argv[1:2] == ["killed"]:
        killed(Path(sys.argv[2]), *sys.argv[3:])
    else:
        sys.exit(main(*(int(given) for given in [*sys.argv[1:], "10000000", "200"][:2])))
