"""``sdl solve`` without its command line: what is asked, what is done to the rows, what the models say."""

import csv
import json
from importlib.metadata import version

import numpy as np
import pytest
from places import DAYS as RECORDS
from problems import CHANNELS, PAPER, twin_answer, twin_rows, two_branches, written
from rich.console import Console

from flows.studies.solve import solve, solve_tables
from sdl.errors import InvalidInput
from strategies.solving.model_answer import choose_models, collect_warnings

WHITE = ["445nm=16384", "515nm=16384", "630nm=16384"]
FIXED = [CHANNELS.index(name) for name in ("445nm", "515nm", "630nm")]
TOLERANCE = "the tolerance of 445nm needs a number above 0 or a percentage such as '1 %'"
NAMES = tuple(choose_models((), 100))


@pytest.fixture(scope="module")
def rows():
    readings, settings = twin_rows(100)
    return settings, readings


@pytest.fixture(scope="module")
def dark(rows, tmp_path_factory):
    """A hundred rows in the dark, none with the light off."""
    return written(tmp_path_factory.mktemp("solving") / "dark.jsonl", *rows)


def best(row):
    return np.array(list(row["candidates"][0]["settings"].values()))


# ---------------------------------------------------------------------- what the models say


def test_every_model_answers_the_paper(dark):
    result = solve(dark, WHITE, free=["590nm"])
    assert tuple(row["model"] for row in result["models"]) == NAMES
    for row in result["models"]:
        assert row["reachable"]
        assert best(row) == pytest.approx(twin_answer(PAPER), abs=0.01)
        assert list(row["candidates"][0]["readings"].values()) == pytest.approx([16384] * 3, rel=0.02)
        assert row["refused"] == 0
        assert row["nearest"] is None


def test_a_model_is_judged_by_rows_that_it_has_not_seen(dark):
    (row,) = solve(dark, WHITE, models=["linear"])["models"]
    scores = row["scores"]
    assert (scores["train"]["rows"], scores["test"]["rows"]) == (80, 20)
    assert all(0.999 < value <= 1 for value in scores["test"]["r2"].values())
    for channel, rmse in scores["test"]["rmse"].items():
        assert 0 < scores["test"]["mae"][channel] <= rmse < 300


def test_the_result_is_plain_data(dark):
    result = solve(dark, WHITE, models=["pls"])
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_what_the_models_learned_from_and_may_answer_is_said_with_the_version(rows, tmp_path):
    settings, readings = rows[0].copy(), rows[1]
    settings[:, 0] = 0.5 * settings[:, 0]
    result = solve(written(tmp_path / "a.jsonl", settings, readings), ["515nm=16384"], models=["pls"])
    assert result["domain"] == {"R": [0, 1], "G": [0, 1], "B": [0, 1]}
    assert result["ranges"]["R"][1] <= 0.5 < result["ranges"]["G"][1]
    assert result["ranges"]["515nm"][0] < 16384 < result["ranges"]["515nm"][1]
    assert result["version"] == version("inverse-sdl")


def test_seed_decides_and_company_does_not(dark):
    def answers(**options):
        return [{**row, "fit_s": 0, "draw_s": 0} for row in solve(dark, WHITE, **options)["models"]]

    alone = answers(models=["mixture"])
    assert alone == [row for row in answers() if row["model"] == "mixture"]
    assert alone != answers(models=["mixture"], seed=1)


@pytest.mark.fault("M-04")
@pytest.mark.parametrize(
    ("target", "wall"), [(["445nm=40000"], 30700), (["445nm=3000", "480nm=20000"], None)], ids=["range", "manifold"]
)
def test_not_reachable_says_what_is_nearest(dark, target, wall):
    for row in solve(dark, target)["models"]:
        assert (row["reachable"], row["verdict"], row["candidates"]) == (False, "NOT REACHABLE", [])
        assert all(0 <= value <= 1 for value in row["nearest"]["settings"].values())
        if wall:
            assert row["nearest"]["readings"]["445nm"] == pytest.approx(wall, rel=0.02)


