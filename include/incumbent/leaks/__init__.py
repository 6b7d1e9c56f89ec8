"""Leaks: columns that know the label in a way that no honest column does, and rows on both sides of a split."""

import sys
from types import ModuleType
from typing import Any

from incumbent.leaks.find import find_leaks
from incumbent.leaks.finding import Finding, LeakReport
from incumbent.leaks.overlap import Overlap, key_overlap

__all__ = ["Finding", "LeakReport", "Overlap", "find_leaks", "key_overlap"]


class _Asked(ModuleType):
    """This package as a function too: `incumbent.leaks(...)` stands beside `incumbent.compare(...)`."""

    def __call__(self, *asked: Any, **how: Any) -> Any:
        from incumbent.alone.leaks import leaks

        return leaks(*asked, **how)


sys.modules[__name__].__class__ = _Asked
