"""The embedded stack: Airflow, MLflow and Ray as plain processes on loopback."""
