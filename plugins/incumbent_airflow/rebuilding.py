"""Joins a model's runtime to the proof that a past version can be fitted again."""

from __future__ import annotations

from datetime import datetime

from incumbent_airflow.runtime import Runtime


def drawn_generation(runtime: Runtime, run: str, before: datetime) -> int | None:
    """Return the old generation that a run is about; each of its attempts gets the same. None if there is none.

    Args:
        runtime: The model.
        run: The run's id.
        before: When the run was due: what was promoted since does not count.
    """
    from incumbent.provenance.rebuild import drawn

    return drawn(runtime.store, run, before)


def rebuild_generation(runtime: Runtime, generation: int) -> tuple[str, bool]:
    """Fit the version of a generation again; return a sentence, and whether it could be.

    Raises:
        StoreError: What came out is not what is stored, or a file that it rests on is damaged.
        UnavailableError: Ray, or room on a disk, is missing.
    """
    from incumbent.errors import StoreError
    from incumbent.provenance.rebuild import DIFFERS, IMPOSSIBLE, libraries, rebuild
    from incumbent.provenance.version import find
    from incumbent.train.progress import log_progress

    store, name = runtime.store, f"Generation {generation}"
    found = rebuild(store, runtime.model, find(store, str(generation)), runtime.settings, log_progress)
    if found.verdict == IMPOSSIBLE:
        return f"{name} cannot be fitted again: {'; '.join(found.missing)}.", False
    if found.verdict == DIFFERS:
        raise StoreError(
            "a past version comes out otherwise now",
            where=f"{store.blobs.url}: generation {generation}, version {found.version[:16]}",
            expected="what is stored, or predictions within 1e-6 of its own",
            found="; ".join([*([libraries(found)] if found.changed else []), *found.differs]),
            next_step=f"incumbent version why {store.name} {generation}; fit it with the libraries of its time",
        )
    return f"{name} was fitted again: {found.verdict}.", True
