"""A pipeline that runs in a real Airflow, seen by somebody who signs in and looks at nothing but Airflow's UI."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from demo.follow import Run
from demo.processes import running
from demo.stack import USER, Stack
from tests.browser.conftest import DESKTOP, PHONE, Console

DAGS = Path(__file__).parents[2] / "dags"
DAG = "neptune_ml_pipeline"
#: ms; a real job takes some seconds, and a machine may be slow.
LONG = 240_000
REASON = "nodes/customer.csv, line 7: no number"
LARGEST = 150_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("demo"), DAGS) as started:
        yield started
    assert running(started.home) == []


@pytest.fixture
def page(browser: Browser, stack: Stack, console: Console) -> Iterator[Page]:
    """A browser of somebody who has not signed in yet."""
    width, height = DESKTOP
    context = browser.new_context(viewport={"width": width, "height": height}, base_url=stack.ui)
    console.listen(context)
    yield context.new_page()
    context.close()


def sign_in(page: Page, stack: Stack, console: Console) -> None:
    """As a person does, by the form. Until then, Airflow's own UI complains that it is refused."""
    page.goto("/")
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(stack.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Dags")).to_be_visible()
    console.complaints.clear()


def frame(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title='Neptune ML']")


def misbehave(stack: Stack, **fault: Any) -> None:
    httpx.post(f"{stack.service}/local/faults", json=fault, trust_env=False).raise_for_status()


def task_page(run: Run, task: str) -> str:
    return f"/dags/{run.dag_id}/runs/{run.run_id}/tasks/{task}"


def job_page(run: Run, task: str) -> str:
    """The same as the view on a task's page, with all of the window to itself."""
    where = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": task}
    return f"/plugin/neptune-ml/neptune-ml/job?{urlencode(where)}"


Picture = Callable[..., None]


@pytest.fixture
def picture(page: Page, images: Path) -> Picture:
    """Take a page, by its path or the one that is open, in both themes, on a desktop and on a phone."""

    def take(name: str, path: str | None = None) -> None:
        if path:
            page.goto(path)
        _take(page, images, name)

    return take


def _take(page: Page, images: Path, name: str) -> None:
    for theme in ("light", "dark"):
        page.evaluate("(theme) => localStorage.setItem('theme', theme)", theme)
        for size, (width, height) in {"desktop": DESKTOP, "phone": PHONE}.items():
            page.set_viewport_size({"width": width, "height": height})
            page.reload()
            page.wait_for_load_state("networkidle")
            expect(frame(page).locator("main")).to_have_attribute("aria-busy", "false")
            expect(frame(page).locator("html")).to_have_attribute("data-theme", theme)
            image = images / f"{name}-{size}-{theme}.png"
            page.screenshot(path=image)
            assert image.stat().st_size <= LARGEST, image
    page.evaluate("localStorage.removeItem('theme')")
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})


def test_nobody_sees_it_who_has_not_signed_in(page: Page, console: Console) -> None:
    console.expected.append("401")
    answer = page.goto("/neptune-ml/")
    assert answer is not None
    assert answer.status == 401
    page.goto("/plugin/neptune-ml")
    expect(page.get_by_label("Password")).to_be_visible()
    expect(page.get_by_text("Neptune ML")).to_have_count(0)


