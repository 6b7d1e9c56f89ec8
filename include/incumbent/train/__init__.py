"""Train: one fitting function, in the task's process or as a Ray job, resumable to the exact round."""
