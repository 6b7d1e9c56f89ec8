"""What MONITOR judges: drift of a scored partition, performance once its outcomes are in, and the page of both.

Long because it hands each verdict what it needs from the store, and nothing else does.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from incumbent.verdict_names import DRIFT_COUNTS, VERDICTS, drift_name, performance_name
from incumbent_airflow.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from incumbent.features.profile import Profile
    from incumbent.monitor import DriftVerdict, Judged, PerformanceVerdict, Reference
    from incumbent.records import ModelVersion, Part, Promotion

LOG = logging.getLogger(__name__)
REFERENCES, REFERENCE_FORMAT = "references", 2  # what 1 has kept is 5 % wide, and no comparison of shapes


def judge(runtime: Runtime, partition: str) -> dict[str, Any]:
    """Record the drift verdict of a scored partition, with outcomes the performance verdict, and those of shadows.

    What explains them comes last: an estimate before outcomes are in, and why the partition alarms.
    """
    from incumbent_airflow.diagnosing import explain
    from incumbent_airflow.rollouts import judge_rollout
    from incumbent_airflow.shadows import judge_shadows

    scored = scored_by(runtime, partition)
    if scored is None:
        is_empty = runtime.store.predictions.part(partition) is not None
        said = "insufficient data: there is no scored row" if is_empty else "not scored yet"
        return {"drift": said, "performance": said}
    promotion, version, features = scored
    rollout = judge_rollout(runtime, partition)
    found: dict[str, Any] = {
        "drift": _judge_drift(runtime, features, promotion, version),
        "performance": _judge_performance(runtime, partition, promotion, version),
        "shadows": judge_shadows(runtime, partition),
        **({"rollout": rollout} if rollout else {}),
        **explain(runtime, features, promotion, version),
    }
    for about, said in found.items():  # a line each, for who reads the log
        for sentence in said if isinstance(said, list) else [said]:
            LOG.info("%s: %s", about, sentence)
    return found


def write_report(runtime: Runtime, partition: str) -> str | None:
    """Draw the Evidently page of a bounded sample with the drift verdict on it, once per verdict."""
    from incumbent.features.rows import feature_rows
    from incumbent.monitor.report import write

    store = runtime.store
    scored = scored_by(runtime, partition)
    if scored is None:
        return None
    _, version, features = scored
    name = drift_name(partition, store.predictions.part(partition), version.digest)
    path = store.reports() / "drift" / f"{name.replace('/', '-')}.html"
    if path.exists() or not store.records.has(VERDICTS, name):
        return None
    verdict = store.records.get_plain(VERDICTS, name)
    reference = feature_rows(store, version.definition, training_parts(runtime, version))
    current = feature_rows(store, version.definition, [features])
    columns = [str(found["feature"]) for found in verdict["features"]] or list(version.features)
    # Those of its training, and those of today: a column may have been marked since.
    model = runtime.model
    marked = (version.sensitive, model.sensitive_in_features)
    sensitive = sorted({f"{source}.{column}" for said in marked for source in said for column in said[source]})
    write(path, reference, current, columns, verdict, model.monitor.report_rows, sensitive=sensitive)
    return str(path)


def scored_by(runtime: Runtime, partition: str) -> tuple[Promotion, ModelVersion, Part] | None:
    """Return who scored a partition, and from which features: they may have been corrected since."""
    from incumbent.records import ModelVersion, Part
    from incumbent.score import champion_rows

    part = runtime.store.predictions.part(partition)
    if part is None or not part.rows:  # all of them may have been erased
        return None
    found = champion_rows(runtime.store, partition, ["generation", "features_digest"]).slice(0, 1).to_pylist()
    if not found:
        return None
    promotion = runtime.store.promotion(found[0]["generation"])
    features = Part(partition, found[0]["features_digest"], part.rows)
    return promotion, runtime.store.records.get(ModelVersion, promotion.version), features


def _judge_drift(runtime: Runtime, features: Part, promotion: Promotion, version: ModelVersion) -> str:
    from incumbent.classes import score_names
    from incumbent.features.profile import Profile, profile
    from incumbent.monitor import DriftVerdict, drift_verdict
    from incumbent.monitor.diversity import output_diversity, with_diversity
    from incumbent.score import champion_rows

    store, partition, model = runtime.store, features.partition, runtime.model
    name = drift_name(partition, store.predictions.part(partition), version.digest)
    if store.records.has(VERDICTS, name):
        return store.records.get(DriftVerdict, name).sentence
    names = score_names(version.classes)
    scores = predictions_of(champion_rows(store, partition, [predicted(version)]), version)
    batch = _feature_profile(runtime, version.definition, features)
    batch = Profile({**batch.columns, **profile(_score_columns(scores, version), names).columns})
    reference, later = _reference(runtime, version), _judged_before(runtime, partition, version)
    counts = reference.count(batch)
    held = _was_held(runtime, partition)
    about = {"partition": partition, "version": version.digest, "counts": counts, "held": held}
    store.records.claim(DRIFT_COUNTS, name, about)
    if model.monitor.engine == "evidently":
        verdict = _by_evidently(runtime, features, promotion, version)
    else:
        verdict = drift_verdict(
            partition, promotion.generation, version.digest, batch, reference, version.importance, model.monitor,
            names, later, model.grain,
        )  # fmt: skip
    past = [{each: _cells(reference.counts[each][at]) for each in names} for at in range(len(reference.partitions))]
    now = {each: _cells(counts.get(each, ())) for each in names}
    verdict = with_diversity(verdict, output_diversity(now, past))
    store.records.put(name, verdict)
    return verdict.sentence


def _by_evidently(runtime: Runtime, features: Part, promotion: Promotion, version: ModelVersion) -> DriftVerdict:
    """Return what Evidently says of samples of the batch and of the training rows."""
    import numpy as np

    from incumbent.classes import score_names
    from incumbent.estimators import predictor
    from incumbent.features.sample import sampled_rows
    from incumbent.monitor.evidently_engine import evidently_verdict, with_scores

    store, settings, trained = runtime.store, runtime.model.monitor.evidently, training_parts(runtime, version)
    names, scores, predict = list(version.features), score_names(version.classes), predictor(store)
    sides = []
    for parts in ([features], trained):
        rows = sampled_rows(store, version.definition, parts, names, settings.rows)
        sides.append(with_scores(rows, np.asarray(predict(version, rows), dtype=np.float64), scores))
    return evidently_verdict(
        features.partition, promotion.generation, version.digest, sides[0], sides[1], len(trained),
        version.importance, settings, scores,
    )  # fmt: skip


def _judged_before(runtime: Runtime, partition: str, version: ModelVersion) -> list[Judged]:
    """Return what this version has scored and MONITOR has judged before a partition, without what had been held.

    Of what the tables hold now: a partition that was scored again counts as it was last judged.
    """
    from incumbent.monitor.reference import NEWEST, Judged

    records, found = runtime.store.records, []
    earlier = sorted((key, part) for key, part in runtime.store.predictions.parts().items() if key < partition)
    for key, part in earlier[-2 * NEWEST :]:
        name = drift_name(key, part, version.digest)
        if records.has(VERDICTS, name) and records.has(DRIFT_COUNTS, name):
            counted = records.get_plain(DRIFT_COUNTS, name)
            if not counted["held"]:
                found.append(Judged(key, records.get_plain(VERDICTS, name)["tier"], counted["counts"]))
    return found


def _was_held(runtime: Runtime, partition: str) -> bool:
    """Return whether the batch behind a partition's predictions was held before a person released it."""
    from incumbent.records import Hold

    first = runtime.store.predictions.read([partition], ["batch_digest"]).slice(0, 1).to_pylist()[0]
    holds = runtime.store.records.all(Hold, f"{partition}-")
    return any(hold.batch_digest == first["batch_digest"] for hold in holds)


