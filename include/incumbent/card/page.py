"""A document as one HTML page that loads nothing, runs nothing and reads well on a phone, in light and dark."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape

from incumbent.card.blocks import Block, Cell, Document, Facts, Items, Plot, Section, Share, Table, Text, Word, shown
from incumbent.card.curve import curve
from incumbent.card.style import STYLE

ALLOWED = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{ALLOWED}'; base-uri 'none'; form-action 'none'"


def page(document: Document) -> str:
    """Return a document as HTML; whatever a name or a sentence holds, it stays text."""
    title = said(document.title)
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style>"
    )
    lead = f'<p class="lead {said(document.mood)}"><b>{said(document.lead)}</b></p>'
    body = "\n".join(_section(each) for each in document.sections)
    main = f"<main>\n<h1>{title}</h1>\n{lead}\n{body}\n</main>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{main}</body></html>\n'


def said(text: object) -> str:
    """Return a text for HTML, also inside of an attribute."""
    return escape(shown(text), quote=True)


def _section(section: Section) -> str:
    plots = [block for block in section.blocks if isinstance(block, Plot)]
    blocks, drawn = [], False
    for block in section.blocks:
        if not isinstance(block, Plot):
            blocks.append(_block(block))
        elif not drawn:  # beside each other where there is room
            blocks.append('<div class="curves">' + "".join(_plot(each) for each in plots) + "</div>")
            drawn = True
    return f"<section><h2>{said(section.title)}</h2>\n" + "\n".join(blocks) + "</section>"


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return f"<p>{said(block.text)}</p>"
    if isinstance(block, Items):
        return "<ul>" + "".join(f"<li>{said(each)}</li>" for each in block.items) + "</ul>"
    if isinstance(block, Facts):
        return "<dl>" + "".join(f"<dt>{said(name)}</dt><dd>{said(value)}</dd>" for name, value in block.rows) + "</dl>"
    if isinstance(block, Table):
        return _table(block)
    return _plot(block)


def _plot(plot: Plot) -> str:
    return f"<figure>{curve(plot)}<figcaption>{said(plot.title)}</figcaption></figure>"


def _table(table: Table) -> str:
    numeric = [each.endswith("#") for each in table.head]
    head = "".join(
        f'<th scope="col"{" class=number" if is_number else ""}>{said(name.removesuffix("#"))}</th>'
        for name, is_number in zip(table.head, numeric, strict=True)
    )
    rows = "".join(f"<tr>{_cells(row, numeric)}</tr>" for row in table.rows)
    top = f"<thead><tr>{head}</tr></thead>" if any(table.head) else ""
    made = f'<div class="wide"><table>{top}<tbody>{rows}</tbody></table></div>'
    return f"<details><summary>{said(table.folded)}</summary>{made}</details>" if table.folded else made


def _cells(row: Iterable[Cell], numeric: Iterable[bool]) -> str:
    return "".join(_cell(cell, is_number) for cell, is_number in zip(row, numeric, strict=True))


def _cell(cell: Cell, is_number: bool) -> str:
    if isinstance(cell, Share):
        width = 100 * min(max(cell.size, 0.0), 1.0)
        bar = f'<svg class="bar" aria-hidden="true"><rect width="{width:.1f}%" height="100%" rx="2"/></svg>'
        return f'<td class="share">{said(cell.text)}{bar}</td>'
    if isinstance(cell, Word):
        return f'<td class="{said(cell.mood)}"><b>{said(cell.text)}</b></td>'
    return f"<td{' class=number' if is_number else ''}>{said(cell)}</td>"
