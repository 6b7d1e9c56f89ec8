"""One `<model>.ingest_<source>` DAG per source of each model folder."""

from incumbent_airflow.dag_factory import models
from incumbent_airflow.dags.ingest import ingest_dag

for model in models():
    for source in model.sources:
        globals()[f"{model.name}.ingest_{source}"] = ingest_dag(model, source)
