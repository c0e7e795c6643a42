"""Who may see what: the rules that Airflow's own API has for runs, task instances and XComs."""

from __future__ import annotations

from collections.abc import Iterable

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import requires_access_view
from airflow.models.dag import DagModel
from sqlalchemy.orm import Session

#: What the page shows of a DAG. Whoever lacks the right to one of these does not see the DAG here.
SHOWN = (DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)

#: The dependency that lets those in who may use Airflow's UI at all.
signed_in = requires_access_view(AccessView.WEBSITE)


def readable(dag_ids: Iterable[str], user: BaseUser, session: Session) -> set[str]:
    """Give those of the DAGs of which the user may read runs, task instances and XComs.

    :param dag_ids: the DAGs in question.
    :param user: whoever asks.
    :param session: a session of Airflow's database.
    """
    manager = get_auth_manager()
    allowed = manager.get_authorized_dag_ids(user=user, method="GET", session=session).intersection(dag_ids)
    teams = DagModel.get_dag_id_to_team_name_mapping(list(allowed), session=session)

    def may(dag_id: str, entity: DagAccessEntity) -> bool:
        details = DagDetails(id=dag_id, team_name=teams.get(dag_id))
        return manager.is_authorized_dag(method="GET", access_entity=entity, details=details, user=user)

    return {dag_id for dag_id in allowed if all(may(dag_id, entity) for entity in SHOWN)}
