"""A calibration curve as SVG: by hand, for the libraries that draw bring a script or fixed colours.

Colours are the page's (`currentColor` and classes), so it is right in light and dark, and the same numbers give the
same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from incumbent.card.blocks import Plot, shown

SIDE, LEFT, TOP, BELOW, RIGHT = 300, 56, 12, 48, 24
ERRORS = 2.0  # length of a whisker


def curve(plot: Plot) -> str:
    """Return the curve as one SVG element."""
    scale = _Scale(plot)
    width, height = LEFT + SIDE + RIGHT, TOP + SIDE + BELOW
    head = f'<svg class="curve" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(shown(plot.title))}">'
    return "".join([head, *_axes(scale, plot.chances), *_points(plot, scale), "</svg>"])


class _Scale:
    """From numbers to places in the picture."""

    def __init__(self, plot: Plot) -> None:
        values = [each[name] for each in plot.bins for name in ("predicted", "observed")]
        whiskers = [
            each["observed"] + way * ERRORS * each["error"] for each in plot.bins if each["error"] for way in (-1, 1)
        ]
        low, high = min(values), max([*values, *whiskers])
        if plot.chances:
            low, high = 0.0, min(1.0, high * 1.05) or 1.0
        self.step = _step((high - low) or abs(high) or 1.0)
        self.low = math.floor(low / self.step) * self.step
        self.high = max(math.ceil(high / self.step - 1e-9) * self.step, self.low + self.step)

    def x(self, value: float) -> float:
        return float(LEFT + SIDE * self._share(value))

    def y(self, value: float) -> float:
        return float(TOP + SIDE * (1 - self._share(value)))

    def marks(self) -> list[float]:
        count = round((self.high - self.low) / self.step)
        return [self.low + at * self.step for at in range(count + 1)]

    def _share(self, value: float) -> float:
        return float(min(max((value - self.low) / (self.high - self.low), 0.0), 1.0))


def _step(span: float) -> float:
    """Return a round distance between marks, about a fifth of a span."""
    rough: float = 10.0 ** math.floor(math.log10(span / 5))
    return next(rough * each for each in (1, 2, 5, 10) if span / (rough * each) <= 6)


def _axes(scale: _Scale, chances: bool) -> Iterator[str]:
    right, bottom = LEFT + SIDE, TOP + SIDE
    for mark in scale.marks():
        x, y, text = scale.x(mark), scale.y(mark), _mark(mark, chances)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}M{LEFT} {y:.1f}H{right}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{text}</text>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    yield f'<path class="even" d="M{LEFT} {bottom}L{right} {TOP}"/>'
    yield f'<text x="{LEFT + SIDE / 2}" y="{bottom + 39}" text-anchor="middle">mean prediction</text>'
    middle = TOP + SIDE / 2
    yield f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">mean truth</text>'


def _points(plot: Plot, scale: _Scale) -> Iterator[str]:
    places = [(scale.x(each["predicted"]), scale.y(each["observed"])) for each in plot.bins]
    yield '<path class="line" d="M' + "L".join(f"{x:.1f} {y:.1f}" for x, y in places) + '"/>'
    for each, (x, y) in zip(plot.bins, places, strict=True):
        if each["error"] is not None:
            low, high = (scale.y(each["observed"] + way * ERRORS * each["error"]) for way in (-1, 1))
            yield f'<path class="whisker" d="M{x:.1f} {low:.1f}V{high:.1f}"/>'
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'


def _mark(value: float, chances: bool) -> str:
    return f"{100 * value:.3g} %" if chances else f"{value:.4g}"
