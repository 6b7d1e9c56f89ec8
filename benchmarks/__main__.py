"""`make bench`: run the benchmarks, one or all; the exit code is 0 whether or not goals hold."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.harness import run
from incumbent.embedded.settings import Settings

NAMES = (
    "orchestration", "leaks", "ingest", "corpus", "train", "score", "serve", "search", "alone", "drift", "decisions",
    "replay",
)  # fmt: skip


def main() -> int:
    """Run what was asked for and say what falls short."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help=", ".join(NAMES))
    names = parser.parse_args().names or NAMES
    folder = Settings.from_env(os.environ, Path.cwd()).home / "bench"
    missed = {name: run(name, import_module(f"benchmarks.{name}").measure, folder) for name in names}
    short = [
        f"{name}: {found.metric} {found.value} {found.unit}, goal {found.wanted}"
        for name in names
        for found in missed[name]
    ]
    print("\nfalls short:\n  " + "\n  ".join(short) if short else "\nevery goal holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
