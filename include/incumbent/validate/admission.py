"""Take a file in: a private copy that nobody replaces, hashed, and read by a process that may die of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from incumbent.admit.order import FORMATS, MAX_RATIO, Order, Reason, Refused
from incumbent.admit.read import admitted
from incumbent.errors import BatchError
from incumbent.store.place import Place
from incumbent.validate.contract import SourceContract
from incumbent.validate.delivered import DeliveredRows
from incumbent.validate.hashing import hashed

CHUNK = 2**20
LEAST_S = 120
SLOWEST = 2**20  # bytes that are read in a second, at the least
BARE = 128 * 2**20  # bytes that reading any file may take
COLUMN = 8 * 2**20  # and more for each column: its window, its page, its values


def copied(path: Place, folder: Path, max_bytes: int) -> tuple[Path | None, str]:
    """Copy a file into a private folder; return the copy and its SHA-256. One that is too large is only hashed.

    Raises:
        BatchError: There is no file, or it cannot be read.
    """
    if not path.is_file():
        found = "nothing" if not path.exists() else "a folder"
        raise refusal(path, Refused(Reason.NOT_FOUND, "there is no such file", expected="a file", found=found))
    copy = folder / f"delivery{path.suffix}"
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as theirs, copy.open("wb") as ours:
            while chunk := theirs.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                if size <= max_bytes:
                    ours.write(chunk)
    except OSError as error:
        closed = Refused(Reason.NOT_FOUND, "the file cannot be opened", expected="a file that may be read", found=error)
        raise refusal(path, closed) from error
    return (copy if size <= max_bytes else None), digest.hexdigest()


def admit(
    path: Place, copy: Path | None, contract: SourceContract, rows: DeliveredRows, secret: bytes = b""
) -> dict[str, str]:
    """Load the rows of a copied file in the contract's columns and types, in file order; return what is worth noting.

    Args:
        path: The delivered file, for messages.
        copy: Its private copy; None if the file is too large.
        contract: The source's contract.
        rows: Where they go.
        secret: What the columns are hashed with that the contract says are.

    Raises:
        BatchError: The file is empty, unreadable, too large, or its columns do not fit;
            the message names the file, the column, what was expected and what was found.
        UnavailableError: The process that reads it was ended from outside.
    """
    try:
        if copy is None:
            limit = f"at most {contract.policy.max_bytes} bytes"
            raise Refused(Reason.TOO_LARGE, "the file is too large", expected=limit, found=path.stat().st_size)
        if copy.stat().st_size == 0:
            raise Refused(Reason.EMPTY_INPUT, "the file is empty", expected="rows", found="0 bytes")
        with admitted(order_of(copy, contract)) as found:
            rows.load(hashed(found.rows, contract, secret))
    except Refused as refused:
        raise refusal(path, refused) from refused
    quiet = ("added",) if contract.evolution.added == "drop" else ()
    return {f"columns.{policy}": f"warn: {names}" for policy, names in found.notes.items() if policy not in quiet}


def refusal(path: Place, refused: Refused) -> BatchError:
    """Return what a file is refused for, with what to do about it."""
    return BatchError(
        refused.what,
        reason=refused.reason,
        where=f"{path}" + (f", column {refused.column}" if refused.column else ""),
        expected=refused.expected,
        found=refused.found,
        next_step="ask the sender for a corrected file and drop it under the same name",
    )


def order_of(copy: Path, contract: SourceContract) -> Order:
    """Return what the reading process is told about a file."""
    policy, size = contract.policy, copy.stat().st_size
    return Order(
        path=str(copy),
        format=FORMATS.get(copy.suffix, "parquet"),
        columns={name: column.dtype for name, column in contract.columns.items()},
        nullable=tuple(name for name, column in contract.columns.items() if column.nullable),
        nulls=contract.nulls,
        **contract.evolution.model_dump(),
        max_rows=policy.max_rows,
        max_unpacked=10 * policy.max_bytes,
        # One text that is said a thousand times fills a gigabyte from a file of kilobytes.
        memory=min(Order.memory, BARE + COLUMN * len(contract.columns) + MAX_RATIO * size),
        private=contract.private,
        seconds=LEAST_S + size // SLOWEST,
    )
