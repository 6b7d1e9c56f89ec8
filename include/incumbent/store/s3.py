"""Blobs in an S3 bucket, created with `If-None-Match: *`.

A reply can be lost after the object was created. The retry is then told that the name is taken, by its own
object: what is there is read back, and the same bytes are a success that this call may or may not have made.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from typing_extensions import override

from incumbent.errors import StoreError, UnavailableError
from incumbent.store.blobs import DeltaBlobs
from incumbent.store.place import Status

ENDPOINT = "AWS_ENDPOINT_URL"
ENVIRONMENT = {
    "endpoint": ENDPOINT,
    "region": "AWS_DEFAULT_REGION",
    "key": "AWS_ACCESS_KEY_ID",
    "secret": "AWS_SECRET_ACCESS_KEY",
    "token": "AWS_SESSION_TOKEN",
}
CONFLICTS = 10
TAKEN = ("PreconditionFailed", "412")
CONFLICT = ("ConditionalRequestConflict", "OperationAborted", "409")
MISSING = ("NoSuchKey", "404", "NotFound")
REFUSED = ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "NoSuchBucket")
CHUNK = 2**20


class Described(NamedTuple):
    """What an object says of itself.

    Attributes:
        etag: Changes with the content.
        metadata: What was given to it, by names in small letters.
    """

    etag: str
    metadata: dict[str, str]


class S3Blobs(DeltaBlobs):
    """A bucket and a prefix.

    Args:
        url: `s3://bucket/prefix`.
        options: `endpoint`, `region`, `key`, `secret`, `token`; what is missing comes from boto3's own chain
            (environment, instance role).
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        self.bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
        self.prefix = f"{prefix}/" if prefix else ""
        self.options = dict(options or {})

    def __reduce__(self) -> tuple[type[S3Blobs], tuple[str, dict[str, str]]]:
        return S3Blobs, (self.url, self.options)  # a client belongs to its process

    @override
    def below(self, folder: str) -> S3Blobs:
        below = S3Blobs(f"{self.url}/{folder}", self.options)
        below.__dict__.update(session=self.session, client=self.client)  # one connection pool for all views
        return below

    @override
    def environment(self) -> dict[str, str]:
        return {ENVIRONMENT[name]: value for name, value in self.options.items() if value}

    @override
    def create(self, name: str, data: bytes) -> bool:
        for attempt in range(CONFLICTS):
            try:
                self._call("put_object", name, Body=data, IfNoneMatch="*")
                return True
            except _Answered as error:
                if error.code in TAKEN:
                    return False
                time.sleep(0.05 * 2**attempt)  # another create of the same name is under way
        raise UnavailableError(
            "a conditional write kept meeting others",
            where=f"{self.url}/{name}",
            expected=f"an answer within {CONFLICTS} attempts",
            found="409 each time",
            next_step="run the task again; look at who else writes this name",
        )

    @override
    def create_from(self, name: str, file: Path) -> bool:
        # Named by its content: two uploads of it are the same bytes, and a multipart upload has no condition.
        try:
            if self.has(name):
                return False
            with self._asked(name):
                self.client.upload_file(str(file), self.bucket, self.prefix + name)
            return True
        finally:
            file.unlink(missing_ok=True)

    @override
    def read(self, name: str) -> bytes:
        return b"".join(self._chunks(name))

    @override
    def has(self, name: str) -> bool:
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        return True

    @override
    def size(self, name: str) -> int:
        return int(self._call("head_object", name)["ContentLength"])

    @override
    def modified(self, name: str) -> datetime:
        modified: datetime = self._call("head_object", name)["LastModified"]
        return modified

    @override
    def sha256(self, name: str) -> str:
        digest = hashlib.sha256()
        for chunk in self._chunks(name):
            digest.update(chunk)
        return digest.hexdigest()

    @override
    def open(self, name: str) -> pa.NativeFile:
        return self._copy(name)[0]

    @override
    def open_verified(self, name: str, digest: str) -> pa.NativeFile:
        try:
            copy, found = self._copy(name)
        except FileNotFoundError as error:
            raise self.missing(name, digest) from error
        self.check(name, digest, found)
        return copy

    @override
    def names(self, folder: str = "") -> list[str]:
        return sorted(each["Key"].removeprefix(self.prefix) for each in self._listed(folder, "Contents"))

    @override
    def folders(self, folder: str = "") -> list[str]:
        found = self._listed(folder, "CommonPrefixes", Delimiter="/")
        return sorted(each["Prefix"].rstrip("/").rpartition("/")[2] for each in found)

    @override
    def remove(self, name: str) -> None:
        self._call("delete_object", name)

    def listed(self, begin: str) -> dict[str, Status]:
        """Return the objects whose names begin so, in one request for a thousand."""
        found = self._listed("", "Contents", begin=begin)
        return {each["Key"].removeprefix(self.prefix): _status(each, each["Size"]) for each in found}

    def status(self, name: str) -> Status:
        """Return what a listing says of one object; raises FileNotFoundError."""
        found = self._call("head_object", name)
        return _status(found, found["ContentLength"])

    def stream(self, name: str) -> Iterator[bytes]:
        """Yield an object as it is now, in chunks: one that is replaced meanwhile is read to its end as it was."""
        with self._asked(name):
            yield from self._chunks(name)

    def replace_from(self, name: str, file: Path) -> None:
        """Put a file under a name, also a taken one: readers see the old object or the new one."""
        with self._asked(name):
            self.client.upload_file(str(file), self.bucket, self.prefix + name)

    def described(self, name: str) -> Described | None:
        """Return what an object says of itself; None if there is none."""
        try:
            found = self._call("head_object", name)
        except FileNotFoundError:
            return None
        return Described(str(found["ETag"]), dict(found["Metadata"]))

    def put_if(self, name: str, file: Path, etag: str | None, metadata: Mapping[str, str]) -> bool:
        """Put a file under a name if what is there is still what was seen; return whether it was.

        Args:
            name: Name of the object.
            file: At most 5 GiB.
            etag: Of the object that was seen; None if there was none.
            metadata: What the object will say of itself.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        with file.open("rb") as body:
            try:
                self._call("put_object", name, Body=body, Metadata=dict(metadata), **condition)
            except (_Answered, FileNotFoundError):  # replaced, being replaced, or removed since
                return False
        return True

    @override
    def delta(self) -> tuple[str, dict[str, str]]:
        found = self.session.get_credentials()
        keys = None if found is None else found.get_frozen_credentials()  # those of a role expire: asked for each time
        endpoint = self.options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get(ENDPOINT, "")
        options = {
            ENDPOINT: endpoint,
            "AWS_ALLOW_HTTP": "true" if endpoint.startswith("http://") else "",
            "AWS_REGION": self.client.meta.region_name,
            "AWS_ACCESS_KEY_ID": keys and keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys and keys.secret_key,
            "AWS_SESSION_TOKEN": keys and keys.token,
            "AWS_CONDITIONAL_PUT": "etag",
        }
        return self.url, {name: value for name, value in options.items() if value}

    @cached_property
    def session(self) -> Any:
        """boto3's session: the credentials of the options, else of its own chain."""
        import boto3

        options = self.options
        return boto3.Session(
            aws_access_key_id=options.get("key"),
            aws_secret_access_key=options.get("secret"),
            aws_session_token=options.get("token"),
            region_name=options.get("region"),
        )

    @cached_property
    def client(self) -> Any:
        """boto3's client of this place."""
        from botocore.config import Config

        config = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=30)
        return self.session.client("s3", endpoint_url=self.options.get("endpoint"), config=config)

    def _call(self, operation: str, name: str, **arguments: Any) -> Any:
        with self._asked(name):
            return getattr(self.client, operation)(Bucket=self.bucket, Key=self.prefix + name, **arguments)

    def _listed(self, folder: str, kind: str, begin: str = "", **arguments: str) -> list[dict[str, Any]]:
        top = self.prefix + (f"{folder}/" if folder else begin)
        with self._asked(folder):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=top, **arguments)
            return [each for page in pages for each in page.get(kind, [])]

    @contextmanager
    def _asked(self, name: str) -> Iterator[None]:
        """Say what a failed call means: not there, taken, refused for good, or worth another try."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        where = f"{self.url}/{name}"
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in MISSING:
                raise FileNotFoundError(where) from error
            if code in (*TAKEN, *CONFLICT):
                raise _Answered(code) from error
            if code in REFUSED:
                hint = "look at the bucket's name and policy, and at the credentials of this process"
                raise StoreError("the store says no", where=where, found=code, next_step=hint) from error
            raise _no_answer(where, error) from error
        except (BotoCoreError, Boto3Error) as error:
            raise _no_answer(where, error) from error

    def _copy(self, name: str) -> tuple[pa.NativeFile, str]:
        """Return a copy on this machine, which is gone with its last reader, and its digest."""
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(prefix="incumbent-") as held:
            for chunk in self._chunks(name):
                digest.update(chunk)
                held.write(chunk)
            held.flush()
            return pa.OSFile(held.name, "rb"), digest.hexdigest()

    def _chunks(self, name: str) -> Iterator[bytes]:
        yield from self._call("get_object", name)["Body"].iter_chunks(CHUNK)


def _no_answer(where: str, error: Exception) -> UnavailableError:
    return UnavailableError(
        "the store does not answer",
        where=where,
        expected="S3",
        found=" ".join(str(error).split()),
        next_step="look at the endpoint and the network; the task tries again by itself",
    )


def _status(found: Mapping[str, Any], size: int) -> Status:
    modified: datetime = found["LastModified"]
    return Status(size, int(modified.timestamp()) * 10**9, str(found["ETag"]).strip('"'))


class _Answered(Exception):
    """S3 said that the name is taken, or that another create of it is under way."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
