"""Executors of the embedded stack."""