def _cells(counts: Sequence[float]) -> dict[str, int]:
    """Return a column's counts by cell, as the test of diversity takes them."""
    return {str(at): int(count) for at, count in enumerate(counts) if count}


def _judge_performance(runtime: Runtime, partition: str, promotion: Promotion, version: ModelVersion) -> str:
    from incumbent.monitor import PerformanceVerdict

    store = runtime.store
    outcomes = store.outcomes(runtime.model.outcome_source).part(partition)
    if outcomes is None:
        return "no outcomes yet"
    name = performance_name(partition, store.predictions.part(partition), outcomes)
    if not store.records.has(VERDICTS, name):
        store.records.put(name, _performance(runtime, partition, promotion, version))
    return store.records.get(PerformanceVerdict, name).sentence


def _performance(runtime: Runtime, partition: str, promotion: Promotion, version: ModelVersion) -> PerformanceVerdict:
    import numpy as np

    from incumbent.classes import aligned
    from incumbent.evaluate.stage import cluster_codes
    from incumbent.features.rows import join_labels, label_rows, outcome_keys
    from incumbent.monitor import performance_verdict
    from incumbent.score import champion_rows

    store, model = runtime.store, runtime.model
    predictions = champion_rows(store, partition, [*model.keys, model.time, predicted(version)])
    keys = list(model.keys)
    known = predictions.select(keys).join(outcome_keys(store, model, [partition]), keys, join_type="inner").num_rows
    rows = join_labels(model, predictions, label_rows(store, model, [partition]))
    codes, _ = cluster_codes(rows, model.evaluate.cluster)
    scores, classes = predictions_of(rows, version), model.label.classes
    return performance_verdict(
        partition, promotion.generation, version.digest, model.task, np.asarray(rows["label"], dtype=np.float64),
        aligned(scores, version.classes, classes) if classes else scores, codes,
        known / max(1, predictions.num_rows), gated_reference(runtime, promotion, version), model.monitor, classes,
    )  # fmt: skip


def predicted(version: ModelVersion) -> str:
    """Return the column of the predictions that has all that a version has said of a row."""
    return "probabilities" if version.classes else "prediction"


