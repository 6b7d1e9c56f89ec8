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
    return sum(_proportional(pid) or _resident(pid) for pid in pids) / 1e6


def _proportional(pid: int) -> int | None:
    """Return the proportional size in bytes; None for another user's process, or where the kernel has no such file."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)


def _resident(pid: int) -> int:
    """Return the resident size in bytes; 0 for a process that has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
