"""What the waits of one triggerer share, and that none is the worse for another."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from neptune_airflow.errors import NeptuneMLJobNotFoundError, NeptuneMLUnavailableError
from neptune_airflow.hooks import shared
from neptune_airflow.hooks.asynchronous import AsyncSession
from neptune_airflow.hooks.base import JobHook
from neptune_airflow.hooks.shared import AT_ONCE, Poll, polling
from neptune_airflow.jobs import DATA_PROCESSING, MODEL_TRAINING, Job
from neptune_airflow.triggers.neptune_ml import NeptuneMLJobTrigger
from tests.provider.conftest import connection
from tests.provider.peers import Peer, http, refusal
from tests.provider.triggerer import Cluster, event, missed, run, service, until, waiting

Make = Callable[..., NeptuneMLJobTrigger]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as each:
        yield each


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the threads in which Airflow was asked for a connection, one an entry."""
    made: list[str] = []
    look_up = JobHook.get_connection

    def counted(conn_id: str) -> Any:
        made.append(threading.current_thread().name)
        return look_up(conn_id)

    monkeypatch.setattr(JobHook, "get_connection", staticmethod(counted))
    return made


@pytest.fixture
def make(cluster: Cluster) -> Make:
    def trigger(job_id: str = "x", kind: str = "data_processing", **given: Any) -> NeptuneMLJobTrigger:
        arguments = {"endpoint_url": cluster.url, **given.pop("hook_arguments", {})}
        return NeptuneMLJobTrigger(kind, job_id, arguments, **{"waiter_delay": 0.05, **given})

    return trigger


