"""One `<model>.publish` DAG per model folder that publishes somewhere."""

from incumbent_airflow.dag_factory import models
from incumbent_airflow.dags.publish import publish_dag

for model in models():
    if model.publish:
        globals()[f"{model.name}.publish"] = publish_dag(model)
