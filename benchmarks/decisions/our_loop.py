"""The closed loop as production runs it, with the shipped defaults."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from scipy.special import expit

from benchmarks.decisions import ours
from benchmarks.decisions.loops import DELAY, WORTH, Loop
from benchmarks.decisions.our_policy import Policy, Rows, Version, begins
from benchmarks.decisions.story import WINDOW, Day, fit
from benchmarks.decisions.world import Floats, World
from incumbent.features.profile import Profile
from incumbent.retrain import Decision

HOLDOUT = ours.DAILY.evaluate.holdout_days  # as shipped; a batch is a day


class Incumbent(Loop):
    """What production does, with the shipped defaults.

    Args:
        world, stream: As of a loop.
        holdout: Newest labelled batches that no training sees.
    """

    def __init__(self, world: World, stream: Sequence[Day], holdout: int = HOLDOUT) -> None:
        super().__init__(world, stream)
        self.holdout = holdout
        # Every policy of the loop trains on so many batches at most: a fact of the loop, and no threshold.
        train = ours.DAILY.train.model_copy(update={"window": WINDOW + holdout})
        evaluate = ours.DAILY.evaluate.model_copy(update={"holdout_days": holdout})
        self.model = ours.DAILY.model_copy(update={"train": train, "evaluate": evaluate})
        first = Version("0", self.weights, tuple(range(WINDOW)))
        self.versions = {first.name: first}
        self.trace = list[str]()  # what was done, for a person who asks why
        rows = self._rows(range(WINDOW - holdout, WINDOW))
        self.policy = Policy(self.model, first, self._watch(first, WINDOW), rows, ours.partition_of(WINDOW - 1))
        # The first champion has learned from the whole window, as every policy's: as if its gates' days had been before
        # it. The policy would take the newest of the window for them, and find growth where there is none.
        for at in range(-holdout, WINDOW):
            self.policy.counts(ours.partition_of(at), self.stream[max(at, 0)].labels)

    def arrives(self, at: int) -> None:
        """Hold a batch that is broken."""
        if self.policy.arrives(ours.partition_of(at), self._profile(at, self.weights)):
            self.held.add(at)

    def decides(self, at: int) -> None:
        """Judge the labels that came in; roll back, promote from shadow, or train when production says so."""
        labelled = at - DELAY
        if at not in self.held:
            self.policy.unlabelled(ours.partition_of(at), self._rows([at]))
        if labelled >= WINDOW and labelled not in self.held:
            self.policy.outcomes(ours.partition_of(labelled), self._rows([labelled]))
        if self.policy.rolls_back():
            self._back(at)
        self._proven(at)
        for partition in dict.fromkeys((labelled, at)):
            decision = self.policy.decides(ours.partition_of(partition))
            if decision.reason:
                self._trains(at, partition, decision)
                return

    def _trains(self, at: int, partition: int, decision: Decision) -> None:
        """Train what a request asks for, and let it compete."""
        known = self._known(at)
        judged, older = known[-self.holdout :], known[: -self.holdout]
        recent = [each for each in older if _is_since(each, str(decision.evidence.get("since", "")))]
        windows = {"full": older[-WINDOW:]} | ({"recent": recent[-WINDOW:]} if recent != older and recent else {})
        candidates = [self._trained(at, name, chosen, decision) for name, chosen in windows.items()]
        gains = {each.name: self.worth(at, each.weights, self.weights) for each in candidates}
        self.count.retrains += 1
        self.count.wasted += max(gains.values()) < WORTH
        self.count.corrupt += any(self.stream[each].broken for chosen in windows.values() for each in chosen)
        rows = self._rows(judged)
        best = self.policy.judge(ours.partition_of(partition), candidates, rows, decision)
        answer = self.policy.requests[-1].verdict
        self.trace.append(
            f"{at - WINDOW}: {decision.message} | { ({name: round(gain, 4) for name, gain in gains.items()}) } "
            f"{answer}: {self.policy.reports[-1].sentence}"
        )
        if answer == "promote":
            self._sits(at, self.versions[best], rows, ours.partition_of(partition), gains[best])

    def _proven(self, at: int) -> None:
        """Give the seat to a challenger that has proven itself in shadow."""
        if (found := self.policy.proven()) is None:
            return
        report, shadow, partition = found
        version = self.versions[report.candidate]
        judged = [each for each in self._known(at) if report.partition < ours.partition_of(each) <= partition]
        rows = self._rows(judged)
        answer = self.policy.judge_proven(partition, version, rows, shadow)
        gain = self.worth(at, version.weights, self.weights)
        self.trace.append(f"{at - WINDOW}: from shadow ({gain:+.4f}) {answer}: {self.policy.reports[-1].sentence}")
        if answer == "promote":
            self._sits(at, version, rows, partition, gain)

    def _sits(self, at: int, version: Version, rows: Rows, partition: str, gain: float) -> None:
        self.count.good += gain >= WORTH
        self.count.harmful += gain <= -WORTH
        self.count.noise += abs(gain) < WORTH
        self.policy.promote(version, self._watch(version, at + 1), rows, partition)
        self.previous, self.weights = self.weights, version.weights

    def _back(self, at: int) -> None:
        self.count.rollbacks += 1
        before = self.policy.seats[self.policy.seat.previous].version.weights
        gain = self.worth(at, self.weights, before)
        self.count.wrong += gain >= 0
        self.trace.append(f"{at - WINDOW}: rolled back ({gain:+.4f})")
        self.weights = self.policy.roll_back().version.weights

    def _trained(self, at: int, name: str, chosen: Sequence[int], decision: Decision) -> Version:
        weights = fit([self.stream[each] for each in chosen], self.weights)
        since = str(decision.evidence.get("since", "")) if name == "recent" else ""
        version = Version(f"{at}-{name}", weights, tuple(chosen), since)
        self.versions[version.name] = version
        return version

    def _known(self, at: int) -> list[int]:
        """Return the labelled batches that were not held."""
        return [each for each in range(at - DELAY + 1) if each not in self.held]

    def _rows(self, batches: Sequence[int]) -> Rows:
        labels = np.concatenate([self.stream[at].labels for at in batches])
        x = np.concatenate([self.stream[at].design for at in batches])
        scores: dict[str, Floats] = {name: expit(x @ each.weights) for name, each in self.versions.items()}
        return Rows(tuple(batches), labels, scores)

    def _watch(self, version: Version, following: int) -> ours.Watch:
        """Return a watch of a champion whose next batch has a number."""
        past = [self._profile(at, version.weights) for at in version.trained]
        before = self.policy.seat.watch.accepted if hasattr(self, "policy") else None
        watch = ours.Watch(past, self._importance(version.weights), self.model, version.trained[0], before)
        watch.number = following
        return watch

    def _profile(self, at: int, weights: Floats) -> Profile:
        return ours.profile_of(self.stream[at].rows.table(self.scores(at, weights)))

    def _importance(self, weights: Floats) -> dict[str, float]:
        names = (*self.world.numbers, *self.world.amounts)
        size = dict.fromkeys(self.world.names, 0.0)
        size |= {name: abs(float(weight)) for name, weight in zip(names, weights, strict=False)}
        size["c0"] = float(np.std([0.0, *weights[len(names) : -1]]))
        total = sum(size.values())
        return {name: each / total for name, each in size.items()}


def _is_since(batch: int, since: str) -> bool:
    return bool(since) and begins(batch) >= date.fromisoformat(since)
