"""Which deliveries in the drop folder have not been judged yet."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from incumbent.config import Model
from incumbent.errors import ConfigError
from incumbent.partitions import check_key
from incumbent.records import Ingest, digest_of
from incumbent.store import ModelStore
from incumbent.store.announcements import may_announce
from incumbent.store.place import Place, Status, files_at
from incumbent.validate.contract import load_contract
from incumbent.validate.delivery import ONCE, is_current
from incumbent.validate.digests import Digests
from incumbent.validate.revisits import claim_revisits

LOG = logging.getLogger(__name__)
ARRIVALS = "arrivals"
LOST_AFTER = timedelta(minutes=15)


def new_deliveries(store: ModelStore, model: Model, contract_path: Path, source: str, raw: Place) -> list[str]:
    """Return the partitions whose file is to be judged, in key order; `[""]` for a once-only source.

    A file is known by its content: dropping the same file again is nothing new, a corrected one
    under the same name is. A file that was stopped is new under another contract, because a
    contract may be what was wrong; what was accepted stays accepted.

    Raises:
        ConfigError: The contract cannot be read.
    """
    return [partition for partition, _ in _unjudged(store, model, contract_path, source, raw)]


def claim_deliveries(
    store: ModelStore, model: Model, contract_path: Path, source: str, raw: Place, owner: str, now: datetime
) -> list[str]:
    """Return the new deliveries that this owner announces: each is announced by one run.

    Two looks in a row see the same file; without a claim both would start an ingest. A claim whose
    delivery was not judged within a while counts as lost, so no file waits for ever; the while
    doubles each time up to a day, so a file that nobody can judge does not fail a run every few minutes.

    Args:
        store: The model's store.
        model: Its configuration.
        contract_path: Its `contract.yaml`.
        source: Source name.
        raw: Drop folder.
        owner: Run that looks; a run that is cleared announces its own again.
        now: The time.

    Raises:
        ConfigError: The contract cannot be read.
    """
    unjudged = _unjudged(store, model, contract_path, source, raw)
    return [
        partition for partition, name in unjudged if may_announce(store.records, ARRIVALS, name, owner, now, LOST_AFTER)
    ]


def claim_waiting(
    store: ModelStore, model: Model, contract_path: Path, raw: Place, owner: str, now: datetime
) -> dict[str, list[str]]:
    """Return, by source, the partitions that this owner announces: of new deliveries, and of what was asked for."""
    return {
        source: sorted(
            {
                *claim_deliveries(store, model, contract_path, source, raw, owner, now),
                *claim_revisits(store, source, owner, now),
            }
        )
        for source in model.sources
    }


def _unjudged(
    store: ModelStore, model: Model, contract_path: Path, source: str, raw: Place
) -> Iterator[tuple[str, str]]:
    """Yield the partition of each file that is to be judged, and the name of the claim on it."""
    contract = load_contract(contract_path).sources.get(source)  # without one, the ingest says what is missing
    today = "" if contract is None else contract.digest
    for partition, (content, dropped) in _contents(store, model, source, raw).items():
        folder = f"{source}/{partition or ONCE}"
        names = store.records.names(Ingest.kind, f"{folder}/{content[:16]}")
        known = [store.records.get(Ingest, name) for name in names]
        if any(_stands(store, model, record, today) for record in known):
            continue
        # The claim is on this drop and what it will replace: a file that comes back after another
        # one took its place is a new drop, and the claim of its first time does not hold it up.
        part = store.source(model.sources[source].role, source).part(partition or ONCE)
        drop = digest_of([dropped, "" if part is None else part.digest, names])
        yield partition, f"{folder}/{content[:16]}-{drop[:16]}"


def _contents(store: ModelStore, model: Model, source: str, raw: Place) -> dict[str, tuple[str, int]]:
    """Return the digest of each partition's file and when it was dropped, in key order."""
    digests, found = Digests(store.work / "hints" / f"digests-{source}.json"), {}
    for partition, (path, listed) in sorted(_files(model, source, raw).items()):
        with suppress(FileNotFoundError):  # taken away since it was listed; the next look sees what came instead
            status = path.stat() if listed is None else listed
            found[partition] = (digests.sha256(path, status), status.st_mtime_ns)
    digests.save()
    return found


def _stands(store: ModelStore, model: Model, record: Ingest, today: str) -> bool:
    """Return whether a verdict still answers its file, which then needs no other."""
    return is_current(store, model, record) and (record.verdict == "accepted" or record.contract_digest == today)


def _files(model: Model, source: str, raw: Place) -> dict[str, tuple[Place, Status | None]]:
    pattern = model.sources[source].path
    if model.sources[source].once:
        path = raw / pattern
        return {"": (path, None)} if path.is_file() else {}
    head, tail = pattern.split("{partition}", 1)
    named = re.compile(re.escape(head) + "(.+)" + re.escape(tail))
    found: dict[str, tuple[Place, Status | None]] = {}
    for name, (path, status) in files_at(raw, f"{head}*{tail}").items():
        match = named.fullmatch(name)
        if match is None:
            continue
        try:
            found[check_key(match[1], model.grain)] = (path, status)
        except ConfigError as error:
            # Not an error: it would keep the deliveries beside it waiting.
            LOG.warning(
                "%s is ignored: its name should hold %s, found %s; rename it", path, error.expected, error.found
            )
    return found
