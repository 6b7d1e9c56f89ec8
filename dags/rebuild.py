"""One `<model>.rebuild` DAG per model folder that asks for it."""

from incumbent_airflow.dag_factory import models, settings
from incumbent_airflow.dags.rebuild import rebuild_dag

for model in models():
    if model.rebuild.every_days is not None:
        globals()[f"{model.name}.rebuild"] = rebuild_dag(model, settings().training_pool)
