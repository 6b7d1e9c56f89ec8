"""The decision bench: what is promised of alarms, promotions, rollbacks and retrainings, measured beside the peers.

Worlds with a known truth are drawn from a hash of the commit, so that nobody can tune to the draws; production's own
functions decide (`ours`), and the peers' real packages beside them, each in an environment of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.decisions import beside, closed_loop, curves, drift, labelled, promotion, rollback
from benchmarks.decisions.report import Page
from benchmarks.decisions.seeds import commit_id
from benchmarks.harness import Figure
from incumbent.embedded.settings import Settings

PARTS = "INCUMBENT_BENCH_PARTS"


def measure() -> Iterator[Figure]:
    """Yield each figure as it is known, after its table; the tables are kept as `decisions.md` in the bench folder."""
    commit = commit_id()
    home = Settings.from_env(os.environ, Path.cwd()).home
    page = Page(home / "bench", f"# The decision bench\n\nDraws of commit `{commit}`.")
    wanted = os.environ.get(PARTS, "").split(",") if os.environ.get(PARTS) else list(SECTIONS)
    for name in wanted:
        yield from SECTIONS[name](commit, page)


def _drift(commit: str, page: Page) -> Iterator[Figure]:
    alike = drift.votes_of(commit, "alike")
    page.add(drift.alike_table(commit, alike))
    yield from drift.alike_figures(commit, alike)
    wobble = drift.votes_of(commit, "wobble")
    page.add(drift.wobble_table(commit, wobble))
    yield from drift.wobble_figures(commit, wobble)
    page.add(drift.seasons(commit))
    page.add(drift.ramps(commit))


def _faults(commit: str, page: Page) -> Iterator[Figure]:
    found = drift.votes_of(commit, "faults")
    page.add(drift.fault_table(commit, found))
    yield from drift.fault_figures(commit, found)


def _promotion(commit: str, page: Page) -> Iterator[Figure]:
    found, over = promotion.promotions(commit), promotion.sequences(commit)
    page.add(promotion.promotion_table(commit, found))
    page.add(promotion.sequence_table(over))
    yield from promotion.promotion_figures(commit, found, over)


def _labelled(commit: str, page: Page) -> Iterator[Figure]:
    found = labelled.all_streams(commit)
    page.add(labelled.labelled_table(commit, found))
    yield from labelled.labelled_figures(commit, found)


def _rollback(commit: str, page: Page) -> Iterator[Figure]:
    found = rollback.probations(commit)
    page.add(rollback.rollback_table(commit, found))
    yield from rollback.rollback_figures(commit, found)


def _closed_loop(commit: str, page: Page) -> Iterator[Figure]:
    found = closed_loop.loops(commit)
    page.add(closed_loop.loop_table(found))
    yield from closed_loop.loop_figures(found)


def _curves(commit: str, page: Page) -> Iterator[Figure]:
    points = curves.curve(commit)
    page.add(curves.curve_table(points))
    for path in curves.keep(points, page.folder):
        print(f"kept as {path}")
    yield from ()


def _peers(commit: str, page: Page) -> Iterator[Figure]:
    given, home = beside.asked(commit), page.folder / "peers"
    table, agreements = beside.beside_table(given, beside.answers(given, home))
    page.add(table)
    page.add(beside.errors_table(commit, home))
    yield from agreements


SECTIONS = {
    "drift": _drift,
    "faults": _faults,
    "promotion": _promotion,
    "labelled": _labelled,
    "rollback": _rollback,
    "closed_loop": _closed_loop,
    "curves": _curves,
    "peers": _peers,
}
