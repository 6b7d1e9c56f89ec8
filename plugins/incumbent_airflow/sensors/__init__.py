"""Deferrable sensors over files, outcomes and requests."""
