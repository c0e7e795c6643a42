"""Waits neither bring on long garbage collections nor need one when they have ended."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from neptune_airflow.hooks import spared
from neptune_airflow.hooks.spared import STEP, spare
from neptune_airflow.triggers.neptune_ml import NeptuneMLJobTrigger
from tests.provider.triggerer import Cluster, run, service, until, waiting


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process be one that has spared nothing, and leave it so."""
    monkeypatch.setattr(spared, "_spared", -STEP)
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_lives_is_spared_at_the_first_wait_and_again_only_when_there_are_many_more_than_ever() -> None:
    kept: list[Any] = []  # so that there is something to spare
    frozen = [gc.get_freeze_count()]
    for waits in (1, 2, STEP, STEP + 1, 1, STEP + 1, 2 * STEP, 2 * STEP + 1):
        kept.append([[] for _ in range(1_000)])
        spare(waits)
        frozen.append(gc.get_freeze_count())
    grown = [before < after for before, after in pairwise(frozen)]
    assert grown == [True, False, False, True, False, False, False, True]


def test_what_a_wait_has_loaded_is_spared_and_a_wait_that_ended_leaves_nothing_to_collect() -> None:
    gone: list[str] = []

    def trigger(job_id: str, url: str) -> NeptuneMLJobTrigger:
        made = NeptuneMLJobTrigger("data_processing", job_id, {"endpoint_url": url}, waiter_delay=0.05)
        weakref.finalize(made, gone.append, job_id)
        return made

    with Cluster() as cluster:

        async def story() -> None:
            async with waiting(trigger("first", cluster.url)):
                await until(lambda: "first" in cluster.asked)
                assert gc.get_freeze_count() == 0
                gc.disable()
                try:
                    made = [trigger(f"j{number}", cluster.url) for number in range(5)]
                    async with waiting(*made) as tasks:
                        await until(lambda: set(cluster.asked) > {"j0", "j4"})
                        assert gc.get_freeze_count() > 10_000
                        polls = [weakref.ref(poll) for poll in service().polls.values()]
                        gc.freeze()
                        cluster.done.set()
                        assert {(await task)["job"]["status"] for task in tasks} == {"Completed"}
                    del made, tasks
                    await until(lambda: len(gone) == 5)
                    assert sum(poll() is not None for poll in polls) <= 1  # the first one's
                finally:
                    gc.enable()

        run(story)
