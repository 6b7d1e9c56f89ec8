"""A model folder read once: `model.yaml` as frozen, strict objects.

Thresholds live here, in YAML, with their unit and reason; a key that is not known is an error that
names the file, because a typo that is silently ignored is a threshold that is silently off.

Long because half of it says what each key means: this is the reference of `model.yaml` in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PrivateAttr, Tag, field_validator, model_validator

from incumbent.definition import packed
from incumbent.errors import ConfigError
from incumbent.estimators.abilities import ABILITIES
from incumbent.functions import FILE, Functions
from incumbent.partitions import Grain, bounds_utc, days_before, end_of
from incumbent.query import parameters_of
from incumbent.records import digest_of
from incumbent.search_space import DEFAULTS, KNOWN, check_names
from incumbent.sensitive import Sensitive, sensitive_columns
from incumbent.strict_yaml import read_plain, read_text
from incumbent.strict_yaml import read_yaml as read_yaml  # whoever reads a configuration needs both from here

NAME = r"^[a-z][a-z0-9_]{0,62}$"
CONNECTION = r"[A-Za-z0-9_.-]{1,250}"
LOCAL_DATE = "local_date"  # the column that stages add to rows: the day of `time` in the model's zone


class Strict(BaseModel):
    """Base of every configuration object: immutable, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Strict):
    """One feed of files; with a `connection`, of files that a query on a database writes.

    Attributes:
        role: `batch` is scored, `outcomes` brings the truth later, `context` is looked up.
        path: File pattern below the raw folder; `{partition}` stands for the partition key.
        once: The source is one file for all partitions (planes, airlines).
        lookback_days: Context only: days before the partition whose rows may be joined too.
        known_at: Context only: timestamp column that says when a row was known. No feature may depend on a row that
            was known after the batch's time: the first build of a definition proves it.
        connection: Id of the Airflow connection of a database; see docs/database-sources.md.
        table: Folder or `s3://` address of a Delta table, which `query` calls `source`; see docs/delta-sources.md.
        query: One SELECT with the parameters `:start`, `:end` and `:partition`; its rows are the partition's file.
        timezone: Zone of timestamps that the database or table keeps without one; such a column is refused when absent.
        delay_hours: Hours after the partition's end at which the query runs; `label.delay_days` for the outcomes
            and 0 for the others when absent.
    """

    role: Literal["batch", "outcomes", "context"]
    path: str
    once: bool = False
    lookback_days: int = Field(0, ge=0, le=366)
    known_at: str | None = None
    connection: str | None = None
    table: str | None = None
    query: str | None = None
    timezone: str | None = None
    delay_hours: float | None = Field(None, ge=0, le=8784)

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, name: str | None) -> str | None:
        return name if name is None else known_zone(name)

    @field_validator("query")
    @classmethod
    def _query_can_be_read(cls, query: str | None) -> str | None:
        if query is not None:
            parameters_of(query)
        return query

    @model_validator(mode="after")
    def _path_fits_role(self) -> Source:
        if self.once == ("{partition}" in self.path):
            raise ValueError("a path holds {partition} exactly when `once` is false")
        if self.once and self.role != "context":
            raise ValueError("only a context source may be `once`")
        if self.known_at is not None and (self.once or self.role != "context"):
            raise ValueError("`known_at` is of a context source with rows over time")
        return self

    @model_validator(mode="after")
    def _database_is_complete(self) -> Source:
        names = ("connection", "table", "query", "timezone", "delay_hours")
        given = [name for name in names if getattr(self, name) is not None]
        if not given:
            return self
        if self.table is not None and self.connection is not None:
            raise ValueError("`connection` is of a database and `table` of a Delta table: a source has one of them")
        origin = self.connection or self.table
        if origin is None or self.query is None:
            missing = "query" if origin is not None else "connection"
            raise ValueError(f"`{given[0]}` is of a source from a database, which needs `{missing}` too")
        if self.table is not None and not re.fullmatch(r"/.+|s3://[^/]+/.+", self.table):
            raise ValueError("`table` is the full path of a folder, or s3://bucket/prefix")
        if self.connection is not None and not re.fullmatch(CONNECTION, self.connection):
            # Whoever wrote an address here wrote a password: the message does not repeat it.
            raise ValueError("`connection` is the id of an Airflow connection, which holds address and password")
        if self.once:
            raise ValueError(
                "a source from a database is read for each partition: `path` holds it, and `once` is false"
            )
        if not self.path.endswith(".parquet"):
            raise ValueError("the path of a source from a database ends in .parquet: such a file is written there")
        if self.role != "context" and not _is_one_partition(parameters_of(self.query)):
            raise ValueError("`query` asks for one partition: by :start and :end, or by :partition")
        return self


def _is_one_partition(parameters: frozenset[str]) -> bool:
    return {"start", "end"} <= parameters or "partition" in parameters


