"""The chosen rows of a fit as one file of the store, from which every worker of a group takes them."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.errors import StoreError
from incumbent.estimators.encoding import Encoder, Matrix
from incumbent.estimators.shards import Chosen
from incumbent.records import canonical_json
from incumbent.store.blobs import Blobs
from incumbent.train.checkpoints import Checkpoints
from incumbent.train.flat import Flat
from incumbent.train.rows import TrainingRows
from incumbent.train.work import Prepared

SUFFIX = ".rows.parquet"
SAID = b"incumbent.prepared"


def share(checkpoints: Checkpoints, prepared: Prepared) -> tuple[str, int]:
    """Write down what was prepared; return the name under which `shared` finds it, and its row groups."""
    rows = prepared.rows
    said = {
        "features": rows.features,
        "categories": prepared.encoder.categories,
        "classes": prepared.encoder.classes,
        "class_weight": prepared.class_weight,
        "flat": asdict(prepared.flat),
        "bins": None if prepared.bins is None else _text(prepared.bins),
    }
    roles = [(0, each) for each in rows.train] + [(1, each) for each in rows.validation]
    tables = [_table(role, each) for role, each in roles]
    file = checkpoints.blobs.staging() / f"{secrets.token_hex(8)}{SUFFIX}"
    schema = tables[0].schema.with_metadata({SAID: canonical_json(said)})
    with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
        for table in tables:
            writer.write_table(table.cast(schema))
    with file.open("rb") as handle:
        name = f"{prepared.row_groups:06d}-{hashlib.file_digest(handle, 'sha256').hexdigest()}{SUFFIX}"
    checkpoints.put(name, file)
    return name, prepared.row_groups


def shared(blobs: Blobs, name: str) -> Prepared:
    """Return what `share` wrote down.

    Raises:
        StoreError: The file has changed.
        FileNotFoundError: There is none.
    """
    with blobs.open_verified(name, _digest(name)) as source:
        file = pq.ParquetFile(source)
        said = json.loads(file.schema_arrow.metadata[SAID])
        roles: tuple[list[Chosen], list[Chosen]] = ([], [])
        for number in range(file.num_row_groups):
            _add(roles, file.read_row_group(number))
    features = tuple(said["features"])
    categories = {name: tuple(levels) for name, levels in said["categories"].items()}
    encoder = Encoder(features, categories, tuple(said.get("classes", ())))
    rows = TrainingRows(tuple(roles[0]), tuple(roles[1]), features)
    bins = None if said["bins"] is None else _numbers(*said["bins"])
    flat = Flat(**{what: tuple(names) for what, names in said.get("flat", {}).items()})
    return Prepared(rows, encoder, bins, said["class_weight"], int(name.partition("-")[0]), flat)


def found(blobs: Blobs) -> tuple[str, int] | None:
    """Return what `share` returned to an earlier attempt, if it is there and unchanged: it can be made again."""
    for name in blobs.names():
        if name.endswith(SUFFIX) and "/" not in name:
            with suppress(StoreError):
                blobs.open_verified(name, _digest(name)).close()
                return name, int(name.partition("-")[0])
    return None


def _digest(name: str) -> str:
    return name.removesuffix(SUFFIX).partition("-")[2]


def _text(bins: Matrix) -> tuple[list[int], str]:
    return list(bins.shape), b64encode(np.ascontiguousarray(bins).tobytes()).decode()


def _numbers(shape: list[int], text: str) -> Matrix:
    return np.frombuffer(b64decode(text), dtype=np.float32).reshape(shape)


def _table(role: int, chosen: Chosen) -> pa.Table:
    count = len(chosen.positions)
    weights = pa.nulls(count, pa.float32()) if chosen.weights is None else pa.array(chosen.weights)
    return pa.table(
        {
            "role": pa.array(np.full(count, role, np.int8)),
            "file": pa.array(np.full(count, chosen.file, np.int32)),
            "position": pa.array(chosen.positions),
            "label": pa.array(chosen.labels),
            "weight": weights,
        }
    )


def _add(roles: tuple[list[Chosen], list[Chosen]], table: pa.Table) -> None:
    """Put the rows of a row group, which are of one role and one file, behind those that are there."""
    role, file = table["role"][0].as_py(), table["file"][0].as_py()
    weights = None if table["weight"].null_count else table["weight"].to_numpy()
    chosen = Chosen(file, table["position"].to_numpy(), table["label"].to_numpy(), weights)
    into = roles[role]
    if into and into[-1].file == file:  # a file's rows are more than a row group holds
        last = into.pop()
        weights = None if weights is None or last.weights is None else np.concatenate([last.weights, weights])
        chosen = Chosen(
            file,
            np.concatenate([last.positions, chosen.positions]),
            np.concatenate([last.labels, chosen.labels]),
            weights,
        )
    into.append(chosen)
