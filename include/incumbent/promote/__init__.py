"""PROMOTE: the ledger says who holds the seat; MLflow is a cache that is reconciled from it."""

from incumbent.promote.ledger import Outcome, champion, ledger, promote, promotion_of, rollback
from incumbent.promote.registry import Reconciliation, reconcile

__all__ = ["Outcome", "Reconciliation", "champion", "ledger", "promote", "promotion_of", "reconcile", "rollback"]