def test_many_jobs_of_a_cluster_share_connections_and_credentials(
    make: Make, cluster: Cluster, lookups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[AsyncSession] = []
    start = AsyncSession.__init__
    monkeypatch.setattr(AsyncSession, "__init__", lambda self, *given: (sessions.append(self), start(self, *given))[1])
    role = {"hook_arguments": {"neptune_iam_role_arn": "arn:aws:iam::123456789012:role/n"}}
    triggers = [make(f"j{number}", **(role if number % 2 else {})) for number in range(100)]
    triggers += [make("of-another-kind", kind="model_training")]

    async def story() -> None:
        async with waiting(*triggers) as tasks:
            await until(lambda: len(set(cluster.asked)) == len(triggers))
            cluster.done.set()
            assert {(await task)["job"]["status"] for task in tasks} == {"Completed"}

    run(story)
    assert len(sessions) == 1
    assert sessions[0]._http.closed
    assert len(lookups) == 1
    assert lookups[0].startswith("neptune-ml"), "not on the event loop"
    assert 1 < cluster.most_at_once <= cluster.connections <= AT_ONCE


def test_identical_waits_share_one_poll(make: Make, cluster: Cluster) -> None:
    """An operator's trigger and two sensors': the fastest one's answers are everybody's."""
    fast, slow, later = make(), make(waiter_delay=3600), make(waiter_delay=3600, not_before=time.time() + 0.5)

    async def story() -> None:
        async with waiting(fast, slow, later) as tasks:
            await until(lambda: len(cluster.heads) > 5)
            (poll,) = service().polls.values()
            assert poll.users == 3
            cluster.done.set()
            first, second = await tasks[0], await tasks[1]
            assert first["job"] == second["job"] == Job("data_processing", "x", "Completed").as_dict()
            asked = len(cluster.heads)
            assert (await tasks[2])["job"] == first["job"]
            assert later.not_before
            assert time.time() >= later.not_before, "told no sooner for that"
            assert len(cluster.heads) == asked, "the end is known"

    run(story)
    assert cluster.connections == 1, "never two at once"


def test_one_who_is_cancelled_takes_nothing_from_the_others(make: Make, cluster: Cluster) -> None:
    async def story() -> None:
        async with waiting(*(make() for _ in range(10))) as tasks:
            for task in tasks[:9]:
                seen = len(cluster.heads)
                await until(lambda seen=seen: len(cluster.heads) > seen)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            cluster.done.set()
            assert (await tasks[9])["job"]["status"] == "Completed"

    run(story)


@pytest.mark.parametrize("stage", ["looking up", "asking"])
def test_one_who_is_cancelled_at_any_moment(
    make: Make, cluster: Cluster, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also he who has the connection looked up for all, or whose request the others wait for."""
    reached, go_on = threading.Event(), threading.Event()
    where = (JobHook, "get_session") if stage == "looking up" else (Cluster, "_say")
    proceed = getattr(*where)

    def held(*given: Any, **named: Any) -> Any:
        reached.set()
        go_on.wait(30)
        return proceed(*given, **named)

    monkeypatch.setattr(*where, held)
    cluster.answer = cluster._say

    async def story() -> None:
        async with waiting(make(waiter_delay=0.01)) as first:
            await until(reached.is_set)
            async with waiting(make(waiter_delay=0.02), make("y", waiter_delay=0.02)) as others:
                await until(lambda: len(service().polls) == 2)
                first[0].cancel()
                await asyncio.wait(first)
                go_on.set()
                cluster.done.set()
                assert {(await task)["job"]["status"] for task in others} == {"Completed"}

    run(story)


def test_the_last_one_may_go_and_the_next_come_at_the_same_time(cluster: Cluster) -> None:
    async def ask(poll: Poll) -> Any:
        return await poll.next(0)

    async def story() -> None:
        async with polling(DATA_PROCESSING, "x", {"endpoint_url": cluster.url}) as poll:
            for _ in range(20):
                leaving = asyncio.ensure_future(ask(poll))
                while not poll._request:
                    await asyncio.sleep(0)
                leaving.cancel()
                coming = asyncio.ensure_future(ask(poll))
                assert isinstance(await coming, Job)

    run(story)


def test_all_leave_a_service_alone_that_throttles_and_come_back_spread(
    make: Make, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.throttles = True
    spreads: list[tuple[float, float]] = []
    draw = shared.random.uniform
    monkeypatch.setattr(shared.random, "uniform", lambda *given: (spreads.append(given), draw(*given))[1])
    triggers = [make(f"j{number}", waiter_delay=0.2) for number in range(60)]

    async def story() -> None:
        async with waiting(*triggers) as tasks:
            await until(lambda: missed() == 60)
            asked = len(cluster.heads)
            assert asked <= AT_ONCE, "the others were told without asking"
            cluster.throttles = False
            await until(lambda: len(set(cluster.asked[asked:])) == len(triggers))
            assert (0, 60 / shared.RETURN_RATE) in spreads
            cluster.done.set()
            assert {(await task)["job"]["status"] for task in tasks} == {"Completed"}

    run(story)


@pytest.mark.parametrize("late", [False, True])
def test_only_who_asked_after_the_refusal_calls_the_others_back(cluster: Cluster, late: bool) -> None:
    """Of requests that are under way together a throttling service may well answer some."""

    async def story() -> None:
        async with polling(DATA_PROCESSING, "x", {"endpoint_url": cluster.url}) as poll:
            await poll.next(0)
            here = service()
            cluster.throttles = True
            assert isinstance(await poll.next(0), NeptuneMLUnavailableError)
            assert here._away
            cluster.throttles = False
            if late:
                here._rests_until = 0.0
            else:
                here._rests_until, here._rests_from = 0.0, here._rests_from + 3600
            assert isinstance(await poll.next(0), Job)
            assert (here._away is None) is late

    run(story)


def test_one_jobs_trouble_is_not_all_jobs(cluster: Cluster) -> None:
    async def story() -> None:
        arguments = {"endpoint_url": cluster.url}
        async with polling(DATA_PROCESSING, "x", arguments) as one, polling(MODEL_TRAINING, "y", arguments) as other:
            for _ in range(3):
                cluster.answers = [refusal(500, "InternalFailureException", "oh")]
                assert isinstance(await one.next(0), NeptuneMLUnavailableError)
                assert isinstance(await other.next(0), Job)
            cluster.answers = [refusal(404, "MLResourceNotFoundException", "no such job")]
            assert isinstance(await one.next(0), NeptuneMLJobNotFoundError)
            assert isinstance(await other.next(0), Job)

    run(story)


def test_the_deadline_holds_while_the_service_is_left_alone(make: Make, cluster: Cluster) -> None:
    cluster.throttles = True

    async def story() -> None:
        told = await asyncio.gather(*(event(make(f"j{n}", deadline=time.time() + 1)) for n in range(20)))
        assert {each["error_type"] for each in told} == {"NeptuneMLTimeoutError"}

    run(story)
    assert len(cluster.heads) < 20 + AT_ONCE


def test_refused_credentials_are_read_again_once_for_all(
    make: Make, cluster: Cluster, lookups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.answer = lambda head: (
        cluster._say(head) if "Credential=rotated/" in head else refusal(403, "ExpiredTokenException", "expired")
    )
    triggers = [make(f"j{number}", waiter_delay=0.1) for number in range(30)]

    async def story() -> None:
        async with waiting(*triggers) as tasks:
            await until(lambda: cluster.heads)
            extra = {"endpoint_url": cluster.url, "region_name": "us-east-1"}
            rotated = {"conn_type": "aws", "login": "rotated", "password": "any", "extra": extra}
            monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(rotated))
            cluster.done.set()
            assert {(await task)["job"]["status"] for task in tasks} == {"Completed"}

    run(story)
    refused = sum("Credential=any/" in head for head in cluster.heads)
    assert 0 < refused <= 2 * AT_ONCE < len(triggers)
    assert 1 < len(lookups) <= 3, "not once a job"


def test_a_role_is_assumed_and_renewed_off_the_loop_once_for_all(
    make: Make, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    assumed = (
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>OFROLE</AccessKeyId><SecretAccessKey>s"
        f"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{soon}</Expiration></Credentials>"
        "</AssumeRoleResult></AssumeRoleResponse>"
    )
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    def slow(_: str) -> bytes:
        seen = ticks
        while ticks < seen + 50:  # a role that is assumed on the event loop lets nobody tick
            time.sleep(0.001)
        return http(assumed.encode(), Content_Type="text/xml")

    async def story() -> None:
        ticking = asyncio.ensure_future(tick())
        async with waiting(*(make(f"j{n}", hook_arguments={"aws_conn_id": "with_role"}) for n in range(50))) as tasks:
            await until(lambda: len(set(cluster.asked)) == 50)
            cluster.done.set()
            await asyncio.gather(*tasks)
        ticking.cancel()
        await asyncio.wait([ticking])

    with Peer(slow) as sts:
        service_config = {"sts": {"endpoint_url": sts.url}}
        extra = {"role_arn": "arn:aws:iam::123456789012:role/waits", "service_config": service_config}
        monkeypatch.setenv("AIRFLOW_CONN_WITH_ROLE", connection(cluster.url, **extra))
        run(story)
        assert len(sts.heads) <= 2, "assumed, and renewed because it ends so soon"
    assert all("Credential=OFROLE/" in head for head in cluster.heads)


def test_event_loops_share_nothing(make: Make, cluster: Cluster, lookups: list[str]) -> None:
    started = threading.Barrier(2, timeout=30)

    async def story() -> None:
        async with waiting(make()) as tasks:
            await until(lambda: cluster.heads)
            started.wait()
            cluster.done.set()
            await tasks[0]

    threads = [threading.Thread(target=run, args=(story,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lookups) == 2
    assert not started.broken, "both waited at the same time"


def test_what_was_not_foreseen_is_told_to_all(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Any:
        raise KeyError("boom")

    monkeypatch.setattr(AsyncSession, "send", broken)

    async def story() -> None:
        told = await asyncio.gather(*(event(make(number)) for number in "xxy"))
        assert {each["error_type"] for each in told} == {"KeyError"}

    run(story)


def test_a_trigger_imports_nothing_heavy_on_the_event_loop() -> None:
    script = (
        "import sys, airflow.triggers.base; before = set(sys.modules);"
        "import neptune_airflow.triggers.neptune_ml;"
        "print([each for each in set(sys.modules) - before if each.split('.')[0] in ('boto3', 'botocore', 'aiohttp')"
        " or 'providers.amazon' in each])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]"
