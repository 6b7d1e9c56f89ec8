"""Versions in shadow: the champion before this one on probation, and challengers that brought too little evidence.

MONITOR lets them predict the rows that the champion has scored, and compares the two once outcomes are in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from incumbent.verdict_names import VERDICTS, shadow_name
from incumbent_airflow.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from incumbent.monitor.shadow import ShadowVerdict
    from incumbent.promote.probation import Probation
    from incumbent.records import GateReport, ModelVersion, Part, Promotion
    from incumbent.store import ModelStore

INSUFFICIENT = "insufficient_evidence"
MOST_CHALLENGERS = 2
GAPS = "gaps"


@dataclass(frozen=True)
class Shadow:
    """A version that predicts beside the champion.

    Attributes:
        role: `previous` or `challenger`.
        version: Its digest.
        since: Partition after which it is compared: neither of the two has learned from what is newer.
        report: Gate report of a challenger; None for the previous champion.
    """

    role: str
    version: str
    since: str
    report: GateReport | None = None


def shadows_of(store: ModelStore) -> list[Shadow]:
    """Return who is in shadow now: nobody before the second promotion, and none but the newest challengers."""
    from incumbent.monitor.shadow import PREVIOUS
    from incumbent.promote.probation import PROMOTE

    head = store.champion()
    if head is None:
        return []
    found = _challengers(store, head)
    if head.action == PROMOTE and head.previous:
        found.insert(0, Shadow(PREVIOUS, store.promotion(head.previous).version, head.partition))
    return found


def judge_shadows(runtime: Runtime, partition: str) -> list[str]:
    """Record what the versions in shadow would have said of a partition that the champion has scored; say it, too."""
    from incumbent.monitor.shadow import ShadowVerdict
    from incumbent_airflow.judging import scored_by

    store, head = runtime.store, runtime.store.champion()
    scored = scored_by(runtime, partition)
    if head is None or scored is None or scored[0].generation != head.generation:
        return []
    said = []
    for shadow in shadows_of(store):
        if partition <= shadow.since:
            continue
        name = _name(runtime, partition, shadow)
        if not store.records.has(VERDICTS, name):
            store.records.put(name, _verdict(runtime, shadow, *scored))
        said.append(store.records.get(ShadowVerdict, name).sentence)
        if shadow.report is not None and (found := gathered_for(runtime, shadow)):
            said.append(found["message"])
    return said


def probation_of(runtime: Runtime) -> Probation | None:
    """Return how the champion does against the one before it, from what is on record; None without a champion."""
    from incumbent.monitor.shadow import PREVIOUS
    from incumbent.promote.probation import probation

    store, model = runtime.store, runtime.model
    shadow = next((each for each in shadows_of(store) if each.role == PREVIOUS), None)
    verdicts = shadow_verdicts(runtime, shadow) if shadow else {}
    usual = _usual_gaps(runtime, shadow) if shadow and verdicts else {}
    return probation(store.ledger(), verdicts, usual, model.rollback, model.task)


def shadow_verdicts(runtime: Runtime, shadow: Shadow) -> dict[str, dict[str, Any]]:
    """Return the verdicts about a version in shadow, by partition: what the tables hold now counts."""
    return {key: runtime.store.records.get_plain(VERDICTS, name) for key, name in _names(runtime, shadow).items()}


def ask_for_seat(runtime: Runtime) -> dict[str, Any] | None:
    """Write the request of a challenger whose evidence is enough by now; None while that of none is.

    Of two, the newer one's: it has learned from more, and what was gathered for it is lost once another has the seat.
    Its gates are asked in EVALUATE like those of any candidate; only that it is better is shown already.

    Returns:
        As `incumbent.retrain.stage.decide_partition` does.
    """
    from incumbent.evaluate.stage import EVIDENCE
    from incumbent.monitor.shadow import CHALLENGER
    from incumbent.retrain.requests import announce, every, open_request

    asked = {request.candidate for request in every(runtime.store) if request.reason == EVIDENCE}
    for shadow in reversed(shadows_of(runtime.store)):
        if shadow.role != CHALLENGER or shadow.version in asked:
            continue
        if (found := gathered_for(runtime, shadow)) is None or not found["enough"]:
            continue
        request, _ = open_request(
            runtime.store, found["partition"], EVIDENCE, found, degraded=False, message=found["message"],
            candidate=shadow.version,
        )  # fmt: skip
        if announce(runtime.store, request.id):
            about = {"request": request.id, "reason": EVIDENCE, "partition": found["partition"]}
            return {**about, "message": found["message"]}
    return None


def gathered_for(runtime: Runtime, shadow: Shadow) -> dict[str, Any] | None:
    """Return the evidence for a challenger so far, with the names of the verdicts behind it; None without any."""
    from incumbent.evaluate.kept import is_proven, kept_for_later
    from incumbent.stats import Measured, gathered
    from incumbent.words import better

    left = kept_for_later(shadow.report.gates) if shadow.report else None
    names = _names(runtime, shadow)
    verdicts = {key: runtime.store.records.get_plain(VERDICTS, name) for key, name in names.items()}
    keys = [key for key in sorted(verdicts) if verdicts[key]["judged"]][: runtime.model.rollback.partitions]
    if left is None or not keys or shadow.report is None:
        return None
    each = [verdicts[key] for key in keys]
    found = gathered([left[1], *(Measured(one["advantage"], one["error"], one["rows"], one["df"]) for one in each)])
    needed = 1 / left[0]
    return {
        "partition": keys[-1],
        "gate_report": shadow.report.id,
        "verdicts": [names[key] for key in keys],
        "e": found.e,
        "needed": needed,
        "estimate": found.estimate,
        "enough": is_proven(found, needed, each, runtime.model.gates),
        "message": f"{keys[-1]}: over {len(keys)} partitions in shadow the challenger of {shadow.report.request} is "
        f"{better(found.estimate)} (evidence {found.e:.3g} of the {needed:.3g} needed).",
    }


def _names(runtime: Runtime, shadow: Shadow) -> dict[str, str]:
    """Return the names of the verdicts about a version in shadow beside this champion, by partition."""
    store, head = runtime.store, runtime.store.champion()
    found: dict[str, str] = {}
    for partition in store.predictions.parts():
        if partition <= shadow.since:
            continue
        for with_outcomes in (True, False):
            name = _name(runtime, partition, shadow, with_outcomes=with_outcomes)
            if head is None or not store.records.has(VERDICTS, name):
                continue
            if store.records.get_plain(VERDICTS, name)["generation"] == head.generation:
                found.setdefault(partition, name)
    return found


def _challengers(store: ModelStore, head: Promotion) -> list[Shadow]:
    from incumbent.evaluate.kept import kept_for_later
    from incumbent.monitor.shadow import CHALLENGER
    from incumbent.records import GateReport
    from incumbent.retrain.requests import every, verdict_of

    reports = []
    for request in every(store):
        pin = f"gate-{request.id}"
        if verdict_of(store, request.id) == INSUFFICIENT and store.records.has("pins", pin):
            reports.append(store.records.get(GateReport, store.records.get_plain("pins", pin)["gate_report"]))
    left = (report for report in reports if kept_for_later(report.gates) is not None)
    now = [report for report in left if report.champion_generation == head.generation]
    return [Shadow(CHALLENGER, report.candidate, report.partition, report) for report in now[-MOST_CHALLENGERS:]]


def _name(runtime: Runtime, partition: str, shadow: Shadow, *, with_outcomes: bool = True) -> str:
    store = runtime.store
    outcomes = store.outcomes(runtime.model.outcome_source).part(partition) if with_outcomes else None
    return shadow_name(partition, store.predictions.part(partition), outcomes, shadow.version)


def _verdict(
    runtime: Runtime, shadow: Shadow, promotion: Promotion, version: ModelVersion, features: Part
) -> ShadowVerdict:
    import numpy as np
    import pyarrow as pa

    from incumbent.evaluate.stage import cluster_codes
    from incumbent.features.rows import join_labels, label_rows, outcome_keys, with_local_date
    from incumbent.monitor.shadow import gaps_of, shadow_verdict
    from incumbent.records import ModelVersion

    store, model, partition = runtime.store, runtime.model, features.partition
    other = store.records.get(ModelVersion, shadow.version)
    keys, champion, second = _both(runtime, version, other, features)
    codes, _ = cluster_codes(with_local_date(model, keys), model.evaluate.cluster)
    gaps = gaps_of(model.task, champion, second, model.label.classes, codes)
    labels = None
    known = outcome_keys(store, model, [partition]) if store.outcomes(model.outcome_source).part(partition) else None
    if known is not None and _covered(keys, known, model.keys) >= model.monitor.coverage:
        numbered = keys.append_column("at_row", pa.array(np.arange(len(keys))))
        rows = join_labels(model, numbered, label_rows(store, model, [partition]))
        at = rows["at_row"].to_numpy()
        labels, champion, second = np.asarray(rows["label"], dtype=np.float64), champion[at], second[at]
        codes = None if codes is None else codes[at]
    return shadow_verdict(
        partition, promotion.generation, (version.digest, other.digest), shadow.role, model.task, gaps, labels,
        (champion, second), codes, by_loss=version.trees == other.trees,
    )  # fmt: skip


def _covered(keys: pa.Table, known: pa.Table, names: Sequence[str]) -> float:
    both: pa.Table = keys.join(known, list(names), join_type="inner")
    return float(both.num_rows / max(1, keys.num_rows))


def _both(
    runtime: Runtime, version: ModelVersion, other: ModelVersion, features: Part
) -> tuple[pa.Table, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return keys and time of the scored rows that both versions can predict, and both predictions of them."""
    import numpy as np
    import pyarrow as pa

    from incumbent.classes import aligned
    from incumbent.estimators import predictor
    from incumbent.features.build import rows_beside
    from incumbent.features.rows import feature_rows
    from incumbent.score import champion_rows
    from incumbent_airflow.judging import predicted, predictions_of

    store, model = runtime.store, runtime.model
    names = list(model.keys)
    table = champion_rows(store, features.partition, [*names, model.time, predicted(version)])
    same = other.definition == version.definition
    rows = (
        feature_rows(store, version.definition, [features])
        if same
        else rows_beside(store, model, other.definition, version.definition, features)
    )
    second = np.asarray(predictor(store)(other, rows), dtype=np.float64)
    numbered = table.select(names).append_column("first", pa.array(np.arange(table.num_rows)))
    theirs = rows.select(names).append_column("second", pa.array(np.arange(rows.num_rows)))
    both = numbered.join(theirs, names, join_type="inner").sort_by("first")
    first_at, second_at = both["first"].to_numpy(), both["second"].to_numpy()
    champion, classes = predictions_of(table, version)[first_at], model.label.classes
    second = second[second_at]
    if classes:
        champion, second = aligned(champion, version.classes, classes), aligned(second, other.classes, classes)
    return table.select([*names, model.time]).take(pa.array(first_at)), champion, second


