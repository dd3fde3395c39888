"""What a comparison of models comes to, in sentences and as tables for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from flows.studies.free_channels import foretold_tables
from flows.studies.laws import law_tables
from flows.terminal import figure_table
from sdl.formatting import escape_invisible, format_percent
from strategies.metrics.membership import Leak

CERTAIN = 0.95
"""With which no model of several that are as good as the best is called worse."""
MOST_ROWS = 10_000
"""More than these nobody measures to tell two models apart."""


def summarise_comparison(result: Mapping[str, Any]) -> list[str]:
    """Which model is best here, which are no worse, whose intervals hold, and how far the answers agree."""
    judged = [row for row in result["models"] if row["error"] is None and row["scores"] is not None]
    unjudged = [row for row in result["models"] if row["error"] is None and row["scores"] is None]
    lacking = [f"{row['model']} could not be judged: {row['unjudged']}." for row in unjudged]
    if not judged:
        return ["No model could be judged: what they offer stands unproved.", *lacking]
    best, *rest = judged
    ties = [row["model"] for row in rest if row["no_worse"]]
    score = f"{1e3 * best['scores']['energy']['settings']:.2f}"
    n = result["split"]["test_asked"]
    said = [f"{best['model']} gives the settings of {_rows(n)} not seen best: energy score {score} ‰ of the span."]
    said += _ranking(rest, ties, n)
    said += _agreement([best, *(row for row in rest if row["no_worse"])], result["knobs"])
    said += _intervals(judged, n)
    said += _posteriors(judged)
    said += _leaks(judged)
    if single := [row["model"] for row in judged if row["single_valued"]]:
        said.append(f"{_list(single)} {_know(single)} one answer even where there are several.")
    if several := [f"{row['model']} ({row['distinct']})" for row in judged if row["distinct"] > 1]:
        said.append(f"More than one solution {_are(several[:1])} offered by {_list(several)}.")
    return said + lacking


def _ranking(rest: Sequence[Mapping[str, Any]], ties: Sequence[str], n: int) -> list[str]:
    """Whether rows tell the models apart, and how many more would."""
    if not rest:
        return []
    surely = f"chance explains ({format_percent(CERTAIN)} certain of all together)"
    if not ties:
        return [f"Every other model is worse, by more than {surely}."]
    if len(ties) < len(rest):
        return [f"{_list(ties)} {_are(ties)} no worse, as far as {_rows(n)} can tell."]
    said = f"{_rows(n)} {'is' if n == 1 else 'are'} too few to rank these models: "
    said += f"{_list(ties)} {_are(ties)} no worse than {surely}"
    gap = rest[0]["behind"]
    if gap["chance"] and gap["difference"] > 0:
        needed = n * (gap["chance"] / gap["difference"]) ** 2
        if needed < MOST_ROWS:
            return [f"{said}; some {float(f'{needed:.1g}'):.0f} rows not seen would tell {ties[0]} from the first."]
    return [f"{said}."]


def _agreement(rows: Sequence[Mapping[str, Any]], knobs: Mapping[str, str]) -> list[str]:
    """How far apart the likeliest candidates of the best models are, knob by knob."""
    offers = [row["candidates"][0]["settings"] for row in rows if row["candidates"]]
    if len(offers) < 2:
        return []
    apart = {name: max(each[name] for each in offers) - min(each[name] for each in offers) for name in knobs}
    said = ", ".join(f"{value:.2g} {knobs[name]} in {name}".replace("  ", " ") for name, value in apart.items())
    return [f"The likeliest settings that these {len(offers)} offer for the target are apart by {said}."]


def _intervals(judged: Sequence[Mapping[str, Any]], n: int) -> list[str]:
    """Whose intervals hold on ``n`` rows and whose do not."""
    off = {
        row["model"]: [
            (name, _covered(row, what, name)) for what, names in row["scores"]["off"].items() for name in names
        ]
        for row in judged
    }
    good = [model for model, found in off.items() if not found]
    hold = f"hold for settings and for readings, as far as {_rows(n)} can tell."
    said = [f"The 90 % intervals of {_list(good)} {hold}"] if good else []
    for model, found in off.items():
        for kind, some in (
            ("narrow", [each for each in found if each[1] < 0.9]),
            ("wide", [each for each in found if each[1] > 0.9]),
        ):
            if some:
                covered = ", ".join(f"{format_percent(share)} in {name}" for name, share in some)
                said.append(f"The 90 % intervals of {model} are too {kind}: they cover {covered}.")
    return said


def _posteriors(judged: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whose posteriors some test finds wrong."""
    wrong = {
        row["model"]: [f"{each['says']} ({name})" for name, each in _tests(row).items() if each["holds"] is False]
        for row in judged
    }
    good = [model for model, found in wrong.items() if not found]
    said = [f"No test finds the posterior of {_list(good)} wrong."] if good else []
    return said + [f"The posterior of {model} is {'; '.join(found)}." for model, found in wrong.items() if found]


