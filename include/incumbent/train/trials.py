"""What follows from the trials of a search so far: the next one, its end, its outcome. No clock, no chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from incumbent.config import Search as Settings
from incumbent.errors import TrainingError
from incumbent.records import Search, Trial
from incumbent.search_space import laid_over, value_of
from incumbent.train.pareto import choose_trial, pareto_set
from incumbent.train.progress import Progress
from incumbent.train.trial import Asked
from incumbent.train.work import Work


def settings_of(work: Work) -> Settings:
    """Return what a work's search is told; there is none without `train.search`."""
    return work.model.train.search or Settings()


class Trials:
    """The trials of a search so far, and what follows from them: no clock and no chance.

    Attributes:
        ended: Those that have ended, by number.
    """

    def __init__(self, work: Work, ended: Sequence[Trial]) -> None:
        self._work = work
        self._train = work.model.train
        self.settings = settings_of(work)
        self.space = self.settings.space_of(self._train.estimator)
        self.ended = {trial.number: trial for trial in ended}
        self._asked: dict[int, Mapping[str, Any]] = {}
        given = [("champion", dict(work.prior)), ("folder", {})]
        self._given = given if work.prior and self._point(work.prior) != self._point({}) else given[1:]

    def is_known(self, number: int) -> bool:
        """Return whether all that a trial is drawn from has ended."""
        return all(before in self.ended for before in self._before(number))

    def is_over(self, number: int) -> bool:
        """Return whether the minutes are spent before a trial."""
        left = self._seconds_left(number)
        return left is not None and left <= 0

    def ask(self, number: int) -> Asked:
        """Return a trial that is to be; they are asked for in the order of their numbers."""
        if number in self.ended:
            origin, params = self.ended[number].origin, self.ended[number].params
        else:
            origin, params = self._given[number] if number < len(self._given) else ("sampler", self._drawn(number))
        self._asked[number] = params
        judged = self._judged(number)
        alone = len(self.settings.objectives) == 1
        best = min(trial.loss for trial in judged) if judged and alone else None
        return Asked(number, origin, params, best, self._seconds_left(number), not alone)

    def line(self, trial: Trial) -> str:
        """Return what people may want to know of a trial that has ended."""
        if trial.state == "failed":
            return f"trial {trial.number} failed: {trial.message}"
        state = "" if trial.state == "complete" else f" ({trial.state.replace('_', ' ')})"
        score = f"validation {trial.metric} {trial.values['quality']:.6g}"
        return f"trial {trial.number}: {score} with {trial.rounds} rounds{state}, {trial.params or 'as in the folder'}"

    def progress(self) -> Progress:
        """Return how far the search is, with the longest that it may still take."""
        settings, ended = self.settings, self.ended.values()
        judged = [trial for trial in ended if trial.state != "failed"]
        best = min(judged, key=lambda trial: (trial.loss, trial.number), default=None)
        metric = "" if best is None else f"best validation {best.metric}"
        score = None if best is None else best.values["quality"]
        left = [(settings.trials - len(ended)) * self._spent(ended) / len(ended)] if ended else []
        if settings.minutes is not None:
            left.append(max(0.0, settings.minutes * 60 - self._spent(ended)))
        return Progress(len(ended), settings.trials, 0, metric, score, left_s=min(left, default=None), what="trial")

    def result(self) -> Search:
        """Return what was found.

        Raises:
            TrainingError: Every trial failed.
        """
        trials = [self.ended[number] for number in sorted(self.ended)]
        if all(trial.state == "failed" for trial in trials):
            raise _all_failed(self._work, trials)
        settings = self.settings
        chosen = choose_trial(trials, settings.objectives, settings.tolerance)
        return Search(
            work=self._work.id,
            model=self._work.model.name,
            snapshot=self._work.snapshot.id,
            objectives=settings.objectives,
            tolerance=settings.tolerance,
            space=settings.model_copy(update={"space": self.space}).model_dump(mode="json")["space"],
            metric=chosen.metric,
            larger_is_better=chosen.larger_is_better,
            trials=tuple(_told(trial) for trial in trials),
            pareto=pareto_set(trials, settings.objectives),
            chosen=chosen.number,
            params=chosen.params,
            rounds=chosen.rounds,
        )

    def _drawn(self, number: int) -> dict[str, Any]:
        from incumbent.train.suggest import suggest  # Optuna takes a second to import

        # Of quality alone: told of latency too, it found fast models that were worse by more than is tolerated.
        known = [(self._point(trial.params), trial.loss) for trial in self._judged(number)]
        begun = [self._point(params) for begun, params in self._asked.items() if begun not in self._before(number)]
        return suggest(self.space, known, begun, self._train.seed, number)

    def _point(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return where some parameters, laid over the folder's, lie in the space."""
        estimator = self._train.estimator
        whole = laid_over(estimator, self._train.params, params)
        return {name: value_of(estimator, whole, name) for name in self.space}

    def _before(self, number: int) -> range:
        return range(max(0, number - self.settings.parallel + 1))

    def _judged(self, number: int) -> list[Trial]:
        before = [self.ended[each] for each in self._before(number)]
        return [trial for trial in before if trial.state != "failed"]

    def _seconds_left(self, number: int) -> float | None:
        if self.settings.minutes is None:
            return None
        return self.settings.minutes * 60 - self._spent(self.ended[each] for each in self._before(number))

    def _spent(self, trials: Iterable[Trial]) -> float:
        return sum((trial.seconds for trial in trials), 0.0) / self.settings.parallel


def _told(trial: Trial) -> dict[str, Any]:
    """Return what a search's record says of a trial: nothing that another machine would do faster."""
    return {
        name: value for name, value in asdict(trial).items() if name not in ("seconds", "metric", "larger_is_better")
    }


def _all_failed(work: Work, trials: Sequence[Trial]) -> TrainingError:
    return TrainingError(
        "every trial of the search failed",
        where=f"model {work.model.name}: train.search",
        expected="parameters that can be learned, in one of the trials at least",
        found=f"{len(trials)} failed; the first: {trials[0].message}",
        next_step="do what the first one says, in train.params or in the ranges of train.search.space",
    )
