"""The simple auth manager with users who lack a right: it knows roles, but none for a single DAG or for XComs."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

#: The only DAG that the user ``narrow`` may read.
OPEN = "fraud_ring"


class SomeRightsAuthManager(SimpleAuthManager):
    """As its users' names say."""

    def is_authorized_dag(self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
        """Refuse one user all DAGs but one, and another all XComs."""
        if user.username == "narrow" and (details is None or details.id != OPEN):
            return False
        if user.username == "no_xcoms" and access_entity is DagAccessEntity.XCOM:
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)

    def is_authorized_view(self, *, access_view: AccessView, user: Any) -> bool:
        """Refuse one user the UI."""
        return user.username != "no_website" and super().is_authorized_view(access_view=access_view, user=user)
