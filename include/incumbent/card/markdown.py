"""A document as Markdown: the dialect of GitHub, and no HTML in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from incumbent.card.blocks import Block, Cell, Document, Facts, Items, Plot, Share, Text, Word, shown

SPECIAL = re.compile(r"([\\`*\[\]|~])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
AT_START = re.compile(r"^([#+=-]|\d+[.)](?= ))")


def markdown(document: Document) -> str:
    """Return a document as Markdown; whatever a name or a sentence holds, it stays text."""
    lines = [f"# {plain(document.title)}", "", f"**{plain(document.lead)}**", ""]
    for section in document.sections:
        lines += [f"## {plain(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(block), ""]
    return "\n".join(lines).rstrip() + "\n"


def plain(text: object) -> str:
    r"""Return a text such that a reader of Markdown shows it as it is, within a line.

    >>> print(plain("a|b <i> [x](y)"))
    a\|b &lt;i&gt; \[x\](y)
    """
    escaped = SPECIAL.sub(r"\\\1", shown(text))
    return "".join(ENTITIES.get(each, each) for each in escaped)


def line(text: object) -> str:
    r"""Return a text that a line begins with, where some characters would begin something else.

    >>> print(line("# no heading"), line("1. no list"), line("-0.3"))
    \# no heading 1\. no list \-0.3
    """
    return AT_START.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", plain(text))


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        yield line(block.text)
    elif isinstance(block, Items):
        yield from (f"* {line(each)}" for each in block.items)
    elif isinstance(block, Facts):
        yield from _rows(("", ""), block.rows)
    elif isinstance(block, Plot):
        yield line(f"{block.title}: the page has the picture.")
    else:
        yield from _rows(block.head, block.rows)


def _rows(head: tuple[str, ...], rows: object) -> Iterator[str]:
    yield _row([each.removesuffix("#") for each in head])
    yield "|" + "|".join("---:" if each.endswith("#") else "---" for each in head) + "|"
    yield from (_row(each) for each in rows)  # type: ignore[attr-defined]


def _row(cells: list[Cell] | tuple[Cell, ...]) -> str:
    texts = (each.text if isinstance(each, Share | Word) else each for each in cells)
    return "| " + " | ".join(plain(each) for each in texts) + " |"
