"""Watches what the stack and its tasks hold while the demonstration runs."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import psutil

from incumbent.embedded import processes

LOOK_S = 2.0
LOOKS_PER_SUM = 5  # adding up the shared pages of all processes costs more than a look at the tasks


class MemoryWatch(threading.Thread):
    """Looks at the processes of a stack until the program ends.

    Attributes:
        peak_mb: Most that all processes held together, shared pages counted once (PSS), in MB.
        peak_task_mb: Most resident memory that one task ever had, pages it shares with the scheduler
            included, in MB; a task shorter than a look may be missed.
    """

    def __init__(self, run: Path) -> None:
        super().__init__(daemon=True)
        self.run_folder = run
        self.peak_mb = 0.0
        self.peak_task_mb = 0.0

    def run(self) -> None:
        """Look every two seconds."""
        look = 0
        while True:
            if look % LOOKS_PER_SUM == 0:
                self.peak_mb = max(self.peak_mb, sum(processes.memory_mb(self.run_folder).values()))
            self.peak_task_mb = max([self.peak_task_mb, *(_peak_mb(pid) for pid in _tasks(self.run_folder))])
            look += 1
            time.sleep(LOOK_S)


def _tasks(run: Path) -> list[int]:
    """Return the process ids of running tasks: the executor's workers fork one for each."""
    found = []
    for record in processes.recorded(run):
        scheduler = processes.alive(record) if record.name == "scheduler" else None
        if scheduler is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [child.pid for child in scheduler.children(recursive=True) if child.ppid() != scheduler.pid]
    return found


def _peak_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0  # it has ended
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(sizes[0]) * 1024 / 1e6 if sizes else 0.0
