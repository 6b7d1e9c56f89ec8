"""Joins a model's runtime to the stage packages: each function is the body of one task.

The stages do not know each other; what one needs from another (the champion's predictions for a
gate, the reference for a drift) is handed over here. Long because there is one for each task.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from incumbent.embedded.settings import Settings
from incumbent_airflow.defaults import RUN_TIMEOUT
from incumbent_airflow.runtime import Runtime

if TYPE_CHECKING:
    import pyarrow as pa

    from incumbent.features.build import FeatureBuild
    from incumbent.records import RetrainRequest, Snapshot
    from incumbent.train.candidates import Candidate

LOG = logging.getLogger(__name__)
PINS = "pins"
NOT_APPROVED = "not_approved"
PASSED = {True: "passed", False: "failed", None: "open"}
REFUSED_BEFORE = "Not promoted: this request was refused before; open a new request to have a challenger judged again."
LEASE_S = RUN_TIMEOUT.total_seconds()  # a run cannot hold a request for longer than it may last


def claim_request(
    runtime: Runtime, partition: str, owner: str, reason: str, known_at: str = "", since: str = ""
) -> str | None:
    """Claim the partition's unanswered request for this run; a run started by hand writes one first.

    A run that is cleared gets its own request back, also when it is answered: every later task then
    finds its work done and changes nothing. One that asks for a moment gets a request of that moment, and one that
    asks for a second candidate a request for two.
    """
    from incumbent.partitions import day_of, moment_of
    from incumbent.retrain.requests import SINCE, announce, claim, claimed_by, open_request, unanswered

    now = datetime.now(UTC)
    if own := claimed_by(runtime.store, partition, owner):
        return own
    evidence = {"known_at": moment_of(known_at).isoformat()} if known_at else {}
    evidence |= {SINCE: day_of(since)} if since else {}
    waiting = [request for request in unanswered(runtime.store) if request.partition == partition]
    if known_at:
        reason = reason or f"By hand, on what was known at {evidence['known_at']}."
    if since:
        reason = reason or f"By hand, with a second candidate on the rows since {evidence[SINCE]}."
    if evidence:
        waiting = []
    if not waiting and reason:
        request, _ = open_request(runtime.store, partition, "manual", evidence, degraded=False, message=reason)
        announce(runtime.store, request.id)
        waiting = [request]
    for request in waiting:
        if claim(runtime.store, request.id, owner, now, LEASE_S) is not None:
            return request.id
    return None


def why_unclaimed(runtime: Runtime, partition: str) -> str:
    """Return why a run has nothing to do: its partition's requests are answered, or another run holds one."""
    from incumbent.retrain.requests import holder, unanswered

    for request in unanswered(runtime.store):
        if request.partition == partition and (held := holder(runtime.store, request.id)) is not None:
            owner, until = held
            return f"Run {owner} holds request {request.id} until {until:%Y-%m-%d %H:%M} UTC: clear that run, or wait."
    return "The request is answered by another run, or was answered before."


def build_features(runtime: Runtime, partition: str) -> FeatureBuild:
    """Build a partition's features under the definition that serves; of one that is held, the diagnosis is recorded."""
    from incumbent.features.build import build, serving_definition

    serving = serving_definition(runtime.store, lambda: _folder_definition(runtime))
    built = build(runtime.store, runtime.model, serving, partition)
    if built.hold is not None:
        from incumbent_airflow.diagnosing import diagnose_hold

        diagnose_hold(runtime, built.hold)
    return built


def build_challenger_features(runtime: Runtime, partition: str) -> str:
    """Build a partition's features under the folder's definition, if it is not the one that serves."""
    from incumbent.features.build import build, serving_definition

    definition = _folder_definition(runtime)
    if definition == serving_definition(runtime.store, lambda: definition):
        return "features.sql is the definition that serves"
    built = build(runtime.store, runtime.model, definition, partition)
    return f"{built.part.rows} rows" if built.part else str(built.hold and built.hold.message)


