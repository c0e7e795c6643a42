"""The demo: the local Neptune ML service and a real Airflow, started for one DAG run and stopped again."""
