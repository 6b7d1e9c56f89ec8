"""Operators that need more than a decorated function."""
