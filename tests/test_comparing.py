"""``sdl compare``: the same rows for every model, honest scores, a page that loads nothing, sentences for errors."""

import json
import shutil
import subprocess
from dataclasses import asdict

import numpy as np
import pytest
from hostile import HOSTILE
from pages import check, svg
from problems import CHANNELS, PAPER, twin_answer, twin_rows, two_branches, written

from flows import runners
from flows.answering import named
from flows.appraising import Appraisal, Question, appraise, appraise_plain
from flows.comparing import compare, study
from flows.judging import split
from flows.problem import asked, pose
from flows.solving import solve, tables
from flows.summing_up import tables as compared
from sdl import plugins
from sdl.comparison import render
from sdl.errors import InvalidInput
from sdl.exchange import read_data
from strategies.models.pls import PartialLeastSquares

WHITE = ["445nm=16384", "515nm=16384", "630nm=16384"]
QUICK = ("linear", "mixture", "pls")
ALL = named((), 60)
SECTIONS = ["verdict", "settings", "scores", "densities", "pairs", "parity", "diagnosis", "rows"]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def rows():
    readings, settings = twin_rows(60)
    return settings, readings


@pytest.fixture(scope="module")
def dark(rows, tmp_path_factory):
    return written(tmp_path_factory.mktemp("comparing") / "dark.jsonl", *rows)


@pytest.fixture(scope="module")
def found(dark):
    """The quick models on sixty rows in the dark."""
    return study(dark, WHITE, models=QUICK, draws=300)


@pytest.fixture(scope="module")
def page(found):
    return render(found.result, found.rows, found.evidence)


@pytest.fixture
def register(monkeypatch):
    """Registers strangers' models by name, beside the quick ones."""
    strangers, load = {}, plugins.load
    monkeypatch.setattr(plugins, "names", lambda group: tuple(sorted({*QUICK, *strangers})))
    monkeypatch.setattr(plugins, "load", lambda group, name: strangers.get(name) or load(group, name))
    return lambda name, model: strangers.__setitem__(name, model)


class Narrow(PartialLeastSquares):
    """Far too certain of itself."""

    def sample(self, target, n, rng):
        draws = super().sample(target, n, rng)
        return draws.mean(axis=0) + 0.1 * (draws - draws.mean(axis=0))


class Clueless(PartialLeastSquares):
    """Draws from the whole box, whatever it is asked for."""

    def sample(self, target, n, rng):
        return rng.random((n, self.settings_.shape[1]))


class Narrower(PartialLeastSquares):
    """Forgets a knob."""

    def sample(self, target, n, rng):
        return super().sample(target, n, rng)[:, :1]


class Leaving(PartialLeastSquares):
    def fit(self, readings, settings):
        raise SystemExit(0)


def by_name(result):
    return {row["model"]: row for row in result["models"]}


def shown(tables):
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as text:
        for table in tables:
            console.print(table)
    return " ".join(text.get().split())


# ---------------------------------------------------------------------- scores


def test_every_model_is_judged_by_the_same_rows(found):
    result = found.result
    assert {row["model"] for row in result["models"]} == set(QUICK)
    assert result["split"] == {"train": 48, "test": 12, "train_asked": 40, "test_asked": 12, "draws": 300}
    for row in result["models"]:
        scores = row["scores"]
        assert scores["readings"]["train"]["rows"] == 48
        assert scores["settings"]["test"]["rows"] == 12
        assert min(scores["settings"]["test"]["r2"].values()) > 0.999
        assert max(scores["settings"]["test"]["rmse"].values()) < 0.006
        assert 0 < scores["energy"]["settings"] < 0.01
        assert set(scores["coverage"]["readings"]["90%"]) == {"445nm", "515nm", "630nm"}
        assert row["reachable"]
        assert row["distinct"] == 1
        assert row["remoteness"]["warning"] is None
        answer = list(row["candidates"][0]["settings"].values())
        assert answer == pytest.approx(twin_answer(PAPER), abs=0.01)


def test_it_is_plain_data_and_the_seed_decides(found, dark):
    result = found.result
    assert json.loads(json.dumps(result, allow_nan=False)) == result

    def timeless(rows):
        return [{k: v for k, v in row.items() if not k.endswith("_s")} for row in rows]

    again = compare(dark, WHITE, models=QUICK[::-1], draws=300)
    assert timeless(again["models"]) == timeless(result["models"])
    alone = compare(dark, WHITE, models=["pls"], draws=300)["models"][0]
    together = by_name(result)["pls"]
    assert alone["scores"] == together["scores"]
    assert alone["candidates"] == together["candidates"]


