"""One `<model>.score` DAG per model folder."""

from incumbent_airflow.dag_factory import models
from incumbent_airflow.dags.score import score_dag

for model in models():
    globals()[f"{model.name}.score"] = score_dag(model)
