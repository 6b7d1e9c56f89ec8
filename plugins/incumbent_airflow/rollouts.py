"""Rollouts: a challenger that has passed its gates predicts for a share of the units, and gets the seat or not.

What MONITOR finds about a partition is a record; where the rollout stands is a fold over these.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from incumbent_airflow.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from incumbent.records import GateReport, ModelVersion, RetrainRequest
    from incumbent.rollout import Plan

LOG = logging.getLogger(__name__)
PINS = "pins"
KIND, BUSY = "rollout", "rollout_open"


def begin_rollout(
    runtime: Runtime, request: RetrainRequest, report: GateReport, approved_by: str
) -> dict[str, Any] | None:
    """Begin the rollout of a candidate that has passed; None where it gets the seat at once: a first model does."""
    from incumbent.rollout import begin, open_plan

    settings = runtime.model.rollout
    if settings is None or not report.champion_generation or report.verdict != "promote":
        return None
    plan = begin(runtime.store, settings, report, request.message, approved_by, runtime.model.rollback.alpha)
    if plan is None:
        other = open_plan(runtime.store)
        message = f"Not promoted: rollout {other.id if other else ''} goes on; ask again when it is over."
        return {"kind": BUSY, "message": message, "generation": 0}
    message = f"{report.sentence} Its rollout begins with the next partition: {_steps(plan)} of the units."
    return {"kind": KIND, "message": message, "generation": 0}


def judge_rollout(runtime: Runtime, partition: str) -> str | None:
    """Record what is found about a partition that a rollout has a part in, and say it; None if none has."""
    from incumbent.records import ModelVersion, digest_of
    from incumbent.rollout import open_plan
    from incumbent.rollout.plan import VERDICTS
    from incumbent_airflow.judging import scored_by

    store = runtime.store
    plan, scored = open_plan(store), scored_by(runtime, partition)
    share = None if plan is None else _share(runtime, plan, partition)
    if plan is None or scored is None or share is None:
        return None
    outcomes = store.outcomes(runtime.model.outcome_source).part(partition)
    named = [part.digest for part in (store.predictions.part(partition), outcomes) if part is not None]
    name = f"{plan.id}/{partition}-{digest_of(named)[:16]}"
    if not store.records.has(VERDICTS, name):
        other = store.records.get(ModelVersion, plan.version)
        found = _found(runtime, plan, share, partition, scored[1], other)
        store.records.claim(VERDICTS, name, {"partition": partition, "rollout": plan.id, "share": share, **found})
    return str(store.records.get_plain(VERDICTS, name)["sentence"])


def settle_rollout(runtime: Runtime) -> dict[str, Any]:
    """Promote the challenger whose steps are over, send one back that does harm; say where the rollout stands.

    Returns:
        `sentence`; and `generation` with its `partition` where the seat was given.
    """
    from incumbent.promote import promote
    from incumbent.records import GateReport
    from incumbent.rollout import end, found_in, open_plan, state_of
    from incumbent.rollout.state import PROMOTE, RETREAT
    from incumbent_airflow.cards import write_card

    store, plan = runtime.store, open_plan(runtime.store)
    if plan is None:
        return {"sentence": "No rollout goes on."}
    found = found_in(store, plan)
    state = state_of(plan, found, runtime.model.grain)
    if state.outcome == RETREAT:
        return {"sentence": end_rollout(runtime, plan, state.sentence)}
    if state.outcome != PROMOTE:
        return {"sentence": state.sentence}
    report, newest = store.records.get(GateReport, plan.gate_report), max(found)
    outcome = promote(store, report, f"{plan.reason} {state.sentence}", newest, plan.approved_by)
    end(store, plan, outcome.kind, state.sentence)
    if outcome.promotion is None:
        return {"sentence": f"{state.sentence} The champion has changed meanwhile: {outcome.kind}."}
    write_card(runtime, outcome.promotion.version, outcome.promotion.generation)
    return {"sentence": state.sentence, "generation": outcome.promotion.generation, "partition": newest}


def end_rollout(runtime: Runtime, plan: Plan, why: str) -> str:
    """Send a challenger back; return why, and what it has published."""
    from incumbent.rollout import end
    from incumbent.rollout.state import RETREAT
    from incumbent.score.published import scored_by_challenger

    stands = end(runtime.store, plan, RETREAT, why)["sentence"]
    left = scored_by_challenger(runtime.store, plan.version)
    if not left:
        return str(stands)
    rows = ", ".join(f"{count} rows of {partition}" for partition, count in sorted(left.items()))
    again = f"trigger {runtime.model.name}.score with generation {plan.generation} for each to have the champion's"
    return f"{stands} It predicted {rows}: they stay; {again}."


def _share(runtime: Runtime, plan: Plan, partition: str) -> float | None:
    """Return the share that a rollout has of a partition as it was scored; None if it has no part in it."""
    from incumbent.features.inputs import pinned_inputs

    store = runtime.store
    inputs = pinned_inputs(store, runtime.model, partition)
    name = f"score-{partition}-{inputs.digest[:16]}"
    pin = store.records.get_plain(PINS, name) if store.records.has(PINS, name) else {}
    return float(pin["share"]) if pin.get("rollout") == plan.id else None


def _found(
    runtime: Runtime, plan: Plan, share: float, partition: str, version: ModelVersion, other: ModelVersion
) -> dict[str, Any]:
    """Compare the two on all rows of a partition whose outcomes are in, and count the units of each."""
    import numpy as np

    from incumbent.evaluate.stage import cluster_codes
    from incumbent.features.rows import join_labels, label_rows, outcome_keys
    from incumbent.stats import measured_advantage
    from incumbent.words import better

    store, model = runtime.store, runtime.model
    unjudged = {"judged": False, "rows": 0, "advantage": 0.0, "error": 0.0, "df": 0.0, "units": [0, 0], "kpis": {}}
    said = f"{partition}: rollout {plan.id}"
    if store.outcomes(model.outcome_source).part(partition) is None:
        return {**unjudged, "sentence": f"{said} is not compared yet: outcomes are not in."}
    rows = _predicted(runtime, partition, version, other)
    keys = list(model.keys)
    known = rows.select(keys).join(outcome_keys(store, model, [partition]), keys, join_type="inner").num_rows
    if known < model.monitor.coverage * rows.num_rows:
        return {**unjudged, "sentence": f"{said} is not compared yet: {known} of {rows.num_rows} outcomes are in."}
    rows = join_labels(model, rows, label_rows(store, model, [partition]))
    codes, _ = cluster_codes(rows, model.evaluate.cluster)
    try:
        champion, challenger = (_values(rows, name, model.label.classes) for name in ("champion", "challenger"))
        labels = np.asarray(rows["label"], dtype=np.float64)
        by_loss = version.trees == other.trees
        found = measured_advantage(model.task, labels, challenger, champion, codes, by_loss=by_loss)
    except ValueError as reason:
        return {**unjudged, "sentence": f"{said} is not compared ({reason})."}
    dealt = _units(rows, plan)
    numbers = {"rows": int(found.rows), "advantage": found.value, "error": found.error, "df": float(found.df)}
    how = f"{better(found.value)} ± {found.error:.4f}"
    sentence = f"{said}: the challenger is {how}; it had {dealt[1]} of {sum(dealt)} units ({share:.0%} were dealt)."
    kpis = _kpis(runtime, partition, rows.select(keys), codes) if share else {}
    return {"judged": True, **numbers, "units": dealt, "kpis": kpis, "sentence": sentence}


def _predicted(runtime: Runtime, partition: str, version: ModelVersion, other: ModelVersion) -> pa.Table:
    """Return keys, time and variant of a partition's predictions, with what each of the two says of each row."""
    import pyarrow as pa

    from incumbent.classes import aligned
    from incumbent.estimators import predictor
    from incumbent.features.build import committed
    from incumbent.features.inputs import pinned_inputs
    from incumbent.features.rows import feature_rows

    store, model = runtime.store, runtime.model
    keys, predict = list(model.keys), predictor(store)
    rows = store.predictions.read([partition], [*keys, model.time, "variant"])
    inputs = pinned_inputs(store, model, partition)
    for name, who in (("champion", version), ("challenger", other)):
        part = committed(store, who.definition, inputs)
        if part is None:
            raise LookupError(f"{partition} has no features of {who.definition[:16]}")
        features = feature_rows(store, who.definition, [part])
        values = predict(who, features)
        if model.label.classes:
            values = aligned(values, who.classes, model.label.classes)
        column = pa.array(values.tolist() if values.ndim > 1 else values)
        rows = rows.join(features.select(keys).append_column(name, column), keys, join_type="inner")
    return rows


