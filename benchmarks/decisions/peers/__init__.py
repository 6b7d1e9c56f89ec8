"""Real packages of others, each asked in an environment of its own.

An environment is made when it is first needed, below the bench's folder, from the peer's hashed lock. A peer that
cannot be installed or does not answer is a line that says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
DRIFT = ("evidently", "nannyml", "alibi_detect", "frouros", "whylogs")
LABELLED = ("river",)
INSTALL_S, ANSWER_S = 900, 1800
# A peer that reports its use to its makers would measure the network.
QUIET = {
    "DO_NOT_TRACK": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "WHYLOGS_NO_ANALYTICS": "True",
    "PYTHONWARNINGS": "ignore",
    "OMP_NUM_THREADS": "1",
}
Said = Mapping[str, bool]


@dataclass(frozen=True)
class Question:
    """Batches that are judged against one reference.

    Attributes:
        reference: Rows of the past, with `score` and `label`.
        batches: What is judged.
        numbers, levels: Names of number and of text columns.
        used: Columns that the champion uses.
        past: Batches that the reference was put together from.
    """

    reference: pa.Table
    batches: Sequence[pa.Table]
    numbers: Sequence[str] = ()
    levels: Sequence[str] = ()
    used: Sequence[str] = ()
    past: int = 1


@dataclass(frozen=True)
class Answers:
    """What a peer says.

    Attributes:
        peer: Its name.
        said: For each question, for each batch, the answer of each of its rules.
        errors: Batches at which it raised; that stops a pipeline, and so it counts as an alarm.
        seconds: Processor-bound time a batch, with the start.
        missing: Why there is nothing; empty when there is.
    """

    peer: str
    said: Sequence[Sequence[Said]]
    errors: int = 0
    seconds: float = 0.0
    missing: str = ""


def ask(peer: str, questions: Sequence[Question], home: Path, kind: str = "drift") -> Answers:
    """Return what a peer says about batches.

    Args:
        peer: Its folder here.
        questions: What is asked; the peer is started once for all.
        home: Folder of the environments.
        kind: `drift`, or `labelled` for streams of labels and predictions.
    """
    try:
        python = environment(peer, home)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        return Answers(peer, (), missing=f"could not be installed: {_last(said)}")
    with TemporaryDirectory(prefix="incumbent-peer-") as folder:
        lines = "\n".join(json.dumps(_written(each, Path(folder) / str(at), kind)) for at, each in enumerate(questions))
        began = time.monotonic()
        try:
            done = subprocess.run(
                [python, "-P", str(HERE / "run.py"), peer],
                input=lines, capture_output=True, text=True, timeout=ANSWER_S, check=True, env={**os.environ, **QUIET},
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            return Answers(peer, (), missing=f"did not answer: {_last(getattr(error, 'stderr', '') or str(error))}")
        seconds = time.monotonic() - began
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if broken := [answer["error"] for answer in answers if isinstance(answer, dict)]:
        return Answers(peer, (), missing=f"raised: {_last(broken[0])}")
    errors = sum("error" in said for answer in answers for said in answer)
    return Answers(peer, answers, errors, seconds / max(1, sum(len(answer) for answer in answers)))


def environment(peer: str, home: Path) -> str:
    """Return the Python of a peer's environment; made from its lock when there is none of this lock.

    Raises:
        OSError: uv is missing.
        subprocess.SubprocessError: The packages cannot be installed.
    """
    lock = HERE / peer / "requirements.txt"
    folder = home / f"{peer}-{sha256(lock.read_bytes()).hexdigest()[:12]}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        uv = str(Path(sys.executable).parent / "uv")
        quiet = {"capture_output": True, "text": True, "timeout": INSTALL_S, "check": True}
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], **quiet)  # type: ignore[call-overload]
        install = [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(lock)]
        subprocess.run(install, **quiet)  # type: ignore[call-overload]
        ready.touch()
    return str(python)


def _written(question: Question, folder: Path, kind: str) -> Mapping[str, object]:
    folder.mkdir(parents=True)
    names = ["reference", *map(str, range(len(question.batches)))]
    files = [str(folder / f"{name}.parquet") for name in names]
    for file, rows in zip(files, [question.reference, *question.batches], strict=True):
        pq.write_table(rows, file)
    return {
        "kind": kind,
        "reference": files[0],
        "batches": files[1:],
        "numbers": list(question.numbers),
        "levels": list(question.levels),
        "used": list(question.used),
        "past": question.past,
    }


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else "nothing was said"
