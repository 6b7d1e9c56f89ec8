"""Kills one training's worker right after a checkpoint, to show that it goes on from there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from incumbent.embedded import processes
from incumbent.train.checkpoints import SUFFIX

LOOK_S = 0.01


class Killer:
    """Watches the checkpoint folders and kills the fitting process once.

    Args:
        folder: Folder of all fits' checkpoints.
        run: Folder of the stack's process records, in which the Ray head is.
        after_round: Round of the checkpoint.
        say: Tells people.
    """

    def __init__(self, folder: Path, run: Path, after_round: int, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.run = run
        self.after_round = after_round
        self.say = say
        self.armed = False
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Start watching when armed; called by whoever waits."""
        if self.armed and self._thread is None:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        workers: list[psutil.Process] = []
        while not (workers and self._newest() >= self.after_round):
            workers = workers if self._newest() else fitting(self.run)
            time.sleep(LOOK_S)
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        at = self._newest()
        self.say(f"  killed the training's worker after the checkpoint of round {at}")
        while self._newest() == at:
            time.sleep(LOOK_S)
        if self._newest():
            self.say(f"  another worker went on from round {at}")

    def _newest(self) -> int:
        return max((int(file.name.partition("-")[0]) for file in self.folder.glob(f"*/*{SUFFIX}")), default=0)


def fitting(run: Path) -> list[psutil.Process]:
    """Return the processes of the local Ray head that fit."""
    found = []
    for head in processes.recorded(run):
        if head.name == "ray":
            for process in processes.family(head):
                with suppress(psutil.Error, IndexError):
                    if process.cmdline()[0].startswith("ray::Worker"):
                        found.append(process)
    return found
