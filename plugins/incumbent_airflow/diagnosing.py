"""What MONITOR says beyond its verdicts: an estimate before outcomes are in, and why a batch alarms.

Only after an alarm rows are looked at again, and then a sample of them.

Long because it hands the diagnosis and the estimate what they need from the store, and nothing else does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from incumbent.verdict_names import (
    DIAGNOSES,
    ESTIMATES,
    VERDICTS,
    diagnosis_name,
    drift_name,
    performance_name,
)
from incumbent_airflow.judging import gated_reference, predicted, predictions_of, training_parts
from incumbent_airflow.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from incumbent.diagnosis import Diagnosis
    from incumbent.monitor.estimate import Estimate, Known, Recalibration
    from incumbent.records import Hold, ModelVersion, Part, Promotion

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.int64]

RECALIBRATIONS = "recalibrations"
SAMPLE = 20_000  # rows of each side that are looked at again
ESTIMATED = 200_000  # predictions that an estimate is made from
SEED = 7
LOSS, CODE = "#loss", "#code"  # no feature has such a name


def diagnosis(runtime: Runtime, partition: str, version: str) -> dict[str, Any] | None:
    """Return the diagnosis of what the tables hold now, as recorded; None if there is none.

    Args:
        runtime: The model.
        partition: Partition key.
        version: Version digest of the champion that scored it.
    """
    records = runtime.store.records
    name = diagnosis_name(partition, *_names(runtime, partition, version))
    return records.get_plain(DIAGNOSES, name) if records.has(DIAGNOSES, name) else None


def diagnose_hold(runtime: Runtime, hold: Hold) -> str:
    """Record that a batch was held for its data, so that a page about causes misses none; return the sentence."""
    from datetime import timedelta

    from incumbent.diagnosis import Evidence, diagnose
    from incumbent.features.holds import held
    from incumbent.partitions import key_of, start_of
    from incumbent.records import digest_of

    champion, model = runtime.store.champion(), runtime.model
    before = key_of(start_of(hold.partition, model.grain) - timedelta(seconds=1), model.grain)
    found = diagnose(
        Evidence(
            hold.partition, champion.generation if champion else 0, champion.version if champion else "", 0,
            integrity=tuple(hold.findings),
            held_before=any(each.partition == before for each in held(runtime.store, model.batch_source)),
        )
    )  # fmt: skip
    name = f"{hold.partition}/hold-{digest_of([hold.batch_digest, hold.definition])[:16]}"
    runtime.store.records.claim(DIAGNOSES, name, found.to_json())
    return found.sentence


def explain(runtime: Runtime, features: Part, promotion: Promotion, version: ModelVersion) -> dict[str, str]:
    """Record an estimate of a judged partition and why it alarms, and write its metrics; return the sentences.

    Args:
        runtime: The model.
        features: What it was scored from.
        promotion: Generation that scored it.
        version: Its version.
    """
    from incumbent.diagnosis import Diagnosis
    from incumbent.monitor.estimate import Estimate

    records, partition = runtime.store.records, features.partition
    drift, performance = _names(runtime, partition, version.digest)
    if not records.has(ESTIMATES, drift):
        verdict = records.get_plain(VERDICTS, drift)
        records.claim(ESTIMATES, drift, _estimate(runtime, features, promotion, version, verdict).to_json())
    name = diagnosis_name(partition, drift, performance)
    if not records.has(DIAGNOSES, name):
        records.claim(DIAGNOSES, name, _diagnosis(runtime, features, promotion, version).to_json())
    _write_metrics(runtime, partition, drift, performance)
    return {
        "estimate": records.get(Estimate, drift).sentence,
        "diagnosis": records.get(Diagnosis, name).sentence,
    }


def _write_metrics(runtime: Runtime, partition: str, drift: str, performance: str) -> None:
    """Put all that is on record of a partition's quality into the table, in one commit."""
    import pyarrow as pa

    from incumbent.monitor import PerformanceVerdict, metric_rows
    from incumbent.monitor.estimate import Estimate, estimate_rows
    from incumbent_airflow.measuring import kpi_metrics, measure

    records = runtime.store.records
    rows = [estimate_rows(records.get(Estimate, drift))]
    if performance and (verdict := records.get(PerformanceVerdict, performance)).judged:
        plain = records.get_plain(VERDICTS, performance)
        rows += [metric_rows(verdict), kpi_metrics(measure(runtime, partition, plain, performance), plain)]
    found = pa.concat_tables(rows)
    if found.num_rows:
        runtime.store.metrics.replace(partition, found)


