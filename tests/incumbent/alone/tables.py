"""Predictions and features as a person may have them in files, drawn with a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

CLASSES = ("early", "late", "lost")


def predictions(
    rows: int = 3000, noise: float = 0.0, seed: int = 1, draw: int = 0, days: int = 30, luck: float = 0.0
) -> pa.Table:
    """Return keys, days, regions, labels and the probabilities of a model; all models see the same rows.

    Args:
        rows: How many.
        noise: Of the model's logits: the more, the worse it is.
        seed: Of the rows.
        draw: Of the model's noise.
        days: Different days.
        luck: Size of a shock to a model's logits that all rows of a day share.
    """
    world, model = np.random.default_rng(seed), np.random.default_rng([seed, 99, draw])
    logit = world.normal(size=rows) - 1
    day = np.sort(world.integers(0, days, rows))
    late = world.random(rows) < 1 / (1 + np.exp(-logit))
    region = world.choice(["east", "north", "west"], rows)
    said = logit + noise * model.normal(size=rows) + luck * model.normal(size=days)[day]
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "day": day,
            "region": region.tolist(),
            "y": late.astype(np.int64),
            "score": 1 / (1 + np.exp(-said)),
        }
    )


def class_predictions(rows: int = 2000, noise: float = 0.0) -> pa.Table:
    """Return a label of three classes and a probability of each."""
    world, model = np.random.default_rng(5), np.random.default_rng(6)
    logits = world.normal(size=(rows, 3)) * 1.5
    truth = (logits + world.gumbel(size=(rows, 3))).argmax(axis=1)
    said = np.exp(logits + noise * model.normal(size=(rows, 3)))
    shares = said / said.sum(axis=1, keepdims=True)
    scores = {f"probability_{name}": shares[:, at] for at, name in enumerate(CLASSES)}
    return pa.table({"id": np.arange(rows), "y": np.array(CLASSES)[truth].tolist(), **scores})


def features(rows: int = 4000, seed: int = 1, wobble: float = 0.0, **shifts: float) -> pa.Table:
    """Return four numbers and a text; `day` counts forty days, and each has its own mean if they wobble."""
    random = np.random.default_rng(seed)
    day = np.arange(rows) * 40 // rows
    means = wobble * random.normal(size=40)
    numbers = {f"x{at}": random.normal(size=rows) + means[day] + shifts.get(f"x{at}", 0.0) for at in range(4)}
    columns: dict[str, Any] = {"id": np.arange(rows), "day": day, **numbers, "price": np.exp(random.normal(size=rows))}
    return pa.table({**columns, "shop": random.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2]).tolist()})


def with_column(rows: pa.Table, name: str, values: Any) -> pa.Table:
    """Return a table with another column in the place of one."""
    return rows.set_column(rows.schema.get_field_index(name), name, pa.array(values))