@pytest.mark.fault("M-01")
def test_a_model_that_cannot_be_fitted_says_why(rows, tmp_path):
    settings, readings = rows
    found = {
        row["model"]: row for row in solve(written(tmp_path / "a.jsonl", settings[:4], readings[:4]), WHITE)["models"]
    }
    assert found["mixture"] == {"model": "mixture", "error": "Mixture needs 5 rows, got 4: measure 1 more"}
    assert found["linear"]["error"] is None


def test_too_few_rows_to_judge(rows, tmp_path):
    settings, readings = rows
    (row,) = solve(written(tmp_path / "a.jsonl", settings[:5], readings[:5]), WHITE, models=["mixture"])["models"]
    assert row["candidates"]
    assert row["scores"] is None


# ---------------------------------------------------------------------- rows


def test_rows_at_the_ceiling_are_left_out_and_counted(rows, tmp_path):
    settings, readings = rows[0], rows[1].copy()
    readings[:3, FIXED[1]] = 65535
    readings[3:5, FIXED[2]] = np.nan
    result = solve(written(tmp_path / "a.jsonl", settings, readings), WHITE, models=["pls"])
    assert result["rows"] == 95
    assert result["notes"][0] == "3 of 100 rows were left out: a channel of the target stands at its ceiling there"
    assert result["notes"][1] == "2 of 100 rows were left out: a channel of the target is missing there"
    assert best(result["models"][0]) == pytest.approx(twin_answer(PAPER), abs=0.01)


def test_a_channel_that_is_free_may_stand_at_its_ceiling(dark):
    assert solve(dark, ["445nm=16384"], models=["pls"])["rows"] == 100


def test_no_row_left(rows, tmp_path):
    settings, readings = rows[0][:3], rows[1][:3].copy()
    readings[:, FIXED[0]] = 65535
    with pytest.raises(InvalidInput, match="no row has a reading below the ceiling in each of 445nm"):
        solve(written(tmp_path / "a.jsonl", settings, readings), WHITE)


def test_nothing_but_references(tmp_path):
    path = written(tmp_path / "a.jsonl", np.zeros((2, 3)), np.ones((2, 10)))
    with pytest.raises(InvalidInput, match="all 2 rows have the same settings: measure at others"):
        solve(path, WHITE)


# ---------------------------------------------------------------------- background

LIGHT = np.array([742.0, 1432, 1624])
IN_LIGHT = [0.482, 0.225, 0.511]


def lit(rows, tmp_path, off):
    """The rows in a steady light, with some light-off readings of it before them."""
    settings, readings = rows[0], rows[1].copy()
    readings[:, FIXED] += LIGHT
    reference = np.zeros((off, 10))
    reference[:, FIXED] = LIGHT
    return written(tmp_path / "a.jsonl", np.vstack((np.zeros((off, 3)), settings)), np.vstack((reference, readings)))


@pytest.mark.parametrize(
    ("off", "given", "models", "note"),
    [
        (0, ["445nm=742", "515nm=1432", "630nm=1624"], ["linear"], "the background given was subtracted: 445nm 742"),
        (1, [], ["linear"], "the background was read off the row with all knobs off: 445nm 742"),
        (
            3,
            [],
            ["linear"],
            "the background was read off the 3 rows with all knobs off, and the answers are for the last of them",
        ),
        (0, [], [], "no row has all knobs off, so the background was extrapolated by a linear fit"),
    ],
    ids=["given", "one reading", "three readings", "extrapolated"],
)
def test_background(rows, tmp_path, off, given, models, note):
    result = solve(lit(rows, tmp_path, off), WHITE, background=given, models=models)
    assert result["notes"][-1].startswith(note)
    assert result["rows"] == 100
    for row in result["models"]:
        assert best(row) == pytest.approx(IN_LIGHT, abs=0.01)


def test_answers_are_for_the_last_background(rows, tmp_path):
    settings, readings = rows[0], rows[1].copy()
    readings[50:, FIXED] += LIGHT
    light = np.zeros((1, 10))
    light[:, FIXED] = LIGHT
    off = np.zeros((1, 3))
    path = written(
        tmp_path / "a.jsonl",
        np.vstack((off, settings[:50], off, off, settings[50:])),
        np.vstack((0 * light, readings[:50], 0 * light, light, readings[50:])),
    )
    (row,) = solve(path, WHITE, models=["linear"])["models"]
    assert best(row) == pytest.approx(IN_LIGHT, abs=0.01)


