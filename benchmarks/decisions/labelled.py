"""Labels that come in late: how often an alarm is false, and after how many batches it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy.special import expit

from benchmarks.decisions import ours
from benchmarks.decisions.families import expected_auc
from benchmarks.decisions.intervals import Rate, bootstrap, rate
from benchmarks.decisions.report import NOTHING, Table
from benchmarks.decisions.seeds import SEEDS, Draws
from benchmarks.decisions.sizes import scaled, spread
from benchmarks.decisions.world import BASE_RATE, Floats
from benchmarks.harness import Figure, at_least, figure
from incumbent.stats import auc

GATE_BATCHES = 7  # the shipped holdout is seven days, and a batch is a day
STREAM = 40  # batches
QUIET_STREAMS, CHANGED_STREAMS = 240, 120
SPREAD = 1.35  # standard deviation of the champion's logits: an AUC of about 0.80
OURS = "ours"
Watch = Callable[[Floats, Floats], bool]


@dataclass(frozen=True)
class Change:
    """What happens to the world at the first batch of a stream.

    Attributes:
        name: Its name.
        drop: How far the champion's AUC falls, by a truth that follows its logits less closely.
        shift: Added to every true logit.
        noise: Share of labels that are drawn anew, by chance.
        coverage: Share of outcomes that are in; positives come late, so that they are fewer among those.
    """

    name: str
    drop: float = 0.0
    shift: float = 0.0
    noise: float = 0.0
    coverage: float = 1.0


QUIET = Change("no change")


def changes(commit: str) -> list[Change]:
    """Return the changes of the protocol and held-out ones."""
    draws = Draws(commit, "labelled")
    drop, shift = draws.held_out("drop", 0.02, 0.12), draws.held_out("shift", 0.3, 0.8)
    return [
        Change("AUC -0.025", drop=0.025),
        Change("AUC -0.06", drop=0.06),
        Change("AUC -0.115", drop=0.115),
        Change("base rate +0.5 logit", shift=0.5),
        Change("10 % of labels by chance", noise=0.1),
        Change(f"AUC -{drop:.3f} (held out)", drop=drop),
        Change(f"base rate {-shift:+.2f} logit (held out)", shift=-shift),
    ]


def silent(commit: str) -> list[Change]:
    """Return what must raise no alarm."""
    return [QUIET, Change("80 % of outcomes are in, positives later", coverage=0.8)]


def draw(rng: np.random.Generator, rows: int, change: Change) -> tuple[Floats, Floats]:
    """Return labels and the champion's predictions of one batch."""
    own = SPREAD * rng.standard_normal(rows)
    close = closeness(change.drop)
    true = close * own + np.sqrt(1 - close**2) * SPREAD * rng.standard_normal(rows)
    labels = (rng.random(rows) < expit(true + _middle() + change.shift)).astype(np.float64)
    if change.noise:
        anew = rng.random(rows) < change.noise
        labels[anew] = rng.random(int(anew.sum())) < BASE_RATE
    predictions = expit(own + _middle())
    if change.coverage < 1:
        late = (labels > 0) & (rng.random(rows) < (1 - change.coverage) * 3)
        labels, predictions = labels[~late], predictions[~late]
    return labels, predictions


@cache
def closeness(drop: float) -> float:
    """Return how closely the truth follows the champion's logits when its AUC has fallen by so much."""
    if not drop:
        return 1.0
    rng = np.random.default_rng(0)
    own, other = SPREAD * rng.standard_normal((2, 200_000))
    scores = expit(own + _middle())
    best = expected_auc(scores, scores)
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        found = expected_auc(expit(middle * own + np.sqrt(1 - middle**2) * other + _middle()), scores)
        low, high = (middle, high) if found < best - drop else (low, middle)
    return low


@cache
def _middle() -> float:
    """Return the logit that makes the base rate."""
    own = SPREAD * np.random.default_rng(0).standard_normal(200_000)
    low, high = -10.0, 10.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(own + middle).mean() < BASE_RATE else (low, middle)
    return low


class Ours:
    """The production monitor.

    Args:
        labels, predictions: Of the gate rows.
        coverage: Share of outcomes that are in.
    """

    def __init__(self, labels: Floats, predictions: Floats, coverage: float = 1.0) -> None:
        self._monitor, self._coverage = ours.LabelledMonitor(labels, predictions), coverage

    def __call__(self, labels: Floats, predictions: Floats) -> bool:
        """Return whether an alarm holds after this batch."""
        return self._monitor.alarm(labels, predictions, self._coverage)


class Drop:
    """An alarm whenever the AUC is so far below that of the gate rows.

    Args:
        labels, predictions: Of the gate rows.
        most: The largest drop that is quiet.
    """

    def __init__(self, labels: Floats, predictions: Floats, most: float) -> None:
        self._floor = auc(labels, predictions) - most

    def __call__(self, labels: Floats, predictions: Floats) -> bool:
        """Return whether an alarm holds after this batch."""
        return auc(labels, predictions) < self._floor


class Chunks:
    """NannyML's rule for realised performance: outside mean ± so many standard deviations of ten reference chunks.

    Args:
        labels, predictions: Of the reference rows, of the size of ten batches.
        errors: How many standard deviations.
    """

    def __init__(self, labels: Floats, predictions: Floats, errors: float = 3.0) -> None:
        parts = np.array_split(np.arange(labels.size), 10)
        found = [auc(labels[part], predictions[part]) for part in parts]
        self._low = np.mean(found) - errors * np.std(found)
        self._high = np.mean(found) + errors * np.std(found)

    def __call__(self, labels: Floats, predictions: Floats) -> bool:
        """Return whether an alarm holds after this batch."""
        return not self._low <= auc(labels, predictions) <= self._high


