"""The driver of a training job: Ray Train keeps one worker alive and starts it again when it dies.

Ray's stock XGBoost callback reports every round and each report waits for a poll; here a worker
reports at checkpoints only, and the checkpoints are ours, so every launcher resumes the same way.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from incumbent.config import Model
from incumbent.errors import PipelineError
from incumbent.records import Snapshot, canonical_json
from incumbent.store import ModelStore, Store
from incumbent.train.checkpoints import Progress
from incumbent.train.work import Work

MAX_FAILURES = 3


def open_order(order: dict[str, Any]) -> tuple[ModelStore, Work]:
    """Return the store and the work that an order names."""
    model = Model.model_validate(order["model"])
    store = Store(order["store"]).model(model.name)
    return store, Work(model, store.records.get(Snapshot, order["snapshot"]), order["device"])


def fit_in_worker(order: dict[str, Any]) -> None:
    """Fit in a Ray Train worker: read the rows from the store, go on from the newest checkpoint."""
    import ray.train

    store, work = open_order(order)

    def report(progress: Progress) -> None:
        ray.train.report({"round": progress.round, "rounds": progress.rounds})

    try:
        fitted, encoder, rows = work.run(store, report)
    except PipelineError as error:  # told and not raised: Ray Train would only try the same again
        _write(work.checkpoints(store).folder, {"error": _fields(error)})
        return
    result = {
        "rounds": fitted.rounds,
        "checkpoints": fitted.checkpoints,
        "resumed_from": fitted.resumed_from,
        "features": list(encoder.features),
        "categories": {name: list(levels) for name, levels in encoder.categories.items()},
        "rows": rows,
    }
    _write(work.checkpoints(store).folder, result)


def _fields(error: PipelineError) -> dict[str, Any]:
    return {
        "what": error.what,
        "where": error.where,
        "expected": None if error.expected is None else str(error.expected),
        "found": None if error.found is None else str(error.found),
        "next_step": error.next_step,
    }


def _write(folder: Path, result: dict[str, Any]) -> None:
    temporary = folder / "result.tmp"
    temporary.write_bytes(canonical_json(result))
    temporary.replace(folder / "result.json")


def main(path: str) -> None:
    """Run the order in a file."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    order = json.loads(Path(path).read_text())
    _, work = open_order(order)
    trainer = DataParallelTrainer(
        fit_in_worker,
        train_loop_config=order,
        scaling_config=ScalingConfig(num_workers=1, use_gpu=work.device == "cuda"),
        run_config=RunConfig(
            name=work.id[:32],
            storage_path=order["results"],
            failure_config=FailureConfig(max_failures=MAX_FAILURES),  # the default is none at all
        ),
    )
    trainer.fit()


if __name__ == "__main__":
    main(sys.argv[1])