def test_few_rows_and_no_background(rows, tmp_path):
    settings, readings = rows
    result = solve(written(tmp_path / "a.jsonl", settings[:4], readings[:4]), WHITE)
    assert result["notes"] == ["no row has all knobs off, so the background was taken for 0: 445nm 0, 515nm 0, 630nm 0"]


# ---------------------------------------------------------------------- what was asked


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("445nm=16384", 163.84),
        ("445nm=16384±150", 150),
        ("445nm = 16384 ± 0.5 %", 81.92),
        ("445nm=1.6384e4+-150", 150),
        ("445nm=16384+/-2%", 327.68),
    ],
)
def test_tolerance(dark, text, allowed):
    result = solve(dark, [text], models=["linear"], draws=20)
    assert result["target"] == {"445nm": 16384}
    assert result["tolerance"]["445nm"] == pytest.approx(allowed)


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"targets": []}, "a target is missing: give CHANNEL=READING"),
        ({"targets": ["445nm"]}, "'445nm' needs the form CHANNEL=READING, as in 445nm=16384, 445nm=16384±150"),
        ({"targets": ["446nm=5"]}, "unknown channel '446nm'; did you mean '445nm'?"),
        ({"targets": ["445nm=nan"]}, "445nm needs a finite number, got 'nan'"),
        ({"targets": ["445nm=inf"]}, "445nm needs a finite number, got 'inf'"),
        ({"targets": ["445nm=16,384"]}, "445nm needs a number, or words such as '16384 ± 150'"),
        ({"targets": ["445nm=-4"]}, "445nm = -4 counts is below the least that the sensor can return, 0"),
        ({"targets": ["445nm=70000"]}, "445nm = 70000 ± 700 counts reaches the ceiling of the sensor, 65535"),
        ({"targets": ["445nm=5±x"]}, "445nm needs a tolerance above 0 or a percentage such as '1 %', got 'x'"),
        ({"targets": ["445nm=5±-3"]}, "445nm needs a tolerance above 0 or a percentage such as '1 %', got '-3'"),
        ({"targets": ["445nm=0"]}, "tolerance at 445nm must be above 0; give it in counts, not as a share of 0"),
        ({"tolerance": "much"}, f"{TOLERANCE}, got 'much'"),
        ({"targets": [*WHITE, "445nm=5"]}, "445nm is fixed twice: give one reading for it"),
        ({"free": ["445nm"]}, "445nm is both fixed and free: leave out one of the two"),
        ({"free": ["591nm"]}, "unknown channel '591nm'; did you mean '590nm'?"),
        ({"models": ["mixtrue"]}, "unknown inverse model 'mixtrue'; did you mean 'mixture'?"),
        ({"models": ["mixtrue:seed=1"]}, "unknown inverse model 'mixtrue'; did you mean 'mixture'?"),
        ({"models": ["ipage:latnt=sobol"]}, "ipage:latnt=sobol: latnt: 'ipage' has no such option; did you mean"),
        ({"models": ["ipage:latent=sobl"]}, "ipage:latent=sobl: latent: Input should be 'independent'"),
        ({"models": ["nearest:neighbours"]}, "'nearest:neighbours' needs the form NAME:KEY=VALUE,KEY=VALUE"),
        ({"background": ["445nm=700"]}, "background: 515nm, 630nm is missing; give every channel"),
        ({"background": ["446nm=700"]}, "background: unknown channel '446nm'; did you mean '445nm'?"),
        ({"background": ["445nm=-1"]}, "background: 445nm needs at least 0, got -1"),
        ({"background": ["445nm=1e9"]}, "background: 445nm needs less than its ceiling, 65535, got 1e+09"),
        ({"background": ["445nm=nan"]}, "background: 445nm needs a finite number, got 'nan'"),
        ({"background": ["445nm=7±1"]}, "background: '445nm=7±1' has a tolerance, and a background has none"),
        ({"seed": -1}, "seed needs a whole number from 0, got -1"),
        ({"draws": 0}, "draws needs a whole number from 1 to 5000, got 0"),
        ({"draws": 10**6}, "draws needs a whole number from 1 to 5000, got 1000000"),
    ],
)  # fmt: skip
def test_fault(dark, asked, fault):
    with pytest.raises(InvalidInput) as raised:
        solve(dark, **{"targets": WHITE} | asked)
    assert any(each.startswith(fault) for each in raised.value.faults), raised.value.faults


