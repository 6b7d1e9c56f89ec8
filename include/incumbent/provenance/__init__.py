"""Where a prediction comes from, what rests on what, and whether each link of it holds.

It reads the records and contents of all stages and writes nothing; no stage knows it.
"""
