"""The gate of behaviour: what the candidate says of a row that is changed in a known way."""

from __future__ import annotations

import numpy as np

from incumbent.config import Behaviour
from incumbent.evaluate.contest import Contest, Floats, Probe
from incumbent.evaluate.gates.result import Result, together
from incumbent.evaluate.words import count, percent

EXPECTED = {"same": "the same", "not_less": "not less", "not_more": "not more"}


def behaviour(contest: Contest) -> Result:
    """Of each test of `gates.behaviour`, enough of the rows that it changes are predicted as it expects."""
    found = [_tried(contest, asked, contest.probes.get(asked.name)) for asked in contest.limits.behaviour]
    passed = together(found)
    told = [each["sentence"] for each in found if each["passed"] is passed]
    return {
        "gate": "behaviour",
        "passed": passed,
        "tests": found,
        "sentence": "; ".join(told[:1] if passed is not True else told),
    }


def _tried(contest: Contest, asked: Behaviour, probe: Probe | None) -> Result:
    head: Result = {"name": asked.name, "feature": asked.feature, "expect": asked.expect, "share": asked.share}
    rows = 0 if probe is None else len(probe.before)
    if probe is None or not rows:
        return {**head, "passed": None, "rows": 0, "sentence": f"{asked.name}: no gate row is changed by it"}
    if not np.isfinite(probe.after).all():
        return {**head, "passed": False, "rows": rows, "sentence": f"{asked.name}: a prediction is not finite"}
    kept = int(_as_expected(asked, probe, contest.scale()).sum())
    return {
        **head,
        "passed": kept / rows >= asked.share,
        "rows": rows,
        "kept": kept,
        "sentence": f"{asked.name}: {percent(kept / rows)} of {count(rows)} rows are predicted "
        f"{EXPECTED[asked.expect]}; {percent(asked.share)} are needed",
    }


def _as_expected(asked: Behaviour, probe: Probe, scale: float) -> np.ndarray:
    change: Floats = probe.after - probe.before
    if change.ndim > 1:  # of several classes: none may move
        change = np.abs(change).max(axis=1)
    tolerance = asked.tolerance * scale
    if asked.expect == "same":
        return np.abs(change) <= tolerance
    return change >= -tolerance if asked.expect == "not_less" else change <= tolerance
