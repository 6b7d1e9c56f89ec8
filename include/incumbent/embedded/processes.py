"""Start processes that outlive the caller, remember them, and stop exactly those."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from incumbent.embedded.memory import pss_mb

START_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class ProcessRecord:
    """A process that was started here.

    Attributes:
        name: What it is, such as `scheduler`.
        pid: Process id; together with `started` it names one process for ever.
        started: Creation time, seconds since the epoch.
        why: Why it runs, for `incumbent doctor`.
        port: Port it listens on; 0 for none.
    """

    name: str
    pid: int
    started: float
    why: str
    port: int = 0


def start(
    name: str, command: Sequence[str], env: Mapping[str, str], folder: Path, why: str, port: int = 0
) -> ProcessRecord:
    """Start a process in its own session, its output in `<folder>/logs/<name>.log`, and record it."""
    log = folder / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    return record(name, process.pid, folder, why, port)


def record(name: str, pid: int, folder: Path, why: str, port: int = 0) -> ProcessRecord:
    """Remember a running process under a name."""
    found = ProcessRecord(name, pid, psutil.Process(pid).create_time(), why, port)
    path = folder / f"{name}.process.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(found)))
    temporary.replace(path)
    return found


def recorded(folder: Path) -> list[ProcessRecord]:
    """Return the remembered processes, running or not, in name order."""
    return [ProcessRecord(**json.loads(path.read_text())) for path in sorted(folder.glob("*.process.json"))]


def alive(found: ProcessRecord) -> psutil.Process | None:
    """Return the process if it is still the one that was started; a reused pid is another one."""
    try:
        process = psutil.Process(found.pid)
        same = abs(process.create_time() - found.started) < START_TOLERANCE_S
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def stop(records: Sequence[ProcessRecord], folder: Path, patience_s: float = 15.0) -> list[str]:
    """Stop recorded processes and their children; return the names of those that were running.

    They are asked first (SIGTERM) and killed when they do not listen.
    """
    others = [found for found in recorded(folder) if found not in records]
    stopped, everybody = [], []
    for found in records:
        members = family(found, others)
        if members:
            stopped.append(found.name)
            everybody += members
    for process in everybody:
        _signal(process, "terminate")
    _, stubborn = psutil.wait_procs(everybody, timeout=patience_s)
    # Born while their parent was stopping: they belong to its session as well.
    stubborn += [process for found in records for process in family(found, others) if process not in stubborn]
    for process in stubborn:
        _signal(process, "kill")
    psutil.wait_procs(stubborn, timeout=5)
    for found in records:
        (folder / f"{found.name}.process.json").unlink(missing_ok=True)
    return stopped


def memory_mb(folder: Path) -> dict[str, float]:
    """Return the proportional memory (PSS) in MB of each recorded process with its children."""
    records = recorded(folder)
    return {found.name: pss_mb(process.pid for process in family(found, records)) for found in records}


def family(found: ProcessRecord, others: Sequence[ProcessRecord] = ()) -> list[psutil.Process]:
    """Return the process, its descendants and what its session left behind; never a stranger.

    A child whose parent was killed is no descendant any more, but its session keeps the leader's id
    from being reused: either the leader is ours, or nobody has that id. A task may have started one
    of the others, as the first training starts the Ray head: that one stands for itself.
    """
    leader = alive(found)
    if leader is None and psutil.pid_exists(found.pid) and not _is_zombie(found):
        return []
    members = [] if leader is None else [leader]
    for process in psutil.process_iter():
        if process.pid != found.pid and _session(process.pid) == found.pid:
            members.append(process)
    apart = {other.pid for other in others if other.pid != found.pid}
    for process in members:  # grows while it is walked
        with contextlib.suppress(psutil.NoSuchProcess):
            members += [child for child in process.children() if child.pid not in apart and child not in members]
    return members


def tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log; empty when there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _is_zombie(found: ProcessRecord) -> bool:
    """Return whether our own leader has ended and only waits to be collected by its parent."""
    try:
        process = psutil.Process(found.pid)
        same = abs(process.create_time() - found.started) < START_TOLERANCE_S
        return bool(same and process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, how: str) -> None:
    try:
        getattr(process, how)()
    except psutil.NoSuchProcess:
        return
