"""The drift verdict of a batch: a pure function of profiles, counts and earlier verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from incumbent.classes import SCORE
from incumbent.config import Monitor
from incumbent.features.profile import Profile
from incumbent.monitor.reference import Judged, Reference, Window, reference_of, window_of
from incumbent.monitor.verdicts import CANDIDATE, INFO, NONE, NOTIFY, WARNING, DriftVerdict
from incumbent.partitions import Grain
from incumbent.stats.shape import NO_WOBBLE, Moved, Wobble, dense_cells, moved, p_value
from incumbent.stats.wobble import against, wobble_of

CALIBRATED = 20  # past partitions from which on a shape may ask for a retraining
KNOWN = 2  # and from which on it is known at all how they differ
WINDOWS = {1: 0.5, 4: 0.25, 16: 0.25}  # partitions to their share of the error rate
IMPORTANT = 0.02  # share of the gain of all features that moved, below which nobody is told
MOVED_SHARE = 0.10  # and from which on it counts for a retraining
NAMED = 10  # features that a verdict names
CALIBRATED_BASIS, PROVISIONAL, UNCALIBRATED = "calibrated", "provisionally calibrated", "uncalibrated"
NO_DATA, NO_REFERENCE, MISSING = "insufficient data", "no reference", "scores missing"


@dataclass(frozen=True)
class Test:
    """One column in one window.

    Attributes:
        column: Its name.
        window: Partitions of the window.
        moved: The statistic.
        wobble: Ordinary effect in this window.
        tolerance: Effect that is ordinary by itself.
        p: P-value under both.
        alpha: Error rate of this test.
        large: Whether it alarms at the larger tolerance, too.
    """

    column: str
    window: int
    moved: Moved
    wobble: Wobble
    tolerance: float
    p: float
    alpha: float
    large: bool

    @property
    def alarms(self) -> bool:
        """Whether it is an alarm."""
        return self.p < self.alpha

    def numbers(self) -> dict[str, Any]:
        """Return what a verdict says of it."""
        found, wobble = self.moved, self.wobble
        return {
            "effect": round(found.effect, 6),
            "p": self.p,
            "alpha": self.alpha,
            "ordinary": round(wobble.effect, 6),
            "freedom": wobble.freedom,
            "x2": found.x2,
            "df": found.df,
            "scale": found.scale,
            "tolerance": self.tolerance,
            "window": self.window,
            "large": self.large,
        }


def drift_verdict(
    partition: str,
    generation: int,
    version: str,
    batch: Profile,
    reference: Reference | Sequence[Profile],
    importance: Mapping[str, float],
    settings: Monitor,
    scores: Sequence[str] = (SCORE,),
    later: Sequence[Judged] = (),
    grain: Grain | None = None,
) -> DriftVerdict:
    """Judge a batch against the partitions that the champion was trained on, and the good ones since.

    The score counts as much as all features together, because it is what decisions are made from; the scores of several
    classes share that, and the one that moved most surely stands for them.

    Args:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        batch: Profile of features and scores.
        reference: The training partitions, counted, or the profile of each.
        importance: Feature to its share of gain; without any, all features count alike, and each in full.
        settings: Tolerances and the error rate of one batch.
        scores: Names of the scores; see `incumbent.classes.score_names`.
        later: Other partitions that the same version has scored and that were judged, without those that had been held.
        grain: Of the partitions; None where seasons are not known.
    """
    known = reference if isinstance(reference, Reference) else reference_of(reference)
    windows = [window_of(known, partition, later, length, grain) for length in WINDOWS]
    whole = windows[0]
    there = [name for name in scores if name in batch.columns]
    few = not there or batch.columns[there[0]].rows < 2
    if whole is None or few or not known.cells or not whole.past:
        basis = NO_REFERENCE if known.cells == {} and not few else NO_DATA
        sentence = f"{partition}: not enough data for a verdict ({basis})."
        past = whole.past if whole else 0
        return DriftVerdict(partition, generation, version, NONE, past, {}, (), sentence, basis=basis)
    judging = _Judging(known, known.count(batch), settings, grain)
    usable = [window for window in windows if window]
    of_scores = [judging.score(window, name, len(scores)) for name in there if name in known.cells for window in usable]
    features = [name for name in known.cells if name in batch.columns and name not in scores]
    shares = {name: importance.get(name, 0.0) if importance else 1 / len(features) for name in features}
    of_features = [judging.feature(window, name, shares) for name in features for window in usable]
    missing = max(batch.columns[name].nulls for name in there)
    return _verdict(
        (partition, generation, version), settings, whole, of_scores, of_features, importance, len(scores) > 1, missing
    )


class _Judging:
    """Tests columns in windows."""

    def __init__(
        self, reference: Reference, counts: Mapping[str, Sequence[float]], settings: Monitor, grain: Grain | None
    ) -> None:
        self.reference, self.counts, self.settings, self.grain = reference, counts, settings, grain

    def score(self, window: Window, name: str, scores: int) -> Test:
        """Test a score, of which there may be several."""
        alpha = self.settings.alpha / 2 / scores
        limits = self.settings.warn_score_tolerance, self.settings.score_tolerance
        return self._test(window, name, alpha, *limits, whole=True)

    def feature(self, window: Window, name: str, shares: Mapping[str, float]) -> Test:
        """Test a feature: half of the features' error rate is shared alike, half by importance."""
        alpha = self.settings.alpha / 2 * (0.5 / len(shares) + 0.5 * shares[name])
        return self._test(window, name, alpha, self.settings.warn_tolerance, self.settings.tolerance, whole=False)

    def _test(self, window: Window, name: str, alpha: float, small: float, large: float, *, whole: bool) -> Test:
        """Test a column in a window; how much good batches differ is only asked where it matters, or for the record."""
        alpha *= WINDOWS[window.length]
        past, seasons = window.past_counts(self.reference, name)
        rows = [each.counts[name] for each in window.partitions if name in each.counts]
        rows.append(self.counts[name])
        own = np.array(rows, np.float64)[None]
        own_seasons = np.array(window.own_seasons, np.int64)[None, -len(rows) :]
        found = against(past, seasons, own, own_seasons, inside=False)
        batch, expected = own[0].sum(axis=0), found.reference[0]
        ordered = self.reference.cells[name].ordered
        result = moved(expected, batch, ordered)
        p, wobble = p_value(result, small), NO_WOBBLE
        if result.df and (p < alpha or whole):
            groups = dense_cells(expected, batch, ordered)
            oldest = slice(window.learned(self.grain))
            wobble = wobble_of(past[oldest], seasons[oldest], groups, 1, small / 2)
            if window.length > 1:
                assumed = wobble.effect / window.length
                wobble = wobble_of(past[oldest], seasons[oldest], groups, window.length, assumed)
            widened = 1 + window.length * float(found.shared[0])
            wobble = Wobble(wobble.effect * widened, wobble.freedom)
            p = p_value(result, small, wobble)
        is_large = p < alpha and p_value(result, max(small, large), wobble) < alpha
        return Test(name, window.length, result, wobble, small, p, alpha, is_large)


