"""What the diagnosis of a partition means for a training: whether one cures it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from incumbent.diagnosis import again
from incumbent.retrain.channels import Channel
from incumbent.retrain.history import DRIFT, History

LASTING = 4  # partitions in a row after which an upstream change that nobody repairs is learned


def incurable(partition: str, history: History, alarms: Sequence[Channel], rule: str) -> tuple[bool, str]:
    """Return whether a partition's cause is one that no training cures, and the diagnosis in words.

    A feed that is broken is repaired, whatever labels say; one that has changed and is not repaired for some partitions
    is what the world is like now. A shift that does no harm is none to train for, unless labels say that it does: they
    may have gathered over partitions of which each alone showed nothing.
    """
    found = diagnosis_of(partition, history, alarms)
    if not found:
        return False, "no diagnosis"
    harmless = rule == DRIFT and not found["retrains"] and found["cause"] != "unknown"
    newest = [history.diagnoses[key] for key in sorted(history.diagnoses) if key <= partition][-LASTING:]
    lasts = len(newest) == LASTING and all(each["cause"] == "upstream_change" for each in newest)
    return (found["answer"] == "repair" and not lasts) or harmless, str(found["sentence"]).rstrip(".")


def diagnosis_of(partition: str, history: History, alarms: Sequence[Channel]) -> Mapping[str, Any]:
    """Return the diagnosis of a partition, made again with the alarms of labels that are asked about.

    Its own rows may show little of what has gathered. And without alarms, too: what the record knows of them is as of
    when it was made, and a decision must not depend on the order of arrival.
    """
    found = history.diagnoses.get(partition) or {}
    if found.get("evidence"):
        return again(found, {alarm.channel: alarm.says for alarm in alarms}).to_json()
    return found
