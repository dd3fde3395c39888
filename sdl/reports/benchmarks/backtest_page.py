"""A back-test as one HTML page that holds all it shows: who needs how many requests, and whether that is certain."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sdl import __version__
from sdl.reports.benchmarks.backtest_figures import draw_learning, draw_requests, draw_requests_marked
from sdl.reports.html import render_page, write_page
from sdl.system.atomic_files import write_atomically


def write_backtest_page(result: Mapping[str, Any], folder: Path) -> Path:
    """Write the page of a back-test, ``index.html``, in place of an earlier one, and return where it lies.

    Beside it lies its first figure alone, ``requests.svg``, on white paper for wherever it is to be shown.

    Raises:
        InvalidInput: if a file cannot be written.
    """
    page, problems = write_page(render_backtest_page(result), folder / "index.html"), _shown(result)
    if not problems:
        return page
    with write_atomically(folder / "requests.svg", force=True) as file:
        file.write(draw_requests(problems, result["runs"], result["budget"]).encode())
    return page


def render_backtest_page(result: Mapping[str, Any]) -> str:
    """Return the back-test as HTML that loads nothing.

    Args:
        result: What ``flows.studies.backtest.study`` returns.
    """
    problems = _shown(result)
    return render_page(
        "backtest.html",
        version=__version__,
        result=result,
        at=datetime.fromisoformat(result["at"]).timestamp(),
        requests=draw_requests_marked(problems, result["runs"], result["budget"]) if problems else None,
        learning={problem["name"]: draw_learning(problem) for problem in problems},
    )


def _shown(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [problem for problem in result["problems"] if problem["strategies"]]
