"""What a card is made of; each kind of block is rendered once as Markdown and once as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Share:
    """A cell of a table that is drawn as well: a bar of `size` (0 to 1) of the cell's width beside its text."""

    size: float
    text: str


@dataclass(frozen=True)
class Word:
    """A cell with a verdict: `mood` is `good`, `bad` or `open`, and is shown as a colour beside the word."""

    mood: str
    text: str


Cell = str | Share | Word


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """Names and what they are."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Attributes:
        head: Names of the columns; those of numbers end in `#`, which is not shown.
        rows: Each as long as the head.
        folded: If given, the table lies behind this line until a reader opens it.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    folded: str = ""


@dataclass(frozen=True)
class Plot:
    """A calibration curve: mean prediction against mean truth, each with its error.

    Attributes:
        title: What it shows, for who does not see it.
        bins: See `incumbent.evaluate.figures.GateFigures`.
        chances: Whether both axes are probabilities.
    """

    title: str
    bins: Sequence[Mapping[str, Any]]
    chances: bool


Block = Text | Items | Facts | Table | Plot


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A whole page.

    Attributes:
        title: Its heading.
        lead: One line below it: what is most worth knowing.
        mood: Of the lead; see `Word`.
        sections: The rest.
    """

    title: str
    lead: str
    mood: str
    sections: tuple[Section, ...]


def shown(text: object) -> str:
    r"""Return a text in one line, without characters that are not seen: they could turn the words around them.

    >>> shown("a\nb\u202e"), shown(None)
    ('a b�', '')
    """
    words = " ".join(("" if text is None else str(text)).split())
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in words)


def number(value: object) -> str:
    """Return a number with four digits that count; nothing of what is none.

    >>> number(0.123456), number(12345), number(None), number(12345.6)
    ('0.1235', '12,345', '', '12,346')
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return ""
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.4g}"
