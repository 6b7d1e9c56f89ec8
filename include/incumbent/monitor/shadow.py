"""A second version on the rows that the champion scored: how much better it is, and how far apart the two are.

Paired, because months differ more than models do: a champion that falls by 0.02 in a harder month is no worse than
the one before it, and a rule that looks at the champion alone gives back three of four equal seats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from incumbent.records import Record
from incumbent.stats import mean_difference, measured_advantage
from incumbent.words import better

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
PREVIOUS, CHALLENGER = "previous", "challenger"


@dataclass(frozen=True)
class ShadowVerdict(Record):
    """What a second version would have said of a partition.

    Attributes:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        shadow: The other version's digest.
        role: `previous`, the champion before this one; `challenger`, one that brought too little evidence.
        judged: Whether outcomes are in, and the two could be compared.
        advantage: By how much the shadow is better: AUC points, or the share of the champion's loss that it saves.
        error: Standard error of that; 0 where the rows are one cluster.
        df: Degrees of freedom of the error.
        rows: Labelled rows.
        gaps: By class (of one prediction a row under no name), how much higher the champion predicts on the mean: in
            probability, or (regression) in standard deviations of the shadow's predictions.
        gap_errors: Standard errors of the gaps.
        sentence: The verdict for a person.
        rarer: Labelled rows of the rarer class (all of them, for a regression).
    """

    kind: ClassVar[str] = "verdicts"

    partition: str
    generation: int
    version: str
    shadow: str
    role: str
    judged: bool
    advantage: float | None
    error: float | None
    df: float
    rows: int
    gaps: Mapping[str, float] = field(default_factory=dict)
    gap_errors: Mapping[str, float] = field(default_factory=dict)
    sentence: str = ""
    rarer: int = 0


def gaps_of(
    task: str, champion: Floats, shadow: Floats, classes: Sequence[str] = (), clusters: Codes | None = None
) -> dict[str, tuple[float, float]]:
    """Return how much higher the champion predicts on the mean, by class, each with its standard error.

    Clustered as everywhere: a day of bad weather moves all of its rows, and whoever knows that weather away from
    whoever does not. Rows that are one cluster count as independent.

    Args:
        task: `binary`, `multiclass` or `regression`.
        champion: Its predictions, shape (n_rows,) or (n_rows, n_classes).
        shadow: The other version's of the same rows.
        classes: Of a multiclass task.
        clusters: Cluster code of each row; None for independent rows.
    """
    if not len(champion):
        return {}
    more = (champion - shadow).reshape(len(champion), -1)
    scale = float(np.std(shadow)) if task == "regression" else 1.0
    names = classes or ("",)
    codes = clusters if clusters is not None and np.ptp(clusters) else None
    means = more.mean(axis=0)
    errors = [mean_difference(each, codes).error if len(each) > 1 else 0.0 for each in more.T]
    return {
        name: (float(mean) / (scale or 1.0), float(error) / (scale or 1.0))
        for name, mean, error in zip(names, means, errors, strict=True)
    }


def shadow_verdict(
    partition: str,
    generation: int,
    versions: tuple[str, str],
    role: str,
    task: str,
    gaps: Mapping[str, tuple[float, float]],
    labels: Floats | None,
    scores: tuple[Floats, Floats],
    clusters: Codes | None,
    *,
    by_loss: bool = False,
) -> ShadowVerdict:
    """Compare two versions on the rows of a partition whose outcomes are in.

    Args:
        partition: Partition key.
        generation: Champion that scored it.
        versions: Digests of the champion and of the shadow.
        role: What the shadow is.
        task: `binary`, `multiclass` or `regression`.
        gaps: See `gaps_of`; of all rows, labelled or not.
        labels: Truth of the labelled rows; None while outcomes are missing.
        scores: Predictions of the labelled rows by champion and shadow.
        clusters: Cluster code of each labelled row; None for independent rows.
        by_loss: Whether they are compared by the loss, also of a binary task: one is the other with another intercept.
    """
    name = f"{partition}: the {role if role == CHALLENGER else 'previous champion'}"
    mean = ", ".join(f"{gap:+.4f}{f' of class {each}' if each else ''}" for each, (gap, _) in gaps.items())
    unjudged = ShadowVerdict(
        partition, generation, *versions, role, judged=False, advantage=None, error=None, df=0.0, rows=0,
        gaps={name: gap for name, (gap, _) in gaps.items()},
        gap_errors={name: error for name, (_, error) in gaps.items()},
    )  # fmt: skip
    try:
        if labels is None:
            raise ValueError("outcomes are not in")
        found = measured_advantage(task, labels, scores[1], scores[0], clusters, by_loss=by_loss)
    except ValueError as reason:
        return replace(
            unjudged,
            sentence=f"{name} is not compared yet ({reason}); the champion predicts {mean} more on the mean.",
        )
    what = "AUC" if task == "binary" and not by_loss else "of the loss saved"
    return replace(
        unjudged,
        judged=True,
        advantage=found.value,
        error=found.error,
        df=float(found.df),
        rows=int(found.rows),
        rarer=_rarer(task, labels, scores[0]),
        sentence=f"{name} is {better(found.value)} ± {found.error:.4f} {what}.",
    )


def _rarer(task: str, labels: Floats, scores: Floats) -> int:
    if task == "regression":
        return len(labels)
    classes = scores.shape[1] if scores.ndim == 2 else 2
    return int(np.bincount(labels.astype(np.int64), minlength=classes).min())
