"""The side by side comparison: its verdicts can come out either way, and its faults are the ones that they say."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chaos.beside.proxy import AFTER_RESET, PAGE, RESET, Call, Proxy
from chaos.beside.services import EXPIRED, FAILING, THROTTLED, Glue, Life, Neptune
from chaos.beside.table import Cell, as_markdown, play_all
from chaos.beside.verdict import Outcome, judge


class Upstream(ThreadingHTTPServer):
    """Counts what reaches it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Counted)
        self.reached = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Counted(BaseHTTPRequestHandler):
    server: Upstream

    def do_POST(self) -> None:
        self.server.reached += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"id": "one"}')

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def read(method: str, path: str, headers: Mapping[str, str], sent: Any, answered: Any) -> Call:
    return Call("start", (answered or {}).get("id", ""))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[Proxy]:
    refusals = {FAILING: (500, {}, {"code": "Broken"})}
    with Proxy(f"http://127.0.0.1:{upstream.server_port}", read, refusals) as proxy:
        yield proxy


def ask(proxy: Proxy) -> str:
    request = urllib.request.Request(proxy.url, b"{}", method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return str(answer.read().decode())


def test_proxy_passes_and_keeps_what_passed(proxy: Proxy, upstream: Upstream) -> None:
    assert json.loads(ask(proxy)) == {"id": "one"}
    assert (upstream.reached, proxy.ids("start")) == (1, ["one"])


@pytest.mark.parametrize(("effect", "reached"), [(RESET, 0), (AFTER_RESET, 1)])
def test_proxy_resets_before_or_after_the_work_is_done(
    proxy: Proxy, upstream: Upstream, effect: str, reached: int
) -> None:
    rule = proxy.spoil(effect, "start", times=1)
    with pytest.raises(ConnectionResetError):
        ask(proxy)
    assert (upstream.reached, rule.struck, len(proxy.ids("start"))) == (reached, 1, reached)
    ask(proxy)
    assert upstream.reached == reached + 1


def test_proxy_answers_in_the_service_s_stead(proxy: Proxy, upstream: Upstream) -> None:
    proxy.spoil(FAILING, "start", times=1)
    with pytest.raises(urllib.error.HTTPError, match="500"):
        ask(proxy)
    proxy.spoil(PAGE, "start", times=1)
    assert ask(proxy).startswith("<html>")
    assert upstream.reached == 0


def test_both_services_can_refuse_the_same() -> None:
    assert Glue.refusals.keys() == Neptune.refusals.keys() == {FAILING, THROTTLED, EXPIRED}


LIVING, DONE, STOPPED = Life(1), Life(1, 5, True), Life(1, 5)
LATER = Life(7)


@pytest.mark.parametrize(
    ("lives", "given", "expected"),
    [
        ({"a": DONE}, {}, set()),
        ({"a": DONE, "b": Life(3, 9, True)}, {}, {"doubled"}),
        ({"a": DONE, "b": Life(7, 9, True)}, {}, {"doubled"}),
        ({"a": STOPPED, "b": LATER}, {}, set()),
        ({"a": DONE, "b": LATER}, {"clears": True}, set()),
        ({"a": DONE, "b": Life(3, 9, True)}, {"clears": True}, {"doubled"}),
        ({"a": DONE}, {"clears": True}, {"unheeded"}),
        ({"a": LIVING}, {"left": ["a"]}, {"orphaned"}),
        ({"a": DONE}, {"story": ("running (1)", "failed (1)")}, {"lost"}),
        ({"a": DONE}, {"story": ("running (1)", "failed (1)"), "settled": "failed", "ends": True}, set()),
        ({"a": DONE}, {"settled": "deferred", "ends": True}, {"unheeded"}),
        ({"a": STOPPED}, {"cancels": [("a", 5.0)]}, {"cancelled"}),
        ({"a": STOPPED}, {"cancels": [("a", 5.0)], "ends": True}, set()),
        ({"a": STOPPED, "b": LATER}, {"cancels": [("a", 5.0)], "clears": True}, set()),
        ({"a": STOPPED, "b": Life(7, 8)}, {"cancels": [("b", 8.0)], "clears": True}, {"cancelled"}),
        ({"a": STOPPED, "b": Life(3)}, {"cancels": [("a", 5.0)]}, {"doubled"}),
    ],
)
def test_verdict(lives: dict[str, Life], given: dict[str, Any], expected: set[str]) -> None:
    calm = {"cancels": [], "left": [], "settled": "success", "story": ("success (1)",), "ends": False, "clears": False}
    outcome = judge(lives, **{**calm, **given})
    found = {name for name in ("doubled", "orphaned", "lost", "cancelled", "unheeded") if getattr(outcome, name)}
    assert found == expected


def test_table_counts_and_says_where_there_is_no_such_fault() -> None:
    fine = Outcome(False, False, False, False, False, 1, ("running (1)", "success (1)"))
    bad = Outcome(True, True, False, False, False, 2, ("running (1)", "up_for_retry (1)", "success (2)"))
    cells = {("marked", "glue-worker"): Cell([fine, bad, bad]), ("marked", "neptune-worker"): Cell(why_none="never")}
    assert as_markdown(cells).splitlines()[2] == "| task marked failed | doubled 2, orphaned 2, 2 tries (n=3) | - |"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Cell]:
    """Real workers and triggerers of both providers, killed for good."""
    services = {"neptune": Neptune(parallel=4), "glue": Glue()}
    logs = tmp_path_factory.mktemp("logs")
    try:
        faults, subjects = ["killed-submitting", "moved", "marked"], ["glue-worker", "neptune-deferred"]
        return play_all(services, faults, subjects, runs=1, outage=1, parallel=5, logs=logs)
    finally:
        for service in services.values():
            service.stop()


def test_a_worker_killed_while_it_submits_doubles_a_job_whose_id_the_service_picks(
    cells: dict[tuple[str, str], Cell],
) -> None:
    (outcome,) = cells["killed-submitting", "glue-worker"].outcomes
    assert (outcome.doubled, outcome.orphaned, outcome.jobs) == (True, True, 2)


def test_a_worker_killed_while_it_submits_leaves_one_job_whose_id_is_computed(
    cells: dict[tuple[str, str], Cell],
) -> None:
    (outcome,) = cells["killed-submitting", "neptune-deferred"].outcomes
    assert outcome.jobs == 1
    assert "up_for_retry (1)" in outcome.story


@pytest.mark.parametrize(
    ("fault", "end"), [("killed-submitting", "success"), ("moved", "success"), ("marked", "failed")]
)
def test_ours_comes_through(cells: dict[tuple[str, str], Cell], fault: str, end: str) -> None:
    cell = cells[fault, "neptune-deferred"]
    assert str(cell).startswith("fine")
    assert cell.outcomes[0].story[-1].startswith(end)
