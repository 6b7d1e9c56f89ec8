"""One `<model>.monitor` DAG per model folder."""

from incumbent_airflow.dag_factory import models
from incumbent_airflow.dags.monitor import monitor_dag

for model in models():
    globals()[f"{model.name}.monitor"] = monitor_dag(model)