def test_all_faults_at_once(dark):
    with pytest.raises(InvalidInput) as raised:
        solve(
            dark, ["446nm=5", "515nm=nan", "630nm=16384"], free=["630nm"], models=["x"], background=["nir=x"], seed=-1
        )
    assert len(raised.value.faults) == 6


def test_channels_of_somebody_else(tmp_path):
    """Knobs in degrees, a reading that is not 0 where they are lowest, and names that look like markup."""
    path, rng = tmp_path / "a.csv", np.random.default_rng(0)
    degrees = np.concatenate(([20.0, 80.0], rng.uniform(20, 80, 30)))
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["in.[b]oven", "out.[/red]"])
        table.writerows([each, 5 + 2 * each + rng.normal(0, 0.1)] for each in degrees)
    result = solve(path, ["[/red]=105"])
    for row in result["models"]:
        assert best(row) == pytest.approx([50], abs=1)
    assert "[/red]" in shown(result)


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_readings_beyond_what_can_be_squared(tmp_path, scale):
    settings = np.random.default_rng(0).random((20, 2))
    path = written(tmp_path / "a.jsonl", settings, settings * scale, ["a", "b"])
    with pytest.raises(InvalidInput, match=r"a reads up to .*: give it in a unit in which it is nearer to 1"):
        solve(path, [f"a={0.5 * scale}"])


# ---------------------------------------------------------------------- for people


def test_a_name_cannot_act_on_the_terminal(tmp_path):
    settings = np.random.default_rng(0).random((20, 2))
    name = "\x1b[31mred"
    path = written(tmp_path / "a.jsonl", settings, settings, [name, "b"])
    text = shown(solve(path, [f"{name}=0.5"], models=["linear"]))
    assert "\x1b[31mred" not in text
    assert "\\x1b[31mred" in text


def shown(result):
    console = Console(width=200)
    with console.capture() as text:
        for table in solve_tables(result):
            console.print(table)
    return text.get()


def test_tables(rows, tmp_path):
    settings, readings = rows
    path = written(tmp_path / "a.jsonl", settings[:4], readings[:4])
    text = shown(solve(path, WHITE))
    assert "445nm 16384 ± 164" in text
    assert "mixture has no answer: Mixture needs 5 rows, got 4" in " ".join(text.split())
    assert "100%" in text
    assert "NOT REACHABLE by" in shown(solve(path, ["445nm=40000"]))


def test_tables_without_any_answer(rows, tmp_path):
    settings, readings = rows
    text = shown(solve(written(tmp_path / "a.jsonl", settings[:2], readings[:2]), WHITE))
    assert "linear has no answer: LinearProgram needs 3 rows, got 2" in " ".join(text.split())


# ---------------------------------------------------------------------- the real records


@pytest.mark.skipif(not RECORDS.is_file(), reason="the records are not part of the project")
def test_models_agree_on_the_real_records():
    result = solve(RECORDS, WHITE, free=["590nm"], models=["linear", "pls", "mixture"])
    answers = np.array([best(row) for row in result["models"]])
    assert np.ptp(answers, axis=0).max() < 0.03
    assert "13 of 827 rows were left out" in result["notes"][0]
    assert "read off the 5 rows with all knobs off" in result["notes"][1]
    for row in result["models"]:
        assert min(row["scores"]["test"]["r2"].values()) > 0.98


def test_an_offer_that_misses_by_its_own_models_word_is_told(tmp_path):
    """A ring: its solutions are one family all around, and few components follow it badly."""
    some = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    lines = [json.dumps({"in": list(row), "out": {"r2": float((row**2).sum())}}) for row in some]
    path = tmp_path / "ring.jsonl"
    path.write_text("\n".join(lines))
    result = solve(path, ["r2=0.5"], models=["mixture"])
    (offer, *_) = result["models"][0]["candidates"]
    assert offer["misses"] == ["r2"]
    text = " ".join(each["text"] for each in collect_warnings(result["models"]))
    assert "MISSED at r2 by the first offer of mixture" in text


