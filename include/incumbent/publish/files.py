"""A partition's predictions as one Parquet file below a folder or a prefix, which says itself what it is.

`partition=KEY/predictions.parquet`, as Hive names it. One file is replaced in one step, and only by a newer content: on
a folder under a lock, in a bucket on the condition that the object is still the one that was looked at. The number is
in the file, so that two publications of the same rows are told apart.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.errors import ConfigError, UnavailableError
from incumbent.publish.content import Content, Held, Published, is_newer, outcome
from incumbent.store.crash_points import around
from incumbent.store.log import PARTITION
from incumbent.store.s3 import S3Blobs

FILE, LOCK = "predictions.parquet", ".lock"
MODEL, DIGEST, VERSION = "incumbent-model", "incumbent-digest", "incumbent-version"
LARGEST = 5 * 2**30  # bytes that S3 takes in one request, which alone has a condition
LOCK_S: float = 60
ATTEMPTS = 10


def publish_to_folder(folder: Path, content: Content) -> Published:
    """Replace a partition's file below a folder, unless it is there, or a newer one is.

    Raises:
        ConfigError: The file is not one of this model's.
        UnavailableError: The folder cannot be written, or another attempt does not let go of it.
        StoreError: The content is gone, or the file is of one that the store does not know.
    """
    below = folder / f"{PARTITION}={content.part.partition}"
    file = below / FILE
    try:
        below.mkdir(parents=True, exist_ok=True)
        with _locked(below):
            held = _held(_footer(file), str(file))
            if _stands(held, content, str(file)):
                return outcome(content)
            if held is not None and is_newer(held, content, str(file)):
                return outcome(content, is_there=False)
            for left in below.glob(".*.tmp"):  # by who was killed: nobody else is at work
                left.unlink()
            temporary = below / f".{FILE}.{secrets.token_hex(8)}.tmp"
            with around(f"writing of {FILE}"):
                _write(temporary, content)
                _fsync(temporary)
            if not content.is_current():
                temporary.unlink()
                return outcome(content, is_there=False)
            with around(f"replacement of {FILE}"):
                temporary.replace(file)
                _fsync(below)
            return outcome(content, changed=held is None or held.digest != content.part.digest)
    except OSError as error:
        raise UnavailableError(
            "the folder cannot be written",
            where=str(file),
            found=f"{type(error).__name__}: {error.strerror}",
            next_step="look at the permissions of the folder and at the room that is left; it is tried again",
        ) from error


def publish_to_bucket(blobs: S3Blobs, content: Content) -> Published:
    """Replace a partition's object below a prefix; see `publish_to_folder`.

    Raises:
        ConfigError: The object is not one of this model's, or larger than one request may bring.
        UnavailableError: S3 does not answer, or others keep replacing the object.
        StoreError: S3 says no; or the content is gone, or the object is of one that the store does not know.
    """
    name = f"{PARTITION}={content.part.partition}/{FILE}"
    where = f"{blobs.url}/{name}"
    with tempfile.TemporaryDirectory(prefix="incumbent-") as folder:
        file = Path(folder) / FILE
        for _ in range(ATTEMPTS):
            found = blobs.described(name)
            held = None if found is None else _held(found.metadata, where)
            if _stands(held, content, where):
                return outcome(content)
            if held is not None and is_newer(held, content, where):
                return outcome(content, is_there=False)
            if not file.exists():
                _write(file, content)
                _check_size(file, where)
            if not content.is_current():
                return outcome(content, is_there=False)
            with around(f"object {FILE}"):
                is_put = blobs.put_if(name, file, None if found is None else found.etag, _said(content))
            if is_put:
                return outcome(content, changed=held is None or held.digest != content.part.digest)
    raise UnavailableError(
        "others keep replacing the object",
        where=where,
        expected=f"to replace it within {ATTEMPTS} attempts",
        next_step="run the task again; look at who else writes below this prefix",
    )


def _said(content: Content) -> dict[str, str]:
    return {MODEL: content.model, DIGEST: content.part.digest, VERSION: str(content.number)}


def _held(said: Mapping[str, str] | None, where: str) -> Held | None:
    """Return what a file says of itself; None if there is no file."""
    if said is None:
        return None
    if not {MODEL, DIGEST, VERSION} <= said.keys():
        raise ConfigError(
            "there is a file that nobody has published",
            where=where,
            expected=f"a file that says {MODEL}, {DIGEST} and {VERSION} in its metadata, or none",
            found=", ".join(sorted(said)) or "no metadata",
            next_step="move it away, or name another `path` in `publish` of model.yaml",
        )
    return Held(said[MODEL], said[DIGEST], int(said[VERSION]))


def _stands(held: Held | None, content: Content, where: str) -> bool:
    """Return whether a content is there, and needs no newer number either."""
    if held is None or held.digest != content.part.digest:
        return False
    return not is_newer(held, content, where) and held.number >= content.number


def _write(file: Path, content: Content) -> None:
    batches = content.batches()
    first = next(batches, None)
    schema = (content.schema if first is None else first.schema).remove_metadata()
    with pq.ParquetWriter(file, schema, compression="zstd", store_schema=False) as writer:
        for batch in chain([] if first is None else [first], batches):
            writer.write_batch(batch)
        writer.add_key_value_metadata(_said(content))


def _footer(file: Path) -> dict[str, str] | None:
    """Return the metadata of a Parquet file; none of its own for a file that is none."""
    if not file.exists():
        return None
    try:
        found = pq.read_metadata(file).metadata or {}
    except pa.ArrowInvalid:
        return {}
    return {name.decode(): value.decode() for name, value in found.items() if name.startswith(b"incumbent-")}


def _check_size(file: Path, where: str) -> None:
    if file.stat().st_size > LARGEST:
        raise ConfigError(
            "the file is too large for one request",
            where=where,
            expected=f"at most {LARGEST} bytes",
            found=f"{file.stat().st_size} bytes",
            next_step="publish this model to a table, or to a folder",
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder; the system lets go of it with the process, however that ends."""
    with (folder / LOCK).open("w") as handle:
        end = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise UnavailableError(
                        "another attempt does not let go of the folder",
                        where=str(folder),
                        expected=f"its lock within {LOCK_S} s",
                        next_step="end the other task if it hangs; this one is tried again",
                    ) from error
            time.sleep(0.05)
        yield


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
