"""The gate against leaks: no feature of the candidate knows the label as no honest column does."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from incumbent.evaluate.contest import Contest
from incumbent.leaks import LeakReport, find_leaks
from incumbent.records import ModelVersion

Result = dict[str, Any]


def look(training: pa.Table, candidate: ModelVersion) -> LeakReport:
    """Return what the candidate's training rows give away.

    Args:
        training: Its training rows; rows whose `label` is null are evidence too.
        candidate: Names the features to judge, and the task.
    """
    # The caller sorted the rows by key: their order is no evidence, and takes no time to be looked at.
    return find_leaks(training, "label", candidate.task, features=candidate.features, ordered=False)


def leaks(contest: Contest) -> Result:
    """No feature leaks the label, but for those that `gates.allow_leaks` vouches for."""
    report, allowed = contest.leaks, contest.limits.allow_leaks
    if report is None:
        raise ValueError("this gate needs a report of leaks, and nobody looked")
    found = [finding for finding in report.findings if finding.column not in allowed]
    excused = [finding.column for finding in report.findings if finding.column in allowed]
    few = report.not_judged.get("", "")
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        sentence = f"{found[0].sentence}{more}; take it out of features.sql, or vouch for it in gates.allow_leaks"
    else:
        looked = f"no leak in {report.columns} features of {report.labelled} training rows"
        sentence = few or looked + (f", but for {', '.join(excused)}, allowed in gates.allow_leaks" if excused else "")
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
