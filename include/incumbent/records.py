"""Canonical JSON and the records that cross stage borders.

A record is a frozen dataclass with plain fields. Its canonical JSON (sorted keys, no spaces, no
NaN) is what is stored and hashed, so two processes that mean the same write the same bytes. No
timestamp, host name or try number belongs in a record that is hashed.

Long because each field of a public format is described where it is declared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Self


def canonical_json(value: Any) -> bytes:
    """Return the one JSON text of a value, as UTF-8.

    Raises:
        ValueError: The value holds NaN or an infinity, which JSON cannot carry.

    >>> canonical_json({"b": 1.0, "a": (1, None)})
    b'{"a":[1,null],"b":1.0}'
    """
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.encode()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of bytes, or of a value's canonical JSON, as 64 hex digits."""
    data = value if isinstance(value, bytes) else canonical_json(value)
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Record:
    """Base of stored records: `kind` names the folder, `schema` the version of the fields."""

    kind: ClassVar[str]
    schema_version: ClassVar[int] = 1

    def to_json(self) -> dict[str, Any]:
        """Return the plain mapping that is stored, with its schema tag."""
        plain: dict[str, Any] = json.loads(canonical_json(self))
        return {"schema": f"incumbent.{self.kind}/{self.schema_version}", **plain}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild a record; fields of a later schema that this class lacks are ignored."""
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in plain.items() if key in known})


@dataclass(frozen=True)
class Part:
    """One partition's content as a snapshot or a pin names it.

    Attributes:
        partition: Partition key.
        digest: SHA-256 of the partition's Parquet file.
        rows: Row count.
    """

    partition: str
    digest: str
    rows: int


@dataclass(frozen=True)
class Ingest(Record):
    """What became of one delivered file.

    Attributes:
        source: Source name.
        partition: Partition key; empty for a once-only source.
        raw_digest: SHA-256 of the delivered file.
        contract_digest: Digest of the source's contract.
        verdict: `accepted`, `stopped` (nothing committed) or `duplicate`.
        rows: Rows committed.
        quarantined: Rows set aside.
        failures: Rule id to number of rows, or to a sentence for a rule about the whole batch.
        message: One sentence for a person.
        reason: Why it was stopped, as a code of `incumbent.admit.order.Reason`; empty when it was not.
        means: Mean of each column whose usual mean is learned.
        revisit: Id of the replay that it came from; empty for a delivery.
        results: Digest of the object with the result of each expectation; empty if the rows were not judged.
        masked: Columns whose values nobody is shown.
        hashed: Columns that are stored as pseudonyms; the bytes of a stopped file are then not kept.
    """

    kind: ClassVar[str] = "ingests"

    source: str
    partition: str
    raw_digest: str
    contract_digest: str
    verdict: str
    rows: int
    quarantined: int
    digest: str = ""
    failures: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    reason: str = ""
    means: Mapping[str, float] = field(default_factory=dict)
    revisit: str = ""
    results: str = ""
    masked: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hold(Record):
    """A batch that was not announced, and why.

    Attributes:
        partition: Partition key.
        batch_digest: Digest of the committed batch partition.
        definition: Feature definition digest.
        findings: One mapping per failed integrity test: column, test, expected, found, importance.
        message: One sentence for a person.
    """

    kind: ClassVar[str] = "holds"

    partition: str
    batch_digest: str
    definition: str
    findings: tuple[Mapping[str, Any], ...]
    message: str


@dataclass(frozen=True)
class Revisit(Record):
    """What a person asked for about a batch that was judged: to replay its quarantine, or to release it.

    It names exact contents, so that the run which does it finds what the person saw, or nothing to do.

    Attributes:
        action: `replay` or `release`.
        source: Source name.
        partition: Partition key; empty for a once-only source.
        raw_digest: The delivery that the rows came with.
        contract_digest: Contract that replayed rows are judged by.
        accepted: Content of the partition: partition, digest and rows.
        aside: Content of its quarantine; empty for a release.
        rule: Rule whose rows are replayed; empty for all.
        corrections: Digest of an object with corrected rows, as JSON lines of `line` and `row`; empty for none.
        reason: Why, in a sentence of the person.
        by: Who asked.
        number: From 1; the same is asked for again once it is done: the file that it is about may come back.
    """

    kind: ClassVar[str] = "revisits"

    action: str
    source: str
    partition: str
    raw_digest: str
    contract_digest: str
    accepted: Mapping[str, Any]
    aside: Mapping[str, Any]
    rule: str
    corrections: str
    reason: str
    by: str
    number: int = 1

    @property
    def id(self) -> str:
        """Name of what was asked for: the same again, while it waits, is no second order."""
        return digest_of(self)[:16]


@dataclass(frozen=True)
class Snapshot(Record):
    """An immutable training set: content digests per partition, and how the rows are split.

    Attributes:
        model: Model name.
        partition: Newest partition in the window.
        definition: Feature definition digest.
        features: Feature partitions, in key order.
        outcomes: Outcome partitions, in key order.
        contracts: Source name to contract digest.
        label: The label's SQL and the filter on outcomes; of a multiclass task its classes too.
        train_until: First local day that is not a training row any more (ISO date).
        gate_from: First local day of the gate rows.
        gate_until: First local day after the gate rows.
    """

    kind: ClassVar[str] = "snapshots"

    model: str
    partition: str
    definition: str
    features: tuple[Mapping[str, Any], ...]
    outcomes: tuple[Mapping[str, Any], ...]
    contracts: Mapping[str, str]
    label: Mapping[str, Any]
    train_until: str
    gate_from: str
    gate_until: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of its label, in the order of their numbers; none of a task that has no classes."""
        return tuple(self.label.get("classes", ()))

    @property
    def id(self) -> str:
        """The snapshot's name: the SHA-256 of its canonical JSON."""
        return digest_of(self)


