"""Inverse models side by side as one HTML page that holds all it shows: what to believe first, then why."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdl import __version__
from sdl.history import LawFacts
from sdl.reports.comparison_curves import draw_along, draw_learning, draw_unconditional
from sdl.reports.comparison_figures import MOST, ModelEvidence, ScoredRows, draw_all
from sdl.reports.html import render_page, write_page
from sdl.system import clock


def write_comparison_page(
    result: Mapping[str, Any], rows: ScoredRows, evidence: Mapping[str, ModelEvidence], path: str | Path
) -> Path:
    """Write the page of a comparison, in place of an earlier one, and return where it lies.

    Raises:
        InvalidInput: if the file cannot be written.
    """
    return write_page(render_comparison_page(result, rows, evidence), Path(path))


def render_comparison_page(result: Mapping[str, Any], rows: ScoredRows, evidence: Mapping[str, ModelEvidence]) -> str:
    """Return the comparison as HTML that loads nothing.

    Args:
        result: What ``flows.studies.compare.compare`` returns.
        rows: The data.
        evidence: By model, of those that answered.
    """
    ranked = [row["model"] for row in result["models"] if row["model"] in evidence]
    best_first = {name: evidence[name] for name in ranked}
    return render_page(
        "comparison.html",
        version=__version__,
        result=result,
        name=Path(result["data"]).name,
        at=clock.now(),
        nan=math.nan,
        answered=[row for row in result["models"] if row["error"] is None],
        laws={row["model"]: LawFacts.from_json(row["law"]) for row in result["models"] if row.get("law")},
        judged=[row for row in result["models"] if row["error"] is None and row["scores"] is not None],
        learning=draw_learning(result),
        along=draw_along(result),
        unconditional=draw_unconditional(result, rows, best_first),
        conditional_only=[name for name, each in best_first.items() if not len(each.rows)],
        undrawn=[*result["knobs"], *result["channels"]][MOST:],
        figures=draw_all(result, rows, best_first) if best_first else {},
    )
