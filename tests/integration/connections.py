"""To which other machines the stack's processes speak."""

import contextlib
import ipaddress
import threading
from pathlib import Path
from typing import Self

import psutil

from incumbent.embedded import processes

LOOK_S = 3.0


class Connections:
    """Looks again and again at every connection of every process of a stack.

    Between two looks a connection can come and go; one that has no way out, as here, tries for minutes.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.strangers: frozenset[str] = frozenset()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_S):
            mine = {address.address for found in psutil.net_if_addrs().values() for address in found}
            self.strangers |= frozenset(self._found(mine))

    def _found(self, mine: set[str]) -> set[str]:
        found = set()
        records = processes.recorded(self.run)
        for process in (member for record in records for member in processes.family(record, records)):
            with contextlib.suppress(psutil.Error):
                for connection in process.net_connections("inet"):
                    if connection.raddr and _is_elsewhere(connection.raddr.ip, mine):
                        found.add(f"{process.name()} to {connection.raddr.ip}:{connection.raddr.port}")
        return found


def _is_elsewhere(address: str, mine: set[str]) -> bool:
    plain = ipaddress.ip_address(address)
    plain = getattr(plain, "ipv4_mapped", None) or plain
    return not plain.is_loopback and str(plain) not in mine
