"""How much memory processes really hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil


def pss_mb(pids: Iterable[int]) -> float:
    """Return the memory of some processes in MB, pages they share counted once.

    Resident size counts a shared page in every process and overstates forked workers severalfold.
    It is the fallback where the system does not say the proportional size.
    """
    return sum(_bytes(pid) for pid in pids) / 1e6


def _bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # another user's process, or a kernel without the file: the resident size has to do
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
