"""One `<model>.train` DAG per model folder."""

from incumbent_airflow.dag_factory import models, settings
from incumbent_airflow.dags.train import train_dag

for model in models():
    globals()[f"{model.name}.train"] = train_dag(model, settings().training_pool)