def test_settings_are_those_of_solve(found, dark):
    solved = by_name(solve(dark, WHITE, models=QUICK, draws=300))
    for name, row in by_name(found.result).items():
        assert row["candidates"] == solved[name]["candidates"]
        assert row["scores"]["readings"]["test"] == solved[name]["scores"]["test"]


def test_the_best_comes_first_and_chance_is_allowed_for(register, dark):
    register("clueless", Clueless)
    register("twice", PartialLeastSquares)
    result = compare(dark, WHITE, models=["clueless", "pls", "twice"], draws=100)
    first, second, last = result["models"]
    assert [row["rank"] for row in result["models"]] == [1, 2, 3]
    assert result["best"] == first["model"] == "pls"
    assert second["no_worse"]
    assert second["behind"] == {"difference": 0, "standard_error": 0}
    assert (last["model"], last["no_worse"]) == ("clueless", False)
    assert last["behind"]["difference"] > 10 * last["behind"]["standard_error"]
    assert "twice is no worse, as far as 12 rows can tell." in result["summary"]


def test_strangers_who_forget_a_knob_or_leave_have_no_answer(register, dark):
    register("narrower", Narrower)
    register("leaving", Leaving)
    result = by_name(compare(dark, WHITE, models=["narrower", "leaving", "pls"], draws=100))
    assert result["narrower"]["error"] == "its draws have the shape (100, 1), and (100, 3) was asked for"
    assert result["leaving"]["error"].startswith("the plug-in 'leaving' failed with SystemExit")
    assert result["pls"]["error"] is None


@pytest.mark.fault("M-10")
def test_intervals_that_do_not_hold_are_named(register, dark):
    register("narrow", Narrow)
    result = compare(dark, WHITE, models=["narrow", "pls"], draws=100)
    off = by_name(result)["narrow"]["scores"]["off"]
    assert off["settings"] == ["R", "G", "B"]
    assert off["readings"] == []
    assert any(line.startswith("The 90 % intervals of narrow are too narrow: they cover") for line in result["summary"])
    assert (
        "The 90 % intervals of pls hold for settings and for readings, as far as 12 rows can tell." in result["summary"]
    )


def test_two_solutions_are_counted_and_their_mean_is_no_reproach(tmp_path):
    rng = np.random.default_rng(0)
    settings = rng.random((200, 2))
    readings = two_branches(settings) + rng.normal(0, 0.002, (200, 2))
    path = written(tmp_path / "a.jsonl", settings, readings, ["a", "b"])
    result = compare(path, ["a=0.5", "b=0.5"], models=["mixture", "pls"], draws=300)
    assert result["best"] == "mixture"
    assert by_name(result)["mixture"]["distinct"] == 2
    assert not by_name(result)["pls"]["no_worse"]
    assert any("More than one solution is offered by mixture (2)" in line for line in result["summary"])


# ---------------------------------------------------------------------- rows


def posed(path, targets=WHITE):
    data = read_data(path)
    return pose(data, *asked(data.space, targets, [], [], "1 %"))


def test_rows_that_repeat_each_other_are_never_on_both_sides(rows, tmp_path):
    settings, readings = (np.tile(each[:20], (3, 1)) for each in rows)
    problem = posed(written(tmp_path / "a.jsonl", settings, readings))
    parts = split(problem, 0)
    assert len(parts.train) + len(parts.test) == 60
    assert len(parts.test) == 12
    train, test = ({tuple(row) for row in problem.settings[part].tolist()} for part in (parts.train, parts.test))
    assert not train & test
    assert problem.notes[-1] == "40 of 60 rows repeat another one to the last digit"


def test_a_model_that_learns_from_gaps_gets_rows_that_others_do_not(register, rows, tmp_path):
    seen = []

    class Patient(PartialLeastSquares):
        learns_from_gaps = True

        def fit(self, readings, settings):
            seen.append(readings)
            whole = np.isfinite(readings).all(axis=1)
            return super().fit(readings[whole], settings[whole])

    settings, readings = rows[0], rows[1].copy()
    readings[:10, CHANNELS.index("445nm")] = np.nan
    readings[10:12, CHANNELS.index("445nm")] = 65535
    register("patient", Patient)
    result = compare(written(tmp_path / "a.jsonl", settings, readings), WHITE, models=["patient", "pls"], draws=50)
    assert result["rows"] == 48
    assert (by_name(result)["patient"]["rows"], by_name(result)["pls"]["rows"]) == (58, 48)
    assert [len(each) for each in seen] == [58, 38 + 10]
    assert np.isnan(seen[0]).sum() == 10
    assert result["notes"][-1] == "rows in which some channel was not read taught these models too: patient (10)"


