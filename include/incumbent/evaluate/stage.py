"""The stage: gather the rows, let both contenders predict them, judge, record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import ConfigError, ModelError
from incumbent.evaluate.baseline import best_single_feature
from incumbent.evaluate.contest import Contest
from incumbent.evaluate.leaks import look
from incumbent.evaluate.verdict import judge
from incumbent.records import GateReport, ModelVersion, Promotion, RetrainRequest, Snapshot
from incumbent.store import ModelStore

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Predict = Callable[[ModelVersion, pa.Table], npt.NDArray[np.floating]]
Rows = Callable[[str], pa.Table]
PINS = "pins"


def evaluate(
    store: ModelStore,
    model: Model,
    snapshot: Snapshot,
    candidate: ModelVersion,
    champion: Promotion | None,
    request: RetrainRequest,
    *,
    rows: Rows,
    training_rows: Callable[[], pa.Table],
    predict: Predict,
) -> GateReport:
    """Judge a candidate on the snapshot's gate rows and record the verdict.

    The report of a request is pinned: evaluated again, a request gets the report it got first, also
    when the champion has changed since. Gating again against a new champion is a new request.

    Args:
        store: The model's store.
        model: Its configuration.
        snapshot: What the candidate was trained on; names the gate rows.
        candidate: The version to judge.
        champion: Head of the ledger; None at a cold start.
        request: Why the candidate was trained.
        rows: Gate rows under a feature definition: keys, features, `label` and `local_date`.
        training_rows: The candidate's training rows; rows of the same days whose outcome has no label come too,
            and theirs is null.
        predict: Predictions of a version for rows of its own definition.

    Raises:
        ModelError: The contenders would be judged on different rows, or the request was judged with
            another candidate.
    """
    pin = f"gate-{request.id}"
    if store.records.has(PINS, pin):
        return _pinned(store, pin, candidate)
    own = rows(candidate.definition)
    contest = _contest(store, model, snapshot, candidate, champion, request, own, rows, training_rows, predict)
    verdict = judge(contest)
    report = GateReport(
        model=model.name,
        partition=snapshot.partition,
        candidate=candidate.digest,
        champion=champion.version if champion else "",
        champion_generation=champion.generation if champion else 0,
        snapshot=snapshot.id,
        request=request.id,
        verdict=verdict.verdict,
        gates=verdict.gates,
        sentence=verdict.sentence,
    )
    store.records.put(report.id, report)
    store.records.claim(PINS, pin, {"gate_report": report.id, "candidate": candidate.digest})
    log.info("gate of request %s: %s. %s", request.id, report.verdict, report.sentence)
    return _pinned(store, pin, candidate)


def cluster_codes(rows: pa.Table, columns: Sequence[str]) -> tuple[Codes | None, str]:
    """Return each row's cluster code and what a cluster is: `days`, `clusters` or (independent) `rows`.

    Raises:
        ConfigError: A column is not among the rows'.
    """
    if not columns:
        return None, "rows"
    if missing := [column for column in columns if column not in rows.column_names]:
        raise ConfigError(
            "a cluster column is not among the rows'",
            where="model.yaml: evaluate.cluster",
            expected="of " + ", ".join(rows.column_names),
            found=missing[0],
            next_step="name key columns, the time column or `local_date` in evaluate.cluster",
        )
    codes = np.zeros(rows.num_rows, dtype=np.int64)
    for column in columns:
        each = rows[column].combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
        # Renumbered after each column, so that the product of many columns cannot overflow.
        codes = np.unique(codes * (int(each.max(initial=0)) + 1) + each, return_inverse=True)[1].astype(np.int64)
    dates = rows["local_date"].combine_chunks().dictionary_encode().indices.to_numpy()
    pairs = len({*zip(codes.tolist(), dates.tolist(), strict=True)})
    per_day = pairs == np.unique(codes).size == np.unique(dates).size
    return codes, "days" if per_day else "clusters"


def _contest(
    store: ModelStore,
    model: Model,
    snapshot: Snapshot,
    candidate: ModelVersion,
    champion: Promotion | None,
    request: RetrainRequest,
    own: pa.Table,
    rows: Rows,
    training_rows: Callable[[], pa.Table],
    predict: Predict,
) -> Contest:
    clusters, unit = cluster_codes(own, model.evaluate.cluster)
    incumbent = store.records.get(ModelVersion, champion.version) if champion else None
    champion_scores, chance, baseline, feature = None, 0.0, None, ""
    seen = training_rows()
    found = look(seen, candidate)
    if incumbent:
        theirs = own if incumbent.definition == candidate.definition else rows(incumbent.definition)
        check_same_rows(own, theirs, model.keys)
        champion_scores = _scores(predict, incumbent, theirs)
    else:
        training = seen.filter(seen["label"].is_valid())
        chance = float(np.mean(training["label"].to_numpy())) if training.num_rows else 0.0
        feature, baseline = best_single_feature(training, own, candidate.features, model.task)
    return Contest(
        task=model.task,
        labels=own["label"].to_numpy(),
        challenger=_scores(predict, candidate, own),
        champion=champion_scores,
        clusters=clusters,
        unit=unit,
        train_rows=candidate.train_rows,
        train_until=candidate.train_until,
        champion_train_until=incumbent.train_until if incumbent else "",
        gate_from=snapshot.gate_from,
        limits=model.gates,
        chance=chance,
        baseline=baseline,
        baseline_feature=feature,
        degraded=request.degraded,
        leaks=found,
    )


def check_same_rows(own: pa.Table, theirs: pa.Table, keys: Sequence[str]) -> None:
    """Refuse a contest on different rows: it would compare days, not models.

    Raises:
        ModelError: Keys or labels differ, or come in another order.
    """
    columns = [*keys, "label"]
    # NaN differs from itself, which is right here: a label that is no number cannot be compared.
    if not own.select(columns).equals(theirs.select(columns)):
        raise ModelError(
            "the contenders would be judged on different rows",
            where="gate rows of the candidate's and the champion's feature definition",
            expected=f"{own.num_rows} rows with the same keys and labels in the same order",
            found=f"{theirs.num_rows} rows, keys or labels differ",
            next_step="compute the features of the champion's definition for every partition of the snapshot",
        )


def _scores(predict: Predict, version: ModelVersion, rows: pa.Table) -> Floats:
    scores = np.asarray(predict(version, rows), dtype=np.float64)
    if scores.shape != (rows.num_rows,):
        raise ModelError(
            "a model did not give one prediction for each row",
            where=f"version {version.digest[:16]}",
            expected=f"shape ({rows.num_rows},)",
            found=f"shape {scores.shape}",
            next_step="check the version's objective and its predict function",
        )
    return scores


def _pinned(store: ModelStore, pin: str, candidate: ModelVersion) -> GateReport:
    stands = store.records.get_plain(PINS, pin)
    if stands["candidate"] != candidate.digest:
        raise ModelError(
            "this request was judged with another candidate",
            where=f"pins/{pin}",
            expected=f"candidate {stands['candidate'][:16]}",
            found=f"candidate {candidate.digest[:16]}",
            next_step="a training must give the same file each time; open a new request for another candidate",
        )
    return store.records.get(GateReport, stands["gate_report"])
