"""A model folder read once: `model.yaml` as frozen, strict objects.

Thresholds live here, in YAML, with their unit and reason; a key that is not known is an error that
names the file, because a typo that is silently ignored is a threshold that is silently off.

Long because half of it says what each key means: this is the reference of `model.yaml` in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from incumbent.errors import ConfigError
from incumbent.partitions import Grain, check_key, days_before
from incumbent.records import digest_of

MAX_YAML_BYTES = 256 * 1024
T = TypeVar("T", bound=BaseModel)
NAME = r"^[a-z][a-z0-9_]{0,62}$"


class Strict(BaseModel):
    """Base of every configuration object: immutable, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Strict):
    """One feed of files.

    Attributes:
        role: `batch` is scored, `outcomes` brings the truth later, `context` is looked up.
        path: File pattern below the raw folder; `{partition}` stands for the partition key.
        once: The source is one file for all partitions (planes, airlines).
        lookback_days: Context only: days before the partition whose rows may be joined too.
    """

    role: Literal["batch", "outcomes", "context"]
    path: str
    once: bool = False
    lookback_days: int = Field(0, ge=0, le=366)

    @model_validator(mode="after")
    def _path_fits_role(self) -> Source:
        if self.once == ("{partition}" in self.path):
            raise ValueError("a path holds {partition} exactly when `once` is false")
        if self.once and self.role != "context":
            raise ValueError("only a context source may be `once`")
        return self


class Label(Strict):
    """What is predicted, as SQL over the outcomes source.

    Attributes:
        sql: Expression over outcome columns; boolean or 0/1 for binary, a number for regression.
        where: Filter of outcomes that have a label at all (cancelled flights have none).
        delay_days: Days after an event until its outcome is known; the default embargo.
    """

    sql: str
    where: str = "true"
    delay_days: int = Field(1, ge=0)


class Evaluate(Strict):
    """How contenders are compared.

    Attributes:
        holdout_days: Newest days of the window that are gate rows and never training rows.
        embargo_days: Days between training and gate rows; the label delay when absent.
        cluster: Columns whose rows share their luck (a day's weather); empty for independent rows.
    """

    holdout_days: int = Field(7, ge=1)
    embargo_days: int | None = Field(None, ge=0)
    cluster: tuple[str, ...] = ()


class Gates(Strict):
    """Evidence a challenger must bring. The defaults are meant to be good.

    Attributes:
        alpha: One-sided error rate of the superiority test on fresh gate rows.
        alpha_degraded: The same while a labelled alarm says that the champion has degraded.
        min_improvement: Smallest difference in the metric worth a change (AUC, or share of error).
        min_positives: Least rows of each class among the gate rows (rows, for a regression).
        min_clusters: Least number of clusters among the gate rows.
        max_logloss_increase: Largest relative increase of the loss that its upper bound may show.
        calibration_tolerance: Share by which the mean prediction may miss, beyond two errors.
        min_train_rows: Least training rows of a cold start.
    """

    alpha: float = Field(0.01, gt=0, lt=0.5)
    alpha_degraded: float = Field(0.05, gt=0, lt=0.5)
    min_improvement: float = Field(0.002, ge=0)
    min_positives: int = Field(200, ge=1)
    min_clusters: int = Field(5, ge=2)
    max_logloss_increase: float = Field(0.01, ge=0)
    calibration_tolerance: float = Field(0.005, ge=0)
    min_train_rows: int = Field(1000, ge=1)