def _names(runtime: Runtime, partition: str, version: str) -> tuple[str, str]:
    """Return the names of the verdicts about what the tables hold now; of performance empty while there is none."""
    store = runtime.store
    predictions = store.predictions.part(partition)
    outcomes = store.outcomes(runtime.model.outcome_source).part(partition)
    performance = performance_name(partition, predictions, outcomes) if outcomes else ""
    is_there = performance and store.records.has(VERDICTS, performance)
    return drift_name(partition, predictions, version), performance if is_there else ""


def _diagnosis(runtime: Runtime, features: Part, promotion: Promotion, version: ModelVersion) -> Diagnosis:
    from dataclasses import replace

    from incumbent.diagnosis import MOVED, Evidence, diagnose
    from incumbent.features.definition import stored_text
    from incumbent.features.lineage import sources_of

    store, partition = runtime.store, features.partition
    drift, performance = _names(runtime, partition, version.digest)
    said = {name: store.records.get_plain(VERDICTS, name) for name in (drift, performance) if name}
    estimate = store.records.get_plain(ESTIMATES, drift) if store.records.has(ESTIMATES, drift) else {}
    part = store.predictions.part(partition)
    evidence = Evidence(
        partition=partition,
        generation=promotion.generation,
        version=version.digest,
        rows=part.rows if part else 0,
        drift=said.get(drift, {}),
        integrity=tuple(said.get(drift, {}).get("integrity", ())),
        performance=said.get(performance, {}),
        estimate=estimate if estimate.get("value") is not None else {},
        alarm_z=runtime.model.monitor.alarm_z,
        sources=sources_of(stored_text(store, version.definition), version.features),
    )
    if evidence.judged:
        gated = gated_reference(runtime, promotion, version)
        evidence = replace(evidence, reference={"value": gated["value"], "error": gated["error"]})
        evidence = replace(evidence, labels=_label_facts(runtime, partition, version, gated))
        evidence = replace(evidence, alarms=_alarms(runtime, partition))
    if evidence.tier in MOVED:
        domain, segments = _moved_inputs(runtime, features, version, diagnosis_name(partition, drift, ""))
        evidence = replace(evidence, domain=domain, segments=tuple(segments))
    if evidence.channels and _is_gated(runtime, promotion):
        segments = _moved_losses(runtime, features, promotion, version)
        evidence = replace(evidence, segments=(*evidence.segments, *segments))
    return diagnose(evidence)


def _alarms(runtime: Runtime, partition: str) -> dict[str, str]:
    """Return the channels that alarm by what the partitions up to this one add up to, as the decision asks them.

    Of the partition alone the record would say that nothing alarms where the decision says that something does.
    """
    from incumbent.retrain.channels import channels
    from incumbent.retrain.gather import gather, history_of

    store, model = runtime.store, runtime.model
    history = history_of(store, gather(store, model, partition))
    return {each.channel: each.says for each in channels(history, partition, model.monitor.alarm_z) if each.fired}