def test_a_run_from_its_beginning_to_its_end(
    page: Page, stack: Stack, console: Console, picture: Picture, images: Path
) -> None:
    """It is watched without a reload; then each job and its links are looked at, where Airflow shows them."""
    sign_in(page, stack, console)
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Neptune ML").click()
    inside = frame(page)
    misbehave(stack, operation="GetMLModelTrainingJob", status="InProgress", times=100_000)
    run = Run(stack, DAG)
    training = inside.locator("li.stage", has_text="Training").locator(".badge")
    row = inside.get_by_role("article").filter(has=inside.get_by_role("heading", level=2, name=run.run_id))
    expect(inside.get_by_role("button", name="Refresh")).to_be_visible()
    expect(row.locator(".badge").first).to_have_text("▶ Running", timeout=LONG)
    expect(training.first).to_have_text("▶ Running", timeout=LONG)
    picture("running")
    httpx.delete(f"{stack.service}/local/faults", trust_env=False).raise_for_status()
    expect(training.first).to_have_text("✓ Succeeded", timeout=LONG)
    expect(row.locator(".card .badge")).to_have_text(["✓ Succeeded"] * 3)
    expect(row.locator(".facts .badge")).to_have_text("✓ Succeeded", timeout=LONG)
    for task, names in (
        ("process", ("nodes", "edges", "features", "train", "valid", "test")),
        ("train", ("baseline",)),
    ):
        figures = row.locator(".card", has=inside.get_by_role("link", name=task, exact=True)).locator(".figures")
        for name in names:
            expect(figures).to_contain_text(name)
    picture("runs")

    row.get_by_role("link", name=run.run_id).click()
    expect(inside.locator("summary")).to_have_count(3)
    page.wait_for_url("**/plugin/neptune-ml/neptune-ml/run?**")  # the address can be passed on
    picture("run")

    page.goto(f"{task_page(run, 'train')}/plugin/neptune-ml-job")
    expect(inside.get_by_role("heading", level=1)).to_have_text("Training: train")
    expect(inside.get_by_role("img", name=re.compile("by epoch"))).to_be_visible()
    expect(inside.get_by_text("Model beside baselines")).to_be_visible()
    page.screenshot(path=images / "task.png")
    picture("training", job_page(run, "train"))
    page.goto(f"{task_page(run, 'process')}/plugin/neptune-ml-job")
    expect(inside.get_by_role("img", name=re.compile("^Label split"))).to_be_visible()
    picture("processing", job_page(run, "process"))


def test_links_lead_out_of_the_frame(page: Page, stack: Stack, console: Console) -> None:
    """Airflow's frame lets nothing be opened; a page in it can still lead to the job's own."""
    sign_in(page, stack, console)
    page.goto("/plugin/neptune-ml")
    link = frame(page).get_by_role("link", name="SageMaker job").first
    with page.expect_popup() as opened:
        link.click()
    expect(opened.value).to_have_url(re.compile(re.escape(stack.service)))
    assert opened.value.evaluate("window.opener") is None
    with page.expect_popup() as apart:
        frame(page).get_by_role("link", name="train", exact=True).first.click(modifiers=["ControlOrMeta"])
    expect(apart.value.get_by_role("heading", level=1)).to_have_text("Training: train")
    frame(page).get_by_role("link", name="In Airflow").first.click()
    page.wait_for_url(f"**/dags/{DAG}/runs/*")
    page.get_by_role("link", name="Neptune ML").click()
    expect(frame(page).get_by_role("heading", level=2, name="In detail")).to_be_visible()


def test_a_tasks_own_links_lead_to_the_local_service(page: Page, stack: Stack, console: Console) -> None:
    """On the task's page in Airflow, beside the view of ours."""
    sign_in(page, stack, console)
    page.goto("/plugin/neptune-ml")
    frame(page).get_by_role("link", name="train", exact=True).first.click()
    frame(page).get_by_role("link", name="Task in Airflow").click()
    page.wait_for_url("**/tasks/train")
    page.get_by_role("link", name="Details").click()
    for name in ("SageMaker job", "CloudWatch log", "S3 input", "S3 output"):
        link = page.get_by_role("link", name=name).first
        expect(link).to_be_visible()
        answer = httpx.get(str(link.get_attribute("href")), trust_env=False)
        assert (answer.status_code, str(answer.url).startswith(stack.service)) == (200, True), name
    page.get_by_role("link", name="Neptune ML").click()
    expect(frame(page).get_by_role("heading", level=1)).to_have_text("Training: train")


def test_a_failed_run_says_why(page: Page, stack: Stack, console: Console, picture: Picture) -> None:
    misbehave(stack, operation="StartMLDataProcessingJob", fail=REASON, times=2)
    sign_in(page, stack, console)
    run = Run(stack, DAG)
    page.goto("/plugin/neptune-ml")
    inside = frame(page)
    row = inside.get_by_role("article").filter(has=inside.get_by_role("heading", level=2, name=run.run_id))
    expect(row.locator(".card.failed")).to_contain_text(REASON, timeout=LONG)
    expect(row.locator(".facts .badge")).to_have_text("✕ Failed", timeout=LONG)
    expect(row.locator(".card.not_run")).to_have_count(1)
    page.goto(f"{task_page(run, 'process')}/plugin/neptune-ml-job")
    expect(inside.get_by_text("Why it failed")).to_be_visible()
    expect(inside.get_by_text(REASON).first).to_be_visible()
    picture("failed", job_page(run, "process"))