def take_snapshot(runtime: Runtime, request_id: str) -> list[str]:
    """Compute the features that the request's window lacks, and pin the training set and who is trained on it.

    A request that has its snapshot gets it back before anything is read: `features.sql` may say something else,
    or nothing that runs, by the time a run is cleared. One that a person made for a moment sees what was known then.

    Returns:
        Origins of the candidates beside the one from nothing.
    """
    from incumbent.evaluate.stage import EVIDENCE
    from incumbent.features.build import build_window, serving_definition
    from incumbent.features.known import build_known
    from incumbent.partitions import moment_of
    from incumbent.records import ModelVersion, Snapshot
    from incumbent.retrain.requests import KNOWN_AT, MANUAL
    from incumbent.snapshot import take
    from incumbent.validate import contract_digests

    store, model = runtime.store, runtime.model
    with failing(runtime, request_id):
        if store.records.has(PINS, _snapshot_pin(request_id)):
            return [each.origin for each in _candidates(runtime, request_id)[1:]]
        request = _request(runtime, request_id)
        if request.candidate:  # it has its training set already
            known = store.records.get(Snapshot, store.records.get(ModelVersion, request.candidate).snapshot)
            if request.reason == EVIDENCE:
                known = _shadow_rows(runtime, request, known)
            store.records.claim(PINS, _snapshot_pin(request_id), {"snapshot": known.id, "request": request_id})
            return []
        definition = _folder_definition(runtime)
        # The champion's first: a batch is judged by the definition that serves.
        for each in dict.fromkeys([serving_definition(store, lambda: definition), definition]):
            build_window(store, model, each, request.partition)
        moment = request.evidence.get(KNOWN_AT) if request.reason == MANUAL else None
        known_at = moment_of(moment) if moment else None
        if known_at is not None:
            build_known(store, model, definition, request.partition, known_at)
        contracts = contract_digests(runtime.folder.contract_path, model)
        take(store, model, definition, request.partition, request_id, contracts, known_at)
        return [each.origin for each in _candidates(runtime, request_id)[1:]]


def _shadow_rows(runtime: Runtime, request: RetrainRequest, known: Snapshot) -> Snapshot:
    """Record what a candidate from shadow is gated on: the partitions that it was compared on, and none of before."""
    from incumbent.features.build import build_window
    from incumbent.partitions import end_of
    from incumbent.snapshot.take import compose

    store, model = runtime.store, runtime.model
    build_window(store, model, known.definition, request.partition)
    whole = compose(store, model, known.definition, request.partition, known.contracts)
    first = end_of(known.partition, model.grain).date().isoformat()
    snapshot = replace(whole, train_until=known.train_until, gate_from=first)
    store.records.put(snapshot.id, snapshot)
    return snapshot


def evaluate_candidate(runtime: Runtime, request_id: str) -> dict[str, Any]:
    """Judge the request's candidates against the champion on the snapshot's gate rows."""
    from incumbent.estimators import explainer, predictor
    from incumbent.evaluate import evaluate
    from incumbent.features.batch_columns import batch_columns
    from incumbent.features.out_of_core import labelled_sample
    from incumbent.features.rows import labelled_rows
    from incumbent.records import FRESH, GateReport, ModelVersion, Training
    from incumbent_airflow.cards import write_card

    store = runtime.store

    def gate_rows(definition: str) -> pa.Table:
        first, until = date.fromisoformat(snapshot.gate_from), date.fromisoformat(snapshot.gate_until)
        return labelled_rows(store, runtime.model, snapshot, first, until, definition)

    with failing(runtime, request_id):
        request, snapshot = _request(runtime, request_id), snapshot_of(runtime, request_id)
        candidates = {
            each.origin: store.records.get(ModelVersion, store.records.get(Training, each.name).version)
            for each in ([] if request.candidate else _candidates(runtime, request_id))
        } or {FRESH: store.records.get(ModelVersion, request.candidate)}
        report = evaluate(
            store,
            runtime.model,
            snapshot,
            candidates,
            store.champion(),
            request,
            rows=gate_rows,
            training_rows=lambda: labelled_sample(store, runtime.model, snapshot),
            predict=predictor(store),
            beside=lambda rows, columns: batch_columns(store, runtime.model, snapshot, rows, columns),
            kpi_sql=runtime.folder.kpi_sql,
            explaining=explainer(store),
        )
    for gate in report.gates:
        LOG.info("%-12s %-7s %s", gate["gate"], PASSED[gate.get("passed")], gate.get("sentence", ""))
    write_card(runtime, report.candidate)
    LOG.info("%s (%s)", report.sentence, store.records.where(GateReport.kind, report.id))
    return {"verdict": report.verdict, "sentence": report.sentence, "report": report.id}