def watches(rng: np.random.Generator, rows: int, change: Change) -> dict[str, Watch]:
    """Return everybody who watches a stream, each with its own memory."""
    gate = draw(rng, GATE_BATCHES * rows, QUIET)
    return {
        OURS: Ours(*gate, change.coverage),
        "AUC drop > .02": Drop(*gate, 0.02),
        "AUC drop > .05": Drop(*gate, 0.05),
        "mean ± 3 sd of 10 chunks*": Chunks(*draw(rng, 10 * rows, QUIET)),
    }


def stream(commit: str, rows: int, change: Change, task: tuple[int, int]) -> dict[str, list[list[bool]]]:
    """Return the alarms of each watch, batch by batch, of some streams of one seed; a stream ends with its alarm."""
    seed, count = task
    rng = Draws(commit, f"labelled {change.name} {rows}").rng(seed)
    found: dict[str, list[list[bool]]] = {}
    for _ in range(count):
        batches = [draw(rng, rows, change) for _ in range(STREAM)]
        for name, watch in watches(rng, rows, change).items():
            alarms: list[bool] = []
            for batch in batches:
                alarms.append(watch(*batch))
                if alarms[-1]:
                    break
            found.setdefault(name, []).append(alarms)
    return found


def streams(commit: str, rows: int, change: Change, count: int) -> dict[str, list[list[bool]]]:
    """Return the alarms of each watch in so many streams over all seeds."""
    parts = spread(partial(stream, commit, rows, change), [(seed, max(1, count // SEEDS)) for seed in range(SEEDS)])
    return {name: [each for part in parts for each in part[name]] for name in parts[0]}


def all_streams(commit: str) -> dict[tuple[int, str], Mapping[str, Sequence[Sequence[bool]]]]:
    """Return all streams, by rows of a batch and name of the change."""
    found: dict[tuple[int, str], Mapping[str, Sequence[Sequence[bool]]]] = {}
    for rows in (300, 1000, 5000):
        many = scaled(QUIET_STREAMS if rows < 5000 else QUIET_STREAMS // 2)
        for change in silent(commit):
            found[rows, change.name] = streams(commit, rows, change, many)
        for change in changes(commit):
            found[rows, change.name] = streams(commit, rows, change, scaled(CHANGED_STREAMS))
    return found


def delay(alarms: Sequence[Sequence[bool]]) -> tuple[float, float, tuple[float, float]]:
    """Return the median number of batches to an alarm, the share of streams with one, and the median's interval.

    >>> delay([[False, True], [True], [False, False, True]])[:2]
    (2.0, 1.0)
    """
    waits = [len(each) if each[-1] else np.inf for each in alarms]
    known = [wait for wait in waits if np.isfinite(wait)]
    median = float(np.median(waits))
    return median, len(known) / len(waits), bootstrap([min(wait, 2 * STREAM) for wait in waits], "median")


def labelled_table(commit: str, found: Mapping[tuple[int, str], Mapping[str, Sequence[Sequence[bool]]]]) -> Table:
    """Return false alarms and delays of each watch."""
    head = ["rows", "watch", *(f"false: {each.name}" for each in silent(commit))]
    head += [each.name for each in changes(commit)]
    rows = []
    for size in sorted({size for size, _ in found}):
        for name in found[size, QUIET.name]:
            false = [rate(found[size, each.name][name]).text(1000, 1) for each in silent(commit)]
            waits = [_wait(found[size, each.name][name]) for each in changes(commit)]
            rows.append([f"{size:,}", name, *false, *waits])
    says = (
        "False alarms per 1,000 batches; then the median number of batches to an alarm, and the share of streams of "
        f"{STREAM} batches in which one came. 16 % positives, champion's AUC about 0.80. * by the rule of its source."
    )
    return Table("Labels that come late", says, head, rows)


def labelled_figures(
    commit: str, found: Mapping[tuple[int, str], Mapping[str, Sequence[Sequence[bool]]]]
) -> Iterator[Figure]:
    """Yield what was promised of labelled alarms."""
    for size in sorted({size for size, _ in found}):
        for change in silent(commit):
            yield _false(f"labelled false alarms: {change.name}, {size} rows", rate(found[size, change.name][OURS]))
        for change in changes(commit):
            median, share, between = delay(found[size, change.name][OURS])
            promised = change.drop == 0.06 and size == 1000
            wait = min(median, float(2 * STREAM))
            name = f"labelled delay: {change.name}, {size} rows"
            yield figure(name, wait, "batches", 2.0 if promised else None, between)
            if promised:
                yield at_least(f"labelled found: {change.name}, {size} rows", share, "share", 0.99)


def _false(name: str, found: Rate) -> Figure:
    return figure(name, 1000 * found.share, "/1000", 1.0, (1000 * found.low, 1000 * found.high))


def _wait(alarms: Sequence[Sequence[bool]]) -> str:
    median, share, _ = delay(alarms)
    return f"{median:.0f} ({share:.0%})" if np.isfinite(median) else f"{NOTHING} ({share:.0%})"
