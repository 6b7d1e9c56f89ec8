"""One `<model>.arrive` DAG per model folder."""

from incumbent_airflow.dag_factory import models, settings
from incumbent_airflow.dags.arrive import arrive_dag

for model in models():
    globals()[f"{model.name}.arrive"] = arrive_dag(model, settings())
