"""Requests that no run takes up, and when each is announced again."""

from __future__ import annotations

from datetime import datetime, timedelta

from incumbent.records import RetrainRequest
from incumbent.retrain.requests import KIND, leases, unanswered
from incumbent.store import ModelStore
from incumbent.store.announcements import may_announce

LOST_AFTER = timedelta(minutes=10)


def announce_lost(store: ModelStore, owner: str, now: datetime) -> list[RetrainRequest]:
    """Return the unanswered requests that nobody works on and that this owner is to announce again.

    Args:
        store: The model's store.
        owner: Run that looks; one that is tried again announces its own again.
        now: The time.
    """
    return [request for request in unanswered(store) if _is_mine(store, request.id, owner, now)]


def _is_mine(store: ModelStore, request_id: str, owner: str, now: datetime) -> bool:
    claims = leases(store, request_id)
    opened = store.records.written(KIND, f"{request_id}/open")
    if now <= (claims[-1] if claims else opened + LOST_AFTER):
        return False
    # By claim: who takes a request up and dies is missed at once, however long it had to wait for that run.
    series = f"{request_id}/announced-{len(claims):03d}"
    return may_announce(store.records, KIND, series, owner, now, 2 * LOST_AFTER)
