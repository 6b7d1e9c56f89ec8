"""Search on a cluster: each trial is a call to one of a few actors, which read the rows once."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from incumbent.cluster.failure import check_failure, failure_of
from incumbent.errors import PipelineError, UnavailableError
from incumbent.features.out_of_core import snapshot_files
from incumbent.records import Search, Trial
from incumbent.store import ModelStore
from incumbent.train.choose import Group, choose_group
from incumbent.train.order import read_order, write_order
from incumbent.train.progress import Progress
from incumbent.train.search import search, trials_of
from incumbent.train.shared_rows import found as found_rows
from incumbent.train.shared_rows import share, shared
from incumbent.train.trial import Asked, run_trial
from incumbent.train.trials import settings_of
from incumbent.train.work import Place, Work

LOG = logging.getLogger(__name__)
RESTARTS = 3  # of an actor that dies; Ray repeats the trial that it had


def search_on_ray(store: ModelStore, work: Work, command: str, tell: Callable[[Progress], None]) -> Search:
    """Search with so many trials at once; see `incumbent.train.search.search`.

    Args:
        store: The model's store.
        work: The work that is searched for.
        command: Names its order.
        tell: Told how far it is, after each trial.

    Raises:
        TrainingError: Every trial failed.
        UnavailableError: The cluster has not the cores or GPUs, or what learns trials keeps dying.
    """
    there = ray.cluster_resources()
    train = work.model.train.model_copy(update={"workers": settings_of(work).parallel, "min_workers": 1})
    group = choose_group(train, int(there.get("CPU", 0)), int(there.get("GPU", 0)), train.workers)
    runner = _Cluster(store, work, command, group)
    try:
        return search(store, work, runner, tell)
    finally:
        runner.close()


def order_after(store: ModelStore, work: Work, command: str, tell: Callable[[Progress], None]) -> tuple[Work, str, str]:
    """Return the work to fit, its order, and the id of the search before it; the same work if it has none."""
    if work.model.train.search is None:
        return work, command, ""
    found = search_on_ray(store, work, command, tell)
    after = work.after(found)
    return after, write_order(store, after), found.id


class Searcher:
    """Learns trials, in a process of Ray's; its methods are called by name.

    Args:
        command: Names the order.
        rows: Name of the prepared rows.
    """

    def __init__(self, command: str, rows: str) -> None:
        self._held = ExitStack()
        self._failed: dict[str, Any] | None = None
        scratch = self._held.enter_context(tempfile.TemporaryDirectory(prefix="incumbent-searcher-"))
        try:
            store, work = read_order(command, Path(scratch))
            self._work = trials_of(work)
            self._files = self._held.enter_context(snapshot_files(store, work.snapshot))
            self._prepared = shared(work.checkpoints(store).blobs, rows)
        except PipelineError as error:  # of this node alone, such as another release; an actor that fails just dies
            self._failed = failure_of(error)

    def run(self, asked: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
        """Return a trial, or an error that every trial would have: Ray would wrap one that is raised."""
        if self._failed is not None:
            return self._failed
        try:
            return run_trial(self._work, self._files, self._prepared, Place(**place), Asked(**asked)).to_json()
        except PipelineError as error:
            return failure_of(error)


class _Cluster:
    """Gives trials to the actors that are free; actors are started with the first trial."""

    def __init__(self, store: ModelStore, work: Work, command: str, group: Group) -> None:
        self._store, self._work, self._command, self._group = store, work, command, group
        self._place = asdict(Place(device=group.device, threads=group.cpus))
        self._free: list[Any] = []
        self._actors: list[Any] = []
        self._waiting: list[Asked] = []
        self._running: dict[Any, Any] = {}

    def start(self, asked: Asked) -> None:
        if not self._actors:
            self._begin()
        self._waiting.append(asked)
        self._give()

    def wait(self) -> Trial:
        (ended,), _ = ray.wait(list(self._running), num_returns=1)
        self._free.append(self._running.pop(ended))
        self._give()
        try:
            plain = ray.get(ended)
        except RayError as error:
            raise UnavailableError(
                "what learns the trials of a search keeps dying",
                where="the Ray job",
                expected=f"a trial within {RESTARTS + 1} attempts",
                found=" ".join(str(error).split())[:300],
                next_step="look at the workers' logs in Ray's dashboard; too little memory is the usual reason: lower "
                "train.search.parallel",
            ) from error
        check_failure(plain)
        return Trial.from_json(plain)

    def close(self) -> None:
        for actor in self._actors:
            ray.kill(actor)

    def _give(self) -> None:
        while self._waiting and self._free:
            actor = self._free.pop(0)
            self._running[actor.run.remote(asdict(self._waiting.pop(0)), self._place)] = actor

    def _begin(self) -> None:
        checkpoints = self._work.checkpoints(self._store)
        rows = found_rows(checkpoints.blobs)
        if rows is None:
            with snapshot_files(self._store, self._work.snapshot) as files:
                rows = share(checkpoints, trials_of(self._work).prepare(self._store, files))
        group = self._group
        LOG.info("search: %d trials at once on %s, %d cores each", group.workers, group.device, group.cpus)
        kind = ray.remote(Searcher).options(
            num_cpus=group.cpus, num_gpus=group.gpus, max_restarts=RESTARTS, max_task_retries=RESTARTS
        )
        self._actors = [kind.remote(self._command, rows[0]) for _ in range(group.workers)]
        self._free = list(self._actors)
