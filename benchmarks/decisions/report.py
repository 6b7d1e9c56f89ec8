"""Tables for people: printed, and kept as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """A table with a sentence on what it shows.

    Attributes:
        title: Its heading.
        says: What was drawn, and what a number is.
        head: Names of the columns.
        rows: Cells of each row, as text; the first one names it.
    """

    title: str
    says: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [f"## {self.title}", "", self.says, "", _line(self.head), _line(["---"] * len(self.head))]
        return "\n".join([*lines, *(_line(row) for row in self.rows)]) + "\n"

    def text(self) -> str:
        """Return the table for a terminal."""
        wide = [max(len(row[at]) for row in [self.head, *self.rows]) for at in range(len(self.head))]
        lines = ["  ".join(cell.ljust(wide[at]) for at, cell in enumerate(row)) for row in [self.head, *self.rows]]
        return f"\n{self.title}\n{self.says}\n" + "\n".join(line.rstrip() for line in lines)


class Page:
    """The Markdown page of one run; what is known is on disk at once.

    Args:
        folder: Where it is kept, as `decisions.md`.
        intro: What stands above the tables.
    """

    def __init__(self, folder: Path, intro: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path = folder / "decisions.md"
        self._path.write_text(intro + "\n")

    def add(self, table: Table) -> None:
        """Print a table and put it below the others."""
        print(table.text(), flush=True)
        with self._path.open("a") as page:
            page.write("\n" + table.markdown())


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
