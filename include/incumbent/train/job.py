"""The driver of a training job: keeps a group of workers fitting until the model is there.

Workers are plain Ray actors that meet through XGBoost's own tracker. Ray Train would start them too, five to eight
times slower: its controller and its workers have an environment of their own, so that no process that Ray has
ready can be one of them. What it would bring beside that is here already: checkpoints lie in the store, and a group
that has lost a worker begins again from the newest of them, with fewer workers where that is allowed.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from incumbent.cluster.failure import check_failure, failure_line
from incumbent.disk import room_on_disk
from incumbent.errors import PipelineError, UnavailableError
from incumbent.features.out_of_core import snapshot_files
from incumbent.store import ModelStore
from incumbent.store.data_files import ROW_GROUP_ROWS
from incumbent.train.choose import Group, choose_group
from incumbent.train.order import read_order
from incumbent.train.progress import Progress
from incumbent.train.ray_job import PROGRESS, RESULT
from incumbent.train.ray_search import order_after
from incumbent.train.shared_rows import found, share
from incumbent.train.work import CHOOSING, Place, Work
from incumbent.train.worker import Worker

LOG = logging.getLogger(__name__)
FRUITLESS = 3  # attempts without a new checkpoint, after which a fourth would be no better
WAITS_S = 30.0  # between two lines of who waits
LOOK_S = 0.5


def main(command: str) -> None:
    """Run the order that a command line names, and leave its result in the store, or its error in the log."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    try:
        with (
            room_on_disk(json.loads(command)["store"]),
            tempfile.TemporaryDirectory(prefix="incumbent-driver-") as scratch,
        ):
            store, work = read_order(command, Path(scratch))
            fit, order, searched = order_after(store, work, command, _tell)
            result = Driver(store, fit, order).run()
            check_failure(result)
            work.checkpoints(store).say(RESULT, result | ({"search": searched} if searched else {}))
    except PipelineError as error:
        LOG.info("%s", failure_line(error))


def _tell(progress: Progress) -> None:
    LOG.info("%s%s", PROGRESS, progress.to_json())


class Driver:
    """Keeps one fit going."""

    def __init__(self, store: ModelStore, work: Work, command: str) -> None:
        self._store, self._work, self._command = store, work, command
        self._checkpoints = work.checkpoints(store)
        self._prepared: tuple[str, int] | None = None

    def run(self) -> dict[str, Any]:
        """Return the outcome, or an error that another attempt would only repeat.

        Raises:
            UnavailableError: The cluster is too small, or several attempts came no further.
        """
        attempt, fruitless = 1, 0
        while True:
            newest = self._checkpoints.newest()
            before = 0 if newest is None else newest.state.rounds
            try:
                return self._attempt(attempt, None if newest is None else newest.name)
            except RayError as error:
                LOG.info("attempt %d ended: %s", attempt, " ".join(str(error).split())[:200])
                after = self._checkpoints.newest()
                fruitless = fruitless + 1 if (0 if after is None else after.state.rounds) <= before else 0
                if fruitless >= FRUITLESS:
                    raise UnavailableError(
                        "the workers of a training keep dying",
                        where=f"the Ray job, attempt {attempt}",
                        expected="a checkpoint in one of the last attempts",
                        found=" ".join(str(error).split())[:300],
                        next_step="look at the workers' logs in Ray's dashboard; too little memory is the usual reason",
                    ) from error
                attempt += 1

    def _attempt(self, attempt: int, start: str | None) -> dict[str, Any]:
        room, group = _room(self._work, _tell)
        workers: list[Any] = []
        try:
            workers = [_worker(room, group, number, self._command) for number in range(group.workers)]
            prepared, row_groups = self._prepare()  # while the workers start
            world = min(group.workers, row_groups)
            LOG.info("attempt %d: %s on %s, %d cores each", attempt, _count(world), group.device, group.cpus)
            meeting = ray.get(workers[0].meet.remote(world)) if world > 1 else {}
            fits = [
                workers[rank].fit.remote(
                    asdict(Place(rank, world, group.device, group.cpus, attempt)), prepared, start, meeting
                )
                for rank in range(world)
            ]
            return _follow(workers[0], fits)
        finally:
            for worker in workers:
                ray.kill(worker)
            remove_placement_group(room)

    def _prepare(self) -> tuple[str, int]:
        """Return the name of the prepared rows and the number of their row groups; an earlier job's are taken."""
        if self._prepared is None:
            self._prepared = found(self._checkpoints.blobs)
            if self._prepared is None:
                _tell(Progress(0, self._work.model.train.rounds, 0, phase=CHOOSING))
                with snapshot_files(self._store, self._work.snapshot) as files:
                    self._prepared = share(self._checkpoints, self._work.prepare(self._store, files))
        return self._prepared


def _room(work: Work, tell: Callable[[Progress], None]) -> tuple[PlacementGroup, Group]:
    """Reserve the workers' cores and GPUs: of all that are wanted, or of as many as there are and may do.

    While other work has them, this waits: the job holds nothing, and its task no slot.

    Raises:
        TrainingError: A GPU is demanded and the cluster has none.
        UnavailableError: The cluster is too small for as many as are needed.
    """
    row_groups = sum(-(-part["rows"] // ROW_GROUP_ROWS) for part in work.snapshot.features)
    train, told = work.model.train, -math.inf
    while True:
        there = ray.cluster_resources()
        group = choose_group(train, int(there.get("CPU", 0)), int(there.get("GPU", 0)), row_groups)
        each = {"CPU": float(group.cpus), **({"GPU": float(group.gpus)} if group.gpus else {})}
        room = placement_group([each] * group.workers, strategy="SPREAD")
        if room.wait(LOOK_S * 4):
            return room, group
        remove_placement_group(room)
        if time.monotonic() - told >= WAITS_S:
            told, free = time.monotonic(), ray.available_resources()
            wanted = " and ".join(f"{count:g} {name} ({free.get(name, 0):g} free)" for name, count in each.items())
            phase = f"waiting for room on the cluster: {_count(group.workers)} of {wanted} each"
            tell(Progress(0, train.rounds, 0, phase=phase))


def _worker(room: PlacementGroup, group: Group, number: int, command: str) -> Any:
    place = PlacementGroupSchedulingStrategy(room, placement_group_bundle_index=number)
    # One thread to fit in, one to say how far it is.
    kind = ray.remote(Worker).options(
        num_cpus=group.cpus, num_gpus=group.gpus, scheduling_strategy=place, max_concurrency=2
    )
    return kind.remote(command)


def _follow(first: Any, fits: list[Any]) -> dict[str, Any]:
    """Wait for the workers, and print how far they are; the first error ends it, and is nobody's end but theirs.

    Raises:
        RayError: A worker died.
    """
    told, waiting, results = "", list(fits), {}
    while waiting:
        ended, waiting = ray.wait(waiting, timeout=LOOK_S)
        for each in ended:
            results[each] = ray.get(each)
            if "error" in results[each]:
                return dict(results[each])
        progress = ray.get(first.progress.remote())
        if progress and progress != told:
            told = progress
            LOG.info("%s%s", PROGRESS, progress)
    return dict(results[fits[0]])


def _count(workers: int) -> str:
    return f"{workers} workers" if workers > 1 else "1 worker"


if __name__ == "__main__":
    main(sys.argv[1])