def test_too_few_rows_to_judge_still_answers(rows, tmp_path):
    found = study(written(tmp_path / "a.jsonl", rows[0][:5], rows[1][:5]), WHITE, models=["mixture"])
    (row,) = found.result["models"]
    assert row["candidates"]
    assert row["scores"] is None
    assert "mixture could not be judged: Mixture needs 5 rows, got 4: measure 1 more." in found.result["summary"]
    assert "could not be judged" in check(render(found.result, found.rows, found.evidence), SECTIONS).text
    assert "16384" in shown(compared(found.result))


# ---------------------------------------------------------------------- out of domain


def test_a_remote_target_warns_at_the_top_and_in_solve(dark):
    target = ["445nm=60000"]
    found = study(dark, target, models=["pls"], draws=50)
    (row,) = found.result["models"]
    assert row["remoteness"]["score"] > 1
    assert row["remoteness"]["channels"] == ["445nm"]
    sentence = "OUT OF DOMAIN of pls: the target lies beyond all readings at 445nm"
    text = check(render(found.result, found.rows, found.evidence), SECTIONS).text
    assert text.index("NOT REACHABLE by pls") < text.index(sentence) < text.index("Settings offered")
    assert sentence in shown(compared(found.result))
    assert sentence in shown(tables(solve(dark, target, models=["pls"])))


# ---------------------------------------------------------------------- strangers


@pytest.mark.fault("M-09")
@pytest.mark.parametrize(
    ("method", "raised"),
    [
        ("fit", KeyError("x\x1b[31m")),
        ("sample", TypeError("no")),
        ("predict", IndexError(7)),
        ("simulate", RuntimeError("deep")),
        ("remoteness", AttributeError("x")),
    ],
)
def test_a_strangers_mistake_is_a_sentence_in_its_row(register, dark, method, raised):
    def fails(*_):
        raise raised

    register("stranger", type("Stranger", (PartialLeastSquares,), {method: fails}))
    result = compare(dark, WHITE, models=["stranger", "linear"], draws=20)
    row = by_name(result)["stranger"]
    said = row["error"] or row["unjudged"]
    assert said.startswith(f"the plug-in 'stranger' failed with {type(raised).__name__}: ")
    assert "\x1b" not in said
    assert result["best"] == "linear"


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        (lambda self, target, n, rng: np.full((n, 3), np.nan), "its draws are not all finite"),
        (lambda self, target, n, rng: np.zeros(n), "its draws have the shape (20,), and (20, 3) was asked for"),
    ],
    ids=["NaN", "shape"],
)
def test_a_strangers_nonsense_is_refused(register, dark, sample, sentence):
    register("stranger", type("Stranger", (PartialLeastSquares,), {"sample": sample}))
    row = by_name(compare(dark, WHITE, models=["stranger", "linear"], draws=20))["stranger"]
    assert row["error"] == sentence


def test_a_stranger_cannot_spoil_the_rows_of_others(register, found, dark):
    class Vandal(PartialLeastSquares):
        def fit(self, readings, settings):
            super().fit(readings, settings)
            readings[:], settings[:] = 0, 0
            return self

        def sample(self, target, n, rng):
            draws = super().sample(target, n, rng)
            target[:] = 0
            return draws

        def simulate(self, settings, n, rng):
            draws = super().simulate(settings, n, rng)
            settings[:] = 0
            return draws

    register("a-vandal", Vandal)
    result = by_name(compare(dark, WHITE, models=["a-vandal", "pls"], draws=300))
    assert result["pls"]["scores"] == by_name(found.result)["pls"]["scores"] == result["a-vandal"]["scores"]


def test_if_nobody_answers_it_says_why_for_each(rows, tmp_path):
    with pytest.raises(InvalidInput) as raised:
        compare(written(tmp_path / "a.jsonl", rows[0][:2], rows[1][:2]), WHITE, models=QUICK)
    assert len(raised.value.faults) == 3
    assert "linear has no answer: LinearProgram needs 3 rows, got 2: measure 1 more" in raised.value.faults


# ---------------------------------------------------------------------- the page


def test_the_page_is_whole_and_loads_nothing(found, page):
    seen = check(page, SECTIONS)
    assert len(seen.pictures) == 4
    best = found.result["best"]
    assert seen.text.index(f"{best} gives the settings of 12 rows not seen best") < seen.text.index("Settings offered")
    assert "The condition number in units of noise is" in seen.text
    for name in QUICK:
        assert name in " ".join(svg(seen.pictures[0]).itertext())
        assert name in " ".join(svg(seen.pictures[3]).itertext())


