"""The closed loop: a champion that is retrained, promoted and taken back as a policy says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from benchmarks.decisions.families import expected_auc
from benchmarks.decisions.story import WINDOW, Day, fit
from benchmarks.decisions.votes import together
from benchmarks.decisions.world import Floats, Rows, World
from incumbent.stats import auc

DELAY = 3  # batches until the labels are in
WORTH = 0.002  # AUC that makes a training worth its while, or a promotion good or harmful
REFERENCE = 3  # newest training batches that the other tools compare with


@dataclass
class Count:
    """What a policy did in a stream.

    Attributes:
        retrains, wasted: Trainings, and those that had nothing to gain.
        good, noise, harmful: Promotions by what they truly changed.
        rollbacks, wrong: Returns to the previous version, and those from a version that was not worse.
        corrupt: Trainings with corrupt rows.
        regret: Mean loss of AUC to the best possible, in basis points.
    """

    retrains: int = 0
    wasted: int = 0
    good: int = 0
    noise: int = 0
    harmful: int = 0
    rollbacks: int = 0
    wrong: int = 0
    corrupt: int = 0
    regret: float = 0.0


class Loop:
    """One policy in one stream.

    Args:
        world: Columns and their importance.
        stream: The batches; the first ones are the past of the first champion.
    """

    def __init__(self, world: World, stream: Sequence[Day]) -> None:
        self.world, self.stream = world, stream
        self.trained = list(range(WINDOW))
        self.weights = fit(stream[:WINDOW])
        self.previous: Floats | None = None
        self.since = WINDOW
        self.promised = auc(stream[WINDOW - 1].labels, self.scores(WINDOW - 1))
        self.held: set[int] = set()
        self.count = Count()

    def run(self) -> Count:
        """Return what the policy did."""
        regrets = []
        for at in range(WINDOW, len(self.stream)):
            self.arrives(at)
            day = self.stream[at]
            scores = self.scores(at)
            regrets.append(expected_auc(day.chances, day.chances) - expected_auc(day.chances, scores))
            self.decides(at)
        self.count.regret = 1e4 * float(np.mean(regrets))
        return self.count

    def arrives(self, at: int) -> None:
        """Look at a batch before it is scored."""

    def decides(self, at: int) -> None:
        """Decide after a batch was scored, and the labels of an earlier one came in."""

    def promotes(self, labels: Floats, old: Floats, new: Floats) -> bool:
        """Return whether a challenger gets the seat: what people do."""
        return auc(labels, new) > auc(labels, old)

    def scores(self, at: int, weights: Floats | None = None) -> Floats:
        """Return what a version says of a batch; the champion when none is named."""
        found: Floats = expit(self.stream[at].design @ (self.weights if weights is None else weights))
        return found

    def worth(self, at: int, first: Floats, second: Floats) -> float:
        """Return by how much the true AUC of one version is above another's, on a clean batch of this time."""
        while self.stream[at].broken:
            at -= 1
        day = self.stream[at]
        return expected_auc(day.chances, day.design @ first) - expected_auc(day.chances, day.design @ second)

    def retrain(self, at: int, gate: int) -> str:
        """Train a challenger on what is labelled and was not held, and let it compete on the newest such batches.

        Args:
            at: Now.
            gate: Batches that are kept for the contest.
        """
        known = [each for each in range(at - DELAY + 1) if each not in self.held]
        chosen, judged = known[-WINDOW - gate : -gate], known[-gate:]
        challenger = fit([self.stream[each] for each in chosen], self.weights)
        gain = self.worth(at, challenger, self.weights)
        self.count.retrains += 1
        self.count.wasted += gain < WORTH
        self.count.corrupt += any(self.stream[each].broken for each in chosen)
        labels = np.concatenate([self.stream[each].labels for each in judged])
        old, new = (np.concatenate([self.scores(each, w) for each in judged]) for w in (self.weights, challenger))
        if not self.promotes(labels, old, new):
            return "reject"
        self.count.good += gain >= WORTH
        self.count.harmful += gain <= -WORTH
        self.count.noise += abs(gain) < WORTH
        self.previous, self.weights, self.trained, self.since = self.weights, challenger, chosen, at + 1
        self.promised = auc(labels, new)
        return "promote"

    def roll_back(self, at: int) -> None:
        """Give the seat back to the previous version."""
        if self.previous is None:
            return
        self.count.rollbacks += 1
        self.count.wrong += self.worth(at, self.weights, self.previous) >= 0
        self.weights, self.previous = self.previous, None
        self.promised = auc(self.stream[at - DELAY].labels, self.scores(at - DELAY))


class Simple(Loop):
    """What people do: a trigger, new above old, and back when the AUC has fallen by 0.02.

    Args:
        world, stream: As of a loop.
        trigger: Says of a loop and a batch whether to train; None for never.
    """

    def __init__(
        self, world: World, stream: Sequence[Day], trigger: Callable[[Simple, int], bool] | None = None
    ) -> None:
        super().__init__(world, stream)
        self.trigger = trigger
        self.reference = self._reference()

    def _fell(self, labelled: int) -> bool:
        return auc(self.stream[labelled].labels, self.scores(labelled)) < self.promised - 0.02

    def _reference(self) -> Rows:
        return together([self.stream[at].rows for at in self.trained[-REFERENCE:]])

    def decides(self, at: int) -> None:
        """Roll back on an absolute drop, else train when the trigger says so."""
        labelled = at - DELAY
        if self.previous is not None and labelled >= self.since and self._fell(labelled):
            self.roll_back(at)
            return
        if self.trigger and self.trigger(self, at) and self.retrain(at, 1) == "promote":
            self.reference = self._reference()
