"""The package's options: section ``[neptune_ml]`` of Airflow's configuration, as `provider_info` describes it.

They are read when a task runs, where it runs. So a change takes effect without a DAG being parsed, and a DAG file pays
nothing for them.
"""

from __future__ import annotations

from typing import Any

from neptune_airflow.compat import configuration
from neptune_airflow.provider_info import OPTIONS, SECTION


def option(name: str) -> Any:
    """Read an option.

    :param name: one of `neptune_airflow.provider_info.OPTIONS`.
    :return: its value, of the type that is described there; where nothing is configured, its default.
    """
    conf, known = configuration(), OPTIONS[name]
    if known["type"] == "boolean":
        return conf.getboolean(SECTION, name, fallback=known["default"] == "True")
    return conf.getfloat(SECTION, name, fallback=float(known["default"]))
