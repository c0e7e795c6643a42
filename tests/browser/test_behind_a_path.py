"""The same where Airflow is behind a path of its own, as `[api] base_url` says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import DESKTOP, Console, token
from tests.plugin.api_server import ApiServer

PATH = "/team/airflow"


@pytest.fixture
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer(tmp_path_factory.mktemp("behind"), prefix=PATH, runs=0) as started:
        yield started


def test_every_way_through_the_page(behind: ApiServer, browser: Browser, console: Console) -> None:
    with browser.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]}) as context:
        console.listen(context)
        context.add_cookies([{"name": "_token", "value": token(behind, "viewer"), "url": behind.address}])
        page = context.new_page()
        page.goto(behind.address)
        page.get_by_role("button", name="Browse").click()
        page.get_by_role("menuitem", name="Neptune ML").click()
        frame = page.frame_locator("iframe[title='Neptune ML']")
        frame.get_by_role("combobox", name="DAG").select_option("fraud_ring")
        frame.get_by_role("button", name="Filter").click()
        expect(frame.get_by_role("article").filter(has=frame.get_by_role("heading", level=2))).to_have_count(3)
        frame.get_by_role("link", name="train", exact=True).last.click()
        expect(frame.get_by_role("heading", level=1)).to_have_text("Training: train")
        frame.get_by_role("link", name="fraud_ring manual__finished").click()
        expect(frame.locator("summary")).to_have_count(5)
        frame.get_by_role("link", name="All runs").click()
        expect(frame.get_by_role("link", name="Show all")).to_have_count(0)
        there = frame.get_by_role("link", name="In Airflow").first
        assert str(there.get_attribute("href")).startswith(f"{behind.address}/dags/fraud_ring/runs/")
