"""How far a fit is, for people and for whoever watches it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

LOG = logging.getLogger(__name__)
EVERY_S = 2.0
SHARE = 60  # of the time that has passed; a job's log is read whole each time
MOST_S = 30.0


@dataclass(frozen=True)
class Progress:
    """Where a fit is, or the search before it.

    Attributes:
        round: Rounds, or trials, that are done.
        rounds: Rounds, or trials, that are wanted.
        rows: Training rows.
        metric: Name of the last score, such as `validation logloss`; empty before the first.
        score: The last score; null before the first.
        rows_per_s: Rows that went through a round, a second, in this attempt.
        left_s: Seconds that are left at this speed; unknown before the first round.
        checkpoint: Rounds in the newest checkpoint.
        resumed_from: Round this attempt started from; null if from nothing.
        attempt: Which attempt of its job this is.
        workers: Workers that fit together.
        pids: Their processes.
        what: What is counted: `round`, or `trial` while a search goes on.
        phase: What goes on before there is anything to count; empty afterwards.
    """

    round: int
    rounds: int
    rows: int
    metric: str = ""
    score: float | None = None
    rows_per_s: float = 0.0
    left_s: float | None = None
    checkpoint: int = 0
    resumed_from: int | None = None
    attempt: int = 1
    workers: int = 1
    pids: tuple[int, ...] = ()
    what: str = "round"
    phase: str = ""

    def line(self) -> str:
        """Return a line for people.

        >>> Progress(50, 200, 1_000_000, "train logloss", 0.4312, 2.4e7, 6.25, 50, 25).line()
        'round 50 of 200 (25 %), train logloss 0.4312, 24.0M rows/s, 6 s left, 1,000,000 rows, resumed from round 25'
        >>> Progress(7, 30, 0, "best validation logloss", 0.4201, left_s=95, what="trial").line()
        'trial 7 of 30 (23 %), best validation logloss 0.4201, 1 min 35 s left'
        >>> Progress(0, 200, 1_000_000, phase="binning 1,000,000 rows").line()
        'binning 1,000,000 rows'
        """
        if self.phase:
            return self.phase
        speed = f"{self.rows_per_s / 1e6:.1f}M rows/s" if self.rows_per_s else ""
        left = "" if self.left_s is None else f"{_duration(self.left_s)} left"
        share = f"{self.what} {self.round} of {self.rounds} ({100 * self.round // self.rounds} %)"
        resumed = "" if self.resumed_from is None else f"resumed from {self.what} {self.resumed_from}"
        workers = f"{self.workers} workers" if self.workers > 1 else ""
        score = "" if self.score is None else f"{self.metric} {self.score:.6g}"
        rows = f"{self.rows:,} rows" if self.rows else ""
        words = [share, score, speed, left, rows, workers, resumed]
        return ", ".join(word for word in words if word)

    def values(self) -> dict[str, float]:
        """Return what a curve can be drawn of, by name.

        >>> Progress(50, 200, 1000, "train logloss", 0.5, 2e6).values()
        {'train.logloss': 0.5, 'rows_per_s': 2000000.0}
        >>> Progress(0, 200, 1000, phase="reading 1,000 rows").values()
        {}
        """
        if self.phase:
            return {}
        score = {} if self.score is None else {self.metric.replace(" ", "."): self.score}
        return {**score, "rows_per_s": self.rows_per_s}

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` wrote."""
        plain: dict[str, Any] = json.loads(text)
        return cls(**{**plain, "pids": tuple(plain.get("pids", ()))})


class Told:
    """Tells of a fit often enough to see it move, and not more often.

    Args:
        tell: Called with each progress that is worth telling.
        clock: Monotonic seconds.
    """

    def __init__(self, tell: Callable[[Progress], None], clock: Callable[[], float]) -> None:
        self._tell, self._clock = tell, clock
        self._began = clock()
        self._last = -float("inf")

    def __call__(self, progress: Progress, *, now: bool = False) -> None:
        """Tell it if it is time, or at once."""
        moment = self._clock()
        if now or moment - self._last >= max(EVERY_S, min(MOST_S, (moment - self._began) / SHARE)):
            self._last = moment
            self._tell(progress)


def log_progress(progress: Progress) -> None:
    """Write a line for people who watch the task."""
    LOG.info("%s", progress.line())


def _duration(seconds: float) -> str:
    """Return seconds as people say them.

    >>> _duration(42.4), _duration(130), _duration(7_300)
    ('42 s', '2 min 10 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