def _usual_gaps(runtime: Runtime, shadow: Shadow) -> dict[str, float]:
    """Return how far apart the means were on the gate rows that the champion was promoted on, kept once computed."""
    from datetime import date

    import numpy as np

    from incumbent.estimators import predictor
    from incumbent.features.rows import as_kept, labelled_rows
    from incumbent.monitor.shadow import gaps_of
    from incumbent.records import GateReport, ModelVersion, Snapshot

    store, model, head = runtime.store, runtime.model, runtime.store.champion()
    if head is None:
        return {}
    name = f"{head.gate_report}-{shadow.version[:16]}"
    if not store.records.has(GAPS, name):
        report = store.records.get(GateReport, head.gate_report)
        snapshot = as_kept(store, model, store.records.get(Snapshot, report.snapshot))
        days = (date.fromisoformat(snapshot.gate_from), date.fromisoformat(snapshot.gate_until))
        means = []
        for digest in (head.version, shadow.version):
            version = store.records.get(ModelVersion, digest)
            rows = labelled_rows(store, model, snapshot, *days, version.definition)
            means.append(np.asarray(predictor(store)(version, rows), dtype=np.float64))
        found = gaps_of(model.task, means[0], means[1], model.label.classes)
        store.records.claim(GAPS, name, {each: gap for each, (gap, _) in found.items()})
    return dict(store.records.get_plain(GAPS, name))