@dataclass(frozen=True)
class ModelVersion(Record):
    """A fitted model: its file, its feature definition, what it was fitted on.

    Attributes:
        digest: SHA-256 of the model file; the version's name.
        model: Model name.
        estimator: Name in `incumbent.estimators`.
        definition: Digest of the stored feature definition.
        snapshot: Snapshot id; empty for an adopted version.
        features: Feature names in the order the model expects them.
        categories: Categorical feature to its vocabulary, in code order.
        params: Parameters the estimator was fitted with, seed included.
        rounds: Number of boosting rounds in the file; 1 of a script's model.
        train_rows: Number of training rows.
        train_until: First local day that is not in the training rows.
        importance: Feature to its share of total gain, or of the change when it is shuffled; sums to 1.
        code: Versions of incumbent and of the libraries; `packages`, the digest of the stored list of all that was
            installed; `commit`, of the project that the model folder is in, if it is in git.
        sensitive: Source to its sensitive columns that the features may be made of, let in by `in_features`.
        script: Digest of the stored script that fitted it; empty if none did.
        base: Version that it goes on from; empty if it began from nothing.
        since: First local day of its training rows; empty if the window's first.
        functions: Digest of the stored `model.py` whose `metric`, `objective` or `split` had a part in the training;
            empty if none had. That of `features` is in the definition.
        classes: Of a multiclass task, in the order of its probabilities; else empty.
        recalibrated: Whether it has the trees of its base, and another intercept alone.
        order: Digest of the stored order that it was fitted by: the whole configuration, after a search with what that
            has chosen; empty of an adopted version, and of one that an earlier release has fitted.
    """

    kind: ClassVar[str] = "versions"

    digest: str
    model: str
    estimator: str
    task: str
    definition: str
    snapshot: str
    features: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    params: Mapping[str, Any]
    rounds: int
    train_rows: int
    train_until: str
    importance: Mapping[str, float]
    code: Mapping[str, str] = field(default_factory=dict)
    sensitive: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    script: str = ""
    base: str = ""
    since: str = ""
    functions: str = ""
    classes: tuple[str, ...] = ()
    recalibrated: bool = False
    order: str = ""

    @property
    def trees(self) -> str:
        """Digest of the version whose trees it has: of two with the same, one is the other with another intercept."""
        return self.base if self.recalibrated else self.digest

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of what is predicted of one row: () for one number, (n_classes,) for a multiclass task."""
        return (len(self.classes),) if self.classes else ()


@dataclass(frozen=True)
class Rebuild(Record):
    """What came of a past version that was fitted again from its record; one for each version and code.

    Attributes:
        version: Version digest.
        verdict: `same file`; `same predictions`, to 1e-6; or `differs`. Of what was never fitted again, and has no
            record, `cannot be rebuilt`.
        rebuilt: Digest of the file that came out; empty if none did.
        differs: What differs from the record, the first cause first; a sentence each.
        rows: Rows of the snapshot's gate days that both files predicted; 0 where the files are the same.
        largest: Largest difference between two predictions of a row; null where there is none.
        code: Versions of incumbent and of the libraries that it was fitted again with; `packages`, the digest of the
            list of all that is installed.
        changed: Package to its version then and now, of those that are not the same; empty where it is not installed.
        missing: What is missing; empty if it could be fitted again.
    """

    kind: ClassVar[str] = "rebuilds"

    version: str
    verdict: str
    rebuilt: str = ""
    differs: tuple[str, ...] = ()
    rows: int = 0
    largest: float | None = None
    code: Mapping[str, str] = field(default_factory=dict)
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class GateReport(Record):
    """The recorded verdict of EVALUATE.

    Attributes:
        candidate: Version digest.
        champion: Version digest of the then-current champion; empty at a cold start.
        champion_generation: 0 at a cold start.
        snapshot: Snapshot id whose gate rows were used.
        request: Retrain request id.
        verdict: `promote`, `reject` or `insufficient_evidence`.
        gates: One mapping per gate: name, passed, and every number behind it.
        sentence: The verdict in one plain sentence.
    """

    kind: ClassVar[str] = "gate_reports"

    model: str
    partition: str
    candidate: str
    champion: str
    champion_generation: int
    snapshot: str
    request: str
    verdict: str
    gates: tuple[Mapping[str, Any], ...]
    sentence: str

    @property
    def id(self) -> str:
        """The report's name: the SHA-256 of its canonical JSON."""
        return digest_of(self)


