"""Why a version is what it is: what it was made of, why it got the seat, and what followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from incumbent.errors import ConfigError
from incumbent.provenance.decided import seat, trained
from incumbent.provenance.link import BROKEN, Link
from incumbent.provenance.scored import Scored, scored_now
from incumbent.records import GateReport, ModelVersion, Promotion, Rebuild, Training
from incumbent.store import ModelStore, generation_name
from incumbent.store.check_walk import Walk


@dataclass(frozen=True)
class Seat:
    """One entry of the ledger that gives a version the seat.

    Attributes:
        entry: The entry.
        written: When it was written, in UTC.
        lost: Why it lost the seat to a rollback; empty if it did not.
    """

    entry: Promotion
    written: str
    lost: str


@dataclass(frozen=True)
class VersionWhy:
    """A version and everything that is on record about it.

    Attributes:
        version: Its record.
        written: When it was fitted, in UTC.
        trainings: The trainings that it came out of.
        reports: The gate reports over it.
        seats: Its entries in the ledger.
        barred: Generation that it lost to a rollback, for good; 0 if it did not.
        scored: Partitions whose predictions are its.
        followers: Versions that go on from it.
        links: What it rests on, each looked at.
        rebuilds: When it was first fitted again with some code, and what came of it.
    """

    version: ModelVersion
    written: str
    trainings: tuple[Training, ...]
    reports: tuple[GateReport, ...]
    seats: tuple[Seat, ...]
    barred: int
    scored: tuple[Scored, ...]
    followers: tuple[str, ...]
    links: tuple[Link, ...]
    rebuilds: tuple[tuple[str, Rebuild], ...] = ()

    @property
    def broken(self) -> list[Link]:
        """The links that do not hold."""
        return [link for link in self.links if link.state == BROKEN]


def find(store: ModelStore, given: str) -> ModelVersion:
    """Return the version of a generation, or the one whose digest begins with some text.

    Raises:
        ConfigError: There is none, or there are several.
    """
    records = store.records
    if given.isdigit() and records.has(Promotion.kind, generation_name(int(given))):
        return records.get(ModelVersion, store.promotion(int(given)).version)
    names = [name for name in records.names(ModelVersion.kind) if given and name.startswith(given)]
    if len(names) != 1:
        raise ConfigError(
            "no version has this name" if not names else "several versions begin like this",
            where=f"{store.blobs.url}: {given!r}",
            expected=f"a generation from 1 to {len(store.ledger())}, or the beginning of one digest",
            found=", ".join(name[:16] for name in names[:5]) or f"{len(records.names(ModelVersion.kind))} others",
            next_step=f"incumbent champion show {store.name}",
        )
    return records.get(ModelVersion, names[0])


def why(store: ModelStore, version: ModelVersion) -> VersionWhy:
    """Return everything that is on record about a version, with each link looked at."""
    records, walk, digest = store.records, Walk(store), version.digest
    seats = seats_of(store, digest)
    links = [link for each in seats for link in seat(walk, each.entry.generation, digest)]
    scored = scored_now(store)
    return VersionWhy(
        version=version,
        written=records.written(ModelVersion.kind, digest).isoformat(),
        trainings=tuple(each for each in records.all(Training) if each.version == digest),
        reports=tuple(each for each in records.all(GateReport) if each.candidate == digest),
        seats=tuple(seats),
        barred=store.barred().get(digest, 0),
        scored=tuple(each for each in scored if each.version == digest),
        followers=tuple(each.digest for each in records.all(ModelVersion) if each.base == digest),
        links=(*links, *trained(walk, digest)),
        rebuilds=tuple(rebuilds(store, digest)),
    )


def seats_of(store: ModelStore, digest: str) -> list[Seat]:
    """Return the entries of the ledger that give a version the seat, oldest first."""
    entries, records = store.ledger(), store.records
    lost = {entry.previous: entry.reason for entry in entries if entry.action == "rollback"}
    return [
        Seat(entry, records.written(Promotion.kind, generation_name(entry.generation)).isoformat(),
             lost.get(entry.generation, ""))
        for entry in entries if entry.version == digest
    ]  # fmt: skip


def rebuilds(store: ModelStore, version: str) -> list[tuple[str, Rebuild]]:
    """Return what came of fitting a version again, each with when it was first seen with its code, oldest first."""
    names, written = store.records.names(Rebuild.kind, f"{version}/"), store.records.written
    return sorted(
        ((written(Rebuild.kind, name).isoformat(), store.records.get(Rebuild, name)) for name in names),
        key=lambda each: each[0],
    )


def numbers(gate: Mapping[str, Any]) -> str:
    """Return the numbers of a gate for people: estimate, interval and limit, as far as it has them.

    >>> numbers({"estimate": 0.01234, "lower": 0.002, "upper": 0.03, "limit": 0.0})
    'estimate 0.01234, interval 0.002 to 0.03, limit 0'
    """
    said = [f"estimate {gate['estimate']:.4g}"] if isinstance(gate.get("estimate"), float) else []
    if all(isinstance(gate.get(name), float) for name in ("lower", "upper")):
        said.append(f"interval {gate['lower']:.4g} to {gate['upper']:.4g}")
    for name in ("limit", "max_increase", "min_improvement", "allowed", "required"):
        if isinstance(gate.get(name), int | float):
            said.append(f"{name} {gate[name]:.4g}")
    return ", ".join(said)
