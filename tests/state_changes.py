"""Looks at a store on a folder whenever a crash point is passed: what changes anywhere else cannot be killed there.

It compares files, and does not ask who wrote them: Delta Lake's are seen as well.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from incumbent.store import crash_points

# Of each model, made again whenever they are missing: pages for people, and the digests of unchanged dropped files.
NO_STATE = ("reports", "hints")
END = "the end"
State = dict[str, tuple[int, ...]]


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """Give a list of all that changes, but for one file between a `before` and its `after`: that has points of its own.

    Args:
        folder: A folder with models, each in a folder of its own.
    """
    seen = _Seen(folder)
    passed: Callable[[str], None] = crash_points.reached

    def reached(point: str) -> None:
        seen.look(point)
        passed(point)

    crash_points.reached = reached
    try:
        yield seen.amiss
        seen.look(END)
    finally:
        crash_points.reached = passed


class _Seen:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = _state(folder)
        self.last = "the beginning"
        self.amiss: list[str] = []

    def look(self, point: str) -> None:
        """Compare the store with what it was at the last point."""
        state = _state(self.folder)
        changed = sorted(name for name in state | self.state if state.get(name) != self.state.get(name))
        allowed = point.startswith("after ") and self.last == point.replace("after", "before", 1)
        if len(changed) > allowed:
            self.amiss.append(f"between {self.last} and {point}: {', '.join(changed)}")
        self.state, self.last = state, point


def _state(folder: Path) -> State:
    """Return what tells a file from the one that had its name before; names with a dot are no blobs yet."""
    found = {}
    for top, folders, files in os.walk(folder):
        below = Path(top).relative_to(folder)
        folders[:] = [each for each in folders if not each.startswith(".") and not _is_exempt(below / each)]
        for name in files:
            if not name.startswith("."):
                about = (folder / below / name).stat()
                found[str(below / name)] = (about.st_ino, about.st_mtime_ns, about.st_size)
    return found


def _is_exempt(folder: Path) -> bool:
    return len(folder.parts) == 2 and folder.name in NO_STATE
