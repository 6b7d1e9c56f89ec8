"""Where to fit: pure decisions, from data size, configuration and what is there."""

from __future__ import annotations

from incumbent.config import Train
from incumbent.errors import TrainingError

SMALL_ROWS = 5_000_000  # below this a fit in the task's process ends before a Ray job has started


def choose_launcher(train: Train, rows: int) -> str:
    """Return `process` or `ray`.

    >>> choose_launcher(Train(), 10_000), choose_launcher(Train(), 10_000_000)
    ('process', 'ray')
    """
    if train.launcher != "auto":
        return train.launcher
    return "process" if rows < SMALL_ROWS else "ray"


def choose_device(configured: str, gpus: int) -> str:
    """Return `cpu` or `cuda`; a GPU that is demanded and not there is an error, never the CPU unnoticed.

    Raises:
        TrainingError: `cuda` is demanded and there is no GPU.
    """
    if configured == "cuda" and gpus == 0:
        raise TrainingError(
            "a GPU is demanded and there is none",
            where="train.device in model.yaml",
            expected="at least one GPU that CUDA can see",
            found="none",
            next_step="set train.device to auto or cpu, or run where a GPU is",
        )
    return "cuda" if configured != "cpu" and gpus else "cpu"


def count_gpus() -> int:
    """Return how many NVIDIA GPUs this machine shows."""
    from pathlib import Path

    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
