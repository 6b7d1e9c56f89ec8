"""Where randomness comes from: the commit that is measured and the family, so that nobody can tune to the draws."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

COMMIT = "INCUMBENT_BENCH_COMMIT"
SEEDS = 3


def commit_id() -> str:
    """Return the id of the commit that is measured, or what `INCUMBENT_BENCH_COMMIT` says instead."""
    if said := os.environ.get(COMMIT):
        return said
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "no repository"


@dataclass(frozen=True)
class Draws:
    """Random numbers of one family of one commit.

    Attributes:
        commit: Its id.
        family: Name of the family.
    """

    commit: str
    family: str

    def rng(self, index: int) -> np.random.Generator:
        """Return an independent generator for one of several seeds.

        >>> Draws("c", "f").rng(0).random() == Draws("c", "f").rng(0).random()
        True
        """
        return np.random.default_rng(self._number(f"seed {index}"))

    def held_out(self, name: str, low: float, high: float) -> float:
        """Return a parameter between two stated bounds that only the commit decides.

        >>> 0.3 <= Draws("c", "f").held_out("shift", 0.3, 0.6) <= 0.6
        True
        """
        return low + (high - low) * (self._number(name) / 2**64)

    def _number(self, name: str) -> int:
        digest = hashlib.sha256(f"{self.commit}\n{self.family}\n{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big")
