"""The gate of a challenger that was in shadow: what the batches since have gathered, in place of the fixed test."""

from __future__ import annotations

from incumbent.evaluate.contest import Contest
from incumbent.evaluate.gates.result import Result
from incumbent.evaluate.words import figure


def evidence(contest: Contest) -> Result:
    """The e-process over the batches in shadow has reached 1 / `alpha_later`, and the gain is worth a change."""
    shadow = contest.shadow
    if shadow is None:
        raise ValueError("this gate needs what was gathered in shadow")
    found, worth = shadow.evidence, contest.limits.min_improvement
    if not shadow.is_champions:
        passed, end = False, "gathered beside another champion than today's"
    elif found.e >= shadow.needed and found.estimate >= worth:
        passed, end = True, "better than the champion"
    else:
        passed, end = None, "more batches in shadow would settle it"
    gain = figure(found.estimate, contest.task == "binary", found.error, sign=True)
    what = f"{gain} AUC" if contest.task == "binary" else f"{contest.loss_name} saved {gain}"
    return {
        "gate": "evidence",
        "passed": passed,
        "metric": contest.metric,
        "estimate": found.estimate,
        "error": found.error,
        "rows": found.rows,
        "e": found.e,
        "needed": shadow.needed,
        "z": list(found.z),
        "min_improvement": worth,
        "verdicts": list(shadow.verdicts),
        "sentence": f"{what} over {len(shadow.verdicts)} batches in shadow, evidence {found.e:.3g} of the "
        f"{shadow.needed:.3g} needed; {end}",
    }
