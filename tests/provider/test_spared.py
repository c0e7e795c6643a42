"""Waits neither bring on long garbage collections nor need one when they have ended."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from neptune_airflow.hooks import spared
from neptune_airflow.hooks.spared import STEP, grown, shrunk
from neptune_airflow.triggers.neptune_ml import NeptuneMLJobTrigger
from tests.provider.triggerer import Cluster, run, service, until, waiting


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process be one that has spared nothing, and leave it so."""
    monkeypatch.setattr(spared, "_living", 0)
    monkeypatch.setattr(spared, "_spared", -STEP)
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_lives_is_spared_once_all_is_loaded_and_again_only_when_it_is_much_more_than_ever() -> None:
    kept: list[Any] = []  # so that there is something to spare

    def grows(by: int, loaded: bool = True) -> bool:
        before = gc.get_freeze_count()
        for _ in range(by):
            kept.append([[] for _ in range(10)])
            grown(loaded)
        return gc.get_freeze_count() > before

    assert not grows(1, loaded=False)
    assert grows(1)
    assert not grows(STEP - 1)
    assert grows(1)
    shrunk(STEP)
    assert not grows(2 * STEP - 1)
    assert grows(1)


def test_what_a_wait_has_loaded_is_spared_and_a_wait_that_ended_leaves_nothing_to_collect() -> None:
    gone: list[str] = []

    def trigger(job_id: str, url: str) -> NeptuneMLJobTrigger:
        made = NeptuneMLJobTrigger("data_processing", job_id, {"endpoint_url": url}, waiter_delay=0.05)
        weakref.finalize(made, gone.append, job_id)
        return made

    with Cluster() as cluster:

        async def story() -> None:
            async with waiting(trigger("first", cluster.url)):
                assert gc.get_freeze_count() == 0
                await until(gc.get_freeze_count)
                assert gc.get_freeze_count() > 10_000
                gc.disable()
                try:
                    made = [trigger(f"j{number}", cluster.url) for number in range(5)]
                    async with waiting(*made) as tasks:
                        await until(lambda: {"j0", "j4"} < set(cluster.asked))
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
