"""Misfortune for real: an Airflow of real processes, killed by their ids, on a local service behind a bad network."""
