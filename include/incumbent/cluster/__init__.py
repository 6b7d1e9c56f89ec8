"""A Ray cluster, or the head on this machine: what is asked of it is a job, found again by whoever comes back."""
