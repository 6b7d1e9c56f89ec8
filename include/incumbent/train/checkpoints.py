"""Checkpoints of one fit: whole or absent, verified when read, the bad ones set aside."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from incumbent.records import digest_of
from incumbent.store.local import LocalBlobs

LOG = logging.getLogger(__name__)
KEEP = 3
SET_ASIDE = "set-aside"


@dataclass(frozen=True)
class Progress:
    """Where a fit is, for people and for whoever watches it.

    Attributes:
        round: Rounds in the newest checkpoint.
        rounds: Rounds that are wanted.
        pid: Process that fits.
        checkpoints: Checkpoints written over all attempts.
        resumed_from: Round this attempt started from; null if from nothing.
        rows: Training rows.
    """

    round: int
    rounds: int
    pid: int
    checkpoints: int
    resumed_from: int | None
    rows: int


class Checkpoints:
    """The folder of one fit's checkpoints, named by the digest of its work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, rounds: int, model: bytes) -> None:
        """Keep a model of so many rounds; the file's name carries its digest."""
        LocalBlobs(self.folder).create(f"{rounds:06d}-{digest_of(model)}.ubj", model)
        for path in self._files()[:-KEEP]:
            path.unlink(missing_ok=True)

    def newest(self) -> tuple[int, bytes] | None:
        """Return the newest checkpoint that is what its name says; others are set aside."""
        for path in reversed(self._files()):
            rounds, _, digest = path.stem.partition("-")
            data = path.read_bytes()
            if rounds.isdigit() and digest_of(data) == digest:
                return int(rounds), data
            self._set_aside(path)
        return None

    def say(self, progress: Progress) -> None:
        """Publish the progress, replaced as a whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / "progress.tmp"
        temporary.write_text(json.dumps(asdict(progress)))
        temporary.replace(self.folder / "progress.json")

    def progress(self) -> Progress | None:
        """Return the last progress, or None."""
        path = self.folder / "progress.json"
        return Progress(**json.loads(path.read_text())) if path.exists() else None

    def clear(self) -> None:
        """Forget a fit that is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*.ubj") if not path.name.startswith("."))

    def _set_aside(self, path: Path) -> None:
        target = self.folder / SET_ASIDE / path.name
        target.parent.mkdir(exist_ok=True)
        path.replace(target)
        LOG.warning("checkpoint %s has other content than its name says; set aside", path.name)
