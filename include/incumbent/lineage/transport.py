"""Where events go: appended to a file, one JSON a line, or posted to an OpenLineage endpoint."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from incumbent.lineage.event import Event
from incumbent.records import digest_of

UNREACHABLE, REFUSED, UNWRITABLE = "lineage_unreachable", "lineage_refused", "lineage_unwritable"
ENDPOINT = "/api/v1/lineage"
TIMEOUT_S = 3.0


class NotTold(Exception):
    """An event did not arrive.

    Attributes:
        reason: A code: `lineage_unreachable`, `lineage_refused` or `lineage_unwritable`.
        found: What was found, without what the other side has said: it may repeat anything.
    """

    def __init__(self, reason: str, found: str) -> None:
        super().__init__(f"{reason}: {found}")
        self.reason = reason
        self.found = found


class Transport(Protocol):
    """A way to tell events.

    Attributes:
        name: Where they go, for people: no secret, and no path of a URL.
        id: Digest of where they go: what was told there is remembered under it.
    """

    name: str
    id: str

    def tell(self, events: Sequence[Event]) -> None:
        """Tell some events, in their order.

        Raises:
            NotTold: One of them did not arrive.
        """


def transport_to(address: str, token: str = "") -> Transport:
    """Return the way to a URL, or to a file.

    Args:
        address: `http://` or `https://` URL; without a path that of OpenLineage's API is taken. Else a file.
        token: Sent as a bearer token to a URL; empty for none.
    """
    return Endpoint(address, token) if "://" in address else File(Path(address))


class File:
    """A file of events, which others may append to at the same time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self.id = digest_of(str(path).encode())[:16]

    def tell(self, events: Sequence[Event]) -> None:
        """Append events: all of them or, as far as anybody can see, none."""
        data = "".join(f"{line(event)}\n" for event in events).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
        except OSError as error:
            raise NotTold(UNWRITABLE, f"{type(error).__name__}: {error.strerror}") from error


class Endpoint:
    """An OpenLineage HTTP endpoint.

    Args:
        url: Its URL.
        token: Bearer token; empty for none.
        timeout_s: Longest wait for the connection, and for each step of the answer.
    """

    def __init__(self, url: str, token: str = "", timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        self.url = url if parts.path.strip("/") else f"{url.rstrip('/')}{ENDPOINT}"
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.id = digest_of(self.url.encode())[:16]
        self.timeout_s = timeout_s
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})

    def tell(self, events: Sequence[Event]) -> None:
        """Post events, one after the other."""
        for event in events:
            self._post(line(event).encode())

    def _post(self, data: bytes) -> None:
        # Here, for a task that tells nobody anything shall not load it.
        from http.client import HTTPException
        from urllib.error import HTTPError
        from urllib.request import HTTPRedirectHandler, Request, build_opener

        class Stays(HTTPRedirectHandler):
            """Follow no other address: the token is for this one."""

            def redirect_request(self, *_: object, **__: object) -> None:
                return None

        request = Request(self.url, data, self._headers, method="POST")  # noqa: S310 - settings let http(s) in alone
        try:
            with build_opener(Stays).open(request, timeout=self.timeout_s):
                pass
        except HTTPError as error:
            error.close()
            raise NotTold(REFUSED, f"HTTP status {error.code}") from None
        except (OSError, HTTPException) as error:
            cause = getattr(error, "reason", None) or error
            raise NotTold(UNREACHABLE, type(cause).__name__) from None


def line(event: Event) -> str:
    """Return an event as one line of JSON.

    Raises:
        ValueError: A number is none that JSON has.
    """
    return json.dumps(event, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
