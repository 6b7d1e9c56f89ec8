"""What the gate rows show of a candidate beside its verdict: how its predictions meet the truth, and what it goes by.

No gate looks at it. It has a record of its own beside the gate report, whose name is the digest of all its fields: a
field more there would rename the reports of earlier releases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from incumbent.estimators.abilities import ABILITIES
from incumbent.evaluate.contest import Codes, Contest, Floats
from incumbent.records import ModelVersion, Record
from incumbent.stats import mean_difference

Explaining = Callable[[ModelVersion, pa.Table], npt.NDArray[np.floating]]
MOST_BINS = 10
FEWEST = 50  # rows of a bin: its mean says something, and nobody's outcome can be read off it
MOST_EXPLAINED = 2000  # gate rows; the mean of so many is known to some two in a hundred
SEED = 7


@dataclass(frozen=True)
class GateFigures(Record):
    """What the gate rows show of a candidate; nothing is decided by it. Named by its gate report.

    Attributes:
        candidate: Version digest.
        champion: Version digest of the champion at that time; empty at a cold start.
        rows: Gate rows.
        calibration: One mapping for each class (of one prediction a row one, of class ""): `class`, and `bins`, each
            with `rows`, the means `predicted` and `observed`, and the clustered `error` of their difference, null where
            one cluster says nothing of it.
        explained: Gate rows behind the importance; 0 where it is not known.
        importance: Feature to the mean size of what it adds to the margin of these rows, of all classes.
        champion_importance: The same of the champion, on the same rows; of its own features.
        not_explained: Why the importance is not known; empty if it is.
    """

    kind: ClassVar[str] = "gate_figures"

    candidate: str
    champion: str = ""
    rows: int = 0
    calibration: tuple[Mapping[str, Any], ...] = ()
    explained: int = 0
    importance: Mapping[str, float] = field(default_factory=dict)
    champion_importance: Mapping[str, float] = field(default_factory=dict)
    not_explained: str = ""


def figures(
    contest: Contest,
    candidate: ModelVersion,
    incumbent: ModelVersion | None,
    rows: Callable[[str], pa.Table],
    explaining: Explaining | None,
) -> GateFigures:
    """Return what the gate rows of a contest show of its candidate.

    Args:
        contest: What was judged.
        candidate: Its candidate.
        incumbent: Its champion; None at a cold start.
        rows: The gate rows under a feature definition, in one order.
        explaining: What features add, of a version; None if nobody can say it.
    """
    found = GateFigures(candidate.digest, "" if incumbent is None else incumbent.digest, int(contest.labels.size))
    if not (contest.labels.size and np.isfinite(contest.labels).all() and np.isfinite(contest.challenger).all()):
        return replace(found, not_explained="there are no gate rows that can be judged")
    found = replace(found, calibration=calibration(contest))
    if why := _why_not(candidate, explaining):
        return replace(found, not_explained=why)
    chosen = _sample(found.rows)
    found = replace(found, explained=len(chosen), importance=_importance(candidate, rows, chosen, explaining))
    if incumbent is None or _why_not(incumbent, explaining):
        return found
    return replace(found, champion_importance=_importance(incumbent, rows, chosen, explaining))


def calibration(contest: Contest) -> tuple[dict[str, Any], ...]:
    """Return where the mean prediction and the mean truth meet, in bins of equally many rows, by class."""
    predicted = contest.challenger.reshape(contest.labels.size, -1).T
    return tuple(
        {"class": name, "bins": _bins(scores, missed, contest.clusters)}
        for scores, (name, missed) in zip(predicted, contest.misses(contest.challenger).items(), strict=True)
    )


def _bins(scores: Floats, missed: Floats, clusters: Codes | None) -> list[dict[str, Any]]:
    """Return the bins of one score; rows of the same score are in the same bin."""
    count = min(MOST_BINS, scores.size // FEWEST)
    edges = np.unique(np.quantile(scores, np.arange(1, count) / count)) if count > 1 else np.empty(0)
    places = np.searchsorted(edges, scores, "left")
    found = []
    for at in np.unique(places):
        own = places == at
        if own.sum() >= min(FEWEST, scores.size):
            mean, off = float(scores[own].mean()), float(missed[own].mean())
            error = _error(missed[own], None if clusters is None else clusters[own])
            found.append({"rows": int(own.sum()), "predicted": mean, "observed": mean - off, "error": error})
    return found


def _error(missed: Floats, clusters: Codes | None) -> float | None:
    units = missed.size if clusters is None else np.unique(clusters).size
    return mean_difference(missed, clusters).error if units > 1 else None


def _why_not(version: ModelVersion, explaining: Explaining | None) -> str:
    if explaining is None:
        return "nobody was asked for it"
    explained = ABILITIES[version.estimator].explained
    return "" if explained else f"models of estimator {version.estimator} are not explained: nothing is known of them"


def _sample(rows: int) -> npt.NDArray[np.int64]:
    """Return the positions of the rows that are explained, the same ones each time."""
    if rows <= MOST_EXPLAINED:
        return np.arange(rows)
    return np.sort(np.random.default_rng(SEED).choice(rows, MOST_EXPLAINED, replace=False))


def _importance(
    version: ModelVersion, rows: Callable[[str], pa.Table], chosen: npt.NDArray[np.int64], explaining: Any
) -> dict[str, float]:
    values = np.asarray(explaining(version, rows(version.definition).take(pa.array(chosen))), dtype=np.float64)
    means = np.abs(values[..., :-1]).mean(axis=tuple(range(values.ndim - 1)))  # the last is the bias
    return {name: float(mean) for name, mean in zip(version.features, means, strict=True) if np.isfinite(mean)}
