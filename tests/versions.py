"""What a test may need that not every Airflow has; `docs/versions.md` says what the package does without it."""

from __future__ import annotations

import pytest

from chaos.versions import HAS_ON_KILL, HAS_PAGES, HAS_STATE_STORE, IS_AIRFLOW_2

needs_state_store = pytest.mark.skipif(not HAS_STATE_STORE, reason="before Airflow 3.3 nothing outlives a try")
needs_on_kill = pytest.mark.skipif(not HAS_ON_KILL, reason="before Airflow 3.3 a trigger is only cancelled")
needs_pages = pytest.mark.skipif(not HAS_PAGES, reason="before Airflow 3.1 the UI shows no pages of plugins")
needs_airflow_3 = pytest.mark.skipif(IS_AIRFLOW_2, reason="Airflow 2 has no task SDK")