def _leaks(judged: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whose words give away which rows it learned from."""
    known = {row["model"]: Leak(**found) for row in judged if (found := row["scores"]["membership"])}
    seen = [f"{leak} for {model}" for model, leak in known.items() if leak.seen]
    close = [model for model, leak in known.items() if not leak.seen]
    said = [f"What a model says of rows tells those it learned from, by an advantage of {_list(seen)}."] if seen else []
    kept = "learned from, as far as these rows can tell."
    return said + ([f"No attack tells which rows {_list(close)} {kept}"] if close else [])


def _tests(row: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """What the tests of ``strategies.metrics.diagnostics`` say of a model, by their names."""
    tests: Mapping[str, Mapping[str, Any]] = row["scores"]["diagnostics"]
    return tests


def _covered(row: Mapping[str, Any], what: str, name: str) -> float:
    return float(row["scores"]["coverage"][what]["90%"][name])


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n} rows"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _know(names: Sequence[str]) -> str:
    return "knows" if len(names) == 1 else "know"


# ---------------------------------------------------------------------- for a terminal


def comparison_tables(result: Mapping[str, Any]) -> list[Table]:
    """The result of ``compare_models`` for people: what is offered, who is best, and errors on rows not seen."""
    judged = [row for row in result["models"] if row["error"] is None and row["scores"] is not None]
    return [
        _offers(result),
        *law_tables(result),
        *foretold_tables(result),
        *([_ranks(result, judged), _errors(result, judged), _believable(result, judged)] if judged else []),
        *([_learned(result, judged)] if result["learning"] and judged else []),
    ]


def _offers(result: Mapping[str, Any]) -> Table:
    wanted = ", ".join(f"{name} {wish}" for name, wish in result["wanted"].items())
    table = _table(f"Settings for {wanted}", ["model", "draws"], [*result["units"], *result["target"], "remote"], 0)
    table.caption = escape(
        "\n".join(map(escape_invisible, [*(each["text"] for each in result["warnings"]), *result["notes"]]))
    )
    for row in result["models"]:
        for said, offer in _answers(row):
            spread, score = offer.get("spread", {}), row["remoteness"]["score"]
            cells = [f"{v:.4f}" + (f"\n±{spread[k]:.4f}" if spread else "") for k, v in offer["settings"].items()]
            cells += [f"{value:.5g}" for value in offer["readings"].values()]
            table.add_row(
                escape(escape_invisible(row["model"])), said, *cells, "∞" if score is None else f"{score:.2f}"
            )
    row = result["row"]
    measured = [*(f"{v:.4f}" for v in row["settings"].values()), *(f"{v:.5g}" for v in row["readings"].values())]
    table.add_row(f"row in line {row['line']}", "measured", *measured, "")
    return table


def _answers(row: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The answers of one model with what each is, the likeliest first."""
    if row["error"] is not None:
        return []
    found = [(f"{each['share']:.0%}", each) for each in row["candidates"]]
    return found or [("nearest", row["nearest"])]


def _ranks(result: Mapping[str, Any], judged: Sequence[Mapping[str, Any]]) -> Table:
    title = f"{_rows(result['split']['test_asked'])} not seen, energy scores in ‰ of the span"
    table = _table(title, ["model"], ["settings", "behind", "readings", "refused", "members", "fit, s", "draws, s"])
    table.caption = escape("\n".join(map(escape_invisible, result["summary"])))
    for row in judged:
        more, error = row["behind"]["difference"], row["behind"]["standard_error"]
        behind = "best" if row["rank"] == 1 else f"{1e3 * more:.3f}" + ("" if error is None else f" ±{1e3 * error:.3f}")
        figures = [f"{1e3 * row['scores']['energy'][what]:.2f}" for what in ("settings", "readings")]
        took = [f"{row[each]:.2f}" for each in ("fit_s", "draw_s")]
        known = row["scores"]["membership"]
        told = f"{row['refused']:.0%}", str(Leak(**known)) if known else "too few"
        table.add_row(escape(escape_invisible(row["model"])), figures[0], behind, figures[1], *told, *took)
    return table


def _errors(result: Mapping[str, Any], judged: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Errors and coverage", ["model", "of"], ["R2", "MAE", "RMSE", "in 50 %", "in 90 %"])
    for row in judged:
        for what, names in (("settings", result["knobs"]), ("readings", result["channels"])):
            test, covered = row["scores"][what]["test"], row["scores"]["coverage"][what]
            for name in names:
                r2 = test["r2"][name]
                cells = ["-" if r2 is None else f"{r2:.4f}", *(f"{test[kind][name]:.3g}" for kind in ("mae", "rmse"))]
                cells += [f"{covered[level][name]:.0%}" for level in ("50%", "90%")]
                table.add_row(escape(escape_invisible(row["model"])), escape(escape_invisible(name)), *cells)
        table.add_section()
    return table


def _believable(result: Mapping[str, Any], judged: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("How far posteriors are to be believed", ["model", *_tests(judged[0])], [])
    table.caption = "\n".join(result["questions"].values())
    for row in judged:
        said = [
            each["says"] + ("" if each["chance"] is None else f", p {each['chance']:.2g}")
            for each in _tests(row).values()
        ]
        table.add_row(*(escape(escape_invisible(word)) for word in (row["model"], *said)))
    return table


def _learned(result: Mapping[str, Any], judged: Sequence[Mapping[str, Any]]) -> Table:
    """Errors of every model by the rows that it learned from."""
    learning = result["learning"]
    table = _table("Learning curves, in ‰ of the span", ["model"], ["rows", "settings", "95 %", "readings", "95 %"])
    said = f"On rows not seen, the mean over {learning['splits']} splits with its t interval: the energy score of "
    said += "settings, and the error (RMSE) of readings."
    table.caption = said + ("" if learning["most"] is None else f" {learning['most']} rows are there to learn from.")
    for row in judged:
        for point in row["learning"]:
            known = () if point["error"] else (point["settings"], point["readings"])
            cells = [cell for error in known for cell in _learned_cells(error)] or ["-"] * 4
            table.add_row(escape(escape_invisible(row["model"])), str(point["rows"]), *cells)
    return table


def _learned_cells(error: Mapping[str, float]) -> list[str]:
    return [f"{1e3 * error['mean']:.3g}", f"{1e3 * error['low']:.3g} to {1e3 * error['high']:.3g}"]


def _table(title: str, words: Sequence[str], figures: Sequence[str], gap: int = 1) -> Table:
    look = {"title_justify": "left", "box": SIMPLE_HEAD, "padding": (0, gap, 0, 0), "pad_edge": False}
    return figure_table(title, words, figures, **look)
