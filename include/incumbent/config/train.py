"""`train`: how a model is fitted, and how its parameters are searched for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from incumbent.config.strict import Strict
from incumbent.estimators.abilities import ABILITIES
from incumbent.search_space import DEFAULTS, KNOWN, check_names

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
