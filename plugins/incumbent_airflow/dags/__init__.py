"""One builder per kind of DAG; the files in the `dags/` folder call them for each model folder."""
