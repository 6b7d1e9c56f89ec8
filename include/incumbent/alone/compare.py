"""Which of two models is better on the same rows: four answers, with the interval that they come from.

The paired, clustered difference is that of the gate on superiority, looked at from both sides: a champion has the
benefit of the doubt, and here neither is one. What else the gates ask of a challenger, they ask of B as soon as B is
better; what speaks against it is said beside the verdict.

Long because the record has a field for all that is said, each described where it is declared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from incumbent.alone.matched import Asked
from incumbent.alone.predictions import Floats, Predictions, side_by_side
from incumbent.alone.slices import slice_results
from incumbent.alone.table import column_names, given
from incumbent.config import Gates
from incumbent.errors import ConfigError
from incumbent.evaluate.contest import Contest
from incumbent.evaluate.error_rate import detectable
from incumbent.evaluate.gates.calibration import calibration
from incumbent.evaluate.gates.loss import loss
from incumbent.evaluate.gates.sample import sample
from incumbent.evaluate.settle import far_off, forecast, more_clusters
from incumbent.stats import Difference

BETTER_B, BETTER_A = "B is better", "A is better"
SAME, OPEN = "no difference that matters", "not enough rows to say"
MOST_ALPHA = 0.2
MOST_AUC = 0.5  # from a guess to the truth


@dataclass(frozen=True)
class Comparison:
    """What a comparison says.

    Attributes:
        verdict: `B is better`, `A is better`, `no difference that matters` or `not enough rows to say`.
        sentence: The verdict for a person.
        task: `binary`, `multiclass` or `regression`.
        metric: What is compared.
        rows: Labelled rows.
        positives: Those of class 1; None for other tasks.
        unlabelled: Rows without a label, which do not count.
        clusters: Number of clusters, or of rows if they are independent.
        unit: What one cluster is: `clusters` or `rows`.
        a, b: Metric of each, and by how much the mean prediction misses.
        difference: By how much B is better: estimate, error, interval, and the error rate of each of its bounds.
        min_improvement: Smallest difference that matters.
        detectable: True difference that these rows would show in nine of ten cases; None where there is none: of too
            few clusters, of the same predictions, or larger than any difference can be.
        more_rows: How many more labelled rows would settle an open question, if the true difference is the estimated
            one; None where a hundred times as many would not.
        slices: The same difference in each group of rows.
        objections: What speaks against B although it is better.
        notes: What else should be known.
    """

    schema: ClassVar[str] = "incumbent.compare/1"

    verdict: str
    sentence: str
    task: str
    metric: str
    rows: int
    positives: int | None
    unlabelled: int
    clusters: int
    unit: str
    a: Mapping[str, Any]
    b: Mapping[str, Any]
    difference: Mapping[str, float] | None
    min_improvement: float
    detectable: float | None
    more_rows: int | None
    slices: tuple[Mapping[str, Any], ...]
    objections: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether B is better and nothing speaks against it."""
        return self.verdict == BETTER_B and not self.objections

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"schema": self.schema, **asdict(self), "passed": self.passed}


def compare(
    a: Any,
    b: Any = None,
    *,
    label: str,
    key: Sequence[str] | str = (),
    score: str | None = None,
    score_b: str | None = None,
    task: str | None = None,
    cluster: Sequence[str] | str = (),
    slices: Sequence[str] | str = (),
    sensitive: Sequence[str] | str = (),
    alpha: float = Gates().alpha,
    min_improvement: float = Gates().min_improvement,
) -> Comparison:
    """Say which of two models predicts the same rows better.

    Args:
        a: Predictions of A: a path (Parquet, CSV), an Arrow table or a data frame.
        b: Those of B; None if `a` has both.
        label: Column of what came true, in either; rows without it do not count.
        key: Columns that identify a row in both.
        score: Score column of A, and of B if no other is named; else `score`, `prediction` or `probability`. Of several
            classes what their columns begin with: `score` for `score_late` and `score_early`.
        score_b: Score column of B.
        task: `binary`, `multiclass` or `regression`; found out if None.
        cluster: Columns of which rows with the same values share their luck, such as the day or the customer.
        slices: Columns in whose groups the two are compared as well.
        sensitive: Columns whose values nobody is shown.
        alpha: Error rate at which B (or A) is called better by luck.
        min_improvement: Smallest difference that matters: AUC, or share of the loss.

    Raises:
        PipelineError: A column is missing, the rows do not fit together, or nothing can be compared on them.
    """
    limits = _limits(alpha, min_improvement)
    asked = Asked(
        label,
        column_names(key),
        (score, score_b),
        task,
        column_names(cluster),
        column_names(slices),
        column_names(sensitive),
    )
    others = None if b is None else given(b, "B", asked.sensitive)
    rows = side_by_side(given(a, "A", asked.sensitive), others, asked)
    contest = Contest(
        task=rows.task, labels=rows.labels, challenger=rows.b, champion=rows.a, clusters=rows.clusters,
        unit="rows" if rows.clusters is None else "clusters", train_rows=0, train_until="", gate_from="",
        limits=limits, classes=rows.classes,
    )  # fmt: skip
    return _compared(contest, rows, asked)


