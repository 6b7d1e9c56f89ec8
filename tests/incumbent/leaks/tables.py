"""Small tables with honest columns that share a cause, for the tests of the detector."""

import numpy as np
import pyarrow as pa


def honest(seed: int = 0, rows: int = 1200, task: str = "binary") -> dict[str, np.ndarray]:
    """A label with two causes, a faint symptom of it, and columns that share a cause with another."""
    rng = np.random.default_rng(seed)
    age, income = rng.normal(size=(2, rows))
    truth = age + 0.7 * income + 0.7 * rng.logistic(size=rows)
    return {
        "age": age,
        "income": income,
        "spending": income + rng.normal(size=rows),
        "symptom": truth + age + 3 * rng.normal(size=rows),
        "visits": rng.poisson(np.exp(0.5 * age)).astype(float),
        "shop": rng.choice(["north", "south", "west"], rows),
        "label": (truth > 0).astype(float) if task == "binary" else truth,
    }


def table(columns: dict[str, object]) -> pa.Table:
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def of_classes(seed: int = 0, rows: int = 1200) -> dict[str, np.ndarray]:
    """The honest columns with a label of three classes: of unequal size, and in no order that means anything."""
    columns = honest(seed, rows, "regression")
    number = np.digitize(columns["label"], [-0.5, 2.0])
    columns["label"] = np.array(["mild", "absent", "severe"])[number]
    return columns