def test_one_knob_and_one_channel(tmp_path):
    rng = np.random.default_rng(0)
    degrees = rng.uniform(20, 80, 30)
    path = written(tmp_path / "a.jsonl", degrees[:, None], (2 * degrees + rng.normal(0, 0.1, 30))[:, None], ["y"])
    found = study(path, ["y=100"], models=["mixture", "pls"], draws=100)
    assert len(check(render(found.result, found.rows, found.evidence), SECTIONS).pictures) == 4


@pytest.mark.fault("N-05")
@pytest.mark.filterwarnings("error")
def test_nothing_that_strangers_wrote_runs_or_hides(register, tmp_path):
    rng = np.random.default_rng(0)
    settings = rng.random((40, 2))
    slopes = rng.random((2, len(HOSTILE)))
    names = [name.replace("\x00", "").replace("\n", "").replace("=", "") for name in HOSTILE]
    path = written(tmp_path / "a<b>.jsonl", settings, settings @ slopes, names)
    register(HOSTILE[0], PartialLeastSquares)
    register(HOSTILE[5], type("Stranger", (PartialLeastSquares,), {"fit": lambda *_: 1 / 0}))
    found = study(path, [f"{name}=0.5" for name in names], models=[HOSTILE[0], HOSTILE[5]], draws=40)
    html = render(found.result, found.rows, found.evidence)
    seen = check(html, SECTIONS)
    assert HOSTILE[0] in seen.text
    assert HOSTILE[5] in seen.text
    assert {"\x1b", "\u202e"}.isdisjoint(html)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_browser_shows_the_page_and_refuses_nothing(page, tmp_path):
    from matplotlib.image import imread

    (tmp_path / "page.html").write_text(page)
    shot = tmp_path / "page.png"
    look = [f"--user-data-dir={tmp_path}", "--enable-logging=stderr", "--window-size=1200,4000", f"--screenshot={shot}"]
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", *look, f"file://{tmp_path}/page.html"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stderr
    assert "Refused to" not in told
    assert "CONSOLE" not in told
    picture = imread(shot)[..., :3]
    assert picture.shape[:2] == (4000, 1200)
    lit = [(part.min(axis=(1, 2)) < 0.5).mean() for part in np.array_split(picture, 8)]
    assert min(lit) > 0.1  # something is drawn all the way down


# ---------------------------------------------------------------------- the command


def test_the_command_says_what_it_does_and_where_the_page_is(sdl, dark, home, tmp_path):
    words = [word for target in WHITE for word in ("--target", target)]
    told = sdl("compare", dark, *words, "--model", "linear", "--model", "pls")
    assert told.code == 0
    assert "linear (1 of 2)" in told.err
    assert "no worse" in told.said
    assert told.out.splitlines()[-1] == str(home / "reports" / "dark-compare.html")
    mine = tmp_path / "new" / "mine.html"
    told = sdl("compare", dark, *words, "--model", "pls", "--page", mine, "--json")
    assert told.json["page"] == str(mine)
    assert told.json["best"] == "pls"
    check(mine.read_text(), SECTIONS)


def test_what_cannot_be_reached_is_no_success(sdl, dark):
    assert sdl("compare", dark, "--target", "445nm=60000", "--model", "linear").code == 3


def bad(kind, settings, readings):
    """Rows in which something is wrong."""
    settings, readings = settings.copy(), readings.copy()
    column = CHANNELS.index("445nm")
    if kind == "few":
        settings, readings = settings[:2], readings[:2]
    elif kind == "still settings":
        settings[:] = settings[0]
    elif kind == "still channel":
        readings[:, column] = 700
    elif kind == "one row":
        settings[:], readings[:] = settings[0], readings[0]
    elif kind == "ceiling":
        readings[:, column] = 65535
    elif kind == "never read":
        readings[:, column] = np.nan
    return settings, readings