def promote_candidate(runtime: Runtime, request_id: str, answer: Mapping[str, Any] | None) -> dict[str, Any]:
    """Write the ledger if the gates passed and, where asked for, a person agreed; finish the request.

    An answered request keeps its answer, and what the ledger says of its report stands: a cleared run may bring
    another answer of a person, and neither takes a seat that was refused nor takes back one that was given.
    """
    with failing(runtime, request_id):
        return _promote(runtime, request_id, answer)


def _promote(runtime: Runtime, request_id: str, answer: Mapping[str, Any] | None) -> dict[str, Any]:
    from incumbent.promote import promote, promotion_of
    from incumbent.records import GateReport
    from incumbent.retrain.requests import finish, is_done, open_request, verdict_of
    from incumbent.retrain.stage import ask_on
    from incumbent_airflow.cards import write_card
    from incumbent_airflow.rollouts import begin_rollout

    store = runtime.store
    request = _request(runtime, request_id)
    report = store.records.get(GateReport, store.records.get_plain(PINS, f"gate-{request_id}")["gate_report"])
    if is_done(store, request_id):
        refused = REFUSED_BEFORE if verdict_of(store, request_id) == NOT_APPROVED else ""
    else:
        refused = "" if promotion_of(store, report) else _refusal(runtime, report.verdict, answer)
    if refused:
        finish(store, request_id, NOT_APPROVED, 0, report.candidate)
        return {"kind": NOT_APPROVED, "message": refused, "generation": 0}
    if begun := begin_rollout(runtime, request, report, _approver(answer)):
        finish(store, request_id, begun["kind"], 0, report.candidate)
        return begun
    outcome = promote(store, report, request.message, request.partition, _approver(answer))
    generation = 0 if outcome.promotion is None else outcome.promotion.generation
    verdict = "stale" if outcome.kind == "stale" else report.verdict
    finish(store, request_id, verdict, generation, report.candidate)
    if verdict not in ("promote", "stale"):
        ask_on(store, runtime.model, request)
    if outcome.kind == "stale":
        message = f"The champion changed while {request_id} was gated; the challenger is gated again."
        open_request(
            store, request.partition, "stale_gate", {}, degraded=request.degraded, message=message,
            candidate=report.candidate,
        )  # fmt: skip
    if generation:
        write_card(runtime, report.candidate, generation)
    return {"kind": outcome.kind, "message": report.sentence, "generation": generation}


def is_settled(runtime: Runtime, request_id: str) -> bool:
    """Return whether a request has an answer that stands, so that there is nothing to ask a person."""
    from incumbent.retrain.requests import is_done

    return is_done(runtime.store, request_id)


def register_champion(runtime: Runtime) -> str:
    """Bring MLflow to what the ledger and the trainings say; MLflow being away blocks nothing."""
    from incumbent.errors import UnavailableError
    from incumbent.promote import log_trainings, reconcile, unlogged

    if not runtime.settings.mlflow_uri or not (runtime.store.champion() or unlogged(runtime.store)):
        return "nothing to register"
    try:
        logged = log_trainings(runtime.store, runtime.settings.mlflow_uri)
        done = reconcile(runtime.store, runtime.model.name, runtime.settings.mlflow_uri)
    except UnavailableError as error:
        return f"pending: {error.what}; incumbent.maintenance tries again every five minutes"
    words = [f"registered {len(done.registered)}", "alias moved" if done.alias_moved else "alias in place"]
    return "; ".join([f"trainings logged {len(logged)}", *words, *done.problems])


