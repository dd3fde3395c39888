"""All that a model answers to a problem: distinct settings, each with what is expected there."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from flows.terminal import figure_table
from sdl.formatting import escape_invisible, format_percent, format_with_margin
from sdl.space import Settings
from strategies.answers.answers import MOST, family_candidates
from strategies.contract import InverseModel
from strategies.solving.model_answer import describe_offer, known_rows
from strategies.solving.problem import InverseProblem

ALL = "all"


def count_wanted_answers(text: str | None) -> int | None:
    """How many answers are wanted at most; None if only the candidates of each model are.

    Raises:
        ValueError: for what is neither ``all`` nor a number from 1 on.
    """
    if text is None:
        return None
    if text == ALL:
        return MOST
    if not 1 <= (number := int(text)) <= MOST:
        raise ValueError(f"{number} is not from 1 to {MOST}")
    return number


def find_answer_faults(text: str | None) -> list[str]:
    """What is wrong with how many answers are wanted."""
    try:
        count_wanted_answers(text)
    except ValueError:
        return [f"answers needs 'all' or a whole number from 1 to {MOST}, got {text!r}"]
    return []


def find_all_answers(model: InverseModel, problem: InverseProblem, draws: Settings, most: int) -> dict[str, Any]:
    """What the draws of a fitted model come to when each is moved to where its forward half gives the target.

    Returns:
        ``arrived`` and ``strayed``, shares of the draws: those that ended as answers, and those that ended where there
        are no rows and are left out; and ``found``, the least fragile first, each with its ``settings``, ``spread``,
        ``share`` and ``readings`` as a candidate, the ``uncertainty`` of these, its ``family``, and its ``fragility``.
    """
    rows, background = known_rows(model, problem), problem.background
    every = family_candidates(model, problem.target, problem.unit, background, rows, draws, most=most)
    described = [
        {
            **describe_offer(problem, each, each.readings),
            "uncertainty": problem.named(each.uncertainty),
            "family": each.family + 1,
            "fragility": each.fragility,
        }
        for each in every.found
        if problem.allowed(each.settings[None])[0]
    ]
    return {"arrived": every.arrived, "strayed": every.strayed, "found": described}


def all_answers_table(result: Mapping[str, Any]) -> Table | None:
    """The answers of every model that was asked for all it knows; None if none was."""
    asked = [row for row in result["models"] if row.get("answers")]
    if not asked:
        return None
    knobs = [knob for row in asked for each in row["answers"]["found"][:1] for knob in each["settings"]]
    figures = ("draws", *dict.fromkeys(knobs), *result["target"], "a slip costs")
    table = figure_table("Every answer, the most robust first", ("model", "family"), figures)
    for row in asked:
        for each in row["answers"]["found"]:
            table.add_row(*(escape(escape_invisible(cell)) for cell in _cells(row["model"], each)))
    table.caption = escape("\n".join(escape_invisible(_counts(row["model"], row["answers"])) for row in asked))
    return table


def _cells(model: str, answer: Mapping[str, Any]) -> Sequence[str]:
    settings = [f"{value:.4f}" for value in answer["settings"].values()]
    readings = [format_with_margin(value, answer["uncertainty"][name]) for name, value in answer["readings"].items()]
    return [
        model,
        f"{answer['family']}",
        format_percent(answer["share"]),
        *settings,
        *readings,
        f"{answer['fragility']:.2g} σ",
    ]


def _counts(model: str, answers: Mapping[str, Any]) -> str:
    """How many answers of how many families a model has, and what share of its draws came to them."""
    families, n = len({each["family"] for each in answers["found"]}), len(answers["found"])
    counts = f"{model}: {n} answer{'' if n == 1 else 's'} of {families} famil{'y' if families == 1 else 'ies'}"
    strayed = f", {format_percent(answers['strayed'])} strayed to where there are no rows" if answers["strayed"] else ""
    return f"{counts}; {format_percent(answers['arrived'])} of its draws ended as answers{strayed}"
