"""How much of the package its tests reach, and how many changes to the code's heart they notice."""

from __future__ import annotations

import json
from pathlib import Path

COVERED = {"lines": 95.0, "branches": 90.0}
KILLED = 85.0
# What mutmut keeps of a mutant's tests: that they failed, or found no end.
_NOTICED = {1, 3, 24, -24, 36, 152, 255}


def coverage(report: Path) -> dict[str, float]:
    """Give the percentages of lines and branches, from coverage's report in JSON."""
    totals = json.loads(report.read_text())["totals"]
    return {
        "lines": 100 * totals["covered_lines"] / totals["num_statements"],
        "branches": 100 * totals["covered_branches"] / totals["num_branches"],
    }


def killed(mutants: Path) -> dict[str, float]:
    """Give the percentage of mutants that a test noticed, of each file that mutmut has changed."""
    shares = {}
    for meta in sorted(mutants.rglob("*.py.meta")):
        codes = json.loads(meta.read_text())["exit_code_by_key"].values()
        if codes:
            shares[str(meta.relative_to(mutants).with_suffix(""))] = (
                100 * sum(code in _NOTICED for code in codes) / len(codes)
            )
    return shares


def too_low(told: dict[str, float], least: dict[str, float]) -> list[str]:
    """Say which figures are lower than they may be."""
    return [f"{name}: {told[name]:.1f}%, of {least[name]:.0f}% wanted" for name in told if told[name] < least[name]]
