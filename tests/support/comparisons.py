"""Comparisons of the models that are fitted in a moment, and how the tests read them."""

WHITE = ["445nm=16384", "515nm=16384", "630nm=16384"]
QUICK = ("linear", "mixture", "pls")
SECTIONS = ["verdict", "settings", "scores", "densities", "pairs", "parity", "diagnosis", "line", "rows"]


def by_name(result):
    return {row["model"]: row for row in result["models"]}


def shown(tables):
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as text:
        for table in tables:
            console.print(table)
    return " ".join(text.get().split())
