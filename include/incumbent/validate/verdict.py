"""What a contract says of a delivery's rows: which are set aside, and whether the whole is stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from incumbent.admit.order import Reason
from incumbent.config import Model
from incumbent.partitions import end_of
from incumbent.records import canonical_json
from incumbent.store import ModelStore
from incumbent.validate.delivered import DeliveredRows, Tally
from incumbent.validate.delivery import Delivery
from incumbent.validate.rules import RowRule
from incumbent.validate.suite import Judgement, judge, judge_own, results_of
from incumbent.validate.usual import usual


@dataclass(frozen=True)
class Verdict:
    """What is decided before anything is committed.

    Attributes:
        aside: Number of rows that are set aside.
        failures: What did not hold: rows of a rule whose rows are set aside, else what was found.
        results: Digest of the object with the result of each expectation.
        means: Mean of each column whose usual mean is learned.
        message: Why nothing is committed, in a sentence; empty if the good rows are.
        reason: The same as a code.
    """

    aside: int
    failures: Mapping[str, object]
    results: str
    means: Mapping[str, float]
    message: str = ""
    reason: str = ""


def decide(store: ModelStore, model: Model, delivery: Delivery, rows: DeliveredRows) -> Verdict:
    """Judge the loaded rows of a delivery and mark those that are set aside.

    Args:
        store: The model's store; the results are put there.
        model: Its configuration.
        delivery: Whose rows they are, and by which contract they are judged.
        rows: The loaded rows.

    Raises:
        ConfigError: An expectation cannot be built or computed.
    """
    tally = rows.tally()
    bounds = usual(store, model, delivery)
    judgements = judge(delivery.contract, rows.rules, tally, _oldest(model, delivery), bounds)
    judgements += judge_own(rows, delivery.contract, delivery.source)
    broken = [rule for rule in rows.rules if tally.broken[rule.name] and rule.severity == "quarantine"]
    stop = next((found for found in judgements if found.severity == "stop" and not found.success), None)
    aside = 0 if stop else rows.set_aside(broken)
    message, reason = _stopped_by(stop) if stop else _too_many(delivery, rows, tally, broken, aside)
    return Verdict(
        aside=aside,
        failures=_failures(judgements),
        results=store.objects.put(canonical_json(results_of(judgements))),
        means=tally.means,
        message=message,
        reason=reason,
    )


def _stopped_by(found: Judgement) -> tuple[str, str]:
    name = f"{found.rule}, {found.expectation}," if found.rule else found.expectation
    return f"Stopped: {name} does not hold (found {found.observed}).", found.reason


def _too_many(
    delivery: Delivery, rows: DeliveredRows, tally: Tally, broken: Sequence[RowRule], aside: int
) -> tuple[str, str]:
    share, limit = aside / tally.rows, delivery.contract.policy.max_quarantine_share
    if share <= limit and aside < tally.rows:
        return "", ""
    most = max(broken, key=lambda rule: tally.broken[rule.name])
    example = rows.example(most)
    return (
        f"Stopped: {aside} of {tally.rows} rows break a rule ({share:.1%}, at most {limit:.1%} are set aside); "
        f"most often: {most.name}, {most.reason}{f', such as {example}' if example else ''}."
    ), Reason.QUARANTINE_SHARE


def _oldest(model: Model, delivery: Delivery) -> datetime | None:
    """Return the oldest time, UTC, that a delivery's newest row may have; None if nobody asks or there is no end."""
    fresh = delivery.contract.freshness
    if fresh is None or not delivery.partition:
        return None
    end = end_of(delivery.partition, model.grain).replace(tzinfo=ZoneInfo(model.timezone))
    return (end - timedelta(hours=fresh.max_age_hours)).astimezone(UTC)


def _failures(judgements: Sequence[Judgement]) -> dict[str, Any]:
    broken = [found for found in judgements if not found.success]
    return {
        found.rule or found.expectation: found.result["unexpected_count"]
        if found.severity == "quarantine"
        else f"{found.severity}: {found.observed}"
        for found in broken
    }
