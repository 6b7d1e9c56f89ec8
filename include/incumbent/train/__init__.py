"""Train: one fitting function, in the task's process or as a Ray job, resumable to the exact round."""

from incumbent.train.stage import train_candidate

__all__ = ["train_candidate"]
