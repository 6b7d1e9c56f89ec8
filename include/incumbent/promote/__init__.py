"""PROMOTE: the ledger says who holds the seat; MLflow is a cache that is reconciled from it."""

from incumbent.promote.ledger import Outcome, champion, ledger, promote, promotion_of, rollback
from incumbent.promote.mlflow_live import Run, known_run, log_live, open_run
from incumbent.promote.mlflow_training import log_trainings, unlogged
from incumbent.promote.registry import Reconciliation, reconcile

__all__ = [
    "Outcome",
    "Reconciliation",
    "Run",
    "champion",
    "known_run",
    "ledger",
    "log_live",
    "log_trainings",
    "open_run",
    "promote",
    "promotion_of",
    "reconcile",
    "rollback",
    "unlogged",
]
