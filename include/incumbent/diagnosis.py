"""Why a batch alarms, before anything is retrained: a broken feed is repaired, and only real shift is learned.

A pure function of what is on record. Labels decide where there are some; an estimate without labels may say that a
shift is costly, and never that an alarm was none.

Here and not with a stage: MONITOR records it, and the policy of retraining asks again with what earlier batches add up
to.

Long because each field of a public record is described where it is declared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar

from incumbent.records import Record

CAUSES = (
    "bad_data", "upstream_change", "covariate_shift", "label_shift", "concept_drift", "none", "unknown",
)  # fmt: skip
DATA_OWNER, MODEL_OWNER, NOBODY = "data owner", "model owner", "nobody"
STRONG = ("drift", "quarantine", "retrain candidate", "critical")  # tiers that ask for something
BLIND = ("insufficient data", "no reference", "scores missing")  # what a drift verdict was based on, when on nothing
MOVED = ("warning", *STRONG)
QUARANTINE, CRITICAL = "quarantine", "critical"
MIN_ROWS = 30
RANKING = {"rank", "ranking"}  # as a verdict and as the policy call it
CALIBRATION = {"cal_high", "cal_low", "more than predicted", "less than predicted"}
ALARM = 3.6  # standardised loss of one batch, as of `monitor.alarm_z`
KEPT = 2.0  # errors by which a metric that is as before may lie below what it was
SLOPE = 0.01  # below, a new intercept does not explain the misses
MOST = 0.6  # share of a change that one level or one source has to explain
SMALL = 0.5  # share of rows from which on a level is no part of the batch but the batch
CALIBRATED = 20  # reference batches from which on a source that moves alone is no season that nobody has seen
HARM = {"auc": 0.01, "logloss": 0.02, "rmse": 0.02}  # a loss worth a word; of what is not an AUC it is a share
ONE_SIDED = 1.645
EXPLAINED = 0.5  # share of a loss that the inputs have to explain
TOLD = 0.1  # share of what a classifier learns from a column that makes it one that moved
SHOWN = 10


@dataclass(frozen=True)
class Evidence:
    """What is known of a batch when it is diagnosed; each part may be missing.

    Attributes:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        rows: Rows of the batch.
        drift: The drift verdict: tier, batches, features (feature, effect, importance), score, diversity.
        integrity: Findings of the integrity tests; one that `holds` is on an important column, or on a whole one.
        performance: The performance verdict: judged, metric, value, error, z; empty without outcomes.
        labels: What `label_facts` says; empty without outcomes.
        reference: `value` and `error` of the metric on the champion's gate rows.
        alarms: Channels of performance that alarm, each with a sentence; the batch's own losses decide if empty.
        estimate: The estimate without labels: metric, change, cost; empty if there is none.
        domain: What the domain classifier says; empty if it was not asked.
        segments: Levels that moved most, with `by`: `inputs` or `losses`.
        sources: Column to the sources that it is made of.
        alarm_z: Standardised loss from which on a channel of one batch alarms.
        batch_source: Name by which a definition calls the population itself.
        held_before: Whether the partition before this one is held as well.
    """

    partition: str
    generation: int
    version: str
    rows: int
    drift: Mapping[str, Any] = field(default_factory=dict)
    integrity: tuple[Mapping[str, Any], ...] = ()
    performance: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Any] = field(default_factory=dict)
    alarms: Mapping[str, str] = field(default_factory=dict)
    estimate: Mapping[str, Any] = field(default_factory=dict)
    domain: Mapping[str, Any] = field(default_factory=dict)
    segments: tuple[Mapping[str, Any], ...] = ()
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    alarm_z: float = ALARM
    batch_source: str = "batch"
    held_before: bool = False

    @property
    def tier(self) -> str:
        """Tier of the drift verdict."""
        return str(self.drift.get("tier", "none"))

    @property
    def judged(self) -> bool:
        """Whether outcomes have judged the champion on the batch."""
        return bool(self.performance.get("judged"))

    @property
    def channels(self) -> dict[str, str]:
        """The channels of performance that alarm."""
        if self.alarms:
            return dict(self.alarms)
        z = self.performance.get("z") or {}
        said = {"rank": "ranking", "cal_high": "outcomes above the predictions", "cal_low": "outcomes below"}
        return {name: f"{said.get(name, name)}: {loss:.1f} errors" for name, loss in z.items() if loss > self.alarm_z}


@dataclass(frozen=True)
class Diagnosis(Record):
    """Why a batch alarms, who is told, and what is enough.

    Attributes:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        cause: `bad_data`, `upstream_change`, `covariate_shift`, `label_shift`, `concept_drift`, `none` or `unknown`.
        answer: What is enough: `repair`, `recalibrate`, `retrain`, `watch` or `nothing`.
        notify: `data owner`, `model owner` or `nobody`.
        retrains: Whether there is something new to learn: real shift, and not a fault.
        reasons: Plain sentences with numbers.
        columns: Columns that moved most: column, sources, effect, importance.
        segments: Levels that moved most.
        cost: Change of the metric: metric, change, verdict (`harmless`, `costly`, `unsure` or `unknown`), and by whom:
            `labels` or `estimate`.
        sentence: The diagnosis for a person.
        evidence: All that it was made from; see `again`.
        tier: How serious it is, of all that is known together: that of the drift verdict; `quarantine` if findings hold
            the batch; `critical` if labels alarm, or if the partition before it is held as well.
    """

    kind: ClassVar[str] = "diagnoses"

    partition: str
    generation: int
    version: str
    cause: str
    answer: str
    notify: str
    retrains: bool
    reasons: tuple[str, ...]
    columns: tuple[Mapping[str, Any], ...]
    segments: tuple[Mapping[str, Any], ...]
    cost: Mapping[str, Any]
    sentence: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    tier: str = ""


@dataclass(frozen=True)
class _Cause:
    """What one rule has concluded."""

    cause: str
    answer: str
    notify: str
    retrains: bool
    reasons: tuple[str, ...]


def diagnose(evidence: Evidence) -> Diagnosis:
    """Say why a batch alarms: the first of the rules that applies.

    Args:
        evidence: What is known of the batch.
    """
    rules = (_bad_data, _too_little, _upstream_change, _label_shift, _worse, _moved, _collapsed)
    found = next((cause for rule in rules if (cause := rule(evidence))), None) or _quiet(evidence)
    columns, segments = tuple(_columns(evidence)), tuple(evidence.segments[:SHOWN])
    return Diagnosis(
        **vars(found),
        partition=evidence.partition,
        generation=evidence.generation,
        version=evidence.version,
        columns=columns,
        segments=segments,
        cost=_cost(evidence),
        sentence=_sentence(evidence, found),
        evidence=asdict(evidence),
        tier=_tier(evidence),
    )


def again(plain: Mapping[str, Any], alarms: Mapping[str, str] | None = None) -> Diagnosis:
    """Return what a recorded diagnosis says, made again from its own evidence.

    Args:
        plain: A stored diagnosis.
        alarms: Channels of performance that alarm by what earlier batches add up to; as recorded if None.
    """
    known = {each.name for each in fields(Evidence)}
    given = {key: value for key, value in plain["evidence"].items() if key in known}
    evidence = Evidence(**given)
    return diagnose(evidence if alarms is None else replace(evidence, alarms=dict(alarms)))


def _tier(evidence: Evidence) -> str:
    if _holding(evidence):
        return CRITICAL if evidence.held_before else QUARANTINE
    return CRITICAL if evidence.judged and evidence.channels else evidence.tier


def _holding(evidence: Evidence) -> list[Mapping[str, Any]]:
    return [finding for finding in evidence.integrity if finding.get("holds", True)]


def _bad_data(evidence: Evidence) -> _Cause | None:
    broken = _holding(evidence)
    if not broken:
        return None
    reasons = tuple(str(finding.get("sentence", finding.get("test"))) for finding in broken[:SHOWN])
    return _Cause("bad_data", "repair", DATA_OWNER, False, reasons)


def _too_little(evidence: Evidence) -> _Cause | None:
    if evidence.judged:
        return None
    if evidence.rows < MIN_ROWS:
        return _Cause("unknown", "watch", NOBODY, False, (f"{evidence.rows} rows say nothing; {MIN_ROWS} are needed",))
    if (basis := str(evidence.drift.get("basis", ""))) in BLIND or not evidence.drift:
        why = f"nothing says whether the inputs moved ({basis or 'no drift verdict'}), and no outcomes are in"
        return _Cause("unknown", "watch", MODEL_OWNER if basis == "scores missing" else NOBODY, False, (why,))
    return None


def _upstream_change(evidence: Evidence) -> _Cause | None:
    if evidence.tier not in MOVED:
        return None
    reasons = [*_one_segment(evidence), *_one_source(evidence)]
    if not reasons:
        return None
    return _Cause("upstream_change", "repair", DATA_OWNER, False, (*reasons, *_said_of_labels(evidence)))


def _one_segment(evidence: Evidence) -> list[str]:
    """Say which level of a category the change of the inputs lies in, if it lies in one."""
    for found in evidence.segments:
        inside = float(found["part"]) >= MOST and float(found["share"]) <= SMALL
        if found.get("by") == "inputs" and found.get("text") and inside:
            return [
                f"{min(1.0, float(found['part'])):.0%} of the change lies in {found['column']} = {found['level']}, "
                f"which has {float(found['share']):.0%} of the rows"
            ]
    return []


def _one_source(evidence: Evidence) -> list[str]:
    """Say which looked-up source the change lies in, if the others and the population stayed as they were.

    Not with few reference batches: a source that moves alone may then be a season that nobody has seen yet.
    """
    effects = dict[str, float]()
    for moved in evidence.drift.get("features", ()):
        for source in evidence.sources.get(str(moved["feature"]), ()):
            effects[source] = effects.get(source, 0.0) + float(moved.get("effect") or 0.0)
    others = {source for made_of in evidence.sources.values() for source in made_of} - effects.keys()
    known = int(evidence.drift.get("batches", 0))
    if len(effects) != 1 or not others or evidence.batch_source in effects or known < CALIBRATED:
        return []
    (source,) = effects
    columns = [str(moved["feature"]) for moved in evidence.drift["features"]]
    if len(columns) < 2:
        return []  # one column alone is a fact about that column
    return [f"only columns of {source} moved ({', '.join(columns[:5])}); those of {', '.join(sorted(others))} did not"]


def _label_shift(evidence: Evidence) -> _Cause | None:
    channels, facts = evidence.channels, evidence.labels
    if not evidence.judged or not facts or not channels:
        return None
    ranks = bool(RANKING & channels.keys())
    kept = float(facts["corrected_z"]) < (KEPT if ranks else evidence.alarm_z)
    if ranks and facts["metric"] == "auc":
        kept = False  # an intercept moves no rank
    if abs(float(facts["gap_z"])) <= evidence.alarm_z and not CALIBRATION & channels.keys():
        return None
    if not kept or float(facts["slope_p"]) < SLOPE:
        return None
    reasons = (
        f"the outcomes are {float(facts['gap']):+.3f} off the mean prediction ({float(facts['gap_z']):+.1f} errors)",
        f"a new intercept leaves nothing to explain (p {float(facts['slope_p']):.2g}; below {SLOPE:g} it would)",
        _said_of_ranking(evidence, KEPT if ranks else evidence.alarm_z),
    )
    return _Cause("label_shift", "recalibrate", MODEL_OWNER, False, reasons)


def _said_of_ranking(evidence: Evidence, limit: float) -> str:
    """Say what the metric is with a right mean, beside what it was: not surely worse is not "as before"."""
    facts = evidence.labels
    metric, corrected, z = str(facts["metric"]), float(facts["corrected"]), float(facts["corrected_z"])
    gated = f" (gated at {float(evidence.reference['value']):.3f})" if "value" in evidence.reference else ""
    said = f"not surely worse (z {z:.1f}, limit {limit:g})" if z > 0 else "no worse"
    return f"with it the {metric} is {corrected:.3f}{gated}: {said}"


def _worse(evidence: Evidence) -> _Cause | None:
    """Labels say that the champion got worse: for its inputs, or for what they mean."""
    channels = evidence.channels
    if not evidence.judged or not channels:
        return None
    said = tuple(channels.values())
    estimate = evidence.estimate
    if evidence.tier in MOVED and estimate.get("cost") in ("costly", "unsure") and _explained(evidence) >= EXPLAINED:
        why = (
            f"the inputs moved, and by the estimate without labels explain {min(1.0, _explained(evidence)):.0%} of "
            f"what the {evidence.performance['metric']} lost"
        )
        return _Cause("covariate_shift", "retrain", MODEL_OWNER, True, (*said, why))
    if evidence.tier in STRONG and "change" not in estimate:
        why = "the inputs and the scores moved; no estimate says how much of the loss that explains"
        return _Cause("covariate_shift", "retrain", MODEL_OWNER, True, (*said, why))
    moved = "the inputs did not move" if evidence.tier not in MOVED else "the inputs moved, and do not explain it"
    return _Cause("concept_drift", "retrain", MODEL_OWNER, True, (*said, moved))


def _explained(evidence: Evidence) -> float:
    """Return the share of the realised loss that the estimate without labels had foreseen."""
    change, metric = evidence.estimate.get("change"), evidence.performance.get("metric")
    if change is None or evidence.estimate.get("metric") != metric or evidence.performance.get("value") is None:
        return 0.0
    realised = float(evidence.performance["value"]) - float(evidence.reference.get("value", 0.0))
    return float(change) / realised if realised * float(change) > 0 else 0.0


def _moved(evidence: Evidence) -> _Cause | None:
    """The inputs moved, and labels have not said that it harms."""
    if evidence.tier not in MOVED:
        return None
    shown = ", ".join(str(each["column"]) for each in _columns(evidence)[:3])
    score = evidence.drift.get("score") or {}
    moved = f"the score moved by {float(score['effect']):.3f}; " if score.get("effect") is not None else ""
    said = f"{moved}most moved: {shown or 'no single column'}"
    together = evidence.domain.get("sentence")
    reasons = (said, *([str(together)] if together else []), _said_of_cost(evidence))
    cost = _cost(evidence)
    costly = cost["verdict"] == "costly"
    if evidence.judged:  # the labels have been asked, and their tests, which promise an error rate, do not alarm
        return _Cause("covariate_shift", "watch", MODEL_OWNER if costly else NOBODY, False, reasons)
    if costly or evidence.tier in STRONG:
        return _Cause("covariate_shift", "retrain", MODEL_OWNER if costly else NOBODY, True, reasons)
    return _Cause("covariate_shift", "watch", NOBODY, False, reasons)


def _collapsed(evidence: Evidence) -> _Cause | None:
    diversity = evidence.drift.get("diversity") or {}
    if diversity.get("state") != "collapsed":
        return None
    reasons = (str(diversity["sentence"]), "no input moved enough to explain it")
    return _Cause("unknown", "watch", MODEL_OWNER, False, reasons)


def _quiet(evidence: Evidence) -> _Cause:
    said = "no alarm of the labels or of the inputs" if evidence.judged else "no alarm of the inputs; no outcomes yet"
    return _Cause("none", "nothing", NOBODY, False, (said,))


def _columns(evidence: Evidence) -> list[dict[str, Any]]:
    """Return the columns that moved: those that alarm first, then those by which a classifier tells the batch."""
    out = [
        {"column": str(each["feature"]), "effect": each.get("effect"), "importance": each.get("importance")}
        for each in evidence.drift.get("features", ())
    ]
    out.sort(key=lambda each: -float(each["effect"] or 0.0))
    known = {each["column"] for each in out}
    told = [each["column"] for each in evidence.domain.get("columns", ()) if float(each["importance"]) >= TOLD]
    others = dict.fromkeys(str(name) for name in (*evidence.domain.get("together", ()), *told))
    out += [{"column": name, "effect": None, "importance": None} for name in others if name not in known]
    return [{**each, "sources": list(evidence.sources.get(each["column"], ()))} for each in out[:SHOWN]]


def _cost(evidence: Evidence) -> dict[str, Any]:
    if evidence.judged and evidence.performance.get("value") is not None and "value" in evidence.reference:
        change = float(evidence.performance["value"]) - float(evidence.reference["value"])
        metric, error = str(evidence.performance["metric"]), float(evidence.performance.get("error") or 0.0)
        error = math.hypot(error, float(evidence.reference.get("error", 0.0)))
        verdict = cost_of(metric, change, error, float(evidence.reference["value"]))
        verdict = "costly" if evidence.channels else verdict
        return {"metric": metric, "change": change, "verdict": verdict, "by": "labels"}
    if "change" in evidence.estimate:
        found = evidence.estimate
        return {"metric": found["metric"], "change": found["change"], "verdict": found["cost"], "by": "estimate"}
    return {"verdict": "unknown"}


def cost_of(metric: str, change: float, error: float, gated: float) -> str:
    """Say whether a change of a metric is worth a word: surely a loss, and a large one; or surely no large one.

    >>> cost_of("auc", -0.03, 0.01, 0.8), cost_of("auc", -0.03, 0.03, 0.8), cost_of("logloss", 0.001, 0.001, 0.5)
    ('costly', 'unsure', 'harmless')
    """
    loss = -change if metric == "auc" else change
    limit = HARM[metric] if metric == "auc" else HARM[metric] * gated
    margin = ONE_SIDED * error
    if loss >= limit and loss - margin > 0:
        return "costly"
    return "harmless" if loss + margin < limit else "unsure"


def _said_of_cost(evidence: Evidence) -> str:
    cost = _cost(evidence)
    if cost["verdict"] == "unknown":
        return "nobody knows yet what it costs"
    by = "by the labels" if cost["by"] == "labels" else "by an estimate that is blind to concept drift"
    return f"{cost['metric']} {float(cost['change']):+.3f} {by}: {cost['verdict']}"


def _said_of_labels(evidence: Evidence) -> tuple[str, ...]:
    return tuple(evidence.channels.values()) if evidence.judged else ()


def _sentence(evidence: Evidence, found: _Cause) -> str:
    told = "" if found.notify == NOBODY else f" Told: the {found.notify}."
    word = "" if found.cause == "none" else f"{found.cause.replace('_', ' ')}: "
    enough = "Nothing to do" if found.answer == "nothing" else f"Enough: {found.answer}"
    return f"{evidence.partition}: {word}{'; '.join(found.reasons[:3])}. {enough}.{told}"
