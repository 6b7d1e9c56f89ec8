"""Estimators: fit, predict, save, verify and load in a native format, never pickle."""

from incumbent.estimators.estimator import Estimator, estimator
from incumbent.estimators.predictor import explainer, predictor, splits

__all__ = ["Estimator", "estimator", "explainer", "predictor", "splits"]
