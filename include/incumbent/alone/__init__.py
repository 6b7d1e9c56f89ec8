"""What can be asked of files alone: with no Airflow, store, model folder or service."""
