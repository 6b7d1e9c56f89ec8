"""What a training costs, beside a plain XGBoost process on the same rows: `make bench ONLY=train ROWS=1000000`.

The plain process reads the rows joined into one file, bins them and fits them: what is compared with it is the whole
step, which joins labels, verifies digests, keeps checkpoints and stores a version. Each is a process of its own, and
they take turns. The stock path is Ray Data, `XGBoostTrainer` and `RayTrainReportCallback` on the same head.
Above ten million rows only memory is measured.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks import train_table as table
from benchmarks.harness import Figure, figure
from incumbent.embedded import processes, ray_head
from incumbent.embedded.settings import Settings
from incumbent.train.checkpoints import SUFFIX
from incumbent.train.progress import Progress

ROWS = "INCUMBENT_BENCH_ROWS"
PORTS = "26400"
REPEATS = 3
CHECKPOINT_REPEATS = 11  # one ratio is off by some three hundredths
ROUNDS = 200
STOCK_ROUNDS = 50
PEERS_UP_TO = 10_000_000
SAMPLED = {"subsample": 0.8, "colsample_bytree": 0.8}


def measure() -> Iterator[Figure]:
    """Yield each figure as it is known."""
    rows = int(os.environ.get(ROWS, 1_000_000))
    with tempfile.TemporaryDirectory(prefix="incumbent-bench-") as name:
        folder = Path(name)
        _apart("build", folder, rows)
        if rows > PEERS_UP_TO:
            yield from _memory(folder)
            return
        yield from _in_process(folder, rows)
        if rows <= 1_000_000:
            yield from _checkpoints(folder)
        settings = _settings(folder)
        try:
            yield from _on_ray(folder, rows)
        finally:
            ray_head.stop(settings)


def _memory(folder: Path) -> Iterator[Figure]:
    for external in ("in", "external"):
        found = _apart("process", folder, external, 20)
        yield figure(f"peak_memory_{external}", found["peak_mb"], "MB", goal=8000 if external == "external" else None)
        yield figure(f"seconds_{external}_20_rounds", found["seconds"], "s")


def _in_process(folder: Path, rows: int) -> Iterator[Figure]:
    repeats = REPEATS if rows <= 1_000_000 else 1
    pairs = [(_apart("plain", folder, ROUNDS), _apart("process", folder, "in", ROUNDS)) for _ in range(repeats)]
    yield figure("plain_process", [plain["seconds"] for plain, _ in pairs], "s")
    yield figure(
        "process_share_of_plain", [ours["seconds"] / plain["seconds"] for plain, ours in pairs], "ratio", goal=1.15
    )
    share = [ours["peak_mb"] / plain["peak_mb"] for plain, ours in pairs]
    yield figure("process_memory_share_of_pandas", share, "ratio", goal=0.4 if rows >= PEERS_UP_TO else None)
    (folder / "plain").write_text(str(median(plain["seconds"] for plain, _ in pairs)))


def _checkpoints(folder: Path) -> Iterator[Figure]:
    found = _apart("checkpoints", folder)
    yield figure("checkpoint_share", found["plain"], "ratio", goal=1.03)
    yield figure("checkpoint_share_sampled", found["sampled"], "ratio", goal=1.03)
    yield figure("segments_of_ten_share_sampled", found["segments"], "ratio")


def _on_ray(folder: Path, rows: int) -> Iterator[Figure]:
    plain = float((folder / "plain").read_text())
    _apart("ray", folder, 1, 10)  # warms the head
    ones, twos = _apart("ray", folder, 1, ROUNDS), [_apart("ray", folder, 2, ROUNDS) for _ in range(REPEATS)]
    goal = 1.3 if rows >= PEERS_UP_TO else 3.0
    # Of many rows it is mostly their keys, joined with the outcomes.
    yield figure("ray_start", [each["start"] for each in twos], "s", goal=8 if rows <= 1_000_000 else None)
    yield figure("ray_loop_begins", [each["loop"] for each in twos], "s")
    yield figure("ray_1_worker_share_of_plain", ones["seconds"] / plain, "ratio")
    yield figure("ray_2_workers_share_of_plain", [each["seconds"] / plain for each in twos], "ratio", goal=goal)
    killed = _apart("killed", folder)
    yield figure("recovery_from_killed_worker", killed["recovery"], "s", goal=30)
    yield figure("rounds_lost_share_of_an_interval", killed["lost"], "ratio", goal=1)
    if rows <= 1_000_000:
        ours = _apart("ray", folder, 1, STOCK_ROUNDS)
        stock = _apart("stock", folder)
        yield figure("stock_callback_and_ray_data", stock["seconds"] / ours["seconds"], "times")


def _apart(step: str, folder: Path, *more: object) -> dict[str, Any]:
    """Run a step in a process of its own, timed from its start, for imports are a part of it."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.train", step, str(folder), *map(str, more)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{step} failed: {done.stdout[-1000:]}{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": time.perf_counter() - started, **found}


def _settings(folder: Path) -> Settings:
    return Settings.from_env({"INCUMBENT_HOME": str(folder / "home"), "INCUMBENT_RAY_PORT_BASE": PORTS}, root=folder)


def build(folder: Path, rows: str) -> dict[str, Any]:
    """Write the rows."""
    table.build(folder, int(rows))
    return {}


def plain(folder: Path, rounds: str) -> dict[str, Any]:
    """Read one file by pandas, bin it, and fit it."""
    import pandas as pd
    import xgboost as xgb

    frame = pd.read_parquet(folder / "joined.parquet")
    labels = frame.pop("label")
    binned = xgb.QuantileDMatrix(frame, label=labels)
    booster = xgb.train(_params(), binned, int(rounds))
    booster.save_model(folder / "plain.ubj")
    return {"peak_mb": _peak_mb()}


def process(folder: Path, memory: str, rounds: str) -> dict[str, Any]:
    """Train in this process."""
    on_disk = memory == "external"
    _train(folder, launcher="process", rounds=int(rounds), params=PARAMS, external_memory=on_disk)
    return {"peak_mb": _peak_mb()}


def ray(folder: Path, workers: str, rounds: str) -> dict[str, Any]:
    """Train as a job on the local head, and see when its workers begin to read, and when its loop begins."""
    began, seen = time.perf_counter(), dict[str, float]()

    def tell(progress: Progress) -> None:
        step = progress.phase.partition(" ")[0] or "loop"
        seen.setdefault(step, time.perf_counter() - began)

    _train(folder, tell, launcher="ray", workers=int(workers), rounds=int(rounds), params=PARAMS)
    # Between two looks at a job a phase may come and go.
    return {"start": seen.get("reading", seen["loop"]), "loop": seen["loop"]}


def killed(folder: Path) -> dict[str, Any]:
    """Kill a worker of two in the middle, and see how long it takes until another round is kept, and what was lost."""
    every = 25
    found: dict[str, Any] = {}
    store, _ = table.opened(folder)

    def newest() -> int:
        names = [name.rpartition("/")[2] for name in store.blobs.names("checkpoints") if name.endswith(SUFFIX)]
        return max((int(name.partition("-")[0]) for name in names), default=0)

    def kill() -> None:
        while newest() < every * 2:
            time.sleep(0.05)
        time.sleep(0.3)
        at = newest()
        victims = [each for each in _fitting(_settings(folder)) if each.is_running()]
        victims[-1].kill()
        moment = time.perf_counter()
        while newest() == at:
            time.sleep(0.05)
        found.update(recovery=time.perf_counter() - moment, at=at)

    killer = threading.Thread(target=kill)
    killer.start()
    training = _train(
        folder, launcher="ray", workers=2, rounds=ROUNDS, checkpoint_every=every, params=PARAMS, seed=int(time.time())
    )
    killer.join()
    # It was killed before the checkpoint after `at`.
    return {"recovery": found["recovery"], "lost": (found["at"] + every - training.resumed_from) / every}


def checkpoints(folder: Path) -> dict[str, Any]:
    """Fit with a checkpoint every ten rounds, and without any, in turn."""
    import xgboost as xgb

    from incumbent.features.out_of_core import snapshot_files
    from incumbent.train.work import Place, Work

    store, snapshot = table.opened(folder)
    found: dict[str, Any] = {}
    threads = os.cpu_count() or 1
    frame_rounds = 100
    with snapshot_files(store, snapshot) as files:
        for name, sampling in (("plain", {}), ("sampled", SAMPLED)):
            given = {"rounds": frame_rounds, "checkpoint_every": 10, "params": {**PARAMS, **sampling}}
            work = Work(table.model(**given), snapshot)
            prepared = work.prepare(store, files)
            bare_rows = _binned(folder)
            ratios, segments = [], []
            for number in range(CHECKPOINT_REPEATS):
                fitted = work.fit(files, prepared, Place(threads=threads), None, work.checkpoints(store).write)
                work.checkpoints(store).clear()
                began = time.perf_counter()
                xgb.train(_params(sampling), bare_rows, frame_rounds)
                bare = time.perf_counter() - began
                ratios.append(fitted.seconds / bare)
                if sampling and number < REPEATS:
                    began = time.perf_counter()
                    booster = None
                    for segment in range(frame_rounds // 10):
                        booster = xgb.train({**_params(sampling), "seed": segment}, bare_rows, 10, xgb_model=booster)
                    segments.append((time.perf_counter() - began) / bare)
            found[name] = median(ratios)
        found["segments"] = median(segments)
    return found


def stock(folder: Path) -> dict[str, Any]:
    """Train as the documentation of Ray does it, with its fault tolerance on."""
    settings = _settings(folder)
    head = ray_head.ensure(settings)
    os.environ.update(ray_head.environment(settings))
    import ray as cluster
    import xgboost as xgb
    from ray.train import FailureConfig, RunConfig, ScalingConfig, get_dataset_shard
    from ray.train.xgboost import RayTrainReportCallback, XGBoostTrainer

    def loop() -> None:
        frame = get_dataset_shard("train").materialize().to_pandas()
        labels = frame.pop("label")
        callback = RayTrainReportCallback(frequency=1)
        xgb.train(_params(), xgb.QuantileDMatrix(frame, label=labels), STOCK_ROUNDS, callbacks=[callback])

    cluster.init(address=head.address, log_to_driver=False)
    data = cluster.data.read_parquet(str(folder / "joined.parquet"))
    run = RunConfig(storage_path=str(folder / "stock"), failure_config=FailureConfig(max_failures=3))
    XGBoostTrainer(loop, datasets={"train": data}, scaling_config=ScalingConfig(num_workers=1), run_config=run).fit()
    return {}


PARAMS = {"max_depth": 6}


def _params(more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"objective": "binary:logistic", "tree_method": "hist", **PARAMS, **(more or {})}


def _binned(folder: Path) -> Any:
    import pandas as pd
    import xgboost as xgb

    frame = pd.read_parquet(folder / "joined.parquet")
    labels = frame.pop("label")
    return xgb.QuantileDMatrix(frame, label=labels)


def _train(folder: Path, tell: Callable[[Progress], None] = lambda progress: None, **train: Any) -> Any:
    """Train for a request of its own, as if nothing had been trained before."""
    from incumbent.train import ray_job
    from incumbent.train.stage import plan_training, store_training

    store, snapshot = table.opened(folder)
    settings, request = _settings(folder), f"r{time.time_ns()}"
    planned = plan_training(store, table.model(**train), snapshot, request)
    if planned.launcher == "ray":
        return store_training(store, planned, ray_job.run_on_ray(store, planned.work, settings, tell), settings)
    return store_training(store, planned, planned.work.run(store, tell), settings)


def _fitting(settings: Settings) -> list[psutil.Process]:
    found = [each for head in processes.recorded(settings.run) for each in processes.family(head)]
    return [each for each in found if (each.cmdline() or [""])[0].startswith("ray::Worker")]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "build": build, "plain": plain, "process": process, "ray": ray, "killed": killed, "checkpoints": checkpoints,
    "stock": stock,
}  # fmt: skip

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])))
