"""``neptune-ml-local``: the local Neptune ML service from a terminal."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from neptune_airflow.local.settings import STEPS, Settings

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 after an orderly stop."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=arguments.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return _serve(_settings(arguments))


def _serve(settings: Settings) -> int:
    """Serve until a signal says stop; the one line on standard output says where, once everything is ready."""
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    from neptune_airflow.local.server import LocalNeptune

    try:
        service = LocalNeptune(settings).start()
    except OSError as error:
        print(f"neptune-ml-local cannot listen on {settings.host}:{settings.port}: {_why(error)}", file=sys.stderr)
        return 1
    try:
        print(f"neptune-ml-local is ready at {service.endpoint_url}", flush=True)
        stop.wait()
    finally:
        service.stop()
    return 0


def _why(error: OSError) -> str:
    """Give an error's plain text; the socket module adds the address to its own."""
    return os.strerror(error.errno) if error.errno else str(error)


def _settings(arguments: argparse.Namespace) -> Settings:
    default = Settings()
    return Settings(
        host=arguments.host,
        port=arguments.port,
        public_url=arguments.public_url,
        region=arguments.region,
        buckets=tuple(arguments.bucket or default.buckets),
        cluster_role=not arguments.no_cluster_role,
        graph=_absolute(arguments.graph),
        parallel_jobs=arguments.parallel_jobs or default.parallel_jobs,
        steps={**STEPS, **dict(arguments.step)},
    )


def _absolute(graph: str | None) -> str | None:
    """Give a graph's location as jobs can use it, which run in folders of their own."""
    return graph if graph is None or "://" in graph else str(Path(graph).resolve())


def _step(text: str) -> tuple[str, str]:
    kind, _, module = text.partition("=")
    if kind not in STEPS or not module:
        raise argparse.ArgumentTypeError(f"{text!r} is not KIND=MODULE with KIND one of {', '.join(STEPS)}")
    return kind, module


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="neptune-ml-local", description=__doc__)
    serve = parser.add_subparsers(required=True, metavar="COMMAND").add_parser("serve", help="run the service")
    default = Settings()
    serve.add_argument("--host", default=default.host, help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=8182, help="port; 0 takes a free one (default: %(default)s)")
    serve.add_argument(
        "--public-url", metavar="URL", help="where a browser reaches the service (default: where it listens)"
    )
    serve.add_argument("--region", default=default.region, help="AWS region of ARNs and URLs (default: %(default)s)")
    serve.add_argument(
        "--bucket", action="append", metavar="NAME", help="S3 bucket to begin with; repeatable (default: neptune-ml)"
    )
    serve.add_argument("--graph", metavar="PATH_OR_S3", help="Gremlin bulk-load folder that exports read")
    serve.add_argument("--no-cluster-role", action="store_true", help="the cluster has no IAM role attached")
    serve.add_argument("--parallel-jobs", type=_positive, metavar="N", help="jobs that run at once (default: cores)")
    serve.add_argument(
        "--step",
        type=_step,
        action="append",
        default=[],
        metavar="KIND=MODULE",
        help="replace a kind of job, for tests",
    )
    serve.add_argument("--log-level", default="WARNING", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
