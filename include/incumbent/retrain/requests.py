"""The life of a retrain request: open → claimed (lease, attempt) → done | failed.

Each step is a put-if-absent record, so twenty duplicates at once make one request and one claim.
Records of leases hold times; nothing hashes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from incumbent.errors import RecordConflict
from incumbent.records import RetrainRequest
from incumbent.retrain.history import FAILED, OPEN
from incumbent.store import ModelStore

KIND = RetrainRequest.kind
MANUAL = "manual"
KNOWN_AT = "known_at"  # of the evidence of a request by hand
SINCE = "since"  # of the evidence of one with a second candidate, on the rows from that day on
RECALIBRATE = "recalibrate"  # of one that asks for the champion with another intercept, from the rows since that day
ASKED = (KNOWN_AT, SINCE, RECALIBRATE)


def open_request(
    store: ModelStore,
    partition: str,
    reason: str,
    evidence: Mapping[str, Any],
    *,
    degraded: bool,
    message: str,
    candidate: str = "",
) -> tuple[RetrainRequest, bool]:
    """Return the partition's open request, written by this call or before; and whether this call wrote it.

    A request of a partition whose earlier ones are answered gets the next number. What the policy asked for
    in the same words is not asked for again: a cleared run adds nothing. A person who asks again means it.
    What is to be trained as known at another moment, or with other candidates, is another request, and so is one that
    brings a candidate with it.
    """
    number = 1
    while True:
        name = f"{partition}-r{number}"
        request = RetrainRequest(name, partition, reason, dict(evidence), degraded, message, candidate)
        try:
            created = store.records.put(f"{request.id}/open", request)
            if created or reason != MANUAL or not is_answered(store, request.id):
                return request, created
        except RecordConflict:
            stands = get_request(store, request.id)
            same = all(stands.evidence.get(each) == evidence.get(each) for each in ASKED)
            if same and stands.candidate == candidate and not is_answered(store, request.id):
                return stands, False
        number += 1


def get_request(store: ModelStore, request_id: str) -> RetrainRequest:
    """Return a request."""
    return store.records.get(RetrainRequest, f"{request_id}/open")


def is_answered(store: ModelStore, request_id: str) -> bool:
    """Return whether a request is done or has failed for good."""
    return is_done(store, request_id) or store.records.has(KIND, f"{request_id}/failed")


def is_done(store: ModelStore, request_id: str) -> bool:
    """Return whether a request has a verdict, which stands; one that has failed may still get one."""
    return store.records.has(KIND, f"{request_id}/done")


def verdict_of(store: ModelStore, request_id: str) -> str:
    """Return what answered a request: a verdict, `failed`, or "" while it is open."""
    if is_done(store, request_id):
        return str(store.records.get_plain(KIND, f"{request_id}/done")["verdict"])
    return FAILED if store.records.has(KIND, f"{request_id}/failed") else OPEN


def every(store: ModelStore) -> list[RetrainRequest]:
    """Return all requests, by partition and then by number."""
    return [get_request(store, request_id) for request_id in _ids(store)]


def unanswered(store: ModelStore) -> list[RetrainRequest]:
    """Return the requests that wait for an answer, by partition and then by number."""
    return [get_request(store, request_id) for request_id in _ids(store) if not is_answered(store, request_id)]


def claim(store: ModelStore, request_id: str, owner: str, now: datetime, lease_s: float) -> int | None:
    """Take a request for an owner; return the attempt, or None while somebody else holds it.

    The same owner gets its own claim back, so a task that is retried or cleared goes on, unless somebody
    has taken over since. An answered request is not given away any more.
    """
    attempt = 1
    while store.records.has(KIND, _claim_name(request_id, attempt + 1)):
        attempt += 1
    while True:
        name = _claim_name(request_id, attempt)
        mine = {"attempt": attempt, "owner": owner, "lease_until": (now + timedelta(seconds=lease_s)).isoformat()}
        if is_answered(store, request_id) and not store.records.has(KIND, name):
            return None
        stands = store.records.claim(KIND, name, mine)
        if stands["owner"] == owner:
            return attempt
        if datetime.fromisoformat(stands["lease_until"]) > now:
            return None
        attempt += 1


def holder(store: ModelStore, request_id: str) -> tuple[str, datetime] | None:
    """Return who holds a request, or held it last, and until when; None if nobody ever did."""
    claims = [name for name in store.records.names(KIND, f"{request_id}/claim-")]
    if not claims:
        return None
    stands = store.records.get_plain(KIND, claims[-1])  # in name order: the last claim
    return stands["owner"], datetime.fromisoformat(stands["lease_until"])


def claimed_by(store: ModelStore, partition: str, owner: str) -> str | None:
    """Return the request of a partition that an owner holds or held, unless somebody has taken it over."""
    names = [name for name in store.records.names(KIND, f"{partition}-r") if "/claim-" in name]
    newest = {name.split("/")[0]: name for name in names}  # in name order: the last claim wins
    for request_id, name in newest.items():
        if store.records.get_plain(KIND, name)["owner"] == owner:
            return request_id
    return None


def finish(store: ModelStore, request_id: str, verdict: str, generation: int, version: str) -> None:
    """Answer a request with the gate's verdict; the first answer stands."""
    store.records.claim(KIND, f"{request_id}/done", {"verdict": verdict, "generation": generation, "version": version})


def fail(store: ModelStore, request_id: str, message: str) -> None:
    """Answer a request that cannot be met: trying again would fail the same way.

    One that is done stays done: a run that was cleared long after has nothing to take back.
    """
    if not is_done(store, request_id):
        store.records.claim(KIND, f"{request_id}/failed", {"message": message})


def start_pending(store: ModelStore) -> list[RetrainRequest]:
    """Mark and return the unanswered requests that nobody has announced yet."""
    return [request for request in unanswered(store) if announce(store, request.id)]


def announce(store: ModelStore, request_id: str) -> bool:
    """Return whether the caller is the one that announces a request to Airflow."""
    return store.records.put_plain(KIND, f"{request_id}/announced", {"request": request_id})


def leases(store: ModelStore, request_id: str) -> list[datetime]:
    """Return when the lease of each claim on a request ends, in the order of the claims."""
    names = [name for name in store.records.names(KIND, f"{request_id}/") if "/claim-" in name]
    return [datetime.fromisoformat(store.records.get_plain(KIND, name)["lease_until"]) for name in names]


def _ids(store: ModelStore) -> list[str]:
    opened = (name.removesuffix("/open") for name in store.records.names(KIND) if name.endswith("/open"))
    return sorted(opened, key=_order)


def _order(request_id: str) -> tuple[str, int]:
    """As text, the tenth request of a partition would come before the second."""
    partition, _, number = request_id.rpartition("-r")
    return partition, int(number)


def _claim_name(request_id: str, attempt: int) -> str:
    return f"{request_id}/claim-{attempt:03d}"
