"""What a training ran on and with: packages, the project's commit, and the machine without its name."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

GIT_S = 5.0


@cache
def packages() -> bytes:
    """Return the installed distributions and their versions, one a line, in text order: what a lock would say."""
    found = {(each.metadata["Name"] or "").lower().replace("_", "-"): each.version for each in _distributions()}
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()) if name).encode()


def commit_of(folder: Path) -> str | None:
    """Return the commit of the work tree that a folder is in, `-dirty` where it has changes; None if it is in none."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def hardware(device: str) -> dict[str, Any]:
    """Return what this machine is; its GPUs too where they are used."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found: dict[str, Any] = {
        "cores": os.cpu_count() or 1,
        "memory_gib": round(memory / 2**30, 1),
        "machine": platform.machine(),
    }
    if device == "cuda":
        about = [path.read_text() for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))]
        found["gpus"] = [line.partition(":")[2].strip() for text in about for line in text.splitlines()[:1]]
    return found


def _distributions() -> list[importlib.metadata.Distribution]:
    return list(importlib.metadata.distributions())
