"""The page with a past of every kind: what it shows, how it is used, and what it does when something is wrong."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import DESKTOP, PHONE, Console, Open
from tests.browser.looks import contrasts, names_missing
from tests.plugin.history import BAD_DAG, BAD_RUN, BAD_TEXT, REASON, REMEDY

FINISHED = {"dag_id": "fraud_ring", "run_id": "manual__finished"}
FAILED = {"dag_id": "fraud_ring", "run_id": "manual__failed"}
BAD = {"dag_id": BAD_DAG, "run_id": BAD_RUN}
MAPPED = {"dag_id": "film_ratings", "run_id": "manual__mapped"}
PAGES = {
    "runs": "",
    "run": f"run?{urlencode(FAILED)}",
    "training": f"job?{urlencode({**FINISHED, 'task_id': 'train', 'map_index': '{MAP_INDEX}'})}",
    "processing": f"job?{urlencode({**FINISHED, 'task_id': 'process'})}",
    "failed job": f"job?{urlencode({**FAILED, 'task_id': 'train'})}",
    "odd job": f"job?{urlencode({**BAD, 'task_id': 'process'})}",
    "nonsense": f"job?{urlencode({'dag_id': BAD_DAG, 'run_id': 'manual__wrong', 'task_id': 'process'})}",
    "another's task": f"job?{urlencode({**MAPPED, 'task_id': 'unrelated'})}",
    "nothing": "?kind=endpoint_deletion",
}
HEADINGS = ["Export", "Data processing", "Training", "Transform", "Endpoint"]


def a_run(page: Page, run_id: str) -> Page:
    return page.get_by_role("article").filter(has=page.get_by_role("heading", level=2, name=run_id))


def loaded(page: Page) -> None:
    expect(page.locator("main")).to_have_attribute("aria-busy", "false")


def test_runs_are_rows_of_stages(open_page: Open) -> None:
    page = open_page()
    runs = page.get_by_role("list", name="Runs").locator("> li")
    expect(runs).to_have_count(25)
    running, failed = a_run(page, "manual__running"), a_run(page, "manual__failed")
    expect(running.get_by_role("heading", level=3)).to_have_text(HEADINGS)
    expect(running.locator(".card .badge")).to_have_text(
        ["✓ Succeeded", "✓ Succeeded", "▶ Running", "○ Not started", "○ Not started"]
    )
    expect(running.get_by_text("InProgress when last seen")).to_be_visible()
    expect(failed.get_by_text(REASON)).to_be_visible()
    expect(failed.get_by_text(REMEDY)).to_be_visible()
    trained = a_run(page, "manual__finished").locator(".card", has_text="-train-1")
    expect(trained.locator(".figures")).to_have_text("roc_auc (test)0.901baseline (degree)0.61")
    expect(trained.get_by_role("link", name="SageMaker job")).to_have_attribute(
        "href", "https://console.aws.amazon.com/sagemaker#/" + trained.locator(".id").inner_text()
    )
    expect(trained.get_by_text("1 h 30 min")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("25 runs are shown.")


def test_mapped_tasks_and_sensors(open_page: Open) -> None:
    page = open_page()
    mapped = a_run(page, "manual__mapped")
    expect(mapped.locator(".card h4")).to_have_text(["wait", "train_each [7]", "train_each [9]", "train_each [10]"])
    expect(mapped.get_by_text("waits for this job")).to_be_visible()
    mapped.get_by_role("link", name="9 more of train_each").click()
    expect(page.locator("summary")).to_have_count(13)


def test_filters_by_keyboard_alone(open_page: Open) -> None:
    page = open_page()
    loaded(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.get_by_label("Kind of job").focus()
    page.keyboard.type("Tra")
    page.keyboard.press("Tab")
    page.keyboard.type("Failed")
    for _ in range(9):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Filter":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**kind=model_training&status=failed**")
    for run in page.get_by_role("article").filter(has=page.get_by_role("heading", level=2)).all():
        expect(run.locator("li.stage", has_text="Training").locator(".badge.failed").first).to_be_visible()
    expect(page.get_by_label("Status of a job")).to_have_value("failed")
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("list", name="Runs").locator("> li")).to_have_count(25)


def test_a_filter_by_dag_and_day(open_page: Open) -> None:
    page = open_page()
    loaded(page)
    page.get_by_role("combobox", name="DAG").select_option("odd.dag-id")
    page.get_by_label("Due until").fill("2000-01-01")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("No run fits.")).to_be_visible()
    page.get_by_label("Due until").fill("")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("list", name="Runs").locator("> li")).to_have_count(2)


def test_older_runs_and_back(open_page: Open) -> None:
    page = open_page()
    newest = page.get_by_role("heading", level=2).all_inner_texts
    loaded(page)
    first = newest()
    page.get_by_role("link", name="Older runs").click()
    expect(page.get_by_role("link", name="Newest runs")).to_be_visible()
    assert set(newest()).isdisjoint(first)
    page.go_back()
    expect(page.get_by_role("heading", level=2)).to_have_text(first)


def test_a_job_in_detail(open_page: Open) -> None:
    page = open_page(PAGES["training"])
    expect(page.get_by_role("heading", level=1)).to_have_text("Training: train")
    plot = page.get_by_role("img", name="roc_auc (valid) by epoch")
    expect(plot.locator("polyline")).to_have_count(4)
    assert "trial 1: from 0.55 to 0.9461" in str(plot.get_attribute("aria-label"))
    expect(page.get_by_text("maxHPONumberOfTrainingJobs")).to_be_visible()
    statuses = page.get_by_role("table").filter(has=page.get_by_role("columnheader", name="Status"))
    expect(statuses.get_by_role("row")).to_contain_text(["Status", "Pending", "InProgress", "Completed"])
    page = open_page(PAGES["processing"])
    expect(page.get_by_role("img", name="Label split: training")).to_be_visible()
    expect(page.get_by_role("cell", name="text_word2vec")).to_be_visible()
    expect(page.get_by_text("12 values that are no number")).to_be_visible()


def test_a_task_that_is_about_something_else(open_page: Open) -> None:
    page = open_page(PAGES["another's task"])
    expect(page.get_by_text("This task is not about a Neptune ML job.")).to_be_visible()


def test_why_a_job_failed(open_page: Open) -> None:
    page = open_page(PAGES["failed job"])
    expect(page.get_by_text(REASON)).to_be_visible()
    expect(page.get_by_text(REMEDY)).to_be_visible()
    log = page.get_by_label("Log", exact=True)
    expect(log).to_contain_text("epoch 49: loss is nan")
    page.wait_for_function("(log) => log.scrollTop > 0", arg=log.element_handle())


def test_a_run_in_detail_keeps_open_what_is_open(open_page: Open) -> None:
    page = open_page(PAGES["run"])
    page.get_by_text("Training: train").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Log", exact=True)).to_contain_text("loss is nan")

    def answer(route: Route) -> None:
        told = route.fetch().json()
        told["tasks"][0]["status"] = "retrying"
        route.fulfill(json=told)

    page.route("**/api/run?*", answer)
    page.evaluate("document.querySelector('.fresh button').click()")
    expect(page.get_by_text("Waits for a retry").first).to_be_visible()
    expect(page.get_by_label("Log", exact=True)).to_contain_text("loss is nan")
    expect(page.locator("summary", has_text="Training: train")).to_be_focused()


def test_what_is_told_is_text(open_page: Open) -> None:
    """None of it becomes a part of the page, and no link leads to a script."""
    for path in (f"?dag_id={BAD_DAG}", f"run?{urlencode(BAD)}", PAGES["odd job"], PAGES["nonsense"]):
        page = open_page(path)
        loaded(page)
        for closed in page.locator("summary").all():
            closed.click()
            expect(page.locator(".inside > *").first).to_be_visible()
        if "wrong" not in path:
            expect(page.get_by_text(BAD_TEXT).first).to_be_visible()
        assert page.locator("main img, main script, header img, header script").count() == 0
        assert page.locator("a[href^='javascript:' i]").count() == 0
        assert page.title() == "Neptune ML"


def test_loading_and_then_an_error_and_then_again(open_page: Open, console: Console) -> None:
    page = open_page("run?dag_id=fraud_ring&run_id=none_such")
    expect(page.get_by_role("alert")).to_contain_text("There is nothing here that you may see")
    console.expected += ["404", "503", "ERR_FAILED"]
    page = open_page()
    loaded(page)
    page.route("**/api/runs?*", lambda _: None)  # no answer comes
    page.reload(wait_until="domcontentloaded")
    expect(page.get_by_text("Loading …")).to_be_visible()
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    page.unroute("**/api/runs?*")
    page.route("**/api/runs?*", lambda route: route.fulfill(status=503))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("Airflow did not answer as it should")
    page.unroute("**/api/runs?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(a_run(page, "manual__running")).to_be_visible()
    page.route("**/api/runs?*", lambda route: route.abort())
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(a_run(page, "manual__running")).to_be_visible()


def test_who_is_signed_out_while_looking_is_told(open_page: Open, console: Console) -> None:
    console.expected.append("401")
    page = open_page()
    loaded(page)
    page.context.clear_cookies()
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("alert")).to_contain_text("You are signed out")
    expect(page.get_by_label("Auto-refresh")).not_to_be_checked()


def test_who_may_not_see_it_does_not(open_page: Open, console: Console) -> None:
    console.expected += ["401", "403"]
    for user, words in ((None, "Not authenticated"), ("no_website", "Forbidden")):
        expect(open_page(user=user).locator("body")).to_contain_text(words)
    expect(open_page(user="no_xcoms").get_by_text("No Neptune ML task has begun yet")).to_be_visible()
    narrow = open_page(user="narrow")
    expect(narrow.get_by_role("combobox", name="DAG").locator("option")).to_have_text(["any", "fraud_ring"])


def test_it_asks_again_by_itself_while_somebody_looks(open_page: Open) -> None:
    page = open_page("?dag_id=fraud_ring")  # in which a run is running
    loaded(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/runs" in request.url else None)
    page.clock.install()
    page.reload()
    loaded(page)
    asked.clear()
    with page.expect_request("**/api/runs?*"):
        page.clock.fast_forward(5_500)
    page.wait_for_load_state("networkidle")
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    asked.clear()
    page.clock.fast_forward(120_000)
    assert asked == []
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    with page.expect_request("**/api/runs?*"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_load_state("networkidle")
    page.get_by_label("Auto-refresh").uncheck()
    asked.clear()
    page.clock.fast_forward(120_000)
    assert asked == []
    page.reload()
    expect(page.get_by_label("Auto-refresh")).not_to_be_checked()


def test_what_has_not_changed_stays_and_so_does_the_focus(open_page: Open) -> None:
    page = open_page()
    link = a_run(page, "manual__failed").get_by_role("link", name="process")
    link.focus()
    with page.expect_response("**/api/runs?*"):
        page.evaluate("document.querySelector('.fresh button').click()")
    expect(link).to_be_focused()

    def answer(route: Route) -> None:
        told = route.fetch().json()
        run = next(run for run in told["runs"] if run["run_id"] == "manual__failed")
        next(task for task in run["tasks"] if task["record"])["record"]["figures"]["nodes"] = 123_456_789
        route.fulfill(json=told)

    page.route("**/api/runs?*", answer)
    page.evaluate("document.querySelector('.fresh button').click()")
    expect(page.get_by_role("status")).to_have_text("One run has changed.")
    expect(a_run(page, "manual__failed").get_by_text("123,456,789")).to_be_visible()
    expect(link).to_be_focused()


def test_the_theme_is_airflows(open_page: Open) -> None:
    page = open_page(theme="dark")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-theme", "light")
    other = page.context.new_page()
    other.goto("/neptune-ml/")
    for theme in ("dark", "light"):
        other.evaluate("(theme) => localStorage.setItem('theme', theme)", theme)  # as Airflow's UI does around us
        expect(root).to_have_attribute("data-theme", theme)
    other.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")


def test_times_are_in_the_zone_that_airflow_shows(open_page: Open) -> None:
    page = open_page(PAGES["training"])
    before = page.locator("time").first.inner_text()
    page.evaluate("localStorage.setItem('timezone', JSON.stringify('Asia/Tokyo'))")
    page.reload()
    expect(page.locator("time").first).not_to_have_text(before)
    expect(page.get_by_text("(Asia/Tokyo)")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_read_it(open_page: Open, name: str, theme: str) -> None:
    for size in (DESKTOP, PHONE):
        page = open_page(PAGES[name], theme=theme, size=size)
        loaded(page)
        for closed in page.locator("summary").all():
            closed.click()
            expect(closed.locator("+ .inside > *").first).to_be_visible()
        low = {text: ratio for text, ratio in contrasts(page) if ratio < 4.5}
        assert low == {}
        assert names_missing(page) == []
        assert page.get_by_role("heading", level=1).count() == 1
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= size[0], "it has to be moved sideways to be read"
