"""Shows a broken model folder as an import error, while every other model's DAGs keep working."""

from incumbent_airflow.dag_factory import check_folders

check_folders()
