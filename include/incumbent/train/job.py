"""The driver of a training job: Ray Train keeps one worker alive and starts it again when it dies.

Ray starts half a dozen processes for a job, and each imports the module that the worker's function
is in: what only the worker needs is imported inside it.

Ray's stock XGBoost callback reports every round and each report waits for a poll; here a worker
reports at checkpoints only, and the checkpoints are ours, so every launcher resumes the same way.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ray.train import FailureConfig, RunConfig, ScalingConfig, report
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

MAX_FAILURES = 3


def fit_in_worker(order: dict[str, Any]) -> None:
    """Fit in a Ray Train worker: read the rows from the store, go on from the newest checkpoint."""
    # XGBoost imports scikit-learn where it is installed, a third of a worker's start, and nothing here uses it.
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    from incumbent.train.worker import fit_order

    fit_order(order, lambda progress: report({"round": progress.round, "rounds": progress.rounds}))


def main(path: str) -> None:
    """Run the order in a file."""
    order = json.loads(Path(path).read_text())
    trainer = DataParallelTrainer(
        fit_in_worker,
        train_loop_config=order,
        scaling_config=ScalingConfig(num_workers=1, use_gpu=order["device"] == "cuda"),
        run_config=RunConfig(
            name=order["name"],
            storage_path=order["results"],
            failure_config=FailureConfig(max_failures=MAX_FAILURES),  # the default is none at all
        ),
    )
    trainer.fit()


if __name__ == "__main__":
    main(sys.argv[1])
