"""Output diversity: a model that answers nearly everybody alike, judged by counts alone.

The measure is the chance that two rows of a batch fall into one cell (Simpson's concentration). It needs no bins of its
own, is unbiased at any number of rows, and comes from counts that add up over batches. A frozen feature or a
broken join shows here before any label does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, stdtr

from incumbent.monitor.verdicts import DriftVerdict

Counts = Mapping[Any, float]  # cell to its count; the cells of all batches are the same
Floats = npt.NDArray[np.float64]
ALPHA = 0.001  # error rate of one batch, over all of its columns
TOLERANCE = math.log(2)  # twice the usual odds that two rows are answered alike is the least that is worth a word
LEAST, MOST = 1e-6, 0.999  # what always was constant, or never repeated, has odds all the same
MIN_ROWS = 50  # below, chance alone repeats or spreads values
MIN_BATCHES = 3  # fewer past batches say nothing of how much they differ
QUIET = ("none", "info")


@dataclass(frozen=True)
class Concentration:
    """How concentrated one column of outputs is.

    Attributes:
        rows: Rows with a value.
        repeat: Chance that two rows fall into one cell.
        usual: The same of past batches, on the mean of their odds' logarithms; 0 without any.
        batches: Past batches that were compared with.
        p: P-value of "the odds that two rows fall into one cell are at most twice the usual".
    """

    rows: int
    repeat: float
    usual: float
    batches: int
    p: float


def output_diversity(batch: Mapping[str, Counts], past: Sequence[Mapping[str, Counts]]) -> dict[str, Any]:
    """Judge whether a batch's outputs have collapsed to few values or to one class.

    Args:
        batch: Column of outputs (a score, or the predicted class) to its cells' counts, without nulls.
        past: The same of each past good batch, in the same cells; one may lack a column.

    Returns:
        `state`: `ordinary`, `collapsed`, `insufficient data` (too few rows with a score) or `uncalibrated` (too few
        past batches); `alpha`, the error rate of each column; `columns`, a mapping each with the numbers; `sentence`.
    """
    alpha = ALPHA / max(1, len(batch))
    columns = []
    for name, counts in batch.items():
        found = concentration(counts, [each[name] for each in past if name in each])
        columns.append({"column": name, "state": _state(found, alpha), **vars(found)})
    states = [str(column["state"]) for column in columns] or ["insufficient data"]
    # One column that collapsed is enough; one that can be judged is enough to call the batch ordinary.
    state = next(each for each in ("collapsed", "ordinary", "uncalibrated", "insufficient data") if each in states)
    return {"state": state, "alpha": alpha, "columns": columns, "sentence": _sentence(state, columns)}


def concentration(batch: Counts, past: Sequence[Counts]) -> Concentration:
    """Compare a batch's concentration with that of past batches.

    The log-odds of past batches are taken as normal, so a new one lies within Student's prediction bound. What sampling
    adds is computed from the pooled cells and never assumed smaller than it is: a small batch after large ones is
    no alarm.
    """
    counts = _array(batch)
    rows, repeat = int(counts.sum()), _repeat(counts)
    known = [each for each in map(_array, past) if each.sum() >= MIN_ROWS]
    if rows < MIN_ROWS or not known:
        return Concentration(rows, repeat, 0.0, len(known), 1.0)
    odds = np.array([_log_odds(_repeat(each)) for each in known])
    usual = float(odds.mean())
    if len(known) < MIN_BATCHES:
        return Concentration(rows, repeat, float(expit(usual)), len(known), 1.0)
    shares = _pooled([each for each in past if sum(each.values()) >= MIN_ROWS])
    noise = float(np.mean([_sampling(shares, each.sum()) for each in known]))
    spread = max(float(odds.var(ddof=1)), noise)
    variance = spread * (1 + 1 / len(known)) + max(0.0, _sampling(shares, rows) - noise)
    beyond = _log_odds(repeat) - usual - TOLERANCE
    t = beyond / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, beyond)
    return Concentration(rows, repeat, float(expit(usual)), len(known), float(stdtr(len(known) - 1, -t)))


def with_diversity(verdict: DriftVerdict, found: Mapping[str, Any]) -> DriftVerdict:
    """Return a drift verdict with a finding on diversity; a collapse is a warning at least.

    Args:
        verdict: The verdict.
        found: What `output_diversity` has returned.
    """
    if found["state"] != "collapsed":
        return replace(verdict, diversity=found)
    tier = "warning" if verdict.tier in QUIET else verdict.tier
    return replace(verdict, diversity=found, tier=tier, sentence=f"{verdict.sentence} {found['sentence']}")


def _array(counts: Counts) -> Floats:
    return np.fromiter(counts.values(), dtype=np.float64, count=len(counts))


def _repeat(counts: Floats) -> float:
    """Return the unbiased estimate of Simpson's concentration; 0 of fewer than two rows.

    >>> _repeat(np.array([2.0, 2.0]))
    0.3333333333333333
    """
    rows = float(counts.sum())
    return float(counts @ (counts - 1)) / (rows * (rows - 1)) if rows > 1 else 0.0


def _pooled(past: Sequence[Counts]) -> Floats:
    """Return the shares of the cells over all past batches."""
    total = dict[Any, float]()
    for each in past:
        for cell, count in each.items():
            total[cell] = total.get(cell, 0) + count
    shares: Floats = np.fromiter(total.values(), dtype=np.float64, count=len(total))
    shares /= shares.sum()
    return shares


def _log_odds(repeat: float) -> float:
    return float(logit(min(max(repeat, LEAST), MOST)))


def _sampling(shares: Floats, rows: float) -> float:
    """Return the variance that sampling gives the log-odds of the concentration (a U-statistic of order two)."""
    square = float(shares @ shares)
    first, second = float((shares**3).sum()) - square**2, square - square**2
    variance = (4 * (rows - 2) * max(first, 0.0) + 2 * second) / (rows * (rows - 1))
    clipped = min(max(square, LEAST), MOST)
    return variance / (clipped * (1 - clipped)) ** 2


def _state(found: Concentration, alpha: float) -> str:
    if found.rows < MIN_ROWS:
        return "insufficient data"
    if found.batches < MIN_BATCHES:
        return "uncalibrated"
    return "collapsed" if found.p < alpha else "ordinary"


def _sentence(state: str, columns: Sequence[Mapping[str, Any]]) -> str:
    if state == "collapsed":
        worst = min((each for each in columns if each["state"] == state), key=lambda each: float(each["p"]))
        return (
            f"The {worst['column']} has collapsed: it is worth {1 / worst['repeat']:.1f} different answers, "
            f"{1 / worst['usual']:.1f} are usual."
        )
    return {
        "ordinary": "The outputs are as different as usual.",
        "uncalibrated": f"Fewer than {MIN_BATCHES} past batches say how different the outputs are usually.",
        "insufficient data": f"Fewer than {MIN_ROWS} rows have a score.",
    }[state]
