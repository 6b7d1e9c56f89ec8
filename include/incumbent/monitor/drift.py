"""The drift verdict of a batch, from profiles alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from incumbent.classes import SCORE
from incumbent.config import Monitor
from incumbent.features.profile import ColumnProfile, Profile, add
from incumbent.monitor.verdicts import DriftVerdict
from incumbent.stats.shape import Counts, Shape, shape_test

BINS = 10
LEVELS = 30
CALIBRATED = 20  # reference partitions from which on feature alarms may ask for a retraining
FEATURE_SHARE = 0.10


def drift_verdict(
    partition: str,
    generation: int,
    version: str,
    batch: Profile,
    reference: Sequence[Profile],
    importance: Mapping[str, float],
    settings: Monitor,
    scores: Sequence[str] = (SCORE,),
) -> DriftVerdict:
    """Judge a batch against the partitions that the champion was trained on.

    The score counts as much as all features together, because it is what decisions are made from; the scores of several
    classes share that, and the one that moved most surely stands for them.

    Args:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        batch: Profile of features and scores.
        reference: The same of each training partition.
        importance: Feature to its share of gain.
        settings: Tolerances and the error rate of one batch.
        scores: Names of the scores; see `incumbent.classes.score_names`.
    """
    names = [name for name in batch.columns if name not in scores]
    if batch.columns[scores[0]].rows < 2 or not reference:
        sentence = f"{partition}: not enough data for a verdict."
        return DriftVerdict(partition, generation, version, "none", len(reference), {}, (), sentence)
    tests = {name: _test(batch, reference, name, settings.score_tolerance) for name in scores}
    told = min(scores, key=lambda name: (tests[name].p, -tests[name].effect))
    score, score_alpha = tests[told], settings.alpha / 2 / len(scores)
    alarms = []
    for name in names:
        share = importance.get(name, 0.0)
        alpha = settings.alpha / 2 * (0.5 / len(names) + 0.5 * share)
        found = _test(batch, reference, name, settings.tolerance)
        if found.p < alpha:
            alarms.append({"feature": name, "importance": share, **_numbers(found, alpha)})
    alarms.sort(key=lambda alarm: (-float(str(alarm["importance"])), str(alarm["feature"])))
    moved = score.p < score_alpha
    share = sum(float(str(alarm["importance"])) for alarm in alarms)
    tier = "drift" if moved or (len(reference) >= CALIBRATED and share >= FEATURE_SHARE) else "none"
    if tier == "none" and alarms:
        tier = "warning"
    return DriftVerdict(
        partition=partition,
        generation=generation,
        version=version,
        tier=tier,
        batches=len(reference),
        score={**_numbers(score, score_alpha), **({"column": told} if len(scores) > 1 else {})},
        features=tuple(alarms[:10]),
        sentence=_sentence(partition, tier, told, score, alarms, len(reference)),
    )


def _test(batch: Profile, reference: Sequence[Profile], name: str, tolerance: float) -> Shape:
    pooled = reference[0].columns[name]
    for other in reference[1:]:
        pooled = add(Profile({name: pooled}), Profile({name: other.columns[name]})).columns[name]
    cells = _cells(pooled)
    counted = [_count(found.columns[name], cells) for found in reference]
    return shape_test(counted, _count(batch.columns[name], cells), tolerance)


def _cells(pooled: ColumnProfile) -> list[Any]:
    """Return the reference's cells: its most frequent levels, or upper bounds at its quantiles."""
    if pooled.is_text:
        top = sorted(pooled.counts, key=lambda level: (-pooled.counts[level], level))
        return top[:LEVELS]
    return sorted({pooled.quantile((step + 1) / BINS) for step in range(BINS - 1)} if pooled.values else set())


def _count(found: ColumnProfile, cells: Sequence[Any]) -> Counts:
    """Return the counts of the cells, then everything else, then nulls."""
    if not cells:  # the reference has no values, and so no kind
        return np.array([found.values, found.nulls], dtype=np.float64)
    if found.values and found.is_text is not isinstance(cells[0], str):  # another kind of column: all of it is new
        return np.array([*[0] * len(cells), found.values, found.nulls], dtype=np.float64)
    if isinstance(cells[0], str):
        known = [found.counts.get(level, 0) for level in cells]
        return np.array([*known, found.values - sum(known), found.nulls], dtype=np.float64)
    inside = np.zeros(len(cells) + 2)
    for value, count in found.numbers():
        inside[int(np.searchsorted(cells, value))] += count
    inside[-1] = found.nulls
    return inside


def _numbers(found: Shape, alpha: float) -> dict[str, float]:
    return {"effect": round(found.effect, 6), "p": found.p, "alpha": alpha, "ordinary": round(found.ordinary, 6)}


def _sentence(
    partition: str, tier: str, name: str, score: Shape, alarms: Sequence[Mapping[str, Any]], batches: int
) -> str:
    moved = ", ".join(str(alarm["feature"]) for alarm in alarms[:3])
    words = {
        "none": f"{partition}: no drift; the {name} moved by {score.effect:.3f}.",
        "warning": f"{partition}: features moved ({moved}) and the {name} did not ({score.effect:.3f}).",
        "drift": f"{partition}: the {name} moved by {score.effect:.3f}" + (f"; most moved: {moved}." if moved else "."),
    }[tier]
    return words if batches >= CALIBRATED else f"{words} Provisional: {batches} reference partition(s)."