def _values(rows: pa.Table, name: str, classes: tuple[str, ...]) -> npt.NDArray[np.float64]:
    import numpy as np
    import pyarrow.compute as pc

    flat = pc.list_flatten(rows[name]) if classes else rows[name]
    found: npt.NDArray[np.float64] = np.asarray(flat, dtype=np.float64)
    return found.reshape(rows.num_rows, len(classes)) if classes else found


def _units(rows: pa.Table, plan: Plan) -> list[int]:
    """Return how many units with outcomes were predicted by champion and challenger, of those that could be dealt."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from incumbent.rollout.assignment import units
    from incumbent.score.write import CHALLENGER, CHAMPION

    of = units(rows, plan.unit)
    free = pc.invert(pc.is_in(of, value_set=pa.array(plan.exclude, pa.string())))
    return [
        len(of.filter(pc.and_(free, pc.equal(rows["variant"].combine_chunks(), variant))).unique())
        for variant in (CHAMPION, CHALLENGER)
    ]


def _kpis(
    runtime: Runtime, partition: str, order: pa.Table, codes: npt.NDArray[np.int64] | None
) -> dict[str, dict[str, float]]:
    """Return by how much each guarded KPI of the challenger's units is behind the champion's."""
    import numpy as np
    import pyarrow.compute as pc

    from incumbent.features.rows import outcome_rows
    from incumbent.kpi import Kpi, kpi_rows, kpis_of
    from incumbent.score.write import CHALLENGER
    from incumbent.stats.differences import from_influence

    store, model, guards = runtime.store, runtime.model, runtime.model.gates.kpi
    if not guards or not runtime.folder.kpi_sql:
        return {}
    said = ["prediction", *(["probability"] if model.label.classes else [])]
    predictions = store.predictions.read([partition], [*model.keys, model.time, "variant", *said])
    rows = kpi_rows(model, predictions, outcome_rows(store, model, [partition]))
    theirs = np.asarray(pc.equal(rows["variant"], CHALLENGER))
    found = {}
    for kpi in kpis_of(runtime.folder.kpi_sql, rows.drop_columns(["variant"]), model):
        sides = [Kpi(kpi.name, kpi.over[mask], kpi.under[mask], kpi.broken) for mask in (~theirs, theirs)]
        if kpi.name not in guards or {side.state for side in sides} != {"measured"} or rows.num_rows != order.num_rows:
            continue
        influence = np.empty(rows.num_rows)
        influence[~theirs], influence[theirs] = -sides[0].influence, sides[1].influence
        gap = from_influence(sides[1].value - sides[0].value, influence, codes)
        limit = guards[kpi.name]
        side = 1.0 if limit.max_decrease is not None else -1.0
        found[kpi.name] = {
            "lost": -side * gap.estimate,
            "allowed": (limit.max_decrease if limit.max_decrease is not None else limit.max_increase) or 0.0,
            "error": gap.error,
            "df": float(gap.df),
            "rows": rows.num_rows,
            "champion": sides[0].value,
            "challenger": sides[1].value,
        }
    return found


def _steps(plan: Plan) -> str:
    return ", ".join(f"{share:.0%}" for share in plan.steps)
