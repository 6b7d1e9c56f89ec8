"""The stage: gather the rows, let both contenders predict them, judge, record.

Long because all that a contest is made from is gathered in one place.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from incumbent.classes import aligned
from incumbent.config import LOCAL_DATE, Model
from incumbent.error_budget import judged_day, spent_before, tried_before
from incumbent.errors import ConfigError, ModelError
from incumbent.evaluate.asked import own_gates, with_candidate
from incumbent.evaluate.baseline import best_single_feature
from incumbent.evaluate.columns import Asked, Beside, check_columns
from incumbent.evaluate.contest import Contest, Shadowed
from incumbent.evaluate.figures import Explaining, GateFigures, figures
from incumbent.evaluate.gates import DECISIVE
from incumbent.evaluate.kept import kept_for_later
from incumbent.evaluate.leaks import look, looked
from incumbent.evaluate.verdict import Verdict, judge
from incumbent.features.rows import as_snapped, outcome_rows
from incumbent.intervals import keep_intervals
from incumbent.kpi import Kpi, kpi_differences, kpi_rows, kpis_of, said_columns
from incumbent.records import GateReport, ModelVersion, Part, Promotion, RetrainRequest, Snapshot
from incumbent.stats import Difference, Measured, gathered
from incumbent.store import ModelStore

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Predict = Callable[[ModelVersion, pa.Table], npt.NDArray[np.floating]]
Rows = Callable[[str], pa.Table]
PINS = "pins"
EVIDENCE = "evidence"  # reason of a request that brings a candidate from shadow
LEARNED = {  # what a candidate was trained on, for who does not know the word
    "fresh": "from all rows",
    "recent": "from the rows since the change",
    "warm": "the champion with more rounds",
}
VERDICTS = ("reject", "insufficient_evidence", "promote")  # the better, the later


def evaluate(
    store: ModelStore,
    model: Model,
    snapshot: Snapshot,
    candidates: Mapping[str, ModelVersion],
    champion: Promotion | None,
    request: RetrainRequest,
    *,
    rows: Rows,
    training_rows: Callable[[], pa.Table],
    predict: Predict,
    beside: Beside | None = None,
    kpi_sql: str = "",
    explaining: Explaining | None = None,
) -> GateReport:
    """Judge a request's candidates on the snapshot's gate rows, record the verdicts, and return the best one's.

    Several candidates share the error rate of one: each is judged with its part (Bonferroni), so that the chance
    that any of them gets the seat by luck stays what it is. All of them are on record; one is the answer.

    The report of a request is pinned: evaluated again, a request gets the report it got first, also
    when the champion has changed since. Gating again against a new champion is a new request.

    Args:
        store: The model's store.
        model: Its configuration.
        snapshot: What the candidate was trained on; names the gate rows.
        candidates: The versions to judge, by origin; all of one feature definition.
        champion: Head of the ledger; None at a cold start.
        request: Why the candidate was trained.
        rows: Gate rows under a feature definition: keys, features, `label` and `local_date`.
        training_rows: The candidates' training rows; rows of the same days whose outcome has no label come too,
            and theirs is null.
        predict: Predictions of a version for rows of its own definition.
        beside: Columns of the batch that gate rows were made from, for gates that ask for them; None if there are none.
        kpi_sql: Text of the folder's kpi.sql, for `gates.kpi`.
        explaining: What features add, of a version, for what is told beside the verdict; None if nobody can say it.

    Raises:
        ModelError: The contenders would be judged on different rows, or the request was judged with
            another candidate.
        ConfigError: A gate asks for a column that there is not.
    """
    pin = f"gate-{request.id}"
    if store.records.has(PINS, pin):
        return _pinned(store, pin, candidates)
    rows = cache(rows)  # of the gates, then of what is told beside them
    contests = _contests(
        store, model, snapshot, candidates, champion, request, rows, training_rows, predict, beside, kpi_sql
    )
    verdicts = {origin: judge(contest) for origin, contest in contests.items()}
    best = best_of(verdicts)
    reports = {
        origin: _report(snapshot, candidates[origin], champion, request, verdict, _sentence(verdicts, origin, best))
        for origin, verdict in verdicts.items()
    }
    for origin, report in reports.items():
        if model.task == "regression":
            keep_intervals(store, report.candidate, contests[origin].labels, contests[origin].challenger)
        store.records.put(report.id, report)
        seen = figures(contests[origin], candidates[origin], _version_of(store, champion), rows, explaining)
        store.records.claim(GateFigures.kind, report.id, seen.to_json())
        log.info("gate of request %s, %s candidate: %s. %s", request.id, origin, report.verdict, report.sentence)
    others = [report.id for origin, report in reports.items() if origin != best]
    answer = {"gate_report": reports[best].id, "candidate": candidates[best].digest}
    store.records.claim(PINS, pin, {**answer, "others": others} if others else answer)
    return _pinned(store, pin, candidates)


def best_of(verdicts: Mapping[str, Verdict]) -> str:
    """Return the origin of the candidate that is the answer: of the best verdict, then of the largest gain."""

    def worth(origin: str) -> tuple[int, float]:
        verdict = verdicts[origin]
        gains = [gate["estimate"] for gate in verdict.gates if gate["gate"] in DECISIVE and "estimate" in gate]
        return VERDICTS.index(verdict.verdict), next(iter(gains), -math.inf)

    return max(verdicts, key=worth)


def _version_of(store: ModelStore, champion: Promotion | None) -> ModelVersion | None:
    return store.records.get(ModelVersion, champion.version) if champion else None


def _report(
    snapshot: Snapshot,
    candidate: ModelVersion,
    champion: Promotion | None,
    request: RetrainRequest,
    verdict: Verdict,
    sentence: str,
) -> GateReport:
    return GateReport(
        model=candidate.model,
        partition=snapshot.partition,
        candidate=candidate.digest,
        champion=champion.version if champion else "",
        champion_generation=champion.generation if champion else 0,
        snapshot=snapshot.id,
        request=request.id,
        verdict=verdict.verdict,
        gates=verdict.gates,
        sentence=sentence,
    )


def _sentence(verdicts: Mapping[str, Verdict], origin: str, best: str) -> str:
    said = verdicts[origin].sentence
    if len(verdicts) == 1:
        return said
    word = "the best" if origin == best else "not the best"
    learned = f" ({LEARNED[origin]})" if origin in LEARNED else ""
    return f"Of {len(verdicts)} candidates the {origin} one{learned} is {word}. {said}"


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


def _contests(
    store: ModelStore,
    model: Model,
    snapshot: Snapshot,
    candidates: Mapping[str, ModelVersion],
    champion: Promotion | None,
    request: RetrainRequest,
    rows: Rows,
    training_rows: Callable[[], pa.Table],
    predict: Predict,
    beside: Beside | None,
    kpi_sql: str,
) -> dict[str, Contest]:
    """Return the contest of each candidate; but for what the candidate itself says they are the same."""
    candidate = next(iter(candidates.values()))
    own = rows(candidate.definition)
    check_columns(model, own.column_names, store.batches(model.batch_source).columns() if beside else ())
    clusters, unit = cluster_codes(own, model.evaluate.cluster)
    incumbent = _version_of(store, champion)
    seen = cache(training_rows)
    found = looked(store, request.id, candidate.task, lambda: look(seen(), candidate.features, candidate.task))
    asked = Asked(model, candidate, own, beside or _nothing_beside)
    reports = list(store.records.all(GateReport))
    contest = Contest(
        task=model.task,
        labels=own["label"].to_numpy(),
        challenger=np.empty(0),
        clusters=clusters,
        unit=unit,
        train_rows=candidate.train_rows,
        train_until=candidate.train_until,
        champion_train_until=incumbent.train_until if incumbent else "",
        gate_from=snapshot.gate_from,
        limits=model.gates,
        degraded=request.degraded,
        leaks=found,
        sharing=len(candidates),
        classes=tuple(candidate.classes),
        days=len(own[LOCAL_DATE].unique()),
        day=judged_day(snapshot.partition, model.grain),
        spent=spent_before(reports, model.grain, snapshot.partition, request.id),
        tried=tried_before(reports, model.grain, snapshot.partition, request.id),
        slices=asked.slices() if incumbent else None,
        groups=asked.fairness(),
        rows=own,
        shadow=_shadowed(store, request, champion),
        **_opponent(model, candidate, incumbent, own, rows, seen, predict),
        **own_gates(store, model),
    )

    barred = store.barred()

    def filled(version: ModelVersion) -> Contest:
        def said(rows: pa.Table) -> Floats:
            return _scores(predict, version, rows, candidate.classes)

        own_contest = replace(
            contest,
            challenger=said(own),
            train_rows=version.train_rows,
            barred=barred.get(version.digest, 0),
            by_loss=incumbent is not None and version.recalibrated and version.trees == incumbent.trees,
        )
        kpis = _kpis(store, model, snapshot, kpi_sql, own, own_contest)
        return with_candidate(replace(own_contest, kpis=kpis), store, model, version, request.id, said)

    return {origin: filled(version) for origin, version in candidates.items()}


def _opponent(
    model: Model,
    candidate: ModelVersion,
    incumbent: ModelVersion | None,
    own: pa.Table,
    rows: Rows,
    seen: Callable[[], pa.Table],
    predict: Predict,
) -> dict[str, Any]:
    """Return what the candidates have to beat: the champion's predictions, or of a first model the simple rules'."""
    if incumbent:
        theirs = own if incumbent.definition == candidate.definition else rows(incumbent.definition)
        check_same_rows(own, theirs, model.keys)
        return {"champion": _scores(predict, incumbent, theirs, candidate.classes)}
    training, classes = seen().filter(seen()["label"].is_valid()), len(candidate.classes)
    feature, baseline = best_single_feature(training, own, candidate.features, model.task, classes)
    chance = _mean_label(training["label"].to_numpy(), classes)
    return {"champion": None, "chance": chance, "baseline": baseline, "baseline_feature": feature}


def _kpis(
    store: ModelStore, model: Model, snapshot: Snapshot, sql: str, rows: pa.Table, contest: Contest
) -> dict[str, Difference]:
    """Return by how much each KPI of the candidate is larger than the champion's on the gate rows."""
    if not model.gates.kpi or contest.champion is None:
        return {}
    if not sql:
        raise ConfigError(
            "a gate asks for a KPI, and there is no kpi.sql",
            where=f"model {model.name}: gates.kpi",
            expected="a kpi.sql beside model.yaml",
            found="none",
            next_step="write kpi.sql, see docs/kpi.md, or take gates.kpi out of model.yaml",
        )
    outcomes = outcome_rows(store, as_snapped(model, snapshot), [Part(**part) for part in snapshot.outcomes])

    def measured(scores: Floats) -> list[Kpi]:
        predictions = rows.select([*model.keys, model.time])
        for name, column in said_columns(scores, contest.classes).items():
            predictions = predictions.append_column(name, column)
        return kpis_of(sql, kpi_rows(model, predictions, outcomes), model)

    try:
        return kpi_differences(measured(contest.challenger), measured(contest.champion), contest.clusters)
    except ValueError:  # one cluster says nothing about luck
        return {}


