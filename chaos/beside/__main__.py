"""Print the table: `python -m chaos.beside`."""

from __future__ import annotations

import os
import sys
import tempfile

if __name__ == "__main__":
    # Before anything imports Airflow.
    with tempfile.TemporaryDirectory(prefix="neptune-ml-beside-") as home:
        os.environ["AIRFLOW_HOME"] = home
        os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
        for name in [name for name in os.environ if name.startswith(("AWS_", "AIRFLOW_CONN_"))]:
            del os.environ[name]
        from chaos.beside.table import main

        sys.exit(main())