class Train(Strict):
    """How a candidate is fitted.

    Attributes:
        launcher: `process` in the task, `ray` through Job Submission, `auto` by data size.
        rounds: Boosting rounds.
        params: Parameters handed to the estimator.
        seed: Base seed.
        checkpoint_every: Rounds between two checkpoints.
        device: `auto` takes a GPU when there is one; `cuda` without one is an error.
        workers: Ray workers.
        window: Newest partitions to train on; 0 takes all so far.
    """

    launcher: Literal["auto", "process", "ray"] = "auto"
    estimator: Literal["xgboost"] = "xgboost"
    rounds: int = Field(150, ge=1)
    params: dict[str, Any] = Field(default_factory=dict)
    seed: int = 7
    checkpoint_every: int = Field(25, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = Field(1, ge=1)
    window: int = Field(0, ge=0)

    @field_validator("params")
    @classmethod
    def _not_decided_elsewhere(cls, params: dict[str, Any]) -> dict[str, Any]:
        decided = {
            "objective": "task",
            "device": "train.device",
            "seed": "train.seed",
            "nthread": "",
            "tree_method": "",
        }
        for name in sorted(decided.keys() & params.keys()):
            instead = f"; say {decided[name]} instead" if decided[name] else ""
            raise ValueError(f"{name!r} is not a parameter to set here{instead}")
        return params


class Integrity(Strict):
    """Exact tests before a batch is announced; a failure on an important column holds the batch.

    Attributes:
        importance: Least share of the champion's gain that makes a column important.
        null_increase: Share of new nulls that is tolerated.
        out_of_range: Share of values far outside the reference range that is tolerated.
        unseen: Share of unseen levels that is tolerated.
        alpha: Error rate over all tests of one batch.
    """

    importance: float = Field(0.02, ge=0, le=1)
    null_increase: float = Field(0.10, ge=0, le=1)
    out_of_range: float = Field(0.005, ge=0, le=1)
    unseen: float = Field(0.05, ge=0, le=1)
    alpha: float = Field(0.0025, gt=0, lt=0.5)


class Monitor(Strict):
    """Drift and performance: what an alarm means.

    Attributes:
        alpha: Family-wise error rate of one batch's shape tests.
        tolerance: Shape change of a feature that is ordinary (about PSI).
        score_tolerance: Shape change of the score that is ordinary.
        report_rows: Rows of the sample that the Evidently report is drawn from.
        coverage: Share of predictions whose outcome must be in before performance is judged.
        cusum_limit: Limit of the cumulative sum of standardised losses (h).
        shewhart_limit: Limit of one standardised loss.
    """

    alpha: float = Field(0.01, gt=0, lt=0.5)
    tolerance: float = Field(0.10, ge=0)
    score_tolerance: float = Field(0.03, ge=0)
    report_rows: int = Field(2000, ge=100)
    coverage: float = Field(0.95, gt=0, le=1)
    cusum_limit: float = Field(6.2, gt=0)
    shewhart_limit: float = Field(3.7, gt=0)


class Retrain(Strict):
    """When evidence becomes a request.

    Attributes:
        cooldown_days: Days after a request before the next one; doubled by each gate that says no.
        min_new_rows: Labelled rows that must be newer than what the champion was trained on.
    """

    cooldown_days: int = Field(14, ge=0)
    min_new_rows: int = Field(200, ge=0)


class Approvals(Strict):
    """Whether a person must agree before a promotion.

    Attributes:
        required: Ask in Airflow's UI between EVALUATE and PROMOTE.
        timeout_hours: Hours until silence counts as "no".
    """

    required: bool = False
    timeout_hours: float = Field(24, gt=0)


class Model(Strict):
    """A prediction problem as its folder describes it.

    Attributes:
        name: Name; equals the folder's.
        owner: Who answers for it; shown in Airflow.
        task: `binary` or `regression`.
        grain: How long one batch is.
        timezone: Zone whose calendar the partitions follow.
        start, end: First and last partition key; no schedule runs outside.
        keys: Columns that identify a row of the batch source.
        time: UTC timestamp column of the batch source.
    """

    name: str = Field(pattern=NAME)
    owner: str
    description: str = ""
    task: Literal["binary", "regression"]
    grain: Grain
    timezone: str = "UTC"
    start: str
    end: str | None = None
    keys: tuple[str, ...] = Field(min_length=1)
    time: str
    sources: dict[str, Source]
    label: Label
    evaluate: Evaluate = Evaluate()
    train: Train = Train()
    gates: Gates = Gates()
    integrity: Integrity = Integrity()
    monitor: Monitor = Monitor()
    retrain: Retrain = Retrain()
    approvals: Approvals = Approvals()

    @field_validator("start", "end", mode="before")
    @classmethod
    def _written_without_quotes(cls, key: object) -> object:
        """Take YAML's date for the day that was written."""
        return key.isoformat() if isinstance(key, date) else key

    @field_validator("sources")
    @classmethod
    def _names(cls, sources: dict[str, Source]) -> dict[str, Source]:
        for name in sources:
            if not re.match(NAME, name):
                raise ValueError(f"source name {name!r} must match {NAME}")
        for role in ("batch", "outcomes"):
            if (count := sum(source.role == role for source in sources.values())) != 1:
                raise ValueError(f"exactly one source has role {role}, found {count}")
        return sources

    @model_validator(mode="after")
    def _keys_fit_grain(self) -> Model:
        for key in (self.start, self.end):
            if key is not None:
                try:
                    check_key(key, self.grain)
                except ConfigError as error:
                    raise ValueError(f"{error.found!r} is no {self.grain} key") from error
        return self

    @cached_property
    def batch_source(self) -> str:
        """Name of the source that is scored."""
        return next(name for name, source in self.sources.items() if source.role == "batch")

    @cached_property
    def outcome_source(self) -> str:
        """Name of the source that brings the truth."""
        return next(name for name, source in self.sources.items() if source.role == "outcomes")

    @cached_property
    def context_sources(self) -> tuple[str, ...]:
        """Names of the looked-up sources, in file order."""
        return tuple(name for name, source in self.sources.items() if source.role == "context")

    @property
    def embargo_days(self) -> int:
        """Days between training and gate rows."""
        embargo = self.evaluate.embargo_days
        return self.label.delay_days if embargo is None else embargo

    def context_partitions(self, source: str, partition: str) -> tuple[str, str]:
        """Return the first and last context partition that a batch partition may look up."""
        return days_before(partition, self.grain, self.sources[source].lookback_days), partition


class ModelFolder(Strict):
    """A model and the files beside its `model.yaml`."""

    path: Path
    model: Model

    @property
    def features_sql(self) -> str:
        """Text of the feature definition."""
        return read_text(self.path / "features.sql")

    @property
    def definition(self) -> str:
        """Digest of the feature definition's bytes."""
        return digest_of(self.features_sql.encode())

    @property
    def contract_path(self) -> Path:
        """Path of `contract.yaml`."""
        return self.path / "contract.yaml"


def read_text(path: Path) -> str:
    """Return a text file of a model folder, or say which file is missing."""
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise ConfigError(
                "file is too large",
                where=str(path),
                expected=f"at most {MAX_YAML_BYTES} bytes",
                found=path.stat().st_size,
                next_step="keep data out of the model folder",
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "file cannot be read",
            where=str(path),
            expected="a UTF-8 text file",
            found=error,
            next_step="add the file to the model folder; see docs/architecture.md",
        ) from error


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice and every alias (no expansion bombs)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases are not used here", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path, kind: type[T]) -> T:
    """Read one YAML file into a strict object.

    Raises:
        ConfigError: The file is missing, is no YAML, or a key or value does not fit; the message
            names the file, the key, what was expected and what was found.
    """
    text = read_text(path)
    try:
        plain = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader subclass
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(
            "not valid YAML",
            where=str(path),
            found=" ".join(str(error).split()),
            next_step="correct the line named above",
        ) from error
    try:
        return kind.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        found = "absent" if first["type"] == "missing" else first["input"]
        raise ConfigError(
            f"{error.error_count()} key(s) do not fit",
            where=f"{path}: {key}",
            expected=first["msg"],
            found=found if not isinstance(found, dict | list) else f"a {type(found).__name__}",
            next_step=f"correct `{key}`; the known keys of its section are: {_known_keys(kind, first['loc'])}",
        ) from error


def _known_keys(kind: type[BaseModel], location: tuple[int | str, ...]) -> str:
    for part in location[:-1]:
        inner = kind.model_fields.get(str(part))
        if inner is not None and isinstance(inner.annotation, type) and issubclass(inner.annotation, BaseModel):
            kind = inner.annotation
    return ", ".join(kind.model_fields)


def load_model(path: Path) -> ModelFolder:
    """Read a model folder.

    Raises:
        ConfigError: See `read_yaml`; also when the folder and the model have different names.
    """
    model = read_yaml(path / "model.yaml", Model)
    if model.name != path.name:
        raise ConfigError(
            "folder and model have different names",
            where=str(path / "model.yaml"),
            expected=path.name,
            found=model.name,
            next_step="name the model like its folder",
        )
    return ModelFolder(path=path, model=model)


def model_folders(root: Path) -> Iterator[Path]:
    """Yield the model folders below a root, in name order."""
    yield from sorted(path.parent for path in root.glob("*/model.yaml"))
