"""Kills one training's worker right after a checkpoint, to show that it goes on from there."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from incumbent.train.checkpoints import Checkpoints

LOOK_S = 0.01


class Killer:
    """Watches the checkpoint folders and kills the fitting process once.

    Args:
        folder: Folder of all fits' checkpoints.
        after_round: Round of the checkpoint.
        say: Tells people.
    """

    def __init__(self, folder: Path, after_round: int, say: Callable[[str], None]) -> None:
        self.folder = folder
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
        while True:
            for folder in self.folder.glob("*"):
                progress = Checkpoints(folder).progress()
                if progress is not None and progress.round == self.after_round and progress.resumed_from is None:
                    os.kill(progress.pid, signal.SIGKILL)
                    self.say(f"  killed the training's worker right after the checkpoint of round {progress.round}")
                    self._await_resume(Checkpoints(folder))
                    return
            time.sleep(LOOK_S)

    def _await_resume(self, checkpoints: Checkpoints) -> None:
        while True:
            progress = checkpoints.progress()
            if progress is not None and progress.resumed_from is not None:
                self.say(f"  another worker goes on from round {progress.resumed_from}")
                return
            time.sleep(LOOK_S)
