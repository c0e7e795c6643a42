"""What befalls the cluster: each scenario does its worst, and leaves it well again."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import psutil

from chaos.cluster.cluster import SECOND_TRIGGERER
from chaos.cluster.proxy import Seen
from chaos.cluster.trial import ENDED, Jobs, Trial, accepted
from demo.stack import AIRFLOW_PARTS

#: How long the API server is away, and how long a triggerer is frozen: well past its health check's threshold.
API_SECONDS = 60.0
FROZEN_SECONDS = 20.0
#: The shortest time-out of a DAG here, in seconds.
SHORTEST_TIME_OUT = 12.0
START = "/ml/dataprocessing"
#: How many requests of a hundred are spoilt in bad weather, by effect.
WEATHER = {
    "drop_before": 3,
    "drop_after": 3,
    "reset": 3,
    "delay": 5,
    "hang": 1,
    "500": 3,
    "429": 3,
    "408": 2,
    "expired": 1,
}
OUTAGE_SECONDS = 20.0


def _is_start(seen: Seen) -> bool:
    return seen.method == "POST" and seen.path == START


def _job_of(seen: Seen) -> str:
    """Give the job that a request starts or asks about."""
    return str(json.loads(seen.body)["id"]) if _is_start(seen) else seen.path.rpartition("/")[2]


def _one_each(ids: Sequence[str], fits: Callable[[Seen], bool]) -> Callable[[Seen], bool]:
    """Fit one request about each of some jobs: what a later try asks is let through."""
    left = set(ids)

    def caught(seen: Seen) -> bool:
        job = _job_of(seen)
        if job not in left or not fits(seen):
            return False
        left.remove(job)
        return True

    return caught


def submit_and_die(trial: Trial) -> None:
    """the worker dies between submit and defer"""
    jobs = trial.start("deferred", 10)
    ids = [jobs.job_id(index) for index in jobs.indexes]
    caught: queue.Queue[Seen] = queue.Queue()

    def looks_again(seen: Seen) -> bool:
        """Tell the look at a job that was just started from the one before."""
        return seen.method == "GET" and _job_of(seen) in accepted(trial.cluster)

    neptune = trial.cluster.neptune
    with ExitStack() as traps:
        # A third dies before the request has arrived, which it does once all are dead; a third before its answer has;
        # a third with the answer in its hands.
        traps.enter_context(neptune.hold(_one_each(ids[0::3], _is_start), caught))
        traps.enter_context(neptune.hold(_one_each(ids[1::3], _is_start), caught, after=True))
        traps.enter_context(neptune.hold(_one_each(ids[2::3], looks_again), caught))
        for number in range(len(ids)):
            task = neptune.client(trial.catch(caught))
            # Every other time, what watches over the task dies with it, and nobody reports that it has ended.
            trial.kill_process((number % 2 and task.ppid()) or task.pid)
    jobs.wait_for("deferred")


def defer_and_die(trial: Trial) -> None:
    """the worker dies while deferring"""
    jobs = trial.start("deferred", 10)
    known = {task["id"]: task["map_index"] for task in jobs.tasks()}
    caught: queue.Queue[Seen] = queue.Queue()

    def defers(seen: Seen, odd: bool) -> bool:
        if seen.method != "PATCH" or not seen.path.endswith("/state") or b'"deferred"' not in seen.body:
            return False
        index = known.get(seen.path.split("/")[-2])
        return index is not None and index % 2 == odd

    reports = trial.cluster.reports
    # Half of them before Airflow has heard of the deferral, half when it has and the worker does not know.
    with (
        reports.hold(lambda seen: defers(seen, False), caught),
        reports.hold(lambda seen: defers(seen, True), caught, after=True),
    ):
        for _ in range(jobs.size):
            trial.kill_process(reports.client(trial.catch(caught)).pid)
    jobs.wait_for("deferred", "running", "up_for_retry", "queued", "scheduled")


def triggerer_dies(trial: Trial) -> None:
    """the triggerer dies while 50 jobs wait"""
    jobs = trial.start("deferred", 50)
    jobs.watched()
    trial.kill("triggerer")
    trial.restart("triggerer")
    jobs.watched()


def scheduler_dies(trial: Trial) -> None:
    """the scheduler dies, with jobs in workers and deferred"""
    runs = [trial.start("deferred", 10), trial.start("in_a_worker", 4)]
    for jobs in runs:
        jobs.submitted()
    # First it alone: its workers go on. The next scheduler adopts Celery's, and takes their tasks away from its own.
    trial.kill("scheduler", alone=True)
    trial.restart("scheduler")
    runs[1].wait_for("running", tries=1 if trial.cluster.celery else 2)
    trial.kill("scheduler")
    trial.restart("scheduler")


def api_server_dies(trial: Trial) -> None:
    """the API server is away for a minute"""
    deferred, in_workers = trial.start("deferred", 10), trial.start("in_a_worker", 2)
    # Not before the last deferral has been reported: its tries would be used up while nobody takes the report.
    deferred.watched()
    in_workers.submitted()
    trial.start("in_a_worker", 4)
    trial.kill("api-server")
    time.sleep(API_SECONDS)
    trial.restart("api-server")


def marked_and_cleared(trial: Trial) -> None:
    """tasks are marked failed, and cleared: running, deferred, ended"""
    running = [trial.start("in_a_worker", 2) for _ in range(2)]
    deferred = [trial.start("deferred", 4) for _ in range(2)]
    ended = [trial.start("deferred", 2) for _ in range(2)]
    for jobs in ended:
        jobs.open()
    for jobs in running:
        jobs.submitted()
    for jobs in deferred:
        jobs.watched()
    for to_mark, to_clear in (running, deferred):
        _mark(to_mark)
        to_clear.clear()
    for jobs in ended:
        jobs.wait_for("success")
    _mark(ended[0])
    ended[1].clear()


def _mark(jobs: Jobs) -> None:
    for index in jobs.indexes:
        jobs.mark("failed", index)


def time_outs(trial: Trial) -> None:
    """waits, tasks, deferrals and a DAG run time out"""
    runs = [
        trial.start(dag_id) for dag_id in ("timed_out_run", "timed_out_wait", "timed_out_task", "timed_out_deferral")
    ]
    for jobs in runs:
        jobs.will_be_asked(SHORTEST_TIME_OUT)
    for jobs in runs:
        jobs.submitted()
    for jobs in runs:
        jobs.wait_for(*ENDED)


def two_triggerers(trial: Trial) -> None:
    """one of two triggerers is frozen, wakes up, and is stopped"""
    cluster = trial.cluster
    cluster.launch(SECOND_TRIGGERER, ["airflow", *AIRFLOW_PARTS["triggerer"]])
    jobs = trial.start("deferred", 20)
    jobs.watched()
    second = psutil.Process(cluster.part(SECOND_TRIGGERER).process.pid)
    family = [second, *second.children(recursive=True)]
    for process in family:
        process.suspend()
    time.sleep(FROZEN_SECONDS)
    jobs.watched()
    for process in family:
        process.resume()
    jobs.watched()
    cluster.end(SECOND_TRIGGERER)
    jobs.watched()


def bad_weather(trial: Trial) -> None:
    """bad weather, an outage, and jobs that fail"""
    neptune = trial.cluster.neptune
    with neptune.weather(WEATHER):
        runs = [trial.start("deferred", 20), trial.start("in_a_worker", 4)]
        failing = trial.start("deferred", 4)
        failing.open("AlgorithmError: nodes/customer.csv, line 7: no number")
        for jobs in runs:
            jobs.submitted()
        neptune.outage(OUTAGE_SECONDS)
        for jobs in runs:
            jobs.open()
        for jobs in (*runs, failing):
            jobs.wait_for(*ENDED)


#: Those that touch nothing but their own tasks, which may go on at the same time; then the others, one by one.
TOGETHER: tuple[Callable[[Trial], None], ...] = (submit_and_die, defer_and_die, marked_and_cleared, time_outs)
ALONE: tuple[Callable[[Trial], None], ...] = (
    triggerer_dies,
    two_triggerers,
    scheduler_dies,
    api_server_dies,
    bad_weather,
)