def _verdict(
    about: tuple[str, int, str],
    settings: Monitor,
    window: Window,
    of_scores: Sequence[Test],
    of_features: Sequence[Test],
    importance: Mapping[str, float],
    name_score: bool,
    missing: int,
) -> DriftVerdict:
    score = min(of_scores, key=lambda test: (test.p / test.alpha, -test.moved.effect, test.window))
    alarming: dict[str, Test] = {}
    for test in sorted((test for test in of_features if test.alarms), key=lambda test: test.p / test.alpha):
        alarming.setdefault(test.column, test)
    share = {name: importance.get(name, 0.0) if importance else 1.0 for name in alarming}
    names = sorted(alarming, key=lambda name: (-share[name], name))
    at_large = {test.column for test in of_features if test.large}
    tier = NONE if not (score.alarms or names) else INFO
    if score.alarms or sum(share[name] for name in names) >= IMPORTANT:
        tier = WARNING
    is_large = any(test.large for test in of_scores) or sum(share[name] for name in at_large) >= MOVED_SHARE
    if tier == WARNING and is_large and window.past >= CALIBRATED and not missing:
        tier = CANDIDATE
    alarms = [test.window for test in (*of_scores, *of_features) if test.alarms]
    basis = CALIBRATED_BASIS if window.past >= CALIBRATED else PROVISIONAL if window.past >= KNOWN else UNCALIBRATED
    sentence = _sentence(about[0], tier, score, names, min(alarms, default=0)) + _reservation(basis, window.past)
    if missing:
        tier, basis = WARNING, MISSING
        sentence = f"{about[0]}: {missing} scores are missing or not finite: look at the scoring. {sentence}"
    return DriftVerdict(
        *about,
        tier=tier,
        batches=window.past,
        score={**score.numbers(), **({"column": score.column} if name_score else {})},
        features=tuple(
            {"feature": each, "importance": share[each], **alarming[each].numbers()} for each in names[:NAMED]
        ),
        sentence=sentence,
        basis=basis,
        notify=NOTIFY["warning" if missing else tier],
        window=min(alarms, default=0),
        past=tuple(each.partition for each in window.later),
        seasonal=window.is_seasonal,
        settings={name: getattr(settings, name) for name in SETTINGS},
    )


SETTINGS = ("alpha", "tolerance", "score_tolerance", "warn_tolerance", "warn_score_tolerance")


def _sentence(partition: str, tier: str, score: Test, names: Sequence[str], window: int) -> str:
    columns = ", ".join(names[:3])
    over = f" over the last {window} partitions" if window > 1 else ""
    how = f"the {score.column} moved by {score.moved.effect:.3f}"
    if tier == NONE:
        return f"{partition}: no drift; {how}."
    if score.alarms:
        return f"{partition}: {how}{over}" + (f"; most moved: {columns}." if columns else ".")
    hardly, still = ", which the champion hardly uses," if tier == INFO else "", f"did not ({score.moved.effect:.3f})"
    return f"{partition}: features moved{over} ({columns}){hardly} and the {score.column} {still}."


def _reservation(basis: str, past: int) -> str:
    if basis == CALIBRATED_BASIS:
        return ""
    return f" {basis.capitalize()}: {past} past partition{'s' * (past != 1)}."
