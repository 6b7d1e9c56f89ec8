"""Where to fit: pure decisions, from data size, configuration and what is there."""

from __future__ import annotations

from dataclasses import dataclass

from incumbent.config import Train
from incumbent.errors import TrainingError, UnavailableError
from incumbent.estimators.abilities import ABILITIES

SMALL_ROWS = 5_000_000  # below this a fit in the task's process ends before a Ray job has started


@dataclass(frozen=True)
class Group:
    """The workers that share a fit.

    Attributes:
        workers: How many.
        cpus: Cores, and threads, of each.
        gpus: GPUs of each.
        device: `cpu` or `cuda`.
    """

    workers: int
    cpus: int
    gpus: int
    device: str


def check_ability(train: Train) -> None:
    """Refuse what the estimator cannot do, before a row is read.

    Raises:
        TrainingError: Several workers, a GPU or rows on disk are asked of an estimator that has none of it.

    >>> check_ability(Train(workers=4))
    """
    ability = ABILITIES[train.estimator]
    asked = {
        f"workers: {train.workers}": (train.workers > 1, ability.workers, "leave train.workers at 1"),
        "device: cuda": (train.device == "cuda", ability.cuda, "set train.device to auto or cpu"),
        "external_memory: true": (train.external_memory, ability.external, "leave out train.external_memory"),
        "launcher: ray": (train.launcher == "ray", ability.rounds, "leave train.launcher at auto"),
    }
    for what, (wanted, able, otherwise) in asked.items():
        if wanted and not able:
            raise TrainingError(
                "an estimator is asked for what it cannot do",
                where=f"train.{what.partition(':')[0]} in model.yaml",
                expected=f"what docs/estimators.md says of {train.estimator}",
                found=what,
                next_step=f"{otherwise}, or set train.estimator to xgboost",
            )


def choose_launcher(train: Train, rows: int) -> str:
    """Return `process` or `ray`; a script is run by the task, in a process of its own.

    >>> choose_launcher(Train(), 10_000), choose_launcher(Train(), 10_000_000)
    ('process', 'ray')
    """
    if train.launcher != "auto":
        return train.launcher
    if not ABILITIES[train.estimator].rounds:
        return "process"
    return "process" if rows < SMALL_ROWS and train.workers == 1 else "ray"


def device_of(train: Train, gpus: int) -> str:
    """Return `cpu` or `cuda`; a GPU is only chosen for an estimator that can use it.

    Raises:
        TrainingError: `cuda` is demanded and there is no GPU.

    >>> device_of(Train(), gpus=1), device_of(Train(estimator="lightgbm"), gpus=1)
    ('cuda', 'cpu')
    """
    return choose_device(train.device, gpus if ABILITIES[train.estimator].cuda else 0)


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


def choose_group(train: Train, cpus: int, gpus: int, row_groups: int) -> Group:
    """Return the workers of a fit on a cluster.

    There are never more of them than row groups, for a worker without rows would only be waited for; nor, on GPUs,
    than GPUs: NCCL wants one for each.

    Args:
        train: What is configured.
        cpus: Cores of the cluster, in all.
        gpus: GPUs of the cluster, in all.
        row_groups: Row groups that have training rows.

    Raises:
        TrainingError: A GPU is demanded and the cluster has none.
        UnavailableError: The cluster has not the cores or GPUs that are asked for.

    >>> choose_group(Train(workers=2), cpus=2, gpus=0, row_groups=16)
    Group(workers=2, cpus=1, gpus=0, device='cpu')
    >>> choose_group(Train(workers=8), cpus=64, gpus=4, row_groups=3)
    Group(workers=3, cpus=21, gpus=1, device='cuda')
    """
    device = device_of(train, gpus)
    wanted = max(1, min(train.workers, row_groups))
    least = min(train.min_workers or train.workers, wanted)
    room = gpus if device == "cuda" else max(1, cpus // (train.cpus_per_worker or 1))
    workers = min(wanted, room)
    if workers < least or cpus < (train.cpus_per_worker or 1):
        unit = "GPUs" if device == "cuda" else "cores"
        each = 1 if device == "cuda" else train.cpus_per_worker or 1
        raise UnavailableError(
            "the cluster has no room for the workers",
            where="train.workers in model.yaml",
            expected=f"{least} workers of {each} {unit} each",
            found=f"{gpus if device == 'cuda' else cpus} {unit} in all",
            next_step="lower train.workers, train.min_workers or train.cpus_per_worker, or add nodes to the cluster",
        )
    return Group(workers, train.cpus_per_worker or max(1, cpus // workers), int(device == "cuda"), device)


def count_gpus() -> int:
    """Return how many NVIDIA GPUs this machine shows."""
    from pathlib import Path

    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
