# Airflow of the pinned version with this package, for docker-compose.yaml. "slim" comes without providers, so that
# what is installed here is the tested set and nothing beside it.
FROM apache/airflow:slim-3.3.2-python3.12

COPY --chown=airflow:0 pyproject.toml README.md LICENSE /opt/airflow/provider/
COPY --chown=airflow:0 constraints /opt/airflow/provider/constraints
COPY --chown=airflow:0 neptune_airflow /opt/airflow/provider/neptune_airflow

USER airflow

# Airflow is named again so that pip may not change its version; the group is what Celery, PostgreSQL and users take.
RUN pip install --no-cache-dir --constraint /opt/airflow/provider/constraints/airflow-3.3.txt \
      "apache-airflow==${AIRFLOW_VERSION}" \
      "/opt/airflow/provider[local]" \
      --group /opt/airflow/provider/pyproject.toml:cluster
