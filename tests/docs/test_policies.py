"""The policies of ``docs/iam`` name actions that exist, all that this package needs, and nothing twice."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from neptune_airflow.jobs import KINDS
from tests.docs.pages import DOCS

POLICIES = sorted((DOCS / "iam").glob("*.json"))
PAGE = (DOCS / "iam.md").read_text()
#: The models of a service's API, where they are not called as its actions are.
MODELS = {"sagemaker": ("sagemaker", "sagemaker-runtime"), "neptune-db": ()}
#: Actions that are named otherwise than an operation, as the page lists them with the reason.
EXCEPTIONS = set(re.findall(r"^\| `([\w-]+:\w+)` \|", PAGE, re.M))


def statements(policy: Path) -> list[dict[str, Any]]:
    return list(json.loads(policy.read_text())["Statement"])


def actions(policy: Path) -> list[str]:
    listed = [each["Action"] for each in statements(policy)]
    return [action for each in listed for action in ([each] if isinstance(each, str) else each)]


@cache
def operations(service: str) -> frozenset[str]:
    """Give the names of a service's operations, as botocore has them."""
    models = [botocore.session.Session().get_service_model(name) for name in MODELS.get(service, (service,))]
    return frozenset(name for model in models for name in model.operation_names)


@cache
def neptune_actions() -> dict[str, str]:
    """Give the action that each operation of the cluster's API asks for, by what its documentation says."""
    model = botocore.session.Session().get_service_model("neptunedata")
    documented = {name: model.operation_model(name).documentation for name in model.operation_names}
    said = {name: re.search(r">(?:neptune-db:)+(\w+)</a>", text) for name, text in documented.items()}
    return {name: f"neptune-db:{found[1]}" for name, found in said.items() if found}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda path: path.name)
def test_every_action_exists(policy: Path) -> None:
    named = actions(policy)
    assert len(named) == len(set(named))
    for action in set(named) - EXCEPTIONS:
        service, _, name = action.partition(":")
        if service == "neptune-db":
            assert action in neptune_actions().values()
        else:
            assert any(fnmatchcase(known, name) for known in operations(service)), action


@pytest.mark.parametrize("policy", POLICIES, ids=lambda path: path.name)
def test_every_policy_is_on_the_page(policy: Path) -> None:
    assert f'--8<-- "iam/{policy.name}"' in PAGE
    assert all(each["Effect"] == "Allow" for each in statements(policy))


def test_every_exception_is_one() -> None:
    used = {action for policy in POLICIES for action in actions(policy)}
    assert used >= EXCEPTIONS
    known = {f"{service}:{name}" for service in ("s3", "iam") for name in operations(service)}
    assert not EXCEPTIONS & (known | set(neptune_actions().values()))


def test_airflow_may_do_all_that_its_hooks_do_and_no_more() -> None:
    methods = {method for kind in KINDS.values() for method in kind.operations.values()}
    client = botocore.session.Session().create_client("neptunedata", region_name="us-east-1", endpoint_url="http://x")
    names = {
        client.meta.method_to_api_mapping[method]
        for method in methods
        if method.endswith(("job", "jobs")) or "endpoint" in method
    }
    needed = {neptune_actions()[name] for name in names} | {"neptune-db:StartMLDataProcessingJob"}
    assert {each for each in actions(DOCS / "iam" / "airflow.json") if each.startswith("neptune-db:")} == needed
