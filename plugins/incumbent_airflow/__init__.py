"""Incumbent for Airflow: assets, operators, sensors, triggers and the DAGs generated per model."""