def predictions_of(rows: pa.Table, version: ModelVersion) -> npt.NDArray[np.float64]:
    """Return what a version has predicted, as it did: shape (n_rows,), or (n_rows, n_classes)."""
    import numpy as np
    import pyarrow.compute as pc

    values = rows[predicted(version)]
    flat = pc.list_flatten(values) if version.classes else values
    return np.asarray(flat, dtype=np.float64).reshape(rows.num_rows, *version.row_shape)


def _score_columns(scores: npt.NDArray[np.float64], version: ModelVersion) -> pa.Table:
    """Return predictions as columns that can be profiled."""
    import pyarrow as pa

    from incumbent.classes import score_names

    names = score_names(version.classes)
    return pa.table(dict(zip(names, scores.reshape(len(scores), len(names)).T, strict=True)))


def _feature_profile(runtime: Runtime, definition: str, part: Part) -> Profile:
    from incumbent.features.build import feature_columns, stored_profile
    from incumbent.features.profile import profile
    from incumbent.features.rows import feature_rows

    found = stored_profile(runtime.store, definition, part.partition, part.digest)
    if found is not None and found.exact:
        return found
    rows = feature_rows(runtime.store, definition, [part])
    return profile(rows, feature_columns(runtime.model, rows))


def training_parts(runtime: Runtime, version: ModelVersion) -> list[Any]:
    """Return the features partitions that a version was trained on."""
    from incumbent.features.rows import as_kept
    from incumbent.records import Part, Snapshot

    snapshot = as_kept(runtime.store, runtime.model, runtime.store.records.get(Snapshot, version.snapshot))
    return [Part(**part) for part in snapshot.features]


def _reference(runtime: Runtime, version: ModelVersion) -> Reference:
    """Return what a champion's batches are compared with, kept once made; an empty one of a version without training.

    In the cells that its trees tell apart: these are part of what is kept, for MONITOR reads no model.
    """
    import json

    from incumbent.estimators import splits
    from incumbent.monitor import Reference, reference_of
    from incumbent.records import Snapshot, canonical_json

    store, name = runtime.store, f"{version.digest}/{REFERENCE_FORMAT}"
    if store.records.has(REFERENCES, name):
        plain = store.records.get_plain(REFERENCES, name)
        return Reference.from_json(json.loads(store.objects.get(plain["counts"])))
    if not version.snapshot or not store.records.has(
        Snapshot.kind, version.snapshot
    ):  # it was adopted: nobody knows its training rows
        return reference_of([])
    parts = [part for part in training_parts(runtime, version) if part.rows]
    profiles = _reference_profiles(runtime, version, parts)
    made = reference_of(profiles, [part.partition for part in parts], splits(store, version))
    counts = store.objects.put(canonical_json(made.to_json()))
    digests = [store.objects.put(canonical_json(found.to_json())) for found in profiles]
    store.records.claim(REFERENCES, name, {"profiles": digests, "counts": counts})
    return made


def _reference_profiles(runtime: Runtime, version: ModelVersion, parts: Sequence[Part]) -> list[Profile]:
    """Return the profile of each training partition with the champion's own scores of it."""
    from incumbent.estimators import predictor
    from incumbent.features.build import feature_columns
    from incumbent.features.profile import Profile, profile
    from incumbent.features.rows import feature_rows

    predict, made = predictor(runtime.store), []
    for part in parts:
        rows = feature_rows(runtime.store, version.definition, [part])
        scores = _score_columns(predict(version, rows), version)
        features = profile(rows, feature_columns(runtime.model, rows))
        made.append(Profile({**features.columns, **profile(scores, scores.column_names).columns}))
    return made


def gated_reference(runtime: Runtime, promotion: Promotion, version: ModelVersion) -> dict[str, Any]:
    """Return the champion's metric and error on the rows it was gated on, kept once computed."""
    from datetime import date

    import numpy as np

    from incumbent.estimators import predictor
    from incumbent.evaluate.stage import cluster_codes
    from incumbent.features.rows import as_kept, labelled_rows
    from incumbent.monitor import baseline
    from incumbent.records import GateReport, Snapshot

    store, model = runtime.store, runtime.model
    if store.records.has("baselines", promotion.gate_report):
        return dict(store.records.get_plain("baselines", promotion.gate_report))
    report = store.records.get(GateReport, promotion.gate_report)
    snapshot = as_kept(store, model, store.records.get(Snapshot, report.snapshot))
    first, until = date.fromisoformat(snapshot.gate_from), date.fromisoformat(snapshot.gate_until)
    rows = labelled_rows(store, model, snapshot, first, until, version.definition)
    codes, _ = cluster_codes(rows, model.evaluate.cluster)
    labels = np.asarray(rows["label"], dtype=np.float64)
    made = baseline(model.task, labels, predictor(store)(version, rows), codes, version.classes)
    return dict(store.records.claim("baselines", promotion.gate_report, made))
