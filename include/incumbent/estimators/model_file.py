"""What all model files have in common: a digest, a seal that says what the numbers mean, a first parse in a child."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from incumbent.errors import ModelError
from incumbent.estimators.encoding import Encoder
from incumbent.records import ModelVersion, canonical_json, digest_of

SEAL = "incumbent"
FIRST_PARSE_S = 20.0


def seal_of(encoder: Encoder, definition: str, snapshot: str) -> str:
    """Return what a model file says of itself.

    The same model over another vocabulary is another model. With the vocabulary, the feature definition and the
    training set inside, the file's digest names all of it, and a manifest cannot say something else.
    """
    categories = {name: list(levels) for name, levels in encoder.categories.items()}
    said = {"features": list(encoder.features), "categories": categories, "definition": definition}
    classes = {"classes": list(encoder.classes)} if encoder.classes else {}
    return canonical_json({**said, **classes, "snapshot": snapshot}).decode()


def check_seal(found: str | None, version: ModelVersion) -> None:
    """Refuse a manifest that says something else than the model file; a file without a seal says nothing.

    Raises:
        ModelError: Features, vocabulary, classes, definition or snapshot differ.
    """
    encoder = Encoder(version.features, version.categories, version.classes)
    expected = seal_of(encoder, version.definition, version.snapshot)
    if found is not None and found != expected:
        raise ModelError(
            "the manifest says something else than the model file",
            where=f"version {version.digest[:16]}",
            expected=found[:200],
            found=expected[:200],
            next_step="restore the manifest from a backup; run `incumbent store check`",
        )


def check_digest(data: bytes, expected_digest: str) -> None:
    """Refuse bytes that are not what they should be.

    Raises:
        ModelError: They are other bytes.
    """
    if (found := digest_of(data)) != expected_digest:
        raise ModelError(
            "the model file is not the one that was promoted",
            where=f"version {expected_digest[:16]}",
            expected=f"SHA-256 {expected_digest}",
            found=f"SHA-256 {found}",
            next_step="restore the object from a backup; run `incumbent store check`",
        )


def survive(script: str, arguments: Sequence[str], data: bytes, digest: str, library: str) -> None:
    """Have a child process parse bytes first: a malformed file can kill the process that parses it.

    Args:
        script: Path of a script that takes the bytes on standard input and returns 0 if they can be parsed.
        arguments: Of the script.
        data: The model file.
        digest: Names the version.
        library: Names who is to parse it.

    Raises:
        ModelError: The child said no, died, or came to no end.
    """
    command = [sys.executable, "-I", script, *arguments]
    said = ""
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=FIRST_PARSE_S, check=False)
        code, how = (
            done.returncode,
            f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}",
        )
        said = " ".join(done.stderr.decode(errors="replace").split())[-200:]
    except subprocess.TimeoutExpired:
        code, how = 1, f"no end within {FIRST_PARSE_S:.0f} s"
    if code:
        raise ModelError(
            f"model unreadable ({how})",
            where=f"version {digest[:16]}",
            expected=f"a model file that {library} can parse",
            found=f"a child process that parsed it ended with {how}" + (f": {said}" if said else ""),
            next_step="roll back to an earlier generation",
        )
