"""A worker of a group, in a process of Ray's: it fits its share, and says how far it is."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from incumbent.cluster.failure import failure_of
from incumbent.disk import room_on_disk
from incumbent.errors import PipelineError

TRACKER_S = 120  # for all workers to read their rows and meet


class Worker:
    """One share of a fit.

    Its methods are called by name through Ray, `progress` while `fit` runs. What fails for good is returned and not
    raised: Ray would wrap it into an error of its own. That another worker is gone is raised: it ends the attempt only.

    Args:
        command: Names the order; see `incumbent.train.order`.
    """

    def __init__(self, command: str) -> None:
        # XGBoost imports scikit-learn where it is installed, a third of a worker's start, and nothing here uses it.
        sys.modules["sklearn"] = None  # type: ignore[assignment]
        from incumbent.estimators import estimator
        from incumbent.train.order import read_order

        self._scratch = tempfile.TemporaryDirectory(prefix="incumbent-worker-")
        self._progress = ""
        self._tracker: Any = None
        self._failed: dict[str, Any] | None = None
        try:
            self._store, self._work = read_order(command, Path(self._scratch.name))
            estimator(self._work.model.train.estimator)  # imports it, while the driver is busy
        except PipelineError as error:  # of this node alone, such as another release; an actor that fails just dies
            self._failed = failure_of(error)

    def meet(self, world: int) -> dict[str, Any]:
        """Open the place where the workers of a group find each other, and return its address."""
        import ray
        from xgboost.tracker import RabitTracker

        # Sorted by task and not by host: a sum of floats depends on the order of its parts.
        self._tracker = RabitTracker(world, ray.util.get_node_ip_address(), sortby="task", timeout=TRACKER_S)
        self._tracker.start()
        found: dict[str, Any] = self._tracker.worker_args()
        return found

    def progress(self) -> str:
        """Return the last progress as JSON; nothing before the first round."""
        return self._progress

    def fit(self, place: dict[str, Any], rows: str, start: str | None, meeting: dict[str, Any]) -> dict[str, Any]:
        """Fit a share, and return the outcome of the first worker, or why it cannot be.

        Args:
            place: Fields of `incumbent.train.work.Place`.
            rows: Name of the prepared rows.
            start: Name of the checkpoint to go on from; None to begin.
            meeting: Where the group meets; empty for one worker.
        """
        if self._failed is not None:
            return self._failed
        try:
            with room_on_disk(self._store.blobs.url):
                return self._fit(place, rows, start, meeting)
        except PipelineError as error:
            return failure_of(error)

    def _fit(self, plain: dict[str, Any], name: str, start: str | None, meeting: dict[str, Any]) -> dict[str, Any]:
        from xgboost.collective import CommunicatorContext

        from incumbent.features.out_of_core import snapshot_files
        from incumbent.train.progress import Progress
        from incumbent.train.shared_rows import shared
        from incumbent.train.work import Place

        def tell(progress: Progress) -> None:
            self._progress = progress.to_json()

        began, work, place = time.monotonic(), self._work, Place(**plain)
        checkpoints = work.checkpoints(self._store)
        with snapshot_files(self._store, work.snapshot) as files:
            prepared = shared(checkpoints.blobs, name)
            begin = work.beginning(self._store, place) if start is None else checkpoints.read(start)
            task = {**meeting, "dmlc_task_id": f"{place.rank:05d}"}
            with CommunicatorContext(**task) if meeting else nullcontext():
                fitted = work.fit(files, prepared, place, begin, checkpoints.write, tell)
        if place.rank:
            return {}
        return asdict(work.finish(self._store, prepared, fitted, place, {"all": time.monotonic() - began}))
