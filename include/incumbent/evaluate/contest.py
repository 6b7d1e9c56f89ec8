"""What the gates look at: the same rows, the truth, and what each contender said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from incumbent.config import Gates
from incumbent.leaks import LeakReport
from incumbent.stats import Difference, auc, class_losses, paired_auc_difference, relative_difference

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
LOSS_ALPHA = 0.05
CERTAIN = 1e-7


@dataclass(frozen=True)
class Contest:
    """A candidate against the champion, or against simple rules when there is none yet.

    Attributes:
        task: `binary`, `multiclass` or `regression`.
        labels: The truth, shape (n_rows,); of a multiclass task the positions of its classes.
        challenger: The candidate's predictions of the same rows, shape (n_rows,), or (n_rows, n_classes).
        champion: The champion's predictions; None at a cold start.
        chance: Mean label of the training rows, or the share of each class in them; cold start only.
        baseline: Predictions from the best single feature; cold start only.
        baseline_feature: Its name.
        clusters: Code of each row's cluster; None for independent rows.
        unit: What one cluster is: `days`, `clusters` or `rows`.
        train_rows: The candidate's training rows.
        train_until: First local day that the candidate has not seen (ISO date).
        champion_train_until: The same of the champion; empty at a cold start.
        gate_from: First local day of the gate rows.
        degraded: A labelled alarm holds against the champion.
        limits: Thresholds of the model's configuration.
        sharing: Candidates of the same request, which share one error rate.
        leaks: What the candidate's training rows give away; None if nobody looked, then there is no such gate.
        classes: Of a multiclass task, in the order of the probabilities.
    """

    task: str
    labels: Floats
    challenger: Floats
    champion: Floats | None
    clusters: Codes | None
    unit: str
    train_rows: int
    train_until: str
    gate_from: str
    limits: Gates
    champion_train_until: str = ""
    chance: float | Floats = 0.0
    baseline: Floats | None = None
    baseline_feature: str = ""
    degraded: bool = False
    leaks: LeakReport | None = None
    sharing: int = 1
    classes: tuple[str, ...] = ()

    @property
    def alpha(self) -> float:
        """One-sided error rate of the test that decides."""
        return (self.limits.alpha_degraded if self.degraded else self.limits.alpha) / self.sharing

    @property
    def loss_alpha(self) -> float:
        """One-sided error rate of the test that the loss has not become larger."""
        return LOSS_ALPHA / self.sharing

    @property
    def metric(self) -> str:
        """Name of the figure that is compared."""
        return "AUC" if self.task == "binary" else self.loss_name

    @property
    def loss_name(self) -> str:
        """Name of what each row loses."""
        return "squared error" if self.task == "regression" else "log loss"

    def advantage(self, other: Floats) -> Difference:
        """Return how much better the candidate is than other predictions of the same rows.

        AUC points for a binary task; else the share of the loss that the candidate saves.
        """
        if self.task == "binary":
            return paired_auc_difference(self.labels, self.challenger, other, self.clusters)
        more = relative_difference(self.losses(self.challenger), self.losses(other), self.clusters)
        return Difference(-more.estimate, more.error, more.clusters, more.df)

    def losses(self, scores: Floats) -> Floats:
        """Return each row's loss: squared error for a regression, else log loss, of several classes of the true one."""
        if self.task == "binary":
            # A single certain and wrong score would cost infinity and hide everything else.
            p = np.clip(scores, CERTAIN, 1.0 - CERTAIN)
            losses: Floats = -(self.labels * np.log(p) + (1.0 - self.labels) * np.log1p(-p))
            return losses
        if self.task == "multiclass":
            return class_losses(self.labels, scores)
        squared: Floats = (scores - self.labels) ** 2
        return squared

    def metric_of(self, scores: Floats) -> float:
        """Return the compared figure of one contender: AUC, or the mean loss."""
        return auc(self.labels, scores) if self.task == "binary" else float(self.losses(scores).mean())

    def scale(self) -> float:
        """Return what a calibration share is a share of: 1 for probabilities, else the mean size of a label."""
        return float(np.abs(self.labels).mean()) if self.task == "regression" else 1.0

    def misses(self, scores: Floats) -> dict[str, Floats]:
        """Return how far each row's prediction is above the truth, by class; of one prediction a row under no name."""
        if self.task != "multiclass":
            return {"": scores - self.labels}
        return {name: scores[:, at] - (self.labels == at) for at, name in enumerate(self.classes)}
