"""A prediction problem as its folder describes it: all sections of `model.yaml`."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from incumbent.config.card import Card
from incumbent.config.explain import Explain
from incumbent.config.gates import Gates
from incumbent.config.publish import Publish
from incumbent.config.rollout import Rollout
from incumbent.config.source import Evaluate, Label, Source, known_zone
from incumbent.config.strict import NAME, Strict
from incumbent.config.train import Train
from incumbent.config.watch import Approvals, Integrity, Monitor, Rebuild, Retention, Retrain, Rollback, Score
from incumbent.errors import ConfigError
from incumbent.functions import Functions
from incumbent.partitions import Grain, bounds_utc, days_before, end_of
from incumbent.sensitive import Sensitive


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
        publish: Where else predictions go, by name; see docs/publishing.md.
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
    explain: Explain = Explain()
    publish: dict[str, Publish] = Field(default_factory=dict)
    monitor: Monitor = Monitor()
    retrain: Retrain = Retrain()
    rollback: Rollback = Rollback()
    rollout: Rollout | None = None
    approvals: Approvals = Approvals()
    retention: Retention = Retention()
    rebuild: Rebuild = Rebuild()
    card: Card = Card()
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

    @field_validator("publish")
    @classmethod
    def _places(cls, publish: dict[str, Publish]) -> dict[str, Publish]:
        for name in publish:
            if not re.match(NAME, name):
                raise ValueError(f"name {name!r} must match {NAME}")
        if len({each.place for each in publish.values()}) < len(publish):
            raise ValueError("two of them are the same place")
        return publish

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
        if self.score.interval is not None and self.task != "regression":
            raise ValueError("`score.interval` is of task regression; a probability says by itself how sure it is")
        self.gates.check_task(self.task)
        return self

    @model_validator(mode="after")
    def _assigned_as_compared(self) -> Model:
        compared = self.evaluate.cluster or self.keys
        if self.rollout is not None and sorted(self.rollout.unit) != sorted(compared):
            raise ValueError(
                f"`rollout.unit` is {', '.join(self.rollout.unit)}, but rows are compared by {', '.join(compared)} "
                "(`evaluate.cluster`, or the keys of independent rows): what is dealt has to be what is compared"
            )
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
