"""One `<model>.features` DAG per model folder."""

from incumbent_airflow.dag_factory import models
from incumbent_airflow.dags.features import features_dag

for model in models():
    globals()[f"{model.name}.features"] = features_dag(model)
