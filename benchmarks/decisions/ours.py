"""The production decisions, called as production calls them: the one place of the bench that knows their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.decisions.newest import Newest
from benchmarks.decisions.world import SCORE, Floats
from incumbent.config import Model, Rollback
from incumbent.evaluate.contest import Contest, Shadowed
from incumbent.evaluate.kept import is_proven, kept_for_later
from incumbent.evaluate.verdict import judge
from incumbent.features.build import HISTORY
from incumbent.features.integrity import findings
from incumbent.features.profile import Profile, profile
from incumbent.monitor import Judged, baseline, drift_verdict, performance_verdict, reference_of
from incumbent.monitor.shadow import CHALLENGER, shadow_verdict
from incumbent.partitions import Grain
from incumbent.promote.probation import probation
from incumbent.records import Promotion
from incumbent.retrain import History
from incumbent.retrain.channels import channels
from incumbent.stats import Measured, gathered, measured_advantage

Codes = npt.NDArray[np.int64]
PROBATION = Rollback().partitions
ROLLS_BACK = True  # whether production takes a promotion back by itself
QUIET = ("none", "info")  # tiers of which nobody is told
ASKING = ("drift", "retrain candidate", "critical")  # tiers that ask for a training
# A grain without a season in what is drawn; cells with seasons, and the closed loop, have grains of their own.
MODEL = Model.model_validate(
    {
        "name": "bench",
        "owner": "bench",
        "task": "binary",
        "grain": "week",
        "start": "2024-01-01",
        "keys": ["id"],
        "time": "at",
        "sources": {
            "rows": {"role": "batch", "path": "r/{partition}"},
            "labels": {"role": "outcomes", "path": "l/{partition}"},
        },
        "label": {"sql": "y"},
        "train": {
            "estimator": "lightgbm"
        },  # one of those whose intercept is not changed alone, as of the bench's models
    }
)
DAILY = MODEL.model_copy(update={"grain": Grain("day")})
HOURLY = MODEL.model_copy(update={"grain": Grain("hour")})


@dataclass(frozen=True)
class Alarm:
    """What is decided about a batch before its labels are in.

    Attributes:
        warned: Somebody reads of it.
        asked: It asks for a retraining.
        held: It is held: not scored, not trained on, and its owner is paged.
        columns: Columns that are named.
        verdict: The drift verdict; empty for a held batch, which has none.
    """

    warned: bool
    asked: bool
    held: bool
    columns: tuple[str, ...] = ()
    verdict: Mapping[str, Any] = field(default_factory=dict)

    @property
    def paged(self) -> bool:
        """Whether somebody has to act."""
        return self.asked or self.held


def profile_of(rows: pa.Table) -> Profile:
    """Return the profile of a batch's features and scores."""
    return profile(rows, rows.column_names)


class Watch:
    """Watches what arrives for one champion: first whether a batch is broken, then whether it has drifted.

    Args:
        past: Profiles of the good batches that the champion was trained on, oldest first.
        importance: Feature to its share of gain.
        model: Settings; the shipped ones.
        first: Number of the oldest past batch; the others follow one by one.
        accepted: What broken batches are told by; the past if not given.
    """

    def __init__(
        self,
        past: Sequence[Profile],
        importance: Mapping[str, float],
        model: Model = MODEL,
        first: int = 0,
        accepted: Newest | None = None,
    ) -> None:
        self.importance, self.model = importance, model
        self.reference = reference_of(past, [partition_of(first + at, model.grain) for at in range(len(past))])
        self.judged: list[Judged] = []
        self.accepted = accepted or Newest(HISTORY, [_features(each) for each in past])
        self.number = first + len(past)

    def alarm(self, batch: Profile, remember: bool = True) -> Alarm:
        """Return what is decided about the next batch.

        Args:
            batch: Its profile.
            remember: Whether it is part of the past from now on; else the next one stands in its place.
        """
        features = _features(batch)
        history, together = self.accepted.each, self.accepted.together()
        broken = findings(features, history, self.importance, self.model.integrity, together=together)
        if any(finding["holds"] for finding in broken):  # a held batch is not scored, and so never judged for drift
            self.number += remember
            return Alarm(True, False, True, tuple(str(found["column"]) for found in broken if found["holds"]))
        partition = partition_of(self.number, self.model.grain)
        verdict = drift_verdict(
            partition, 1, "bench", batch, self.reference, self.importance, self.model.monitor, (SCORE,), self.judged,
            self.model.grain,
        )  # fmt: skip
        if remember:
            self.number += 1
            self.judged.append(Judged(partition, verdict.tier, self.reference.count(batch)))
            self.accepted.add(features)
        named = tuple(str(found["feature"]) for found in verdict.features)
        warned, asked = verdict.tier not in QUIET or bool(broken), verdict.tier in ASKING
        return Alarm(warned, asked, verdict.tier == "quarantine", named, vars(verdict))


def _features(batch: Profile) -> Profile:
    return Profile({name: found for name, found in batch.columns.items() if name != SCORE})