@dataclass(frozen=True)
class Promotion(Record):
    """One entry of the ledger: who holds the seat from this generation on.

    Attributes:
        generation: Position in the ledger, from 1, without gaps.
        version: Version digest.
        previous: Generation it took the seat from; 0 for the first.
        gate_report: Gate report id; for a rollback, the report of the older generation.
        action: `promote` or `rollback`.
        reason: Why, in one sentence.
        request: Retrain request id; empty for a rollback.
        partition: Partition whose data led to it; empty for a rollback.
        approved_by: Who approved, when approval is required; else empty.
        run: For a rollback, the digest of the run that asked for it, cut to 16 digits; else empty.
    """

    kind: ClassVar[str] = "promotions"

    generation: int
    version: str
    previous: int
    gate_report: str
    action: str
    reason: str
    request: str = ""
    partition: str = ""
    approved_by: str = ""
    run: str = ""


@dataclass(frozen=True)
class ScoreOrder(Record):
    """What a person asked for: some partitions scored again, with the version of one generation.

    Attributes:
        partitions: Partition keys, in order.
        generation: Whose version scores; the champion of a day was looked up when the order was given.
        reason: Why, in a sentence of the person.
        by: Who asked.
    """

    kind: ClassVar[str] = "score_orders"

    partitions: tuple[str, ...]
    generation: int
    reason: str
    by: str

    @property
    def id(self) -> str:
        """Name of the order: the same asked for again, by whomever, is the same order."""
        return digest_of([list(self.partitions), self.generation, self.reason])[:16]


@dataclass(frozen=True)
class RetrainRequest(Record):
    """One durable row: why to retrain, for which partition, on which evidence.

    Attributes:
        id: Name of the request; one per model, partition and revision.
        partition: Newest partition the training may use.
        reason: `cold_start`, `drift`, `performance`, `growth`, `age`, `evidence`, `manual`, `schedule` or `stale_gate`.
        evidence: The verdict records that led to it, by name, with their numbers. By hand also `known_at`: a
            moment, in UTC, after which nothing is seen.
        degraded: A labelled alarm holds, so the gate may use the degraded error rate.
        message: One sentence for a person.
        candidate: Version that is to be judged, if it is there already: nothing is trained then.
    """

    kind: ClassVar[str] = "requests"

    id: str
    partition: str
    reason: str
    evidence: Mapping[str, Any]
    degraded: bool
    message: str
    candidate: str = ""


FRESH = "fresh"
RECALIBRATED = "recalibrated"


def training_name(request: str, origin: str) -> str:
    """Return the name of a candidate's training: of the first of a request, the request's.

    >>> training_name("2013-07-r1", "fresh"), training_name("2013-07-r1", "warm")
    ('2013-07-r1', '2013-07-r1-warm')
    """
    return request if origin in (FRESH, RECALIBRATED) else f"{request}-{origin}"


