"""A stream in which the world changes, breaks and lies, with its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from benchmarks.decisions.seeds import Draws
from benchmarks.decisions.world import Floats, Mood, Rows, World

BATCHES, ROWS, WINDOW = 120, 2000, 20
RIDGE = 1.0


@dataclass(frozen=True)
class Story:
    """What happens in one stream.

    Attributes:
        turn: How much of the weight of one column goes over to another, at `concept`.
        season: Period of five unused columns.
        fault: First of two batches whose amounts are ×100.
        jump: Batch from which an unused column is elsewhere.
        concept: Batch from which the label follows the columns otherwise.
        noise: First and last batch of which a fifth of the labels is by chance.
    """

    turn: float
    season: int = 24
    fault: int = 30
    jump: int = 45
    concept: int = 60
    noise: tuple[int, int] = (90, 95)


@dataclass(frozen=True)
class Day:
    """One batch of a stream: what is delivered, its labels, and the truth.

    Attributes:
        rows: As delivered.
        labels: As they will be known.
        chances: True chance of each label.
        design: What a logistic regression learns from, shape (n_rows, n_columns).
        broken: Whether the delivered rows are corrupt.
    """

    rows: Rows
    labels: Floats
    chances: Floats
    design: Floats
    broken: bool


def stories(commit: str) -> dict[str, Story]:
    """Return the stories of the protocol and a held-out one."""
    draws = Draws(commit, "closed loop")

    def day(name: str, low: int, high: int) -> int:
        return round(draws.held_out(name, low, high))

    begin = day("noise", 85, 105)
    drawn = Story(
        draws.held_out("turn", 0.2, 1.0), day("season", 12, 30), day("fault", 10, 35), day("jump", 38, 50),
        day("concept", 52, 75), (begin, begin + 5),
    )  # fmt: skip
    return {"severe": Story(0.8), "mild": Story(0.3), "held out": drawn}


def days(world: World, story: Story, rng: np.random.Generator) -> list[Day]:
    """Return the batches of a stream, after as many quiet ones as a training takes."""
    return [_day(world, story, rng, at) for at in range(-WINDOW, BATCHES)]


def _day(world: World, story: Story, rng: np.random.Generator, at: int) -> Day:
    unused = world.unused
    season = 0.3 * float(np.sin(2 * np.pi * at / story.season))
    shifts = dict.fromkeys(unused[:5], season)
    if at >= story.jump:
        shifts[unused[-1]] = 1.0
    clean = world.draw(rng, ROWS, Mood(shifts))
    x0, x1 = world.weights["x0"], world.weights["x1"]
    turned = {**world.weights, "x0": (1 - story.turn) * x0, "x1": x1 - story.turn * x0}
    chances = expit(world.logits(clean, turned if at >= story.concept else None))
    labels = (rng.random(ROWS) < chances).astype(np.float64)
    if story.noise[0] <= at <= story.noise[1]:
        anew = rng.random(ROWS) < 0.2
        labels[anew] = rng.random(int(anew.sum())) < 0.5
    broken = story.fault <= at < story.fault + 2
    rows = clean.with_numbers(a0=100 * clean.numbers["a0"]) if broken else clean
    return Day(rows, labels, chances, design(world, rows), broken)


def design(world: World, rows: Rows) -> Floats:
    """Return what a regression learns from: deviates of the numbers, the levels of one text column, a constant."""
    numbers = [world.deviates(rows, name) for name in (*world.numbers, *world.amounts)]
    levels = [rows.levels["c0"] == level for level in range(1, world.levels["c0"])]
    return np.column_stack([*numbers, *levels, np.ones(rows.size)]).astype(np.float64)


def fit(parts: Sequence[Day], start: Floats | None = None) -> Floats:
    """Return the coefficients of a logistic regression with a small ridge, by Newton's method."""
    x, y = np.concatenate([part.design for part in parts]), np.concatenate([part.labels for part in parts])
    found = np.zeros(x.shape[1]) if start is None else start
    for _ in range(8 if start is None else 4):
        p = expit(x @ found)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(x.shape[1])
        found = found + np.linalg.solve(hessian, x.T @ (y - p) - RIDGE * found)
    return found
