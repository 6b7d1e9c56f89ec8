"""Leaks: columns that know the label in a way that no honest column does, and rows on both sides of a split."""

from incumbent.leaks.find import find_leaks
from incumbent.leaks.finding import Finding, LeakReport
from incumbent.leaks.overlap import Overlap, key_overlap

__all__ = ["Finding", "LeakReport", "Overlap", "find_leaks", "key_overlap"]
