"""What the gates look at: the same rows, the truth, and what each contender said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from incumbent.config import Gates
from incumbent.error_budget import Spent, alpha_of
from incumbent.leaks import LeakReport
from incumbent.stats import Difference, Evidence, advantage, auc, loss_saved, row_losses

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
LOSS_ALPHA = 0.05


@dataclass(frozen=True)
class Groups:
    """Which group each row belongs to, by the values of one column.

    Attributes:
        column: The column's name.
        codes: Position of each row's group in `names`, shape (n_rows,).
        names: Of the groups, as people may see them: values, or numbers where these are somebody's.
        named: A person asked for it; else it was found.
    """

    column: str
    codes: Codes
    names: tuple[str, ...]
    named: bool = False


@dataclass(frozen=True)
class Probe:
    """What the candidate says of the rows that a behavioural test changes, before and after.

    Attributes:
        before, after: Predictions of these rows, shape (n_changed,), or (n_changed, n_classes).
    """

    before: Floats
    after: Floats


@dataclass(frozen=True)
class Shadowed:
    """What was gathered about a candidate while it was in shadow.

    Attributes:
        evidence: For "it is better than the champion".
        needed: Evidence that is enough.
        verdicts: Names of the verdicts behind it.
        is_champions: Whether the champion that it was compared with still is one.
    """

    evidence: Evidence
    needed: float
    verdicts: tuple[str, ...]
    is_champions: bool


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
        days: Local days that the rows are of; 0 if that is not known.
        day: Day by which the year's error budget counts this contest (ISO date); empty if nobody keeps one.
        spent: What others have spent of that budget.
        tried: First models of the last 365 days that were judged before this one, each with luck of its own.
        slices: Groups in which no harm is tolerated; None if nobody looked.
        groups: Groups of the columns of `gates.fairness`, by column.
        megabytes: Size of the candidate's file.
        ms_per_1000_rows: How long the candidate takes to predict.
        probes: By the name of a behavioural test.
        rows: The gate rows themselves: keys, features, `label` and `local_date`; for gates of the folder's own.
        own: The folder's own gates, by name.
        own_text: Digest of the text that has them.
        kpis: By how much each KPI of the candidate is larger than the champion's; those that are measured for both.
        shadow: What was gathered in shadow, which decides then; None of a candidate that comes from a training.
        barred: Generation whose seat this candidate lost to a rollback; 0 if it did not.
        by_loss: Whether the loss is compared, also of a binary task: of a champion whose intercept alone has changed,
            which ranks as it always did.
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
    chance: float | Floats | None = 0.0
    baseline: Floats | None = None
    baseline_feature: str = ""
    degraded: bool = False
    leaks: LeakReport | None = None
    sharing: int = 1
    classes: tuple[str, ...] = ()
    days: int = 0
    day: str = ""
    spent: tuple[Spent, ...] = ()
    tried: int = 0
    slices: tuple[Groups, ...] | None = None
    groups: Mapping[str, Groups] = field(default_factory=dict)
    megabytes: float | None = None
    ms_per_1000_rows: float | None = None
    probes: Mapping[str, Probe] = field(default_factory=dict)
    rows: pa.Table | None = None
    own: Mapping[str, Callable[[Contest], Any]] = field(default_factory=dict)
    own_text: str = ""
    kpis: Mapping[str, Difference] = field(default_factory=dict)
    shadow: Shadowed | None = None
    barred: int = 0
    by_loss: bool = False

    @property
    def by_auc(self) -> bool:
        """Whether AUC points are compared; else the share of the loss that is saved."""
        return self.task == "binary" and not self.by_loss

    @property
    def alpha(self) -> float:
        """One-sided error rate of all looks at this candidate together."""
        return alpha_of(self.limits, degraded=self.degraded, recalibrates=self.by_loss) / self.sharing

    @property
    def loss_alpha(self) -> float:
        """One-sided error rate of the test that the loss has not become larger, and of other such conditions."""
        return LOSS_ALPHA / self.sharing

    @property
    def metric(self) -> str:
        """Name of the figure that is compared."""
        return "AUC" if self.by_auc else self.loss_name

    @property
    def loss_name(self) -> str:
        """Name of what each row loses."""
        return "squared error" if self.task == "regression" else "log loss"

    @cached_property
    def gain(self) -> Difference:
        """How much better the candidate is than the champion; see `advantage`."""
        if self.champion is None:
            raise ValueError("this gate compares with a champion, and there is none")
        return self.advantage(self.champion)

    def advantage(self, other: Floats) -> Difference:
        """Return how much better the candidate is than other predictions of the same rows.

        AUC points for a binary task; else, and where a recalibration is judged, the share of the loss that it saves.
        """
        compare = loss_saved if self.by_loss else advantage
        return compare(self.task, self.labels, self.challenger, other, self.clusters)

    def losses(self, scores: Floats) -> Floats:
        """Return each row's loss: squared error for a regression, else log loss, of several classes of the true one."""
        return row_losses(self.task, self.labels, scores)

    def metric_of(self, scores: Floats) -> float:
        """Return the compared figure of one contender: AUC, or the mean loss."""
        return auc(self.labels, scores) if self.by_auc else float(self.losses(scores).mean())

    def scale(self) -> float:
        """Return what a calibration share is a share of: 1 for probabilities, else the mean size of a label."""
        return float(np.abs(self.labels).mean()) if self.task == "regression" else 1.0

    def misses(self, scores: Floats) -> dict[str, Floats]:
        """Return how far each row's prediction is above the truth, by class; of one prediction a row under no name."""
        if self.task != "multiclass":
            return {"": scores - self.labels}
        return {name: scores[:, at] - (self.labels == at) for at, name in enumerate(self.classes)}

    def among(self, chosen: npt.NDArray[np.bool_]) -> Contest:
        """Return the contest on some of its rows alone."""
        return replace(
            self,
            labels=self.labels[chosen],
            challenger=self.challenger[chosen],
            champion=None if self.champion is None else self.champion[chosen],
            baseline=None if self.baseline is None else self.baseline[chosen],
            clusters=None if self.clusters is None else self.clusters[chosen],
            slices=None,
            groups={},
            rows=None,
        )