def _limits(alpha: float, min_improvement: float) -> Gates:
    """Return the thresholds, of which these two may be other than a model folder's defaults."""
    if not (0 < alpha <= MOST_ALPHA and 0 <= min_improvement < float("inf")):
        raise ConfigError(
            "these limits say nothing",
            where="--alpha, --min-improvement",
            expected=f"an error rate above 0 and at most {MOST_ALPHA}, and a smallest difference from 0 on",
            found=f"{alpha:g}, {min_improvement:g}",
            next_step="leave them out, or correct them",
        )
    return Gates(alpha=alpha, min_improvement=min_improvement)


def _compared(contest: Contest, rows: Predictions, asked: Asked) -> Comparison:
    few, gain = sample(contest), _gain(contest)
    verdict = OPEN if few["passed"] is None else _verdict(contest, gain)
    worth = contest.limits.min_improvement
    more = more_clusters(_size_of(gain), lambda error, df: contest.alpha, worth) if gain else None
    each = contest.labels.size / few["clusters"]
    more_rows = None if more is None or verdict != OPEN or few["passed"] is None else round(more * each)
    found = slice_results(contest, rows.slices, asked.sensitive)
    objections = _objections(contest, found) if verdict == BETTER_B else ()
    return Comparison(
        verdict=verdict,
        sentence=_sentence(verdict, contest, gain, few, more_rows, objections),
        task=contest.task,
        metric=contest.metric,
        rows=few["rows"],
        positives=few["positives"],
        unlabelled=rows.unlabelled,
        clusters=few["clusters"],
        unit=contest.unit,
        a=_contender(contest, rows.a, rows.names[0]),
        b=_contender(contest, rows.b, rows.names[1]),
        difference=None if gain is None else _numbers(gain, contest.alpha),
        min_improvement=contest.limits.min_improvement,
        detectable=None if gain is None or _few_clusters(few) else _detectable(contest, gain),
        more_rows=more_rows,
        slices=found,
        objections=objections,
        notes=_notes(contest, rows),
    )


def _few_clusters(few: Mapping[str, Any]) -> bool:
    """Return whether an interval is one of nearly anything."""
    return bool(few["clusters"] < few["min_clusters"])


def _detectable(contest: Contest, gain: Difference) -> float | None:
    found, most = detectable(gain.error, gain.df, contest.alpha), MOST_AUC if contest.by_auc else 1.0
    return found if 0 < found <= most else None


def _gain(contest: Contest) -> Difference | None:
    """Return by how much B is better; None if that cannot be said: too few clusters, or A makes no error at all."""
    clusters = contest.labels.size if contest.clusters is None else np.unique(contest.clusters).size
    if clusters < 2 or contest.champion is None:
        return None
    if contest.task != "binary" and not contest.losses(contest.champion).any():
        return None
    return contest.advantage(contest.champion)