class LabelledMonitor:
    """Watches a champion's performance batch by batch, as labels come in.

    Args:
        labels, predictions: Of the rows that the champion was gated on.
        model: Settings; the shipped ones.
    """

    def __init__(self, labels: Floats, predictions: Floats, model: Model = MODEL) -> None:
        self.model = model
        self.reference = baseline("binary", labels, predictions, None)
        self.verdicts: dict[str, dict[str, Any]] = {}

    def alarm(self, labels: Floats, predictions: Floats, coverage: float = 1.0) -> bool:
        """Return whether a labelled alarm holds after this batch."""
        partition = partition_of(len(self.verdicts), self.model.grain)
        found = performance_verdict(
            partition, 1, "bench", "binary", labels, predictions, None, coverage, self.reference, self.model.monitor
        )
        self.verdicts[partition] = vars(found)
        said = channels(History(1, "", performance=self.verdicts), partition, self.model.monitor.alarm_z)
        return any(channel.fired for channel in said)


def partition_of(number: int, grain: str = "day") -> str:
    """Return the partition key of the n-th batch.

    >>> partition_of(31), partition_of(1, "week"), partition_of(25, "hour")
    ('2024-02-01', '2024-01-08', '2024-01-02T01')
    """
    start = np.datetime64("2024-01-01", "h")  # a Monday
    hours = {"hour": 1, "day": 24, "week": 168}[str(grain)]
    return str((start + hours * number).astype("datetime64[h]" if hours == 1 else "datetime64[D]"))


def gate_verdict(
    labels: Floats,
    champion: Floats,
    challenger: Floats,
    *,
    clusters: Codes | None = None,
    sharing: int = 1,
    degraded: bool = False,
    model: Model = MODEL,
) -> str:
    """Return what the gates say of a challenger: `promote`, `reject` or `insufficient_evidence`."""
    return judge(_contest(labels, champion, challenger, clusters, sharing, degraded, model)).verdict


def _contest(
    labels: Floats,
    champion: Floats,
    challenger: Floats,
    clusters: Codes | None,
    sharing: int,
    degraded: bool,
    model: Model,
) -> Contest:
    return Contest(
        task="binary",
        labels=labels,
        challenger=challenger,
        champion=champion,
        clusters=clusters,
        unit="rows" if clusters is None else "days",
        train_rows=100_000,
        train_until="2025-12-01",
        champion_train_until="2025-11-01",
        gate_from="2025-12-01",
        degraded=degraded,
        limits=model.gates,
        sharing=sharing,
    )


def promoted_after(batches: Sequence[tuple[Floats, Floats, Floats]], model: Model = MODEL) -> int | None:
    """Return after how many batches a challenger is promoted; None for not within these.

    What the gates cannot decide on the first batch is gathered over the later ones; all other gates are asked again.

    Args:
        batches: Labels, champion's and challenger's scores of the same rows.
        model: Settings; the shipped ones.
    """
    first = judge(_contest(*batches[0], None, 1, False, model))
    if first.verdict != "insufficient_evidence":
        return 1 if first.verdict == "promote" else None
    if (left := kept_for_later(first.gates)) is None:
        return None
    series, needed, verdicts = [left[1]], 1 / left[0], list[dict[str, Any]]()
    for at, (labels, champion, challenger) in enumerate(batches[1:], start=2):
        scores = champion, challenger
        verdict = shadow_verdict(partition_of(at), 1, ("", ""), CHALLENGER, "binary", {}, labels, scores, None)
        verdicts.append(vars(verdict))
        series.append(Measured(*(verdicts[-1][name] for name in ("advantage", "error", "rows", "df"))))
        found = gathered(series)
        if is_proven(found, needed, verdicts, model.gates):
            since = [np.concatenate(parts) for parts in zip(*batches[1:at], strict=True)]
            contest = _contest(since[0], since[1], since[2], None, 1, False, model)
            again = judge(replace(contest, shadow=Shadowed(found, needed, ("",) * (at - 1), is_champions=True)))
            return at if again.verdict == "promote" else None  # it is asked for once
    return None


def rolled_back_after(batches: Sequence[tuple[Floats, Floats, Floats]]) -> int | None:
    """Return after how many batches a promotion is taken back; None for not within these.

    Args:
        batches: Labels, the previous champion's and the new one's scores of the same rows.
    """
    ledger = [Promotion(1, "old", 0, "", "promote", ""), Promotion(2, "new", 1, "", "promote", "")]
    verdicts: dict[str, dict[str, Any]] = {}
    for at, (labels, previous, newer) in enumerate(batches, start=1):
        found = measured_advantage("binary", labels, previous, newer, None)
        verdicts[partition_of(at)] = {
            "judged": True, "advantage": found.value, "error": found.error, "rows": found.rows, "df": found.df,
            "gaps": {},
        }  # fmt: skip
        said = probation(ledger, verdicts, {}, MODEL.rollback, "binary")
        if said is not None and said.rolls_back:
            return at
    return None
