"""Lineage: what the store has committed, told to others as OpenLineage events, from the records and the logs alone."""
