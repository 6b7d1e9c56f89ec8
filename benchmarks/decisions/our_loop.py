"""The closed loop as production runs it, with the shipped defaults."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.decisions import ours
from benchmarks.decisions.loops import DELAY, Loop
from benchmarks.decisions.story import ROWS, WINDOW, Day
from benchmarks.decisions.world import Floats, World
from incumbent.features.profile import Profile

GATE = 7  # batches; the shipped holdout is seven days
PROBATION = 20  # batches


class Incumbent(Loop):
    """What production does, with the shipped defaults."""

    def __init__(self, world: World, stream: Sequence[Day]) -> None:
        super().__init__(world, stream)
        last = range(WINDOW - GATE, WINDOW)
        labels, scores = self._judged(last)
        self.policy = ours.Policy(self._watch(range(WINDOW), WINDOW), labels, scores)
        self.gate_labels: tuple[Floats, Floats] = (labels, scores)
        self.degraded = False

    def arrives(self, at: int) -> None:
        """Hold a batch that is broken."""
        if self.policy.arrives(ours.partition_of(at), self._profile(at)):
            self.held.add(at)

    def decides(self, at: int) -> None:
        """Judge the labels that came in, roll back or train when the policy says so."""
        labelled = at - DELAY
        if labelled >= WINDOW and labelled not in self.held:
            self._outcomes(at, labelled)
        for partition in (labelled, at):
            asked, self.degraded = self.policy.asks(ours.partition_of(partition))
            if asked:
                answer = self.retrain(at, GATE)
                self.policy.answered(ours.partition_of(partition), answer)
                if answer == "promote":
                    self._begin(at)
                return

    def promotes(self, labels: Floats, old: Floats, new: Floats) -> bool:
        """Return whether the gates let a challenger have the seat."""
        self.gate_labels = (labels, new)
        return ours.gate_verdict(labels, old, new, degraded=self.degraded) == "promote"

    def _outcomes(self, at: int, labelled: int) -> None:
        if labelled >= self.since or self.since == WINDOW:
            self.policy.outcomes(ours.partition_of(labelled), self.stream[labelled].labels, self.scores(labelled))
        else:
            self.policy.labelled[ours.partition_of(labelled)] = ROWS
        probation = [each for each in range(self.since, labelled + 1) if each not in self.held][:PROBATION]
        if self.previous is not None and probation:
            judged = [(self.stream[e].labels, self.scores(e, self.previous), self.scores(e)) for e in probation]
            if ours.rolled_back_after(judged) is not None:
                self.roll_back(at)
                self._begin(at)

    def _begin(self, at: int) -> None:
        self.policy.promoted(ours.partition_of(at), self._watch(self.trained, at + 1), *self.gate_labels)

    def _watch(self, trained: Sequence[int], following: int) -> ours.Watch:
        """Return a watch of the champion whose next batch has a number."""
        past = [self._profile(at) for at in trained]
        return ours.Watch(past, self._importance(), ours.DAILY, first=following - len(past))

    def _judged(self, batches: Sequence[int]) -> tuple[Floats, Floats]:
        labels = np.concatenate([self.stream[at].labels for at in batches])
        return labels, np.concatenate([self.scores(at) for at in batches])

    def _profile(self, at: int) -> Profile:
        return ours.profile_of(self.stream[at].rows.table(self.scores(at)))

    def _importance(self) -> dict[str, float]:
        names = (*self.world.numbers, *self.world.amounts)
        size = dict.fromkeys(self.world.names, 0.0)
        size |= {name: abs(float(weight)) for name, weight in zip(names, self.weights, strict=False)}
        size["c0"] = float(np.std([0.0, *self.weights[len(names) : -1]]))
        total = sum(size.values())
        return {name: each / total for name, each in size.items()}