def known_zone(name: str) -> str:
    """Return a time zone's name, or say that no zone has it."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone has the name {name!r}; names look like America/New_York") from error
    return name


class Label(Strict):
    """What is predicted, as SQL over the outcomes source.

    Attributes:
        sql: Expression over outcome columns; boolean or 0/1 for binary, a number for regression, for multiclass one of
            `classes`, as text.
        where: Filter of outcomes that have a label at all (cancelled flights have none).
        delay_days: Days after an event until its outcome is known; the default embargo.
        classes: Multiclass only, and needed there: three or more, in the order of the probabilities in a prediction.
    """

    sql: str
    where: str = "true"
    delay_days: int = Field(1, ge=0)
    classes: tuple[str, ...] = ()

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if classes and (len(set(classes)) < 3 or len(set(classes)) < len(classes) or "" in classes):
            raise ValueError("`classes` are three or more, each once and none empty; two classes are task binary")
        return classes


class Evaluate(Strict):
    """How contenders are compared.

    Attributes:
        holdout_days: Newest days of the window that are gate rows and never training rows.
        embargo_days: Days between training and gate rows; the label delay when absent.
        cluster: Columns whose rows share their luck (a day's weather); empty for independent rows. Of the
            keys, the time and `local_date`: MONITOR has no other columns beside the predictions.
    """

    holdout_days: int = Field(7, ge=1)
    embargo_days: int | None = Field(None, ge=0)
    cluster: tuple[str, ...] = ()


class Guard(Strict):
    """How far a KPI of kpi.sql may be behind the champion's, in its own unit; see docs/kpi.md.

    Attributes:
        max_decrease: Of a KPI that should be large: by how much it may be smaller.
        max_increase: Of a KPI that should be small: by how much it may be larger.
    """

    max_decrease: float | None = Field(None, ge=0, allow_inf_nan=False)
    max_increase: float | None = Field(None, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_one_side(self) -> Guard:
        if (self.max_decrease is None) == (self.max_increase is None):
            raise ValueError("a KPI has one of `max_decrease` and `max_increase`")
        return self


class Fairness(Strict):
    """A gap between groups of rows that must not be too large.

    Attributes:
        column: Of the batch source or of the features; a sensitive one too, whose groups are then numbers.
        measure: `selection_rate` (share predicted at or above `threshold`) and `true_positive_rate` (the same of the
            true ones) of a binary task; `error` (share of wrong predictions, or mean size of the error of a
            regression); `calibration` (mean of prediction less truth; not of several classes).
        max_gap: Largest difference between two groups, in what is measured.
        threshold: Binary only: from which prediction on a row is selected.
    """

    column: str
    measure: Literal["selection_rate", "true_positive_rate", "calibration", "error"]
    max_gap: float = Field(gt=0, allow_inf_nan=False)
    threshold: float = Field(0.5, gt=0, lt=1)


class Cost(Strict):
    """What errors cost: two prices and a threshold for a binary task, or SQL for any.

    Attributes:
        false_positive: Price of a row that is selected and should not be.
        false_negative: Price of a row that is not selected and should be.
        threshold: From which prediction on a row is selected.
        sql: DuckDB expression over `label` and `prediction` that gives a row's cost. They are numbers; of several
            classes names, of the true and of the most probable one.
        max_increase: By how much a row may cost more than the champion's on the mean, in the unit of the prices.
    """

    false_positive: float | None = Field(None, ge=0, allow_inf_nan=False)
    false_negative: float | None = Field(None, ge=0, allow_inf_nan=False)
    threshold: float = Field(0.5, gt=0, lt=1)
    sql: str | None = Field(None, min_length=1)
    max_increase: float = Field(0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Cost:
        prices = [price is not None for price in (self.false_positive, self.false_negative)]
        if any(prices) == (self.sql is not None) or any(prices) != all(prices):
            raise ValueError("a cost is `false_positive` and `false_negative`, or `sql`")
        return self


Scalar = str | bool | int | float


class Change(Strict):
    """How a behavioural test changes a feature: one of these.

    Attributes:
        add: Number that is added.
        multiply: Number that it is multiplied with.
        set: Value that it is given.
        swap: Two values, each of which is put in the place of the other.
    """

    add: float | None = Field(None, allow_inf_nan=False)
    multiply: float | None = Field(None, allow_inf_nan=False)
    set: Scalar | None = None
    swap: tuple[Scalar, Scalar] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Change:
        if sum(given is not None for given in (self.add, self.multiply, self.set, self.swap)) != 1:
            raise ValueError("a change is one of `add`, `multiply`, `set` and `swap`")
        return self


class Behaviour(Strict):
    """What the candidate must say of gate rows when one feature is changed.

    Attributes:
        name: What the report calls it.
        feature: Name of the feature.
        change: What is done to it; a row that it leaves as it is does not count.
        expect: `same`, `not_less` or `not_more` than before; of several classes `same` alone.
        tolerance: By how much a prediction may move against it: probability, or share of the mean size of a label.
        share: Share of the changed rows that must be predicted so.
    """

    name: str = Field(pattern=NAME)
    feature: str
    change: Change
    expect: Literal["same", "not_less", "not_more"]
    tolerance: float = Field(0.01, ge=0, allow_inf_nan=False)
    share: float = Field(0.95, gt=0, le=1)


FLOORS = {"binary": ("auc",), "multiclass": ("accuracy",), "regression": ("r2",)}
CEILINGS = {"binary": ("logloss", "brier"), "multiclass": ("logloss",), "regression": ("rmse", "mae")}
MEASURES = {
    "binary": ("selection_rate", "true_positive_rate", "calibration", "error"),
    "multiclass": ("error",),
    "regression": ("calibration", "error"),
}


class Gates(Strict):
    """Evidence a challenger must bring. The defaults are meant to be good; docs/gates.md says what each gate does.

    Attributes:
        alpha: One-sided error rate at which a challenger may be promoted by luck, over all looks at it together.
        alpha_degraded: The same while a labelled alarm says that the champion has degraded.
        alpha_per_year: What all challengers within 365 days may spend of it together; then the next one waits.
        min_improvement: Smallest difference in the metric worth a change (AUC, or share of error or log loss).
        min_positives: Least rows of each class among the gate rows (rows, for a regression).
        min_clusters: Least number of clusters among the gate rows.
        max_logloss_increase: Largest relative increase of the loss.
        calibration_tolerance: Share by which the mean prediction (of each class) may miss, beyond two errors.
        min_train_rows: Least training rows of a cold start.
        slices: Features, keys or columns of the batch in whose groups the candidate must be shown not to be worse by
            `slice_margin`. Text features of at most 20 levels are looked at anyway, and veto by a significant harm.
        slice_margin: What a named slice may lose (AUC, or share of error or log loss).
        floors: Least of `auc` (binary), `accuracy` (multiclass) or `r2` (regression) that the lower bound may show.
        ceilings: Most of `logloss` or `brier` (binary), `logloss` (multiclass), `rmse` or `mae` (regression) that the
            upper bound may show.
        fairness: Gaps between groups; see `gates.fairness`.
        cost: What errors cost; see `gates.cost`.
        max_megabytes: Largest model file that may be promoted; no limit when absent.
        max_ms_per_1000_rows: Longest that a thousand rows may take to predict, as the median of several tries on the
            machine of the task; no limit when absent.
        behaviour: Tests of what the candidate says of changed rows; see `gates.behaviour`.
        allow_leaks: Features that a person vouches for: they pass the gate against leaks whatever it finds.
        kpi: KPI of kpi.sql to how far it may be behind the champion's.
    """

    alpha: float = Field(0.01, gt=0, lt=0.5)
    alpha_degraded: float = Field(0.05, gt=0, lt=0.5)
    alpha_per_year: float = Field(0.26, gt=0)
    min_improvement: float = Field(0.002, ge=0)
    min_positives: int = Field(200, ge=1)
    min_clusters: int = Field(5, ge=2)
    max_logloss_increase: float = Field(0.01, ge=0)
    calibration_tolerance: float = Field(0.005, ge=0)
    min_train_rows: int = Field(1000, ge=1)
    slices: tuple[str, ...] = ()
    slice_margin: float = Field(0.02, ge=0)
    floors: dict[str, float] = Field(default_factory=dict)
    ceilings: dict[str, float] = Field(default_factory=dict)
    fairness: tuple[Fairness, ...] = ()
    cost: Cost | None = None
    max_megabytes: float | None = Field(None, gt=0)
    max_ms_per_1000_rows: float | None = Field(None, gt=0)
    behaviour: tuple[Behaviour, ...] = ()
    allow_leaks: tuple[str, ...] = ()
    kpi: dict[str, Guard] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_met(self) -> Gates:
        if max(self.alpha, self.alpha_degraded) > self.alpha_per_year:
            raise ValueError("`alpha_per_year` is less than what one challenger spends: none could be judged")
        names = [each.name for each in self.behaviour]
        if len(set(names)) < len(names):
            raise ValueError("two tests of `behaviour` have one name")
        return self

    def check_task(self, task: str) -> None:
        """Refuse a gate that could not judge a model of a task: it would stand there and do nothing.

        Raises:
            ValueError: There is one.
        """
        measures = tuple(each.measure for each in self.fairness)
        for key, given, known in (
            ("floors", tuple(self.floors), FLOORS[task]),
            ("ceilings", tuple(self.ceilings), CEILINGS[task]),
            ("fairness", measures, MEASURES[task]),
        ):
            if strange := [name for name in given if name not in known]:
                raise ValueError(f"`gates.{key}` of task {task} knows {', '.join(known)}, and no {strange[0]}")
        if self.cost is not None and self.cost.sql is None and task != "binary":
            raise ValueError(f"`gates.cost` of task {task} is `sql`: it has no false positives")
        if task == "multiclass" and any(each.expect != "same" for each in self.behaviour):
            raise ValueError("`gates.behaviour` of task multiclass expects `same`: of which class would it be more?")


METRICS = {"eval_metric", "metric", "metrics", "metric_types"}  # as estimators call it
IN_ROUNDS = ("rounds", "early_stopping", "validation_days", "balance", "checkpoint_every", "checkpoint_seconds")


class Range(Strict):
    """Values that a search may give a parameter; instead of a range, a list names them.

    Attributes:
        low, high: The least and the largest; whole numbers give whole numbers.
        log: Look as often between 0.01 and 0.1 as between 0.1 and 1, for what counts by its order of magnitude.
    """

    low: int | float = Field(allow_inf_nan=False)
    high: int | float = Field(allow_inf_nan=False)
    log: bool = False

    @model_validator(mode="after")
    def _is_not_empty(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"an empty range: `low` {self.low:g} is not below `high` {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError("a `log` range begins above 0")
        return self


Choice = tuple[str | int | float | bool, ...]
# Told apart before either is read, so that a mistake is one of a range or of a list, and not of both.
Values = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choice, Tag("list")],
    Discriminator(lambda given: "range" if isinstance(given, Mapping | Range) else "list"),
]


class Search(Strict):
    """Which parameters are tried before a candidate is fitted; see docs/search.md.

    Attributes:
        trials: Most parameters that are tried, those of the champion and of `params` among them.
        minutes: Most minutes of all trials together, over all attempts of the task; no limit when absent. A trial
            that is under way then is cut, and counts with the rounds it has.
        patience: Rounds without a better score after which a trial ends; most rounds are `rounds`.
        objectives: What is chosen by: `quality` first, then `latency` (nodes of the trees that a row passes) or `size`
            (bytes of the model file).
        tolerance: Share of the best score that may be given up for `latency` or `size`.
        space: Parameter to a range or a list of values; a good one of the estimator when absent.
        parallel: Trials at once on Ray. Each is drawn from those that began so many before it, so the outcome
            does not depend on which of them ends first, and is another one than with fewer.
    """

    trials: int = Field(30, ge=1, le=1000)
    minutes: float | None = Field(None, gt=0)
    patience: int = Field(40, ge=1)
    objectives: tuple[Literal["quality", "latency", "size"], ...] = ("quality",)
    tolerance: float = Field(0.002, ge=0, lt=1)
    space: dict[str, Values] = Field(default_factory=dict)
    parallel: int = Field(1, ge=1, le=256)

    @field_validator("objectives")
    @classmethod
    def _quality_first(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        if objectives[:1] != ("quality",) or len(set(objectives)) != len(objectives):
            raise ValueError("`objectives` begins with quality, and names latency and size once at most")
        return objectives

    @field_validator("space")
    @classmethod
    def _choices_differ(cls, space: dict[str, Range | Choice]) -> dict[str, Range | Choice]:
        for name, values in space.items():
            if not isinstance(values, Range) and (len(values) < 2 or len(set(values)) < len(values)):
                raise ValueError(f"`{name}` needs two different values; one alone belongs into `train.params`")
        return space

    def space_of(self, estimator: str) -> dict[str, Range | Choice]:
        """Return the space of an estimator, its own unless one is given."""
        given = {name: Range.model_validate(values) for name, values in DEFAULTS[estimator].items()}
        return dict(self.space or given)


class Train(Strict):
    """How a candidate is fitted.

    Attributes:
        launcher: `process` in the task, `ray` through Job Submission, `auto`: Ray from five million rows on.
        estimator: What is fitted: `xgboost`, `lightgbm`, or `onnx` by a script of yours; see docs/estimators.md for
            what each guarantees.
        script: File beside model.yaml that fits a model and writes it as ONNX; needed for `onnx`, and only there.
        script_hours: Hours after which the script is ended.
        rounds: Boosting rounds; with `early_stopping` or a `search` at most so many.
        params: Parameters handed to the estimator; not what `task` and the other keys here say, such as `objective`,
            `device` or `seed`.
        seed: Base seed.
        early_stopping: Rounds without a better score on the validation rows after which the best round is taken;
            never when absent. The embargo lies between them and the rows that are learned from.
        validation_days: Newest days of the training rows that are validation rows, with `early_stopping` or a `search`;
            a `split` in model.py chooses them instead.
        weight: SQL over a feature row, `label` and `local_date` that says what the row weighs. A class is there its
            position in `label.classes`, from 0 on.
        balance: Let both classes of a binary task weigh the same; predictions stay probabilities.
        checkpoint_every: Most rounds between two checkpoints.
        checkpoint_seconds: Most seconds between two checkpoints, where rounds take long.
        device: `auto` takes a GPU when there is one; `cuda` without one is an error.
        workers: Ray workers that share the rows; see docs/training.md for what several cost and bring.
        min_workers: Fewest workers to go on with when others are lost for good; all of them when absent.
        cpus_per_worker: Cores, and threads, of a worker; an equal share of the cluster when absent.
        external_memory: Keep the binned rows on disk: less memory, and half as fast again.
        window: Newest partitions to train on; 0 takes all so far.
        min_rows: Least training rows.
        fresh_days: Most days between the newest training row and the day from which none is taken: more, and
            outcomes have stopped coming.
        max_megabytes: Largest model file.
        search: Try parameters on the validation rows first, then fit all rows with the best; none when absent.
        warm_rounds: Beside the candidate from nothing train a second one, the champion with so many rounds more; none
            when absent. Each is then judged with half the error rate.
    """

    launcher: Literal["auto", "process", "ray"] = "auto"
    estimator: Literal["xgboost", "lightgbm", "onnx"] = "xgboost"
    rounds: int = Field(150, ge=1)
    script: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]+\.py$")
    script_hours: float = Field(6, gt=0, le=168)
    params: dict[str, Any] = Field(default_factory=dict)
    seed: int = 7
    early_stopping: int | None = Field(None, ge=1)
    validation_days: int = Field(14, ge=1)
    weight: str | None = None
    balance: bool = False
    checkpoint_every: int = Field(25, ge=1)
    checkpoint_seconds: float = Field(60, gt=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = Field(1, ge=1, le=1024)
    min_workers: int | None = Field(None, ge=1)
    cpus_per_worker: int | None = Field(None, ge=1)
    external_memory: bool = False
    window: int = Field(0, ge=0)
    min_rows: int = Field(50, ge=2)
    fresh_days: int = Field(45, ge=1)
    max_megabytes: float = Field(500, gt=0)
    search: Search | None = None
    warm_rounds: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _warm_fits(self) -> Train:
        if self.warm_rounds is None:
            return self
        if not ABILITIES[self.estimator].warm:
            raise ValueError(f"`warm_rounds` is of an estimator that can go on from a version, not of {self.estimator}")
        if self.balance:
            raise ValueError("`warm_rounds` goes without `balance`: a champion's intercept is corrected already")
        return self

    @model_validator(mode="after")
    def _search_fits(self) -> Train:
        if self.search is None:
            return self
        if self.estimator not in KNOWN:
            raise ValueError(f"a `search` knows the parameters of {', '.join(KNOWN)} only")
        check_names(self.estimator, self.search.space)
        if self.early_stopping is not None:
            raise ValueError("a `search` finds the number of rounds: say `search.patience`, and no `early_stopping`")
        return self

    @model_validator(mode="after")
    def _workers_fit(self) -> Train:
        if self.min_workers is not None and self.min_workers > self.workers:
            raise ValueError("`min_workers` is at most `workers`")
        if self.workers > 1 and self.launcher == "process":
            raise ValueError("several `workers` need launcher ray, or auto")
        return self

    @model_validator(mode="after")
    def _script_fits(self) -> Train:
        if (self.estimator == "onnx") != (self.script is not None):
            raise ValueError("`script` is of estimator onnx, which needs it")
        if not ABILITIES[self.estimator].rounds:
            for name in IN_ROUNDS:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"`{name}` is of an estimator that learns in rounds; here your script decides")
        return self

    @model_validator(mode="after")
    def _not_decided_elsewhere(self) -> Train:
        decided = ABILITIES[self.estimator].decided
        for name in sorted(decided.keys() & self.params.keys()):
            instead = f"; say {decided[name]} instead" if decided[name] else ""
            raise ValueError(f"{name!r} is not a parameter to set here{instead}")
        bins = self.params.get("max_bin", 2)
        if not isinstance(bins, int) or bins < 2:
            raise ValueError(f"'max_bin' is a whole number from 2 on, not {bins!r}")
        return self


class Integrity(Strict):
    """Exact tests before a batch is announced; an important or a whole column that fails holds it: see docs/drift.md.

    Attributes:
        importance: Least share of the champion's gain that makes a column important.
        whole: Share of its rows above which a column counts as a whole one, as in another unit or type: it holds the
            batch however little the champion makes of it, for the next model is trained on it too. 1 is never.
        null_increase: Share of new nulls that is tolerated beyond the largest of past batches; by default, as past
            batches have varied, and 3 % more (see docs/drift.md).
        out_of_range: Share of values far outside the reference range that is tolerated; by default so, and 0.7 % more.
        unseen: Share of unseen levels that is tolerated; by default as past batches have had, and 3 % more.
        alpha: Error rate over all tests of one batch.
    """

    importance: float = Field(0.02, ge=0, le=1)
    whole: float = Field(0.5, ge=0, le=1)
    null_increase: float | None = Field(None, ge=0, le=1)
    out_of_range: float | None = Field(None, ge=0, le=1)
    unseen: float | None = Field(None, ge=0, le=1)
    alpha: float = Field(0.0025, gt=0, lt=0.5)


class EvidentlyEngine(Strict):
    """Drift as Evidently's preset decides it; of use with `monitor.engine: evidently` only.

    Attributes:
        drift_share: Share of the columns that have to drift before the whole batch has.
        rows: Rows of each sample.
        num_method, cat_method: How numbers, and how categories are compared; Evidently chooses when absent.
        num_threshold, cat_threshold: From which value on a column has drifted; the method's own when absent.
    """

    drift_share: float = Field(0.5, gt=0, le=1)
    rows: int = Field(10_000, ge=100)
    num_method: str | None = None
    cat_method: str | None = None
    num_threshold: float | None = Field(None, ge=0)
    cat_threshold: float | None = Field(None, ge=0)


class Monitor(Strict):
    """Drift and performance: what an alarm means; see docs/drift.md.

    Attributes:
        alpha: Family-wise error rate of one batch's shape tests.
        tolerance: Shape change of a feature (about PSI) above which it counts for a retraining.
        score_tolerance: The same of the score.
        warn_tolerance: Shape change of a feature above which it is warned of.
        warn_score_tolerance: The same of the score.
        report_rows: Rows of the sample that the Evidently report is drawn from.
        coverage: Share of predictions whose outcome must be in before performance is judged.
        alarm_z: Standardised change for the worse of ranking or calibration from which on a labelled alarm holds, as
            long as the newest partition is nearer to what it is since the change than to what it was before.
        engine: Who decides about drift: `incumbent`, or `evidently` for a team that keeps what it has.
        evidently: Parameters of that.
    """

    alpha: float = Field(0.005, gt=0, lt=0.5)
    tolerance: float = Field(0.10, ge=0)
    score_tolerance: float = Field(0.03, ge=0)
    warn_tolerance: float = Field(0.02, ge=0)
    warn_score_tolerance: float = Field(0.005, ge=0)
    report_rows: int = Field(2000, ge=100)
    coverage: float = Field(0.95, gt=0, le=1)
    alarm_z: float = Field(3.6, gt=0)
    engine: Literal["incumbent", "evidently"] = "incumbent"
    evidently: EvidentlyEngine = EvidentlyEngine()


class Budget(Strict):
    """What trainings may cost; by hand anybody may spend more.

    Attributes:
        runs: Trainings in so many `days`; unused ones are kept, up to this number. A labelled alarm may borrow one.
        days: Days that the limits here are for.
        core_hours: Hours of cores; no limit when absent.
        gpu_hours: Hours of GPUs; no limit when absent.
        price: Money, in whatever INCUMBENT_CORE_HOUR_PRICE is in; no limit when absent.
    """

    runs: int = Field(2, ge=1)
    days: int = Field(7, ge=1)
    core_hours: float | None = Field(None, gt=0)
    gpu_hours: float | None = Field(None, gt=0)
    price: float | None = Field(None, gt=0)


class Retrain(Strict):
    """When evidence becomes a request.

    Attributes:
        cooldown_days: Days after a request before the next one; doubled by each gate that says no, but not by or for
            one that growth has asked for. A labelled alarm does not wait for a request that was made for growth or age,
            and nothing is doubled once it has twice the rows since the change to learn from.
        min_new_rows: Rows of the rarer class (of all, in a regression) that a training would see and that are newer
            than what the champion and the last challenger have seen, and than the change that a labelled alarm has
            found.
        growth: Rows to learn from, as a multiple of those that the newest challenger had, at which the champion is
            challenged without any alarm: more is known than was tried. Rows from before the change since which it was
            trained do not count. Never when absent.
        max_age_days: Days after which a champion is challenged without any alarm; never when absent.
        since_change: After a labelled alarm train a second candidate on the rows since the change alone, where they
            are enough; and again when a champion of this kind is challenged.
        budget: What trainings may cost.
    """

    cooldown_days: int = Field(14, ge=0)
    min_new_rows: int = Field(200, ge=0)
    growth: float | None = Field(1.5, gt=1)
    max_age_days: int | None = Field(None, ge=1)
    since_change: bool = True
    budget: Budget = Budget()


class Rollback(Strict):
    """When the champion before this one comes back by itself.

    Attributes:
        automatic: Give the seat back when the evidence says so; else only say it.
        alpha: Chance that a champion that is no worse than the one before it ever loses its seat.
        partitions: Partitions with outcomes for which the two are compared after a promotion.
        max_gap: Points of probability by which the mean prediction may move against the previous champion's, without
            any label; of a regression, five times this share of a standard deviation.
    """

    automatic: bool = True
    alpha: float = Field(0.01, gt=0, lt=0.5)
    partitions: int = Field(20, ge=1)
    max_gap: float = Field(0.10, gt=0)


class Score(Strict):
    """How batches are scored.

    Attributes:
        max_aside: Largest share of a batch's rows that may be set aside because they cannot be scored; one may always
            be. More of them fail the batch, and nothing of it is published.
    """

    max_aside: float = Field(0.05, ge=0, le=1)


class Retention(Strict):
    """How long replaced data is kept that nothing needs.

    Attributes:
        keep_days: Days for which everything is kept that a table has held; nothing is removed when absent.
    """

    keep_days: float | None = Field(None, ge=0)


class Approvals(Strict):
    """Whether a person must agree before a promotion.

    Attributes:
        required: Ask in Airflow's UI between EVALUATE and PROMOTE.
        timeout_hours: Hours until silence counts as "no"; at most a year.
    """

    required: bool = False
    timeout_hours: float = Field(24, gt=0, le=8784)


class Model(Strict):
    """A prediction problem as its folder describes it.

    Attributes:
        name: Name; equals the folder's.
        owner: Who answers for it; shown in Airflow, as a tag, which has its longest length.
        description: What it is for; stands at the head of its DAGs' docs.
        task: `binary`, `multiclass` or `regression`; for good, as predictions and ledger are of one task.
        grain: How long one batch is: `month`, `week`, `day` or `hour`.
        timezone: Zone whose calendar the partitions follow.
        start, end: First and last partition key; no schedule runs outside. What is delivered is taken anyway.
        keys: Columns that identify a row, in the batch and in the outcomes source.
        time: UTC timestamp column of the batch source.
        sources: The feeds, by name: one `batch`, one `outcomes`, any number of `context`.
        label: What is predicted.
    """

    name: str = Field(pattern=NAME)
    owner: str = Field(max_length=80)
    description: str = ""
    task: Literal["binary", "multiclass", "regression"]
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
    score: Score = Score()
    monitor: Monitor = Monitor()
    retrain: Retrain = Retrain()
    rollback: Rollback = Rollback()
    approvals: Approvals = Approvals()
    retention: Retention = Retention()
    _sensitive: Sensitive | None = PrivateAttr(default_factory=Sensitive)
    _script: str = PrivateAttr("")
    _functions: Functions = PrivateAttr(default_factory=Functions)

    @field_validator("start", "end", mode="before")
    @classmethod
    def _written_without_quotes(cls, key: object) -> object:
        """Take YAML's date for the day that was written."""
        return key.isoformat() if isinstance(key, date) else key

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, name: str) -> str:
        return known_zone(name)

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
                    end_of(key, self.grain)
                except ConfigError as error:
                    raise ValueError(f"{error.found!r} is no {self.grain} key") from error
                except OverflowError as error:
                    raise ValueError(f"{key!r} ends after the last date that a calendar has") from error
        return self

    @model_validator(mode="after")
    def _label_fits_task(self) -> Model:
        if (self.task == "multiclass") != bool(self.label.classes):
            raise ValueError("`label.classes` is of task multiclass, which needs it")
        if self.train.balance and self.task != "binary":
            raise ValueError("`train.balance` is of task binary; say with `train.weight` what a row weighs")
        self.gates.check_task(self.task)
        return self

    @property
    def sensitive(self) -> Sensitive:
        """What the folder's contract says of columns that hold what is a person's.

        Raises:
            ConfigError: The contract cannot be understood: who goes on would show, or learn from, what is protected.
        """
        if self._sensitive is None:
            raise ConfigError(
                "nobody can say which columns are sensitive",
                where=f"model {self.name}, contract.yaml",
                expected="`sources`, each with `columns`",
                found="something else",
                next_step="correct contract.yaml",
            )
        return self._sensitive

    @property
    def sensitive_in_features(self) -> dict[str, tuple[str, ...]]:
        """Source to its sensitive columns that `features.sql` sees in the clear; see `sensitive`."""
        return self.sensitive.seen_by_features((self.batch_source, *self.context_sources))

    def with_sensitive(self, found: Sensitive | None) -> Model:
        """Return the model with what its contract says; None if that cannot be understood."""
        model = self.model_copy()
        model._sensitive = found
        return model

    @property
    def script(self) -> str:
        """Text of the folder's training script; empty if it has none."""
        return self._script

    def with_script(self, text: str) -> Model:
        """Return the model with the text of its training script."""
        model = self.model_copy()
        model._script = text
        return model

    @property
    def functions(self) -> Functions:
        """What the folder's `model.py` defines."""
        hide = self._sensitive is None or any(self._sensitive.masked.values())
        return replace(self._functions, hide=hide)

    def with_functions(self, found: Functions) -> Model:
        """Return the model with what its `model.py` defines."""
        model = self.model_copy()
        model._functions = found
        return model

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

    def delay_of(self, source: str) -> timedelta:
        """Return how long after a partition's end its rows are asked for; outcomes take their time."""
        given, role = self.sources[source].delay_hours, self.sources[source].role
        if given is not None:
            return timedelta(hours=given)
        return timedelta(days=self.label.delay_days if role == "outcomes" else 0)

    def due(self, source: str, partition: str) -> datetime:
        """Return when a source's query for a partition may run, in UTC."""
        return bounds_utc(partition, self.grain, self.timezone)[1] + self.delay_of(source)

    def context_partitions(self, source: str, partition: str) -> tuple[str, str]:
        """Return the first and last context partition that a batch partition may look up."""
        return days_before(partition, self.grain, self.sources[source].lookback_days), partition


