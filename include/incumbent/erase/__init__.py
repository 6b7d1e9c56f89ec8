"""Erase: take the rows of one key out of everything that is stored, and leave a record without personal values."""

from incumbent.erase.erase import Erased, erase

__all__ = ["Erased", "erase"]
