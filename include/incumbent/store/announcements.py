"""Who announces something, and when it is announced again.

An event that got lost and a run that waits behind another look the same from the store. So each
announcement is written down with a lease, which doubles up to a day: what is lost is announced again
soon, and what only waits, or fails each time, does not start a run every few minutes.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from incumbent.store.records import Records

LONGEST = timedelta(days=1)


def may_announce(records: Records, kind: str, name: str, owner: str, now: datetime, first: timedelta) -> bool:
    """Return whether this owner is to announce something now; two that ask at once get one yes.

    Args:
        records: Where announcements are written down, as `<name>-001` and on.
        kind: Kind of their records.
        name: What is announced.
        owner: Run that asks; one that is tried again announces its own again.
        now: The time.
        first: Lease of the first announcement.
    """
    attempt = 1
    while True:
        lease = min(first * 2 ** min(attempt - 1, 16), LONGEST)
        given = {"owner": owner, "until": (now + lease).isoformat()}
        stands = records.claim(kind, f"{name}-{attempt:03d}", given)
        if stands["owner"] == owner:
            return True
        if datetime.fromisoformat(stands["until"]) > now:
            return False
        attempt += 1
