"""Features: defined once in SQL, computed per partition, the same rows for training and scoring."""