def lost_requests(runtime: Runtime, run: str) -> list[str]:
    """Return the partitions of requests that no run has taken up, and that are this run's to announce again."""
    from incumbent.retrain.lost import announce_lost

    return sorted({request.partition for request in announce_lost(runtime.store, run, datetime.now(UTC))})


def vacuum_daily(runtime: Runtime, run: str) -> str | None:
    """Remove what retention no longer keeps, by the first run of the day; None when another run does."""
    from incumbent.score.ray_order import FOLDER as SCORING
    from incumbent.store.vacuum import vacuum
    from incumbent.train.checkpoints import FOLDER as CHECKPOINTS
    from incumbent.train.checkpoints import forget_abandoned

    keep_days, now = runtime.model.retention.keep_days, datetime.now(UTC)
    for below in (CHECKPOINTS, SCORING):
        for folder in forget_abandoned(runtime.store.blobs, now, below):
            LOG.info("%s/%s removed: nobody has come back to that work for a month", below, folder)
    if keep_days is None:
        return None
    stands = runtime.store.records.claim("vacuums", now.date().isoformat(), {"run": run})
    if stands["run"] != run:
        return None
    return f"{len(vacuum(runtime.store, keep_days, now))} data files removed"


def stop_ray_if_idle(settings: Settings) -> str:
    """Stop the local Ray head when no training has used it for a while."""
    from incumbent.embedded.ray_head import stop_if_idle

    return "stopped" if stop_if_idle(settings, settings.ray_idle_s, datetime.now(UTC).timestamp()) else "left as it is"


@contextmanager
def failing(runtime: Runtime, request_id: str) -> Iterator[None]:
    """Answer the request as failed, unless a service was away: only then is it worth announcing again.

    Also for an error that nobody foresaw, and on the first try: a request without an answer would start a run
    after each lease, for ever. Tries that are left and cleared runs go on, and `done` counts over `failed`.
    """
    from incumbent.disk import room_on_disk
    from incumbent.errors import PipelineError, UnavailableError
    from incumbent.retrain.requests import fail

    try:
        with room_on_disk(runtime.store.blobs.url):
            yield
    except UnavailableError:
        raise
    except Exception as error:
        known = isinstance(error, PipelineError)
        fail(runtime.store, request_id, str(error) if known else f"{type(error).__name__}: {error}")
        raise


def _request(runtime: Runtime, request_id: str) -> RetrainRequest:
    from incumbent.records import RetrainRequest

    return runtime.store.records.get(RetrainRequest, f"{request_id}/open")


def snapshot_of(runtime: Runtime, request_id: str) -> Snapshot:
    """Return the training set that a request has pinned."""
    from incumbent.records import Snapshot

    pin = runtime.store.records.get_plain(PINS, _snapshot_pin(request_id))
    return runtime.store.records.get(Snapshot, pin["snapshot"])


def _candidates(runtime: Runtime, request_id: str) -> list[Candidate]:
    from incumbent.retrain.requests import RECALIBRATE, SINCE
    from incumbent.train.candidates import candidates_of

    asked = _request(runtime, request_id).evidence
    first = asked.get(RECALIBRATE, "")
    snapshot = snapshot_of(runtime, request_id)
    return candidates_of(
        runtime.store, runtime.model, snapshot, request_id, first or asked.get(SINCE, ""), recalibrates=bool(first)
    )


def _folder_definition(runtime: Runtime) -> str:
    from incumbent.features.definition import register

    return register(runtime.store, runtime.model, runtime.folder.definition_text)


def _snapshot_pin(request_id: str) -> str:
    return f"train-{request_id}"


def _refusal(runtime: Runtime, verdict: str, answer: Mapping[str, Any] | None) -> str:
    if not runtime.model.approvals.required or verdict != "promote":
        return ""
    if answer is None:
        return "Not promoted: approval is required and there is no answer."
    return (
        "" if "Approve" in answer["chosen_options"] else "Not promoted: a person said no, or nobody answered in time."
    )


def _approver(answer: Mapping[str, Any] | None) -> str:
    user = (answer or {}).get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "") if isinstance(user, Mapping) else str(user)