def _shadowed(store: ModelStore, request: RetrainRequest, champion: Promotion | None) -> Shadowed | None:
    """Return what was gathered in shadow about the candidate that a request brings, from the verdicts that it names."""
    if request.reason != EVIDENCE:
        return None
    names = tuple(request.evidence["verdicts"])
    found = [store.records.get_plain("verdicts", name) for name in names]
    report = store.records.get(GateReport, request.evidence["gate_report"])
    left = kept_for_later(report.gates)
    if left is None:
        raise ModelError(
            "nothing was kept of a challenger's error rate",
            where=f"gate report {report.id}",
            expected="a report of a challenger that was in shadow",
            found=f"verdict {report.verdict}",
            next_step="open a new request for a challenger",
        )
    each = [left[1], *(Measured(one["advantage"], one["error"], one["rows"], one["df"]) for one in found)]
    generation = 0 if champion is None else champion.generation
    is_champions = all(one["generation"] == generation for one in found)
    return Shadowed(gathered(each), 1 / left[0], names, is_champions)


def _nothing_beside(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    raise ValueError(f"nobody said where columns beside the features are: {', '.join(columns)}")


def _mean_label(labels: Floats, classes: int) -> float | Floats:
    """Return the mean label, or the share of each class; 0 of no labels."""
    if classes:
        return np.bincount(labels.astype(np.int64), minlength=classes) / max(labels.size, 1)
    return float(np.mean(labels)) if labels.size else 0.0


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


def _scores(predict: Predict, version: ModelVersion, rows: pa.Table, classes: Sequence[str]) -> Floats:
    """Return a version's predictions; of several classes in the order of those that the rows are judged by."""
    scores = np.asarray(predict(version, rows), dtype=np.float64)
    if scores.shape != (rows.num_rows, *version.row_shape) or bool(classes) != bool(version.classes):
        raise ModelError(
            f"a model did not give one prediction for each row{' and class' if classes else ''}",
            where=f"version {version.digest[:16]}",
            expected=f"shape {(rows.num_rows, *([len(classes)] if classes else []))}",
            found=f"shape {scores.shape}, of a version of task {version.task}",
            next_step="check the version's objective and its predict function; another task is another model folder",
        )
    return aligned(scores, version.classes, classes) if classes else scores


def _pinned(store: ModelStore, pin: str, candidates: Mapping[str, ModelVersion]) -> GateReport:
    stands = store.records.get_plain(PINS, pin)
    digests = [version.digest for version in candidates.values()]
    if stands["candidate"] not in digests:
        raise ModelError(
            "this request was judged with another candidate",
            where=f"pins/{pin}",
            expected=f"candidate {stands['candidate'][:16]}",
            found=f"candidate {', '.join(digest[:16] for digest in digests)}",
            next_step="a training must give the same file each time; open a new request for another candidate",
        )
    return store.records.get(GateReport, stands["gate_report"])
