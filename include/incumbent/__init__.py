"""Incumbent keeps tabular models right in production. Plain Python: nothing here imports Airflow.

`incumbent.compare`, `drift`, `check` and `leaks` are asked of files alone; each is imported when it is asked for.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
ALONE = ("check", "compare", "drift", "leaks")


def __getattr__(name: str) -> Any:
    if name not in ALONE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "leaks":  # the package of that name, which can be called
        return import_module("incumbent.leaks")
    globals()[name] = getattr(import_module(f"incumbent.alone.{name}"), name)
    return globals()[name]
