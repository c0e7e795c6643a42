"""Runs jobs: each in a child process of its own, a few at a time, with a time-out, until it ends or is stopped.

An endpoint's model alone is loaded in this process, for it stays there to answer.

One event loop in one thread keeps watch, so that a thousand waiting jobs cost no threads; whatever blocks goes to a
small pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

from neptune_airflow.local.cloud import CREDENTIALS, Cloud
from neptune_airflow.local.refusals import STOPPING, RefusedError
from neptune_airflow.local.registry import Job, Registry, State, Status
from neptune_airflow.local.settings import Settings
from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.local.worker import ORDER, OUTCOME
from neptune_airflow.store import Store

logger = logging.getLogger(__name__)

WORKER = "neptune_airflow.local.worker"
CHUNK = 8192
"""Bytes of log read at once: not even empty lines can then exceed CloudWatch's 10,000 events a call."""
LONGEST_LINE = 100_000

T = TypeVar("T")


class Runner:
    """Runs the jobs of one service.

    :param endpoint_url: where the children find S3.
    """

    def __init__(self, settings: Settings, registry: Registry, cloud: Cloud, endpoint_url: str) -> None:
        self._settings, self._registry, self._cloud = settings, registry, cloud
        self._environment = _environment(endpoint_url, settings.region)
        self._endpoint_url = endpoint_url
        self._slots = asyncio.Semaphore(settings.parallel_jobs)
        self._pool = ThreadPoolExecutor(settings.parallel_jobs * 2 + 4, "neptune-ml-job")
        self._lives: dict[asyncio.Task[None], tuple[Job, asyncio.Task[State]]] = {}
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="neptune-ml-jobs", daemon=True)
        self._thread.start()

    def start(self, job: Job) -> None:
        """Run a job as soon as there is room.

        :raises RefusedError: when the service stops.
        """
        if self._closing:
            raise RefusedError(STOPPING)
        asyncio.run_coroutine_threadsafe(self._live(job), self._loop)

    def stop(self, job: Job) -> None:
        """Stop a job's process, or end what it has in service; its status says when that is done."""
        self._loop.call_soon_threadsafe(self._cancel, job)

    def close(self) -> None:
        """Stop every job, wait until no process is left, and end."""
        self._closing = True
        asyncio.run_coroutine_threadsafe(self._stop_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._pool.shutdown(wait=False)

    async def _stop_all(self) -> None:
        for job, work in list(self._lives.values()):
            if not work.done() and self._registry.stop(job.kind.name, job.id):
                work.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)

    def _cancel(self, stopped: Job) -> None:
        """Cancel a job's work; where that is done already, its end is a life of its own."""
        if not any(job is stopped and work.cancel() for job, work in self._lives.values()):
            self._loop.create_task(self._live(stopped))

    async def _live(self, job: Job) -> None:
        """A job from its acceptance to its end. Only ``work`` is ever cancelled, and only once."""
        work = asyncio.ensure_future(self._work(job))
        life = asyncio.current_task()
        assert life is not None
        self._lives[life] = job, work
        if job.state.status is Status.STOPPING:
            work.cancel()
        try:
            outcome = await work
        except asyncio.CancelledError:
            outcome = State(Status.STOPPED)
        except Exception as error:
            logger.exception("%s could not be run", job.name)
            outcome = State(Status.FAILED, f"the service could not run the job: {error}")
        await self._in_thread(self._finish, job, outcome)
        del self._lives[life]

    def _finish(self, job: Job, outcome: State) -> None:
        if job.clean:
            try:
                self._cloud.clean(job)
            except Exception:
                logger.exception("the files of %s could not be deleted", job.name)
        self._registry.end(job, outcome)

    async def _work(self, job: Job) -> State:
        if job.quirk.get("never_ends"):
            self._registry.run(job)
            await asyncio.sleep(job.timeout if job.timeout is not None else float("inf"))
            return _timed_out(job)
        async with self._slots:
            await self._in_thread(self._cloud.open_log, job)
            self._registry.run(job)
            if reason := job.quirk.get("fail"):
                await self._in_thread(self._cloud.log, job, [reason])
                return State(Status.FAILED, reason)
            if job.kind.lasts:
                return await self._in_thread(self._put_in_service, job)
            with tempfile.TemporaryDirectory(prefix="neptune-ml-job-", ignore_cleanup_errors=True) as scratch:
                return await self._in_child(job, Path(scratch))

    def _put_in_service(self, job: Job) -> State:
        """Load a model in this process, where the invocations come."""
        order = self._order(job)
        module = order.pop("module")
        store = Store(order.pop("endpoint_url"), order.pop("region"), self._cloud.s3)
        step = Step(**order, store=store, log=lambda line: self._cloud.log(job, [line]))
        try:
            return State(Status.COMPLETED, result=importlib.import_module(module).load(step))
        except StepFailed as failure:
            reason = str(failure)
        except Exception as error:
            reason = traceback.format_exception_only(error)[-1].strip()
            self._cloud.log(job, traceback.format_exc().splitlines())
        self._cloud.log(job, [reason])
        return State(Status.FAILED, reason)

    async def _in_child(self, job: Job, scratch: Path) -> State:
        (scratch / ORDER).write_text(json.dumps(self._order(job)))
        process = subprocess.Popen(
            [sys.executable, "-m", WORKER],
            cwd=scratch,
            env=self._environment | {"TMPDIR": str(scratch)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        job.pid = process.pid
        ended = self._in_thread(process.wait)
        assert process.stdin is not None
        assert process.stdout is not None
        logged = self._in_thread(self._copy_log, job, process.stdout)
        try:
            in_time, _ = await asyncio.wait({ended}, timeout=job.timeout)
        finally:
            await self._end(process, ended)
            await asyncio.wait({logged}, timeout=self._settings.grace)
            process.stdin.close()
            job.pid = None
        return _outcome(scratch, process.returncode) if in_time else _timed_out(job)

    async def _end(self, process: subprocess.Popen[bytes], ended: asyncio.Future[int]) -> None:
        """End a child and whatever it started: SIGTERM and a grace if it still runs, then SIGKILL to its group."""
        if not ended.done():
            _signal_group(process.pid, signal.SIGTERM)
            await asyncio.wait({ended}, timeout=self._settings.grace)
        _signal_group(process.pid, signal.SIGKILL)
        await ended

    def _copy_log(self, job: Job, output: IO[bytes]) -> None:
        """Copy a child's output to CloudWatch as it comes; what gathers during one call goes with the next."""
        rest = b""
        with output:
            while chunk := os.read(output.fileno(), CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                self._log(job, lines)
        self._log(job, [rest])

    def _log(self, job: Job, lines: list[bytes]) -> None:
        try:
            self._cloud.log(job, [line.decode(errors="replace").rstrip("\r") for line in lines])
        except Exception:
            logger.exception("the log of %s lost some lines", job.name)

    def _order(self, job: Job) -> dict[str, Any]:
        return {
            "module": self._settings.steps[job.kind.name],
            "endpoint_url": self._endpoint_url,
            "region": self._settings.region,
            "job_id": job.id,
            "job_name": job.name,
            "request": job.request,
            "output_location": job.output_location,
            "inputs": job.inputs,
        }

    def _in_thread(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        return asyncio.ensure_future(self._loop.run_in_executor(self._pool, function, *arguments))


def _environment(endpoint_url: str, region: str) -> dict[str, str]:
    """Give a child's environment: this one's, but for AWS, of which it sees only the local service."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    bypass = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1,localhost"]))
    return (
        kept
        | CREDENTIALS
        | {
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": bypass,
            "no_proxy": bypass,
            "PYTHONUNBUFFERED": "1",
        }
    )


def _outcome(scratch: Path, code: int) -> State:
    """Read what a child left; a crash is a failed job with its reason."""
    try:
        left = json.loads((scratch / OUTCOME).read_bytes())
    except FileNotFoundError:
        how = f"died of signal {-code}" if code < 0 else f"ended with exit code {code} and no result"
        return State(Status.FAILED, f"the process {how}")
    if "result" in left:
        return State(Status.COMPLETED, result=left["result"])
    return State(Status.FAILED, left["reason"])


def _timed_out(job: Job) -> State:
    return State(Status.FAILED, f"The job ran longer than {job.kind.timeout} ({job.timeout} s) and was stopped.")


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
