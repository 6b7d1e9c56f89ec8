"""The project's `incumbent.maintenance` DAG."""

from incumbent_airflow.dag_factory import models
from incumbent_airflow.dags.maintenance import maintenance_dag

maintenance = maintenance_dag(models())