@pytest.mark.parametrize("command", ["compare", "solve"])
@pytest.mark.parametrize(
    ("kind", "target", "sentence"),
    [
        ("still settings", WHITE, "all 60 rows have the same settings: measure at others"),
        ("still channel", WHITE, "445nm reads the same in all 60 rows: leave it free, or measure where it moves"),
        ("one row", WHITE, "all 60 rows have the same settings"),
        ("ceiling", WHITE, "no row has a reading below the ceiling in each of 445nm, 515nm, 630nm: measure some"),
        ("never read", WHITE, "445nm was never read in these rows; they have 415nm, 480nm,"),
        ("good", ["445nm=nan"], "445nm needs a finite number, got 'nan'"),
        ("good", ["446nm=1"], "unknown channel '446nm'; did you mean '445nm'?"),
    ],
)
def test_bad_input_is_a_sentence(sdl, rows, tmp_path, command, kind, target, sentence):
    path = written(tmp_path / "a.jsonl", *bad(kind, *rows))
    told = sdl(command, path, *(word for each in target for word in ("--target", each)))
    assert told.code == 2
    assert sentence in told.said
    assert told.out == ""


def test_too_few_rows_are_a_sentence_for_each_model(sdl, rows, tmp_path):
    path = written(tmp_path / "a.jsonl", *bad("few", *rows))
    told = sdl("compare", path, "--target", "445nm=16384", "--model", "linear", "--model", "mixture")
    assert told.code == 2
    assert "linear has no answer: LinearProgram needs 3 rows, got 2: measure 1 more" in told.said


@pytest.mark.parametrize("share", ["0", "1", "nan"])
def test_a_share_of_test_rows_is_between_0_and_1(sdl, dark, share):
    told = sdl("compare", dark, "--target", "445nm=16384", "--test", share)
    assert told.code == 2
    assert "test needs a share between 0 and 1" in told.said


def test_a_knob_that_never_moved_is_a_note(rows, tmp_path):
    settings, readings = rows[0].copy(), rows[1]
    settings[:, 0] = 0.5
    result = compare(written(tmp_path / "a.jsonl", settings, readings), ["515nm=16384"], models=["pls"], draws=20)
    assert "R never moved, so nothing is known of what it does" in result["notes"]
    assert by_name(result)["pls"]["scores"]["settings"]["test"]["r2"]["R"] is None


# ---------------------------------------------------------------------- all models


@pytest.mark.slow
def test_every_registered_model_is_compared(sdl, dark):
    words = [word for target in WHITE for word in ("--target", target)]
    result = sdl("compare", dark, *words, "--json").json
    assert {row["model"] for row in result["models"]} == set(ALL)
    for row in result["models"]:
        assert row["error"] is None, row["error"]
        assert row["unjudged"] is None, row["unjudged"]
        answer = list(row["candidates"][0]["settings"].values())
        assert answer == pytest.approx(twin_answer(PAPER), abs=0.015)
        assert min(row["scores"]["settings"]["test"]["r2"].values()) > 0.99


# ---------------------------------------------------------------------- side by side


def timeless(value):
    """The same without what a clock said."""
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if not key.endswith("_s")}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def test_an_appraisal_survives_the_way_as_words_and_numbers(dark):
    question = Question(str(dark), WHITE, draws=300)
    problem = question.pose()
    here = appraise("mixture", question, problem, question.split(problem))
    there = Appraisal.of(json.loads(json.dumps(appraise_plain("mixture", asdict(question)))))
    assert timeless(there.said) == timeless(here.said)
    assert timeless(there.diagnosis) == timeless(here.diagnosis)
    np.testing.assert_array_equal(there.energy, here.energy)
    for one, other in zip(arrays(there.evidence), arrays(here.evidence), strict=True):
        np.testing.assert_array_equal(one, other)


def arrays(evidence):
    parts = asdict(evidence)
    return [*(parts.pop(name) for name in ("draws", "draws_readings", "unseen", "unseen_readings")),
            *(each for pairs in parts.values() for pair in pairs.values() for each in pair)]  # fmt: skip


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
@pytest.mark.parametrize("runner", ["threads", "dask"])
def test_side_by_side_finds_the_same_as_one_after_another(runner, prefect, found, dark, sdl, tmp_path):
    words = [word for model in QUICK for word in ("--model", model)] + [
        word for each in WHITE for word in ("--target", each)
    ]
    told = sdl("compare", dark, *words, "--draws", 300, "--runner", runner, "--page", tmp_path / "page.html", "--json")
    assert told.code == 0, told.said
    assert timeless(told.json) | {"page": ""} == timeless(json.loads(json.dumps(found.result))) | {"page": ""}


def test_a_runner_that_is_not_there_is_refused_with_what_to_install(dark, monkeypatch):
    with pytest.raises(InvalidInput, match="unknown runner 'desk'; did you mean 'dask'"):
        compare(dark, WHITE, runner="desk")
    monkeypatch.setattr(runners, "find_spec", lambda _: None)
    with pytest.raises(InvalidInput, match="pip install prefect-ray"):
        compare(dark, WHITE, runner="ray")