def _label_facts(runtime: Runtime, partition: str, version: ModelVersion, gated: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    from incumbent.classes import aligned
    from incumbent.evaluate.stage import cluster_codes
    from incumbent.monitor.recentred import label_facts

    model = runtime.model
    rows = _labelled_predictions(runtime, partition, version)
    codes, _ = cluster_codes(rows, model.evaluate.cluster)
    scores, classes = predictions_of(rows, version), model.label.classes
    said = aligned(scores, version.classes, classes) if classes else scores
    return label_facts(model.task, np.asarray(rows["label"], dtype=np.float64), said, codes, gated)


def _labelled_predictions(runtime: Runtime, partition: str, version: ModelVersion) -> pa.Table:
    from incumbent.features.rows import join_labels, label_rows
    from incumbent.score import champion_rows

    store, model = runtime.store, runtime.model
    predictions = champion_rows(store, partition, [*model.keys, model.time, predicted(version)])
    return join_labels(model, predictions, label_rows(store, model, [partition]))


def _moved_inputs(
    runtime: Runtime, features: Part, version: ModelVersion, before_outcomes: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what tells the batch from the training rows, and the levels that it lies in; looked at once.

    Args:
        runtime: The model.
        features: What the batch was scored from.
        version: The champion.
        before_outcomes: Name of the diagnosis of the same batch before its outcomes were in.
    """
    import pyarrow as pa

    from incumbent.monitor.domain import tell_apart
    from incumbent.monitor.segments import Side, moved_segments
    from incumbent.records import Snapshot

    records, names = runtime.store.records, list(version.features)
    if records.has(DIAGNOSES, before_outcomes):
        known = records.get_plain(DIAGNOSES, before_outcomes)["evidence"]
        return known["domain"], [each for each in known["segments"] if each["by"] == "inputs"]
    if not records.has(Snapshot.kind, version.snapshot):  # it was adopted
        return {"state": "insufficient data", "sentence": "nobody knows what the champion was trained on"}, []
    sides = [_sampled(runtime, version, parts) for parts in (training_parts(runtime, version), [features])]
    codes = _codes(runtime, sides[0], sides[1])
    domain = tell_apart(sides[0], sides[1], names, 2 * SAMPLE, SEED, clusters=codes)
    if domain.finding["state"] != "told apart":
        return dict(domain.finding), []
    drawn, scores = (
        (domain.reference_rows, domain.batch_rows),
        (domain.reference_scores, domain.batch_scores),
    )
    before, after = (
        Side(sides[at].take(pa.array(drawn[at])), scores[at], None if codes is None else codes[at][drawn[at]])
        for at in (0, 1)
    )
    return dict(domain.finding), [{**found, "by": "inputs"} for found in moved_segments(before, after, names)]


def _sampled(runtime: Runtime, version: ModelVersion, parts: list[Part]) -> pa.Table:
    """Return a sample of feature rows, with what says which of them share their luck."""
    from incumbent.features.rows import with_local_date
    from incumbent.features.sample import sampled_rows

    model = runtime.model
    columns = [*model.keys, model.time, *version.features]
    rows = sampled_rows(runtime.store, version.definition, parts, columns, SAMPLE, SEED)
    return with_local_date(model, rows) if rows.num_columns else rows


def _codes(runtime: Runtime, *sides: pa.Table) -> tuple[Codes, Codes] | None:
    from incumbent.evaluate.stage import cluster_codes

    first, second = (cluster_codes(rows, runtime.model.evaluate.cluster)[0] for rows in sides)
    return None if first is None or second is None else (first, second)


def _moved_losses(
    runtime: Runtime, features: Part, promotion: Promotion, version: ModelVersion
) -> list[dict[str, Any]]:
    """Return the levels in which the champion's losses moved against its gate rows."""
    import numpy as np
    import pyarrow as pa

    from incumbent.classes import aligned
    from incumbent.evaluate.stage import cluster_codes
    from incumbent.features.sample import sampled_rows
    from incumbent.monitor.segments import Side, moved_segments

    store, model, names = runtime.store, runtime.model, list(version.features)
    labelled = _labelled_predictions(runtime, features.partition, version)
    said, classes = predictions_of(labelled, version), model.label.classes
    losses = _losses(model.task, labelled, aligned(said, version.classes, classes) if classes else said)
    beside = labelled.select(model.keys).append_column(LOSS, pa.array(losses))
    codes, _ = cluster_codes(labelled, model.evaluate.cluster)
    beside = beside if codes is None else beside.append_column(CODE, pa.array(codes))
    rows = sampled_rows(store, version.definition, [features], [*model.keys, *names], SAMPLE, SEED)
    batch = beside.join(rows, list(model.keys), join_type="inner")
    known, scores = _gate_rows(runtime, promotion, version)
    before = Side(known, _losses(model.task, known, scores), cluster_codes(known, model.evaluate.cluster)[0])
    after = Side(batch, np.asarray(batch[LOSS]), None if codes is None else np.asarray(batch[CODE]))
    return [{**found, "by": "losses"} for found in moved_segments(before, after, names)]


def _losses(task: str, rows: pa.Table, scores: Floats) -> Floats:
    import numpy as np

    from incumbent.stats import class_losses

    labels = np.asarray(rows["label"], dtype=np.float64)
    if task == "regression":
        return np.square(labels - scores)
    return class_losses(labels, scores if scores.ndim == 2 else np.column_stack([1 - scores, scores]))


def _estimate(
    runtime: Runtime, features: Part, promotion: Promotion, version: ModelVersion, drift: dict[str, Any]
) -> Estimate:
    import numpy as np
    import pyarrow as pa

    from incumbent.diagnosis import MOVED
    from incumbent.evaluate.stage import cluster_codes
    from incumbent.features.rows import with_local_date
    from incumbent.monitor.estimate import Estimate, estimate
    from incumbent.score import champion_rows

    store, model, partition = runtime.store, runtime.model, features.partition
    if not _is_gated(runtime, promotion):
        said = f"{partition}: no estimate: nobody knows rows that the champion was gated on."
        about = (partition, promotion.generation, version.digest)
        return Estimate(*about, "insufficient data", sentence=said)
    predictions = champion_rows(store, partition, [*model.keys, model.time, predicted(version)])
    if predictions.num_rows > ESTIMATED:
        chosen = np.random.default_rng(SEED).choice(predictions.num_rows, ESTIMATED, replace=False)
        predictions = predictions.take(pa.array(np.sort(chosen)))
    codes, _ = cluster_codes(with_local_date(model, predictions), model.evaluate.cluster)
    moved = drift.get("tier") in MOVED
    return estimate(
        partition, promotion.generation, version.digest, model.task, predictions_of(predictions, version),
        _recalibration(runtime, features if moved else None, promotion, version),
        gated_reference(runtime, promotion, version), codes, quarantined=drift.get("tier") == "quarantine",
    )  # fmt: skip


def _is_gated(runtime: Runtime, promotion: Promotion) -> bool:
    """Return whether the champion was gated here: an adopted one was not."""
    from incumbent.records import GateReport, Snapshot

    records = runtime.store.records
    if not promotion.gate_report or not records.has(GateReport.kind, promotion.gate_report):
        return False
    return records.has(Snapshot.kind, records.get(GateReport, promotion.gate_report).snapshot)


def _recalibration(runtime: Runtime, moved: Part | None, promotion: Promotion, version: ModelVersion) -> Recalibration:
    """Return how the champion's probabilities are corrected; that of rows that did not move is kept once made.

    Args:
        runtime: The model.
        moved: Features of a batch that the gate rows are to look like; None for the gate rows as they are.
        promotion: Generation that scored it.
        version: Its version.
    """
    from dataclasses import asdict

    import numpy as np

    from incumbent.monitor.estimate import Known, Recalibration, recalibrate

    records, task = runtime.store.records, runtime.model.task
    if task == "regression":
        return recalibrate(task, Known(np.empty(0), np.empty(0)))
    if moved is not None:
        return recalibrate(task, _known(runtime, moved, promotion, version))
    if not records.has(RECALIBRATIONS, promotion.gate_report):
        made = recalibrate(task, _known(runtime, None, promotion, version))
        records.claim(RECALIBRATIONS, promotion.gate_report, asdict(made))
    return Recalibration.from_plain(records.get_plain(RECALIBRATIONS, promotion.gate_report))


def _known(runtime: Runtime, moved: Part | None, promotion: Promotion, version: ModelVersion) -> Known:
    """Return the champion's gate rows, weighted by how much they look like a batch that moved."""
    import numpy as np

    from incumbent.evaluate.stage import cluster_codes
    from incumbent.monitor.domain import tell_apart
    from incumbent.monitor.estimate import Known

    rows, scores = _gate_rows(runtime, promotion, version)
    labels = np.asarray(rows["label"], dtype=np.float64)
    codes, _ = cluster_codes(rows, runtime.model.evaluate.cluster)
    if moved is None:
        return Known(labels, scores, codes)
    batch = _sampled(runtime, version, [moved])
    both = _codes(runtime, rows, batch)
    domain = tell_apart(rows, batch, list(version.features), 2 * SAMPLE, SEED, clusters=both)
    if domain.finding["state"] != "told apart":
        return Known(labels, scores, codes)
    at = domain.reference_rows
    return Known(labels[at], scores[at], None if codes is None else codes[at], domain.weights)


def _gate_rows(runtime: Runtime, promotion: Promotion, version: ModelVersion) -> tuple[pa.Table, Floats]:
    """Return a sample of the rows that the champion was gated on, with labels, and what it predicts for them."""
    from datetime import date

    import numpy as np
    import pyarrow as pa

    from incumbent.estimators import predictor
    from incumbent.features.rows import as_kept, labelled_rows
    from incumbent.records import GateReport, Snapshot

    store, model = runtime.store, runtime.model
    report = store.records.get(GateReport, promotion.gate_report)
    snapshot = as_kept(store, model, store.records.get(Snapshot, report.snapshot))
    first, until = date.fromisoformat(snapshot.gate_from), date.fromisoformat(snapshot.gate_until)
    rows = labelled_rows(store, model, snapshot, first, until, version.definition)
    if rows.num_rows > SAMPLE:
        chosen = np.random.default_rng(SEED).choice(rows.num_rows, SAMPLE, replace=False)
        rows = rows.take(pa.array(np.sort(chosen)))
    return rows, np.asarray(predictor(store)(version, rows), dtype=np.float64)
