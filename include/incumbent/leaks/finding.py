"""What the detector says: one finding a column, and a report that also says what was not judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ROW_ORDER = "(row order)"


@dataclass(frozen=True)
class Finding:
    """A column that knows the label in a way that no honest column does.

    Attributes:
        column: Its name; `(row order)` for the order of the rows itself.
        test: Name of the test that found it: a module of this package says how and why.
        sentence: What was seen, in plain words.
        expected: What an honest column would show.
        found: What this one shows.
        next_step: What the reader should do now.
        evidence: The numbers behind it.
    """

    column: str
    test: str
    sentence: str
    expected: str
    found: str
    next_step: str
    evidence: Mapping[str, float]


@dataclass(frozen=True)
class LeakReport:
    """What was found, in what, and what could not be judged.

    Attributes:
        findings: At most one for each column, the surest test first.
        rows: Rows given.
        labelled: Those with a label.
        sampled: Rows that the statistical tests looked at; fewer than `labelled` above a limit.
        columns: Columns that were judged.
        not_judged: Column to the reason it was not judged; `""` stands for the whole table.
    """

    findings: tuple[Finding, ...]
    rows: int
    labelled: int
    sampled: int
    columns: int
    not_judged: Mapping[str, str]

    @property
    def named(self) -> tuple[str, ...]:
        """Names of the columns that leak, in the order of the findings."""
        return tuple(dict.fromkeys(finding.column for finding in self.findings))