@dataclass(frozen=True)
class Training(Record):
    """What one training run did; durations live beside it, outside what is hashed.

    Attributes:
        request: Retrain request id.
        version: Version digest that came out.
        launcher: `process` or `ray`.
        workers: Number of workers.
        device: `cpu` or `cuda`.
        rounds: Boosting rounds in the model.
        checkpoints: Number of checkpoints written over all attempts.
        resumed_from: Round the last attempt resumed at; null if it started from nothing.
        exact_resume: Whether the model equals, byte for byte, one of a training that was never disturbed.
        layout: What computed it, such as `cpu, 2 workers of 1 thread`; the bytes depend on it.
        metric: Name of the scores.
        scores: `train`, round to score on the training rows; `validation`, a score for each round.
        search: Id of the search that its parameters and rounds came from; empty without one.
        origin: Which of the request's candidates: `fresh`, `warm`, `recent` or `recalibrated`.
    """

    kind: ClassVar[str] = "trainings"

    request: str
    snapshot: str
    version: str
    launcher: str
    workers: int
    device: str
    rounds: int
    checkpoints: int
    resumed_from: int | None
    exact_resume: bool
    layout: str = ""
    metric: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict)
    search: str = ""
    origin: str = FRESH

    @property
    def name(self) -> str:
        """What its record is called."""
        return training_name(self.request, self.origin)


@dataclass(frozen=True)
class TrainingCost(Record):
    """What a training took, beside its record: another attempt would have taken something else.

    Attributes:
        request: Name of the training.
        seconds: How long the last attempt took, by step.
        core_seconds: Cores that were held, times how long, in the last attempt.
        gpu_seconds: The same of GPUs.
        price: What that cost, in whatever the prices are in; null where nobody has said them.
        hardware: What the last attempt ran on.
    """

    kind: ClassVar[str] = "training_costs"

    request: str
    seconds: Mapping[str, float]
    core_seconds: float
    gpu_seconds: float
    price: float | None
    hardware: Mapping[str, Any]


@dataclass(frozen=True)
class Trial(Record):
    """One trial of a search; named by what decides the search and by its number, so durations may stand in it.

    Attributes:
        number: From 0 on.
        origin: `champion`, `folder` or `sampler`: whose parameters they are.
        params: What is laid over the folder's parameters.
        state: `complete`; `given_up` (no way to the best so far), `cut` (no minutes left) or `failed`.
        rounds: Rounds of its best; 0 if it failed.
        tried: Rounds that it has learned.
        metric: Name of the score.
        larger_is_better: Of the score.
        values: Objective to what was measured on the validation rows; empty if it failed.
        seconds: How long it took.
        message: Why it failed, and what to do about it.
    """

    kind: ClassVar[str] = "trials"

    number: int
    origin: str
    params: Mapping[str, Any]
    state: str
    rounds: int
    tried: int
    metric: str
    larger_is_better: bool
    values: Mapping[str, float]
    seconds: float
    message: str = ""

    @property
    def loss(self) -> float:
        """The score, such that less is better."""
        return -self.values["quality"] if self.larger_is_better else self.values["quality"]

    def losses(self, objectives: Sequence[str]) -> tuple[float, ...]:
        """Return what was measured, in the order of the objectives, each such that less is better."""
        return tuple(self.loss if name == "quality" else self.values[name] for name in objectives)


@dataclass(frozen=True)
class Search(Record):
    """What was tried for a training and what was chosen; each trial has a record of its own beside it.

    Attributes:
        work: What decides the search, as a digest; its trials lie under it.
        model: Model name.
        snapshot: Snapshot id.
        objectives: What was chosen by.
        tolerance: Share of the best score that might be given up.
        space: Parameter to range or values.
        metric: Name of the score.
        larger_is_better: Of the score.
        trials: One mapping per trial: number, origin, params, state, rounds, tried, values.
        pareto: Numbers of the trials that no other one beats in every objective.
        chosen: Number of the trial whose parameters are fitted.
        params: What is laid over the folder's parameters.
        rounds: Rounds that are fitted.
    """

    kind: ClassVar[str] = "searches"

    work: str
    model: str
    snapshot: str
    objectives: tuple[str, ...]
    tolerance: float
    space: Mapping[str, Any]
    metric: str
    larger_is_better: bool
    trials: tuple[Mapping[str, Any], ...]
    pareto: tuple[int, ...]
    chosen: int
    params: Mapping[str, Any]
    rounds: int

    @property
    def id(self) -> str:
        """The search's name: the SHA-256 of its canonical JSON."""
        return digest_of(self)
