"""What a bad delivery costs before it is refused: `make bench ONLY=corpus VARIANTS=2`.

Each file of the corpus (`tests/corpus`) is ingested in a process of its own. Its memory is what that process had at
the most and, as if at the same time, what the one that read the file had; libraries are a good part of both, so what
they take without a file, and with a good one, is told beside it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, figure

VARIANTS = "INCUMBENT_BENCH_VARIANTS"
SEED = "CORPUS_SEED"
SHOWN = 5


@dataclass(frozen=True)
class Cost:
    """What one delivery took.

    Attributes:
        name: Its class, and which variant it is.
        seconds: From the file to the recorded verdict, libraries that are imported on the way included.
        memory: Megabytes of both processes at the most.
    """

    name: str
    seconds: float
    memory: float


def measure() -> Iterator[Figure]:
    """Yield each figure as it is known, after the dearest deliveries by name."""
    variants, seed = int(os.environ.get(VARIANTS, 1)), int(os.environ.get(SEED, "7"), 16)
    with tempfile.TemporaryDirectory(prefix="incumbent-bench-") as name:
        folder = Path(name)
        yield figure("libraries_memory", _apart("libraries")["memory"], "MB")
        _apart("write", str(folder), str(variants), str(seed))
        good, *bad = (Cost(**_apart("deliver", str(order))) for order in sorted(folder.glob("*.order")))
    yield figure("good_delivery", good.seconds, "s")
    yield figure("good_delivery_memory", good.memory, "MB")
    for cost in sorted(bad, key=lambda cost: -cost.seconds)[:SHOWN]:
        print(f"{cost.seconds:8.2f} s   {cost.name}")
    for cost in sorted(bad, key=lambda cost: -cost.memory)[:SHOWN]:
        print(f"{cost.memory:8.0f} MB  {cost.name}")
    yield figure("slowest_bad_delivery", max(cost.seconds for cost in bad), "s", goal=5.0)
    yield figure("largest_bad_delivery_memory", max(cost.memory for cost in bad), "MB", goal=512)


def _apart(step: str, *given: str) -> dict[str, Any]:
    """Run a step in a process of its own, for its memory is measured."""
    command = [sys.executable, "-m", "benchmarks.corpus", step, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{step} {' '.join(given)} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def libraries() -> dict[str, Any]:
    """Import what an ingest needs, and nothing else."""
    import incumbent.validate  # noqa: F401

    return {"memory": _peak_mb()}


def write(folder: str, variants: str, seed: str) -> dict[str, Any]:
    """Write a good file and every bad one, each with what is needed to deliver it; the good one comes first."""
    from tests.corpus.bad import BAD, BATCH
    from tests.corpus.makers import draw, parquet
    from tests.corpus.rows import good

    drawn = [(bad, number) for bad in BAD + BATCH for number in range(int(variants))]
    _put(Path(folder) / "000000.parquet", parquet(good(draw(int(seed), "good"))), "a good file", "", {})
    for at, (bad, number) in enumerate(drawn, start=1):
        content, name = bad.make(draw(int(seed), bad.name, number)), f"{bad.name}, variant {number}"
        _put(Path(folder) / f"{at:06d}.{bad.ending}", content, name, bad.reason, bad.policy)
    return {"files": 1 + len(drawn)}


def _put(file: Path, content: bytes, name: str, reason: str, policy: dict[str, Any]) -> None:
    file.write_bytes(content)
    order = {"name": name, "reason": reason, "file": str(file), "policy": policy}
    file.with_suffix(".order").write_text(json.dumps(order))


def deliver(order: str) -> dict[str, Any]:
    """Deliver one file; that it is refused for another reason than expected is an error here."""
    from tests.corpus.rows import KEY, contract, model

    from incumbent.store import Store
    from incumbent.validate import ingest

    told = json.loads(Path(order).read_text())
    with tempfile.TemporaryDirectory(prefix="incumbent-bench-") as folder:
        store, file = Store(Path(folder)).model("corpus"), Path(told["file"])
        start = time.perf_counter()
        found = ingest(store, model(), contract(**told["policy"]), "events", KEY, file)
        seconds = time.perf_counter() - start
    if found.reason != told["reason"]:
        raise RuntimeError(f"{told['name']}: {found.reason}, not {told['reason']}: {found.message}")
    return asdict(Cost(told["name"], seconds, _peak_mb()))


def _peak_mb() -> float:
    """Return the most memory that this process had and, as if at the same time, its largest child.

    Its own is not taken from `getrusage`, which counts what started it: a child is its parent's copy for a moment.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return (own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024 / 1e6


STEPS: dict[str, Callable[..., dict[str, Any]]] = {"libraries": libraries, "write": write, "deliver": deliver}

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](*sys.argv[2:])))
