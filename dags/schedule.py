"""One `<model>.schedule` DAG per model folder."""

from incumbent_airflow.dag_factory import models, settings
from incumbent_airflow.dags.schedule import schedule_dag

for model in models():
    globals()[f"{model.name}.schedule"] = schedule_dag(model, settings())
