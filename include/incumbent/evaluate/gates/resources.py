"""The gates of what a model may need: the size of its file, and the time of a prediction."""

from __future__ import annotations

from incumbent.evaluate.contest import Contest
from incumbent.evaluate.gates.result import Result


def size(contest: Contest) -> Result:
    """The candidate's file is not larger than `gates.max_megabytes`."""
    found, limit = contest.megabytes, contest.limits.max_megabytes
    if found is None or limit is None:
        return {"gate": "size", "passed": None, "sentence": "nobody looked at the size of the candidate's file"}
    return {
        "gate": "size",
        "passed": found <= limit,
        "megabytes": found,
        "max_megabytes": limit,
        "sentence": f"the file has {found:.4g} MB; {limit:g} MB are allowed",
    }


def latency(contest: Contest) -> Result:
    """A thousand rows are predicted within `gates.max_ms_per_1000_rows`.

    The time that was measured is not among the numbers: it would be another one each time, and a report that is named
    by its content would have another name. It is on record beside it.
    """
    found, limit = contest.ms_per_1000_rows, contest.limits.max_ms_per_1000_rows
    if found is None or limit is None:
        return {"gate": "latency", "passed": None, "sentence": "nobody measured how long the candidate predicts"}
    word = "at most" if found <= limit else "more than"
    return {
        "gate": "latency",
        "passed": found <= limit,
        "max_ms_per_1000_rows": limit,
        "sentence": f"1,000 rows take {word} {limit:g} ms",
    }
