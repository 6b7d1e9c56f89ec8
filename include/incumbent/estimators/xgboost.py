"""XGBoost: boosters in UBJSON, verified before a byte is parsed, parsed first in a child process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost as xgb

from incumbent.errors import ModelError
from incumbent.estimators import first_parse
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.rounds import Given, Rounds
from incumbent.estimators.shards import Shard
from incumbent.estimators.xgboost_rounds import XgboostRounds
from incumbent.records import ModelVersion, canonical_json, digest_of

FIRST_PARSE_S = 20.0
BATCH_ROWS = 262_144
SEAL = "incumbent"


def rounds(given: Given, train: Shard, validation: Shard | None, start: bytes | None) -> Rounds:
    """Begin a fit, or go on from a booster as UBJSON."""
    return XgboostRounds(given, train, validation, start)


def save(booster: xgb.Booster) -> bytes:
    """Return a booster as UBJSON."""
    return bytes(booster.save_raw("ubj"))


def seal(model: bytes, encoder: Encoder, definition: str, snapshot: str) -> bytes:
    """Return a booster file that says what its numbers mean.

    The same trees over another vocabulary are another model. With the vocabulary, the feature definition and
    the training set inside, the file's digest names all of it, and a manifest cannot say something else.
    """
    booster = parse(model)
    booster.set_attr(**{SEAL: _sealed(encoder, definition, snapshot)})
    return save(booster)


def check_seal(booster: xgb.Booster, version: ModelVersion) -> None:
    """Refuse a manifest that says something else than the model file.

    Raises:
        ModelError: Features, vocabulary, definition or snapshot differ.
    """
    found = booster.attr(SEAL)
    expected = _sealed(Encoder(version.features, version.categories), version.definition, version.snapshot)
    if found is not None and found != expected:
        raise ModelError(
            "the manifest says something else than the model file",
            where=f"version {version.digest[:16]}",
            expected=found[:200],
            found=expected[:200],
            next_step="restore the manifest from a backup; run `incumbent store check`",
        )


def load(data: bytes, version: ModelVersion) -> xgb.Booster:
    """Return a version's booster from bytes that are what they should be and that a child process survived.

    Raises:
        ModelError: Other bytes than expected, bytes that cannot be parsed, or another manifest than the file's.
    """
    verify(data, version.digest)
    booster = parse(data)
    check_seal(booster, version)
    return booster


def verify(data: bytes, expected_digest: str) -> None:
    """Refuse bytes that are not what they should be, or that a child process does not survive.

    A malformed file can kill the process that parses it (XGBoost 3.2 segfaults on ten bytes), so
    the digest is checked first and the first parse happens in a child.

    Raises:
        ModelError: Other bytes than expected, or bytes that cannot be parsed.
    """
    if (found := digest_of(data)) != expected_digest:
        raise ModelError(
            "the model file is not the one that was promoted",
            where=f"version {expected_digest[:16]}",
            expected=f"SHA-256 {expected_digest}",
            found=f"SHA-256 {found}",
            next_step="restore the object from a backup; run `incumbent store check`",
        )
    _survive(data, expected_digest)


def parse(data: bytes) -> xgb.Booster:
    """Return a booster from trusted bytes."""
    booster = xgb.Booster()
    booster.load_model(bytearray(data))
    return booster


def predict(booster: xgb.Booster, version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
    """Return one prediction per row, shape (n_rows,); a probability for a binary task."""
    encoder = Encoder(version.features, version.categories)
    out = [np.empty(0)]
    for start in range(0, rows.num_rows, BATCH_ROWS):
        matrix = encoder.matrix(rows.slice(start, BATCH_ROWS))
        data = xgb.DMatrix(
            matrix, feature_names=list(encoder.features), feature_types=encoder.types, enable_categorical=True
        )
        out.append(np.asarray(booster.predict(data), dtype=np.float64))
    return np.concatenate(out)


def importance(model: bytes, features: tuple[str, ...]) -> dict[str, float]:
    """Return each feature's share of the total gain; 0 for one that is never split on."""
    gain = parse(model).get_score(importance_type="total_gain")
    total = sum(gain.values()) or 1.0
    return {name: float(gain.get(name, 0.0)) / total for name in features}


def _sealed(encoder: Encoder, definition: str, snapshot: str) -> str:
    categories = {name: list(levels) for name, levels in encoder.categories.items()}
    said = {"features": list(encoder.features), "categories": categories, "definition": definition}
    return canonical_json({**said, "snapshot": snapshot}).decode()


def _survive(data: bytes, digest: str) -> None:
    library = Path(xgb.__file__).parent / "lib" / "libxgboost.so"
    command = [sys.executable, "-I", first_parse.__file__, str(library)]
    try:
        code = subprocess.run(command, input=data, capture_output=True, timeout=FIRST_PARSE_S, check=False).returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
    except subprocess.TimeoutExpired:
        code, how = 1, f"no end within {FIRST_PARSE_S:.0f} s"
    if code:
        raise ModelError(
            f"model unreadable ({how})",
            where=f"version {digest[:16]}",
            expected="a model file that XGBoost can parse",
            found=f"a child process that parsed it ended with {how}",
            next_step="roll back to an earlier generation",
        )
