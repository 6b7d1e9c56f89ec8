"""One `<model>.rollback` DAG per model folder."""

from incumbent_airflow.dag_factory import models
from incumbent_airflow.dags.rollback import rollback_dag

for model in models():
    globals()[f"{model.name}.rollback"] = rollback_dag(model)