def _verdict(contest: Contest, gain: Difference | None) -> str:
    if gain is None:  # A makes no error at all
        return BETTER_A if contest.losses(contest.challenger).any() else SAME
    lower, upper, worth = gain.lower(contest.alpha), gain.upper(contest.alpha), contest.limits.min_improvement
    if lower > 0 and gain.estimate >= worth:
        return BETTER_B
    if upper < 0 and gain.estimate <= -worth:
        return BETTER_A
    return SAME if -worth <= lower and upper <= worth else OPEN


def _size_of(gain: Difference) -> Difference:
    return replace(gain, estimate=abs(gain.estimate))


def _objections(contest: Contest, slices: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return what the other gates say against B; of scores that are no probabilities they have nothing to say."""
    gates = (loss, calibration) if _are_predictions(contest) else ()
    results = [gate(contest) for gate in gates]
    said = [str(result["sentence"]) for result in results if result["passed"] is False]
    return (*said, *(f"worse where {each['column']} is {each['value']}" for each in slices if each["is_worse"]))


def _are_predictions(contest: Contest) -> bool:
    """Return whether both say how likely or how much, and do not only rank."""
    both = [contest.challenger, contest.champion]
    return contest.task != "binary" or all(
        scores is not None and scores.min() >= 0 and scores.max() <= 1 for scores in both
    )


def _contender(contest: Contest, scores: Floats, column: str) -> dict[str, Any]:
    said: dict[str, Any] = {"column": column, "value": contest.metric_of(scores)}
    if _are_predictions(contest):
        misses = {name: float(off.mean()) for name, off in contest.misses(scores).items()}
        said |= {"loss": float(contest.losses(scores).mean()), "misses": misses.get("", misses)}
    return said


def _numbers(gain: Difference, alpha: float) -> dict[str, float]:
    bounds = {"lower": gain.lower(alpha), "upper": gain.upper(alpha), "alpha": alpha}
    return {"estimate": gain.estimate, "error": gain.error, **bounds}


def _notes(contest: Contest, rows: Predictions) -> tuple[str, ...]:
    notes = []
    if rows.unlabelled:
        notes.append(f"{rows.unlabelled} rows have no label and do not count")
    if contest.clusters is None:
        notes.append(
            "rows are taken for independent: if some share their luck (a day, a customer), name that with --cluster"
        )
    if not _are_predictions(contest):
        notes.append("the scores are no probabilities: only how they rank the rows is compared")
    return tuple(notes)


def _sentence(
    verdict: str,
    contest: Contest,
    gain: Difference | None,
    few: Mapping[str, Any],
    more_rows: int | None,
    objections: Sequence[str],
) -> str:
    if gain is None:
        return f"{verdict}: " + (
            "one cluster says nothing about luck" if verdict == OPEN else "A makes no error at all"
        )
    over = f"over {few['rows']:,} rows" + ("" if contest.clusters is None else f" in {few['clusters']:,} clusters")
    said = difference_text(contest, gain, contest.alpha)
    text = f"{verdict}: {said.partition(',')[0] if _few_clusters(few) else said} {over}"
    if verdict == OPEN:
        text += f"; {_lacks(few) if few['passed'] is None else _more(contest, gain, more_rows)}"
    return text + (f"; but {'; '.join(objections)}" if objections else "")


def difference_text(contest: Contest, gain: Difference, alpha: float) -> str:
    """Return a difference and its interval for a sentence."""
    form = _form(contest)
    name = "AUC" if contest.task == "binary" else f"{contest.loss_name} saved"
    low, high = form.format(gain.lower(alpha)), form.format(gain.upper(alpha))
    return f"{name} {form.format(gain.estimate)}, {1 - 2 * alpha:.0%} interval {low} to {high}"


def _lacks(few: Mapping[str, Any]) -> str:
    return str(few["sentence"]).partition(";")[0].replace("gate rows", "rows")


def _form(contest: Contest) -> str:
    return "{:+.4f}" if contest.task == "binary" else "{:+.2%}"


def _more(contest: Contest, gain: Difference, more_rows: int | None) -> str:
    form = _form(contest)
    if more_rows is None:
        return far_off(form.format(gain.upper(contest.alpha) - gain.lower(contest.alpha)).lstrip("+"))
    return forecast(f"difference is {form.format(gain.estimate)}", more_rows)
