"""What a request asks for: the champion with another intercept, a training, or one with a second candidate."""

from __future__ import annotations

from collections.abc import Sequence

from incumbent.config import Model
from incumbent.estimators.abilities import ABILITIES
from incumbent.retrain.budget import UNDECIDED
from incumbent.retrain.cause import diagnosis_of
from incumbent.retrain.channels import Channel
from incumbent.retrain.history import PERFORMANCE, PROMOTE, History
from incumbent.retrain.requests import RECALIBRATE
from incumbent.retrain.rows import first_day, times_more, training_rows


def recalibrate_since(model: Model, partition: str, history: History, alarms: Sequence[Channel]) -> tuple[str, str]:
    """Return the first day of the rows for a new intercept, where the diagnosis is that one may be enough; or why not.

    Once for each training: an intercept that has to be found again and again, or was not enough, was not what is wrong.
    A champion that has been outgrown is trained first: that brings the new mean, and all else that is known by now.
    Only if the gates refuse what was trained for this alarm are its trees the best there are, and the mean is off.

    Returns:
        The day, empty where another intercept is not asked for; and why not, empty where nothing said that it may be
        enough.
    """
    if not alarms or diagnosis_of(partition, history, alarms).get("answer") != RECALIBRATE:
        return "", ""
    if not ABILITIES[model.train.estimator].warm:
        return "", f"{model.train.estimator} does not go on from a version"
    changed = max(alarms, key=lambda alarm: alarm.z).since
    tried = refused = False
    for request in reversed(history.requests):
        if request.recalibrates:
            tried = True
        elif request.verdict == PROMOTE:
            break
        elif request.reason == PERFORMANCE and request.partition >= changed and request.verdict not in UNDECIDED:
            refused = True
    if tried:
        return "", "one was tried since the last training that got the seat"
    limit, times = model.retrain.growth, times_more(model, partition, history, history.learned_partition)
    if limit is not None and times >= limit and not refused:
        return "", f"there is {times:.2f} times as much to learn from as the champion had, limit {limit:g}"
    since = _enough_since(model, partition, history, _changed(model, alarms))
    return since, "" if since else "too few rows since the change are older than the gate rows"


def candidate_since(model: Model, partition: str, history: History, alarms: Sequence[Channel]) -> str:
    """Return the first day of the rows since the change, if a model can be trained on them alone.

    Without an alarm it is the change since which the champion was trained: what came before has not come back.
    """
    since = _changed(model, alarms) if alarms else history.since
    return _enough_since(model, partition, history, since) if since and model.retrain.since_change else ""


def _changed(model: Model, alarms: Sequence[Channel]) -> str:
    return first_day(model, max(alarms, key=lambda alarm: alarm.z).since)


def _enough_since(model: Model, partition: str, history: History, since: str) -> str:
    """Return a first day again; nothing if the rows since are too few, or all that there are."""
    labelled = {key: rows for key, rows in history.labelled.items() if key <= partition}
    later = {key: rows for key, rows in labelled.items() if first_day(model, key) >= since}
    enough = training_rows(model, later) >= model.gates.min_train_rows
    return since if len(later) < len(labelled) and enough else ""