class ModelFolder(Strict):
    """A model and the files beside its `model.yaml`."""

    path: Path
    model: Model

    @property
    def features_sql(self) -> str:
        """Text of `features.sql`."""
        return read_text(self.path / "features.sql")

    @property
    def kpi_sql(self) -> str:
        """Text of `kpi.sql`; empty without one."""
        path = self.path / "kpi.sql"
        return read_text(path) if path.exists() else ""

    @property
    def definition_text(self) -> str:
        """Text of the feature definition: the SQL, with `model.py` where that goes on from it."""
        functions = self.model.functions
        return packed(self.features_sql, functions.text if "features" in functions else "")

    @property
    def definition(self) -> str:
        """Digest of the feature definition's bytes."""
        return digest_of(self.definition_text.encode())

    @property
    def contract_path(self) -> Path:
        """Path of `contract.yaml`."""
        return self.path / "contract.yaml"


def load_model(path: Path) -> ModelFolder:
    """Read a model folder.

    Raises:
        ConfigError: See `read_yaml`; also when the folder and the model have different names, or a column
            is named that no row will have.
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
    contracts = _contract_columns(path / "contract.yaml")
    _check_columns(path, model, contracts or {})
    model = model.with_sensitive(None if contracts is None else sensitive_columns(contracts))
    if model.train.script is not None:
        model = model.with_script(read_text(path / model.train.script))
    if model.train.script != FILE and (path / FILE).exists():
        model = model.with_functions(_functions(path / FILE, model.train))
    return ModelFolder(path=path, model=model)


def _functions(path: Path, train: Train) -> Functions:
    """Return what a `model.py` defines, if the estimator can make use of it, and nothing else says the same."""
    found, ability = Functions.of(read_text(path), str(path)), ABILITIES[train.estimator]
    for name, able in (("metric", ability.metric), ("objective", ability.objective)):
        if name in found and not able:
            raise ConfigError(
                "an estimator cannot make use of a function",
                where=f"{path}: {name}",
                expected=f"what docs/estimators.md says of {train.estimator}",
                found=f"estimator {train.estimator}",
                next_step=f"take {name} out of {FILE}, or set train.estimator to xgboost",
            )
    if "metric" in found and (given := sorted(METRICS & train.params.keys())):
        raise ConfigError(
            "there are two metrics",
            where=f"{path}: metric",
            expected="one metric to go by",
            found=f"{given[0]} in train.params of model.yaml too",
            next_step=f"take {given[0]} out of train.params, or metric out of {FILE}",
        )
    return found


def _check_columns(path: Path, model: Model, contracts: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse names of columns that no row will have: found in a task, they cost a training first."""
    named: list[tuple[str, tuple[str, ...], str, tuple[str, ...]]] = []
    for source in model.context_sources:
        known_at = model.sources[source].known_at
        if known_at is not None and (columns := tuple(contracts.get(source, ()))):
            named.append((f"sources.{source}.known_at", (known_at,), f"columns of {source}:", columns))
    for source in (model.batch_source, model.outcome_source):
        if columns := tuple(contracts.get(source, ())):
            named.append(("keys", model.keys, f"columns of {source}:", columns))
    named.append(("evaluate.cluster", model.evaluate.cluster, "of", (*model.keys, model.time, LOCAL_DATE)))
    for key, given, words, known in named:
        if unknown := [name for name in given if name not in known]:
            raise ConfigError(
                "a column is not known",
                where=f"{path / 'model.yaml'}: {key}",
                expected=f"{words} {', '.join(known)}",
                found=unknown[0],
                next_step=f"correct `{key}`",
            )


def _contract_columns(path: Path) -> dict[str, dict[str, Any]] | None:
    """Return the columns that a contract gives each source; None where VALIDATE will say what is wrong with it.

    Read as plain YAML: the contract's own classes belong to VALIDATE, which costs a second to import.
    """
    if not path.exists():
        return {}
    contract = read_plain(path)
    try:
        sources = contract.get("sources", {})
        if contract.get("extends"):
            sources = read_plain((path.parent / contract["extends"]).resolve())["sources"] | sources
        return {name: {str(key): each for key, each in source["columns"].items()} for name, source in sources.items()}
    except (AttributeError, KeyError, TypeError):
        return None


def model_folders(root: Path) -> Iterator[Path]:
    """Yield the model folders below a root, in name order."""
    yield from sorted(path.parent for path in root.glob("*/model.yaml"))
