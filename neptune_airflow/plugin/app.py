"""The application that serves the page: documents, what they load, and what they show.

Every route below it, and so every file, asks the same dependency who wants it; `tests/plugin` goes through the routes.
A sub-application inherits no authentication, and a mounted folder or FastAPI's own pages would have none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime

from neptune_airflow.jobs import KINDS
from neptune_airflow.plugin import answers, queries
from neptune_airflow.plugin.auth import readable, signed_in
from neptune_airflow.plugin.files import File, shipped_files
from neptune_airflow.plugin.stages import STATUSES

# What a browser may do with an answer. The UI shows the page in a frame of its own address.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# The longest id that Airflow has, with room.
_Id = Annotated[str, Query(max_length=1000, pattern=r"^[^\x00]*$")]
_Kind = Annotated[str, Query(pattern=f"^({'|'.join(KINDS)})$")]
_Status = Annotated[str, Query(pattern=f"^({'|'.join(STATUSES)})$")]
# What every database takes.
_Number = Annotated[int, Query(ge=-1, lt=2**31)]
_Day = Annotated[date, Query(gt=date(1900, 1, 1), lt=date(9000, 1, 1))]
_Moment = Annotated[AwareDatetime, Query(gt=datetime(1900, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC))]
# How many instances of one mapped task are shown.
_MOST_IN_LIST, _MOST_IN_RUN = 3, 100


def runs(
    user: GetUserDep,
    session: SessionDep,
    dag_id: _Id | None = None,
    kind: _Kind | None = None,
    status: _Status | None = None,
    since: _Day | None = None,
    until: _Day | None = None,
    before: _Moment | None = None,
    before_id: _Number = 0,
) -> Response:
    """Answer with a page of runs and their tasks.

    :param since, until: the first and the last day, in UTC.
    :param before, before_id: the end of the page that came before, as its ``next`` says.
    """
    wanted = queries.Wanted(
        dag_id=dag_id,
        kind=kind,
        status=status,
        since=_midnight(since),
        until=_midnight(until and until + timedelta(days=1)),
        before=queries.Position(before.astimezone(UTC), before_id) if before else None,
    )
    names = queries.dag_names(session, readable(queries.dags_with_records(session), user, session))
    found, more = queries.runs(session, names.keys(), wanted)
    tasks: dict[int, list[Any]] = {row.id: [] for row in found}
    for row in queries.tasks(session, list(tasks), most=_MOST_IN_LIST):
        tasks[row.run_key].append(row)
    return JSONResponse(
        {
            "dags": [{"id": each, "name": names[each]} for each in sorted(names, key=names.__getitem__)],
            "runs": [answers.a_run(row, names, tasks[row.id]) for row in found],
            "next": {"before": found[-1].run_after.isoformat(), "before_id": found[-1].id} if more else None,
        }
    )


def run(user: GetUserDep, session: SessionDep, dag_id: _Id, run_id: _Id) -> Response:
    """Answer with one run and its tasks."""
    names = queries.dag_names(session, readable({dag_id}, user, session))
    found = queries.run(session, dag_id, run_id) if dag_id in names else None
    if found is None:
        raise HTTPException(404)
    tasks = queries.tasks(session, [found.id], most=_MOST_IN_RUN)
    return JSONResponse(answers.a_run(found, names, tasks))


def job(
    user: GetUserDep,
    session: SessionDep,
    dag_id: _Id,
    run_id: _Id,
    task_id: _Id,
    map_index: _Number = -1,
) -> Response:
    """Answer with one task and its whole record; without one if it is not about a Neptune ML job, as most are not."""
    names = queries.dag_names(session, readable({dag_id}, user, session))
    found = queries.run(session, dag_id, run_id) if dag_id in names else None
    if found is None:
        raise HTTPException(404)
    tasks = queries.tasks(session, [found.id], 1, task_id, map_index)
    return JSONResponse({**answers.a_run(found, names), "task": answers.full(tasks[0]) if tasks else None})


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None


def _sent(file: File, request: Request) -> Response:
    """Send a file, unless the browser has it."""
    headers = {"ETag": file.tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)


def make_app() -> FastAPI:
    """Make the application, to be mounted in Airflow's API server.

    :return: one without pages of FastAPI's own, in which every route asks who is there.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(signed_in)])
    files = shipped_files()

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        answer = await call_next(request)
        for name, value in _HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    @app.get("/")
    @app.get("/run")
    @app.get("/job")
    def page(request: Request) -> Response:
        return _sent(files["page.html"], request)

    @app.get("/static/{name}")
    def static(name: str, request: Request) -> Response:
        if name not in files:
            raise HTTPException(404)
        return _sent(files[name], request)

    app.get("/api/runs")(runs)
    app.get("/api/run")(run)
    app.get("/api/job")(job)

    @app.get("/{_:path}")
    def nothing(_: str) -> Response:
        raise HTTPException(404)

    return app
