"""Incumbent keeps tabular models right in production. Plain Python: nothing here imports Airflow."""

__version__ = "0.1.0"
