"""Statistics that several stages share: AUC, and differences with a clustered error."""

from incumbent.stats.auc import auc, auc_influence, paired_auc_difference
from incumbent.stats.classes import class_losses
from incumbent.stats.differences import Difference, mean_difference, quantile, relative_difference

__all__ = [
    "Difference",
    "auc",
    "auc_influence",
    "class_losses",
    "mean_difference",
    "paired_auc_difference",
    "quantile",
    "relative_difference",
]
