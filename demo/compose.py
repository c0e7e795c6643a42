"""What Docker Compose would run by a compose file, so far as this project's goes, and how that runs without Docker.

The file's own words stay: its programs, environments, dependencies and health checks. Only addresses are others, since
here all containers share one network: hosts become loopback, and each number of four digits, a port, a free one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import yaml

from demo.processes import DemoError

HEALTHY = "service_healthy"
COMPLETED = "service_completed_successfully"
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<how>[-?])(?P<word>[^}]*))?\})")
PORT = re.compile(r"(?<![\w.])\d{4}(?![\w.])")
#: The commands that the image's entrypoint runs as they are; any other is one of Airflow's.
PROGRAMS = ("bash", "python")


@dataclass(frozen=True)
class Container:
    """One container of a service.

    :param name: the service's, with a number where it has several.
    :param command: what runs in it, by the image's entrypoint or the service's own.
    :param waits: the condition that each service must meet before this one starts.
    :param check: the command by which its health is seen; empty where it has none.
    """

    name: str
    service: str
    command: list[str]
    environment: dict[str, str]
    waits: dict[str, str]
    check: list[str]


def containers(text: str, variables: Mapping[str, str]) -> list[Container]:
    """Give the containers of a compose file, each after those that it waits for.

    :param variables: what ``.env`` has; its ``COMPOSE_PROFILES`` says which services are there.
    :raises DemoError: when a variable misses that the file wants.
    """
    profiles = set(variables.get("COMPOSE_PROFILES", "").split(","))
    services = {
        name: interpolated(service, variables)
        for name, service in yaml.safe_load(text)["services"].items()
        if not service.get("profiles") or profiles & set(service["profiles"])
    }
    waits = {name: _waits(service, services) for name, service in services.items()}
    order = TopologicalSorter(waits).static_order()
    return [container for name in order for container in _containers(name, services[name], waits[name])]


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """Give a part of a compose file with its variables filled in."""
    if isinstance(value, dict):
        return {key: interpolated(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each, variables) for each in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: _filled(found, variables), value)
    return value


def here(text: str, services: Iterable[str], ports: Mapping[str, str]) -> str:
    """Give a text with the addresses of this machine's loopback interface in the place of those between containers.

    :param services: the names by which containers find each other.
    :param ports: the port here of each port there.
    """
    names = "|".join(map(re.escape, services))
    loopback = re.sub(rf"(?<=[@/])(?:{names})(?=[:/])|\blocalhost\b|\b0\.0\.0\.0\b", "127.0.0.1", text)
    return PORT.sub(lambda found: ports[found[0]], loopback)


def hostname() -> str:
    """Give the name of the container that a process would be in; Airflow is told to ask here."""
    return os.environ["HOSTNAME"]


def _filled(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found["dollar"]:
        return "$"
    if value := variables.get(found["name"], ""):
        return value
    if found["how"] == "?":
        raise DemoError(f"{found['name']}: {found['word']}")
    return found["word"] or ""


def _waits(service: Mapping[str, Any], services: Mapping[str, Any]) -> dict[str, str]:
    wanted = service.get("depends_on", {})
    return {name: how["condition"] for name, how in wanted.items() if name in services or how.get("required", True)}


def _containers(name: str, service: Mapping[str, Any], waits: dict[str, str]) -> Iterator[Container]:
    replicas = service.get("deploy", {}).get("replicas", 1)
    for number in range(1, replicas + 1):
        yield Container(
            name=f"{name}-{number}" if replicas > 1 else name,
            service=name,
            command=_command(service),
            environment=service.get("environment", {}),
            waits=waits,
            check=_check(service),
        )


def _command(service: Mapping[str, Any]) -> list[str]:
    command: list[str] = service.get("command", [])
    if entrypoint := service.get("entrypoint"):
        return [*entrypoint, *command]
    return command if not command or command[0] in PROGRAMS else ["airflow", *command]


def _check(service: Mapping[str, Any]) -> list[str]:
    match service.get("healthcheck", {}).get("test", []):
        case ["CMD-SHELL", script]:
            return ["sh", "-c", script]
        case ["CMD", *command]:
            return command
    return []
