"""Which deliveries in the drop folder have not been judged yet."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

from incumbent.config import Model
from incumbent.partitions import KEY_PATTERNS
from incumbent.records import Ingest, digest_of
from incumbent.store import ModelStore
from incumbent.validate.delivery import ONCE, is_current

ARRIVALS = "arrivals"
LOST_AFTER = timedelta(minutes=15)


def new_deliveries(store: ModelStore, model: Model, source: str, raw: Path) -> list[str]:
    """Return the partitions whose file was never judged, in key order; `[""]` for a once-only source.

    A file is known by its content: dropping the same file again is nothing new, a corrected one
    under the same name is.
    """
    found = []
    for partition, path in sorted(_files(model, source, raw).items()):
        folder = f"{source}/{partition or ONCE}/{digest_of(path.read_bytes())[:16]}"
        known = [store.records.get(Ingest, name) for name in store.records.names(Ingest.kind, folder)]
        if not any(is_current(store, model, record) for record in known):
            found.append(partition)
    return found


def claim_deliveries(store: ModelStore, model: Model, source: str, raw: Path, owner: str, now: datetime) -> list[str]:
    """Return the new deliveries that this owner announces: each is announced by one run.

    Two looks in a row see the same file; without a claim both would start an ingest. A claim whose
    delivery was not judged within a while counts as lost, so no file waits for ever.

    Args:
        store: The model's store.
        model: Its configuration.
        source: Source name.
        raw: Drop folder.
        owner: Run that looks; a run that is cleared announces its own again.
        now: The time.
    """
    mine = []
    files = _files(model, source, raw)
    for partition in new_deliveries(store, model, source, raw):
        name = f"{source}/{partition or ONCE}/{digest_of(files[partition].read_bytes())[:16]}"
        if _claim(store, name, owner, now):
            mine.append(partition)
    return mine


def _claim(store: ModelStore, name: str, owner: str, now: datetime) -> bool:
    attempt = 1
    while True:
        given = {"owner": owner, "until": (now + LOST_AFTER).isoformat()}
        stands = store.records.claim(ARRIVALS, f"{name}-{attempt:03d}", given)
        if stands["owner"] == owner:
            return True
        if datetime.fromisoformat(stands["until"]) > now:
            return False
        attempt += 1


def _files(model: Model, source: str, raw: Path) -> dict[str, Path]:
    pattern = model.sources[source].path
    if model.sources[source].once:
        path = raw / pattern
        return {"": path} if path.is_file() else {}
    head, tail = pattern.split("{partition}", 1)
    named = re.compile(re.escape(head) + f"({KEY_PATTERNS[model.grain]})" + re.escape(tail))
    matches = {path: named.fullmatch(path.relative_to(raw).as_posix()) for path in raw.glob(f"{head}*{tail}")}
    return {match.group(1): path for path, match in matches.items() if match}
