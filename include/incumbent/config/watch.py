"""What watches a model: `integrity`, `score`, `monitor`, `retrain`, `rollback`, `approvals`, `retention`, `rebuild`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from incumbent.config.strict import Strict


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


INTERVALS = (0.5, 0.8, 0.9, 0.95, 0.99)  # what is known of each version


class Score(Strict):
    """How batches are scored.

    Attributes:
        max_aside: Largest share of a batch's rows that may be set aside because they cannot be scored; one may always
            be. More of them fail the batch, and nothing of it is published.
        interval: Probability with which an outcome of a regression is between the columns `low` and `high`: 0.5, 0.8,
            0.9, 0.95 or 0.99; without it there are no such columns. See docs/scoring.md.
        workers: Processes of a Ray cluster, of one core each, that predict partitions of two million rows and more; 0
            for the task's own process, on its own cores.
    """

    max_aside: float = Field(0.05, ge=0, le=1)
    interval: float | None = None
    workers: int = Field(0, ge=0, le=1000)

    @field_validator("interval")
    @classmethod
    def _one_of(cls, interval: float | None) -> float | None:
        if interval is not None and interval not in INTERVALS:
            raise ValueError(f"must be one of {', '.join(map(str, INTERVALS))}")
        return interval


class Retention(Strict):
    """How long replaced data is kept that nothing needs.

    Attributes:
        keep_days: Days for which everything is kept that a table has held; nothing is removed when absent.
    """

    keep_days: float | None = Field(None, ge=0)


class Rebuild(Strict):
    """How often a past version is fitted again, to prove that it can be; see docs/provenance.md.

    Attributes:
        every_days: Days between two runs of `<model>.rebuild`; without it there is no such DAG.
    """

    every_days: int | None = Field(None, ge=1)


class Approvals(Strict):
    """Whether a person must agree before a promotion.

    Attributes:
        required: Ask in Airflow's UI between EVALUATE and PROMOTE.
        timeout_hours: Hours until silence counts as "no"; at most a year.
    """

    required: bool = False
    timeout_hours: float = Field(24, gt=0, le=8784)