# ---------------------------------------------------------------------- every answer


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """Rows of a response that every target of has two answers, mirror images about 0.5, with noise."""
    rng = np.random.default_rng(0)
    settings = rng.random((150, 2))
    readings = two_branches(settings) + rng.normal(0, 0.005, (150, 2))
    return written(tmp_path_factory.mktemp("folded") / "rows.jsonl", settings, readings, ["a", "b"])


@pytest.mark.parametrize("model", ["mixture", "nearest"])
def test_every_answer_is_told_with_its_family(folded, model):
    (row,) = solve(folded, ["a=0.25±0.02", "b=0.5±0.02"], models=[model], answers="all")["models"]
    found = row["answers"]["found"]
    assert sorted(each["settings"]["x1"] for each in found) == pytest.approx([0.25, 0.75], abs=0.01)
    assert {each["family"] for each in found} == {1, 2}
    assert sum(each["share"] for each in found) == pytest.approx(1)
    for each in found:
        truth = two_branches(np.array([list(each["settings"].values())]))[0]
        assert truth == pytest.approx([0.25, 0.5], abs=0.02), "set right by the rows around it"
        assert list(each["readings"].values()) == pytest.approx([0.25, 0.5], abs=0.02)
        assert all(0 < value < 0.02 for value in each["uncertainty"].values())
    assert row["answers"]["arrived"] > 0.5


def test_the_most_robust_answer_alone(folded):
    (row,) = solve(folded, ["a=0.25±0.02", "b=0.5±0.02"], models=["mixture"], answers="1")["models"]
    assert len(row["answers"]["found"]) == 1


def test_no_answers_where_nothing_reaches_the_target(folded):
    (row,) = solve(folded, ["a=5", "b=0.5"], models=["linear"], answers="all")["models"]
    assert row["answers"] is None


def test_answers_are_shown_only_where_they_were_asked_for(folded):
    result = solve(folded, ["a=0.25±0.02", "b=0.5±0.02"], models=["mixture"], answers="all")
    assert "Every answer, the most robust first" in shown(result)
    assert "mixture: 2 answers of 2 families" in shown(result)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert "Every answer" not in shown(solve(folded, ["a=0.25±0.02"], models=["mixture"]))


@pytest.mark.parametrize("number", ["0", "many", "1000", "1.5"])
def test_a_number_of_answers_that_makes_no_sense_is_a_fault(folded, number):
    with pytest.raises(InvalidInput, match=f"answers needs 'all' or a whole number from 1 to 100, got '{number}'"):
        solve(folded, ["a=0.25"], answers=number)


def test_settings_in_a_gap_of_the_rows_are_told(tmp_path):
    readings, settings = twin_rows(800)
    kept = np.abs(settings[:, 0] - 0.5) > 0.3
    file = written(tmp_path / "a.jsonl", settings[kept], readings[kept])
    (row,) = solve(file, WHITE, models=["linear"], free=["590nm"])["models"]
    assert row["candidates"][0]["remote"] > 1
    said = [warning["text"] for warning in collect_warnings([row])]
    assert any(text.startswith("SETTINGS IN A GAP of the rows, linear: ") for text in said)


def test_settings_among_the_rows_are_not(dark):
    (row,) = solve(dark, WHITE, models=["linear"])["models"]
    assert row["candidates"][0]["remote"] <= 1
    assert not any("GAP" in warning["text"] for warning in collect_warnings([row]))


def test_one_model_with_two_options_gives_two_answers(dark):
    targets = ["445nm=16384", "515nm=16384", "630nm=16384"]
    few, many = solve(dark, targets, models=["nearest:neighbours=3", "nearest:neighbours=30"], draws=200)["models"]
    assert (few["model"], many["model"]) == ("nearest:neighbours=3", "nearest:neighbours=30")
    assert few["error"] is None
    assert few["candidates"] != many["candidates"]
