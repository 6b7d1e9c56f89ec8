"""The card of a version, written by the task that judged it or gave it the seat."""

from __future__ import annotations

import logging

from incumbent_airflow.runtime import Runtime

LOG = logging.getLogger(__name__)


def write_card(runtime: Runtime, version: str, generation: int = 0) -> None:
    """Write the card of a version that was judged or has got the seat, and say where it is.

    Nothing waits for it: whatever keeps it from being written, the verdict stands and the seat is announced.
    """
    from incumbent.card.keep import keep_card
    from incumbent.records import ModelVersion

    again = f"incumbent version card {runtime.model.name} {generation or version[:16]}"
    try:
        found = runtime.store.records.get(ModelVersion, version)
        _, path = keep_card(runtime.store, runtime.model, found, generation)
    except Exception:
        LOG.exception("the card of version %s is not written; %s", version[:16], again)
        return
    LOG.info("the card of version %s: %s; as of any later day: %s", version[:16], path, again)
