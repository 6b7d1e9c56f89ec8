"""Search parameters trial by trial. Each that has ended is a record, and a search that was killed goes on from them.

Which parameters a trial has, whether it still takes place and which one is chosen depends on the records alone. So a
search that was killed, and repeats the trials that were under way, ends like one that was never disturbed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from incumbent.features.out_of_core import snapshot_files
from incumbent.records import Search, Trial
from incumbent.store import ModelStore
from incumbent.train.choose import choose_device, count_gpus
from incumbent.train.progress import Progress
from incumbent.train.trial import Asked, run_trial
from incumbent.train.trials import Trials, settings_of
from incumbent.train.work import Place, Prepared, Work

LOG = logging.getLogger(__name__)


class Runner(Protocol):
    """Where trials are learned."""

    def start(self, asked: Asked) -> None:
        """Begin a trial."""

    def wait(self) -> Trial:
        """Return one that has ended, of those that began."""


def search_here(store: ModelStore, work: Work, tell: Callable[[Progress], None]) -> Search:
    """Search in this process, one trial after the other; see `search`."""
    with ExitStack() as held:
        return search(store, work, _Here(store, trials_of(work), held), tell)


def search(store: ModelStore, work: Work, runner: Runner, tell: Callable[[Progress], None]) -> Search:
    """Return the search of a work, once all its trials have ended, and keep it.

    Args:
        store: The model's store.
        work: What is searched for.
        runner: Where trials are learned.
        tell: Told how far it is, after each trial.

    Raises:
        TrainingError: Every trial failed.
    """
    trials = Trials(work, store.records.all(Trial, f"{work.id}/"))
    if trials.ended:
        LOG.info("search goes on: %d trials of before are taken over", len(trials.ended))
    under_way: set[int] = set()

    def take_one() -> None:
        found = runner.wait()
        # Of two attempts that are under way at once, whose clocks differ, the first stands.
        stands = store.records.claim(Trial.kind, trial_name(work.id, found.number), found.to_json())
        found = Trial.from_json(stands)
        under_way.discard(found.number)
        trials.ended[found.number] = found
        LOG.info("%s", trials.line(found))
        tell(trials.progress())

    for number in range(trials.settings.trials):
        while not trials.is_known(number):
            take_one()
        if trials.is_over(number):
            break
        asked = trials.ask(number)
        if number not in trials.ended:
            runner.start(asked)
            under_way.add(number)
    while under_way:
        take_one()
    found = trials.result()
    store.records.put(found.id, found)
    LOG.info("trial %d is chosen of %d: %d rounds, %s", found.chosen, len(found.trials), found.rounds, found.params)
    return found


def trials_of(work: Work) -> Work:
    """Return the work that the trials of a search are variants of: it has validation rows."""
    train = work.model.train
    stops = settings_of(work).patience
    train = train.model_copy(update={"early_stopping": stops, "search": None})
    return replace(work, model=work.model.model_copy(update={"train": train}), prior={})


def trial_name(work: str, number: int) -> str:
    """Return the name of a trial's record."""
    return f"{work}/{number:04d}"


class _Here:
    """Learns trials in this process; rows are read when the first of them begins."""

    def __init__(self, store: ModelStore, work: Work, held: ExitStack) -> None:
        self._store, self._work, self._held = store, work, held
        self._waiting: list[Asked] = []
        self._rows: tuple[list[Path], Prepared] | None = None
        train = work.model.train
        threads = train.cpus_per_worker or os.cpu_count() or 1
        self._place = Place(device=choose_device(train.device, count_gpus()), threads=threads)

    def start(self, asked: Asked) -> None:
        self._waiting.append(asked)

    def wait(self) -> Trial:
        if self._rows is None:
            files = self._held.enter_context(snapshot_files(self._store, self._work.snapshot))
            self._rows = files, self._work.prepare(self._store, files)
        return run_trial(self._work, *self._rows, self._place, self._waiting.pop(0))
