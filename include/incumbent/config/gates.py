"""`gates`: what a candidate has to show."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from incumbent.config.strict import NAME, Strict


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
