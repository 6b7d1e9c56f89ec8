"""Answer for one peer, in its own environment: questions as JSON lines come in, answers as JSON lines go out.

It is started by path and imports nothing of this project: what a peer needs may not fit with what we need.

A question is `{"kind": "drift", "reference": FILE, "batches": [FILE, …], "numbers": […], "levels": […], "used": […],
"past": N}`, and its answer a list with a mapping of rule to yes or no for each batch. `{"kind": "labelled", …}` asks
for the labels and predictions of a stream. Files are Parquet.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer every question of the standard input."""
    warnings.filterwarnings("ignore")
    answers, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr  # a peer may print; answers are JSON alone
    peer = _load(Path(__file__).parent / sys.argv[1] / "decide.py")
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer: Any = getattr(peer, question["kind"])(question)
        except Exception:  # what a peer cannot answer is its answer
            answer = {"error": traceback.format_exc(limit=-1)}
        print(json.dumps(answer), file=answers, flush=True)


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("decide", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
