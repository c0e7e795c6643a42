"""The page "Neptune ML" of the Airflow UI, and its views on a DAG run and on a task instance.

Every part of Airflow imports this module to find its plugins, so it imports nothing: the page is made when an API
server asks for it. https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/plugins.html
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from neptune_airflow.compat import AirflowPlugin, configuration, has_pages

NAME = "neptune_ml"
TITLE = "Neptune ML"
#: Where the page is, below the path of ``[api] base_url``.
PREFIX = "/neptune-ml"

_RUN = "dag_id={DAG_ID}&run_id={RUN_ID}"
# What the UI shows in a frame: where, under which name in its own addresses, and the page. The UI puts the ids in.
_VIEWS = (
    ("nav", "neptune-ml", "/"),
    ("dag_run", "neptune-ml-run", f"/run?{_RUN}"),
    ("task_instance", "neptune-ml-job", f"/job?{_RUN}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}"),
)

log = logging.getLogger(__name__)


class NeptuneMLPlugin(AirflowPlugin):
    """What Airflow is given: the application that serves the page, and where the UI shows it."""

    name = NAME

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]  # made when asked for
        """The page's application; none where it cannot be made, and so nothing that is open to anyone."""
        if not has_pages():
            return []
        try:
            from neptune_airflow.plugin.app import make_app

            return [{"app": make_app(), "url_prefix": PREFIX, "name": TITLE}]
        except Exception:  # an API server must start whatever one of its pages lacks
            log.exception("The page %r is not there: it could not be made.", TITLE)
            return []

    @cached_property
    def external_views(self) -> list[Any]:  # type: ignore[override]
        """The places in the UI from which the page is reached, where there is one."""
        if not self.fastapi_apps:
            return []
        path = urlsplit(configuration().get("api", "base_url", fallback="")).path.rstrip("/")
        icons = {"icon": f"{path}{PREFIX}/static/icon.svg", "icon_dark_mode": f"{path}{PREFIX}/static/icon-dark.svg"}
        return [
            {"name": TITLE, "href": f"{path}{PREFIX}{page}", "destination": place, "url_route": route, **icons}
            | ({"category": "browse"} if place == "nav" else {})
            for place, route, page in _VIEWS
        ]
