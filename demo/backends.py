"""PostgreSQL and Redis beside an Airflow, as Debian has them; ``python -m demo.backends`` names the packages that miss.

They listen on the loopback interface, want a password and keep their data below the stack's own folder; PostgreSQL does
not run as root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from demo.processes import DemoError
from demo.stack import HOST, Stack

#: PostgreSQL's user and database.
DATABASE = "airflow"
#: Who PostgreSQL runs as where this is run by root, as Debian's package has made it.
DATABASE_USER = "postgres"
POSTGRES = Path("/usr/lib/postgresql")
REDIS = Path("/usr/bin/redis-server")
PACKAGES: Mapping[str, Callable[[], object]] = {
    "postgresql": lambda: any(POSTGRES.glob("*/bin/postgres")),
    "redis-server": REDIS.exists,
    # By which the compose file's health checks ask.
    "curl": lambda: shutil.which("curl"),
}


def missing_packages() -> list[str]:
    """Name the Debian packages that are not installed."""
    return [name for name, there in PACKAGES.items() if not there()]


def check_packages() -> None:
    """Make sure that PostgreSQL and Redis are installed.

    :raises DemoError: when a Debian package is missing.
    """
    if missing := missing_packages():
        raise DemoError(f"Debian packages are missing: apt-get install {' '.join(missing)}")


def start_postgres(stack: Stack, password: str, port: int) -> None:
    """Start PostgreSQL as a part of a stack, and make its database."""
    data, secret = stack.home / "postgres", stack.home / "postgres.password"
    data.mkdir()
    _write_secret(secret, password)
    programs = max(POSTGRES.glob("*/bin"), key=lambda folder: float(folder.parent.name))
    become: list[str] = []
    if os.geteuid() == 0:
        for path in (data, secret):
            shutil.chown(path, DATABASE_USER, DATABASE_USER)
        become = ["/usr/bin/setpriv", f"--reuid={DATABASE_USER}", f"--regid={DATABASE_USER}", "--clear-groups"]
    new = [str(programs / "initdb"), "--pgdata", str(data), "--username", DATABASE, "--no-sync"]
    _run([*become, *new, "--auth", "scram-sha-256", "--pwfile", str(secret)], data)
    serve = [str(programs / "postgres"), "-D", str(data), "-h", HOST, "-p", str(port)]
    options = {"unix_socket_directories": "", "max_connections": "300", "fsync": "off"}
    stack.launch("postgres", [*become, *serve, *(part for pair in options.items() for part in ("-c", "=".join(pair)))])
    address = ["--host", HOST, "--port", str(port)]
    ready = [str(programs / "pg_isready"), *address]
    stack.wait_for(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0, "PostgreSQL")
    _run([str(programs / "createdb"), *address, "--username", DATABASE, DATABASE], data, PGPASSWORD=password)


def start_redis(stack: Stack, password: str, port: int) -> None:
    """Start Redis as a part of a stack."""
    settings = stack.home / "redis.conf"
    lines = ["bind " + HOST, f"port {port}", f"requirepass {password}", f"dir {stack.home}", 'save ""']
    # By its environment it is known for a part of this stack, and its title would overwrite that.
    _write_secret(settings, "\n".join([*lines, "set-proc-title no", ""]))
    stack.launch("redis", [str(REDIS), str(settings)])


def _write_secret(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


def _run(command: Sequence[str], folder: Path, **environment: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DemoError(f"{Path(command[0]).name} failed:\n{done.stderr}")


if __name__ == "__main__":
    sys.stdout.write(" ".join(missing_packages()) + "\n")
