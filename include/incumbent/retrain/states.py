"""How the champion is: healthy, suspect, degraded, in training or on probation; a pure fold like the decision.

A champion enters `degraded` on a labelled alarm and leaves it only when three judged partitions in a row are clearly
better: a state that flickers is one that nobody trusts.
"""

from __future__ import annotations

from collections.abc import Sequence

from incumbent.config import Model
from incumbent.retrain.channels import channels, judged
from incumbent.retrain.history import OPEN, History

HEALTHY, SUSPECT, DEGRADED, TRAINING, PROBATION = "healthy", "suspect", "degraded", "training", "probation"
SUSPECT_SHARE = 0.7  # of the alarm's limit
CALM_SHARE = 0.5  # below it in so many partitions, an alarm is over
CALM_FOR = 3


def state_of(model: Model, partition: str, history: History) -> str:
    """Return the champion's state at a partition; what is worse hides what is less so."""
    limit = model.monitor.alarm_z
    keys = [key for key, _ in judged(history, partition)]
    if _is_degraded(history, keys, limit):
        return DEGRADED
    if any(request.verdict == OPEN for request in history.requests):
        return TRAINING
    if history.probation:
        return PROBATION
    newest = channels(history, keys[-1], limit) if keys else []
    near = any(channel.z > SUSPECT_SHARE * limit and channel.newest > 0 for channel in newest)
    tier = (history.drift.get(partition) or {}).get("tier", "none")
    return SUSPECT if near or tier not in ("none", "info") else HEALTHY


def _is_degraded(history: History, keys: Sequence[str], limit: float) -> bool:
    """Return whether there was an alarm, and not so many calm partitions in a row since; looked at backwards."""
    calm = 0
    for key in reversed(keys):
        found = channels(history, key, limit)
        if any(channel.fired for channel in found):
            return True
        calm = calm + 1 if all(channel.newest < CALM_SHARE * limit for channel in found) else 0
        if calm == CALM_FOR:
            return False
    return False
