"""The gate against leaks: no feature of the candidate knows the label as no honest column does.

A candidate that it would reject need not be fitted: a guard before the training asks the same of the same rows. Who
comes first looks, and the other takes what was found, so they cannot disagree.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import TrainingError
from incumbent.evaluate.contest import Contest
from incumbent.features.build import feature_columns
from incumbent.leaks import Finding, LeakReport, find_leaks
from incumbent.store import ModelStore

LOG = logging.getLogger(__name__)
Result = dict[str, Any]
LOOKED = "leak_reports"


def look(training: pa.Table, features: Sequence[str], task: str) -> LeakReport:
    """Return what a candidate's training rows give away.

    Args:
        training: Its training rows; rows whose `label` is null are evidence too.
        features: Names of the features to judge.
        task: `binary`, `multiclass` or `regression`.
    """
    # The caller sorted the rows by key: their order is no evidence, and takes no time to be looked at.
    return find_leaks(training, "label", task, features=features, ordered=False)


def looked(store: ModelStore, request: str, task: str, look_now: Callable[[], LeakReport]) -> LeakReport:
    """Return what was found in the training rows of a request, which are pinned; they are looked at once.

    Args:
        store: The model's store.
        request: Retrain request id.
        task: A look for another task, from before somebody changed it, is not taken.
        look_now: Looks at the rows.
    """
    if store.records.has(LOOKED, request):
        plain = store.records.get_plain(LOOKED, request)
        if plain.pop("task") == task:
            return LeakReport(**{**plain, "findings": tuple(Finding(**each) for each in plain["findings"])})
    report = look_now()
    store.records.claim(LOOKED, request, {"task": task, **asdict(report)})
    return report


def refuse_leaks(store: ModelStore, model: Model, request: str, training: Callable[[], pa.Table]) -> None:
    """Refuse to fit a candidate that the gate would reject.

    Args:
        store: The model's store.
        model: Its configuration.
        request: Retrain request id.
        training: Rows that the gate would look at.

    Raises:
        TrainingError: A feature leaks the label, and nobody vouches for it.
    """

    def look_now() -> LeakReport:
        rows = training()
        return look(rows, feature_columns(model, rows), model.task)

    result = judged(looked(store, request, model.task, look_now), model.gates.allow_leaks)
    LOG.info("before the training: %s", result["sentence"])
    if result["passed"] is False:
        named = [finding["column"] for finding in result["findings"]]
        raise TrainingError(
            "a feature leaks the label" if len(named) == 1 else "features leak the label",
            where=f"model {model.name}: features.sql",
            expected="features that are known when the prediction is made",
            found=result["findings"][0]["sentence"],
            examples=named,
            next_step=f"take {_those(named)} out of features.sql, or vouch for {_those(named)} in gates.allow_leaks",
        )


def leaks(contest: Contest) -> Result:
    """No feature leaks the label, but for those that `gates.allow_leaks` vouches for."""
    if contest.leaks is None:
        raise ValueError("this gate needs a report of leaks, and nobody looked")
    return judged(contest.leaks, contest.limits.allow_leaks)


def judged(report: LeakReport, allowed: Sequence[str]) -> Result:
    """Return what the gate says of a report.

    Args:
        report: What was found.
        allowed: Features that a person vouches for.
    """
    found = [finding for finding in report.findings if finding.column not in allowed]
    excused = [finding.column for finding in report.findings if finding.column in allowed]
    few = report.not_judged.get("", "")
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        sentence = f"{found[0].sentence}{more}; take it out of features.sql, or vouch for it in gates.allow_leaks"
    else:
        looked_at = f"no leak in {report.columns} features of {report.labelled} training rows"
        but_for = f", but for {', '.join(excused)}, allowed in gates.allow_leaks" if excused else ""
        sentence = few or looked_at + but_for
    return {
        "gate": "leaks",
        "passed": False if found else None if few else True,
        "features": report.columns,
        "rows": report.labelled,
        "sampled": report.sampled,
        "findings": [
            {"column": each.column, "test": each.test, "sentence": each.sentence, **each.evidence} for each in found
        ],
        "allowed": excused,
        "sentence": sentence,
    }


def _those(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else "them"
