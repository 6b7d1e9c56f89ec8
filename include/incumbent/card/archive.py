"""A zip that is the same bytes for the same files, with a list of digests and a signature over that; and the look back.

Nothing is compressed: the output of a compressor depends on its version, and so would the bytes.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from incumbent.card.signature import Signer, is_signed
from incumbent.errors import ConfigError, StoreError

SUMS, SIGNATURE, PUBLIC = "SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.pub"
BESIDE = (SUMS, SIGNATURE, PUBLIC)
FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip knows
MODE = 0o100644 << 16
UNIX = 3
MOST_SUMS = 16 * 2**20


@dataclass(frozen=True)
class Verified:
    """What a look at an archive has found.

    Attributes:
        files: How many files have the digest that the list says.
        problems: What is not as it should be, a sentence each.
        is_signed: Whether the list has a signature.
        vouched: Whether it is by the key that the caller trusts; None if no key was given.
    """

    files: int
    problems: tuple[str, ...]
    is_signed: bool
    vouched: bool | None


def archive(files: Mapping[str, bytes], signer: Signer | None) -> bytes:
    """Return a zip of files, with their digests, and a signature if there is a key."""
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()
    signed = {} if signer is None else {SIGNATURE: signer.sign(sums), PUBLIC: signer.public}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:
        for name, data in sorted({**files, SUMS: sums, **signed}.items()):
            entry = zipfile.ZipInfo(name, FIRST_DAY)
            entry.external_attr, entry.create_system = MODE, UNIX
            made.writestr(entry, data)
    return out.getvalue()


def verify(path: Path, key: bytes | None, where: str = "") -> Verified:
    """Look at each file of an archive, at the list, and at its signature; nothing is unpacked.

    Args:
        path: The archive.
        key: Public key that the caller trusts; None to verify digests only.
        where: Where the key is from, for messages.

    Raises:
        ConfigError: There is no such file.
        StoreError: It is no archive that can be read, or has no list.
    """
    try:
        with zipfile.ZipFile(path) as found:
            return _verified(found, key, where)
    except FileNotFoundError as error:
        raise ConfigError(
            "there is no such file", where=str(path), found=error.strerror, next_step="name a file of version evidence"
        ) from error
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, NotImplementedError, RuntimeError, OSError) as error:
        raise StoreError(
            "this is no evidence that can be read",
            where=str(path),
            expected=f"a zip with {SUMS}",
            found=" ".join(str(error).split())[:200],
            next_step="ask whoever gave it to you for another copy",
        ) from error


def _verified(found: zipfile.ZipFile, key: bytes | None, where: str) -> Verified:
    names = found.namelist()
    if found.getinfo(SUMS).file_size > MOST_SUMS:
        raise zipfile.BadZipFile(f"{SUMS} is too large")
    sums = found.read(SUMS)
    listed: dict[str, str] = {}
    for line in sums.decode().splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    problems = [f"{name} is there twice" for name in sorted({name for name in names if names.count(name) > 1})]
    problems += [f"{name} is missing" for name in sorted(listed.keys() - set(names))]
    problems += [f"{name} is in no list" for name in sorted(set(names) - listed.keys() - set(BESIDE))]
    wrong = [name for name in sorted(listed.keys() & set(names)) if _digest(found, name) != listed[name]]
    problems += [f"{name} was altered" for name in wrong]
    signature = found.read(SIGNATURE) if SIGNATURE in names else b""
    vouched = None if key is None else is_signed(key, where, sums, signature)
    if signature and vouched is False:
        problems.append("the signature is not by this key")
    if signature and not _is_whole(found, sums, signature):
        problems.append("the signature is not by the key that lies beside it")
    return Verified(len(listed) - len(wrong), tuple(problems), bool(signature), vouched)


def _is_whole(found: zipfile.ZipFile, sums: bytes, signature: bytes) -> bool:
    """Return whether the signature is by the key in the archive: that shows damage, and not who signed."""
    try:
        return is_signed(found.read(PUBLIC), PUBLIC, sums, signature)
    except (KeyError, zipfile.BadZipFile, ConfigError):
        return False


def _digest(found: zipfile.ZipFile, name: str) -> str:
    """Return the digest of a file; none of one that cannot be read."""
    try:
        with found.open(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except zipfile.BadZipFile:
        return ""
