"""A back-test as one HTML page that holds all it shows: who needs how many requests, and whether that is certain."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdl import __version__
from sdl.backtest_figures import learning, requests
from sdl.page import template, write_page


def write(result: Mapping[str, Any], path: str | Path) -> Path:
    """Write the page of a back-test, in place of an earlier one, and return where it lies.

    Raises:
        InvalidInput: if the file cannot be written.
    """
    return write_page(render(result), Path(path))


def render(result: Mapping[str, Any]) -> str:
    """The back-test as HTML that loads nothing.

    Args:
        result: What ``flows.backtesting.study`` returns.
    """
    shown = [problem for problem in result["problems"] if problem["strategies"]]
    return template("backtest.html").render(
        version=__version__,
        result=result,
        requests=requests(shown, result["runs"], result["budget"]) if shown else None,
        learning={problem["name"]: learning(problem) for problem in shown},
    )
