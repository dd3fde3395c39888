"""What is known of settings beforehand, paths from a known pair, and settings that keep to the prior; every fault."""

import io
import re

import numpy as np
import pytest
from problems import two_branches
from rich.console import Console

from flows.studies.solve import solve, solve_tables
from sdl.errors import InvalidInput
from sdl.reports.comparison_page import render_comparison_page

MODELS = ["linear", "mixture", "gaussian-process"]


@pytest.fixture(scope="module")
def sums(tmp_path_factory):
    """Rows whose one channel reads the sum of both knobs: a target leaves a direction open."""
    rng = np.random.default_rng(0)
    settings = rng.random((60, 2))
    readings = 100 * settings.sum(axis=1, keepdims=True) + rng.normal(0, 0.3, (60, 1))
    return named(tmp_path_factory.mktemp("prior") / "sums.csv", settings, readings)


@pytest.fixture(scope="module")
def branches(tmp_path_factory):
    rng = np.random.default_rng(0)
    settings = rng.random((120, 2))
    readings = two_branches(settings) + rng.normal(0, 0.002, (120, 2))
    return named(tmp_path_factory.mktemp("prior") / "branches.csv", settings, readings)


def named(path, settings, readings):
    head = ",".join([f"in.{name}" for name in "xz"] + [f"out.{name}" for name in "ab"[: readings.shape[1]]])
    np.savetxt(path, np.hstack((settings, readings)), delimiter=",", header=head, comments="")
    return path


def shown(tables):
    console = Console(width=240, file=io.StringIO())
    console.print(*tables)
    return " ".join(console.file.getvalue().split())


def test_a_prior_decides_what_the_target_leaves_open(sums):
    free, known = (solve(sums, ["a=100"], models=MODELS, prior=prior) for prior in ((), ["x=0.7±0.02"]))
    for before, after in zip(free["models"], known["models"], strict=True):
        assert before["candidates"][0]["spread"]["x"] > 0.15
        offer = after["candidates"][0]
        assert offer["settings"]["x"] == pytest.approx(0.7, abs=0.06)
        assert offer["settings"]["z"] == pytest.approx(0.3, abs=0.06)
        assert offer["spread"]["x"] == pytest.approx(0.02, abs=0.012)
        assert offer["misses"] == []
        assert offer["most_probable"]["settings"]["x"] == pytest.approx(0.7, abs=0.01)
        assert 0 < after["agreeing"] < 0.3 < before["agreeing"] == 1


@pytest.mark.parametrize("sign", ["+-", "+/-", " ± "])
def test_the_sign_may_be_typed_on_any_keyboard(sums, sign):
    plain, typed = (solve(sums, ["a=100"], models=["linear"], prior=[f"x=0.7{each}0.02"]) for each in ("±", sign))
    assert plain["models"][0]["candidates"] == typed["models"][0]["candidates"]


def test_a_prior_chooses_a_branch(branches):
    target = ["a=0.36", "b=0.5"]
    every = solve(branches, target, models=["mixture"])["models"][0]["candidates"]
    assert sorted(offer["settings"]["x"] for offer in every) == pytest.approx([0.2, 0.8], abs=0.03)
    (offer,) = solve(branches, target, models=["mixture"], prior=["x=0.9±0.1"])["models"][0]["candidates"]
    assert offer["settings"]["x"] == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("prior", "draws"), [("x=0.1±0.01", 1000), ("x=0.1±0.01", 50), ("x=0.1±0.1", 1000)])
def test_a_prior_against_the_target_is_told_however_many_are_drawn(sums, prior, draws):
    result = solve(sums, ["a=150"], models=["linear"], prior=[prior], draws=draws)
    assert result["models"][0]["agreeing"] < 0.01
    assert "PRIOR AGAINST TARGET by linear" in shown(solve_tables(result))


def test_rows_without_a_reading_tell_which_settings_are_usual(sums, tmp_path):
    """Only to a model that learns from gaps: the sum of both knobs is wanted, and x is usually high."""
    rng = np.random.default_rng(1)
    bare = [f"{x:.4f},{z:.4f}," for x, z in np.column_stack((rng.uniform(0.8, 1, 48), rng.random(48))).tolist()]
    few, more = tmp_path / "few.csv", tmp_path / "more.csv"
    few.write_text("".join(sums.read_text().splitlines(keepends=True)[:31]))
    more.write_text(few.read_text() + "\n".join(bare) + "\n")
    models = ["any-conditional", "linear"]
    before, after = (
        {row["model"]: row for row in solve(path, ["a=100"], models=models, knobs=["x=0:1", "z=0:1"])["models"]}
        for path in (few, more)
    )
    assert [after[name]["rows"] for name in models] == [78, 30]
    usual = [found["any-conditional"]["candidates"][0]["mean"]["settings"]["x"] for found in (before, after)]
    assert usual[1] > usual[0] + 0.1
    assert after["linear"]["candidates"] == before["linear"]["candidates"]


def test_readings_without_settings_say_what_occurs_and_teach_nothing(sums, tmp_path):
    """Nothing of 250 was measured where settings are known; somebody read 248 and 251, and nobody 400."""
    more = tmp_path / "more.csv"
    more.write_text(sums.read_text() + ",,248\n,,251\n,,90\n")
    asked = {
        target: [solve(path, [f"a={target}"], models=["linear", "mixture"]) for path in (sums, more)]
        for target in (100, 250, 400)
    }
    for before, after in asked.values():
        for row, taught in zip(before["models"], after["models"], strict=True):
            same = ("rows", "candidates", "nearest", "reachable", "scores")
            assert {name: row[name] for name in same} == {name: taught[name] for name in same}
            assert row["remoteness"]["score"] == taught["remoteness"]["score"]
    said = {target: shown(solve_tables(after)) for target, (_, after) in asked.items()}
    words = "such readings were seen, with what settings is not known (lines 62, 63)"
    assert [words in said[target] for target in (100, 250, 400)] == [False, True, False]
    assert said[250].index("NOT REACHABLE") < said[250].index(words) < said[250].index("OUT OF DOMAIN")
    assert "OUT OF DOMAIN" in said[400]


def test_in_a_light_or_condition_of_their_own_readings_without_settings_are_passed_over(tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{x:.3f},{20 + 5 * x:.3f},{100 * x:.3f}" for x in rng.random(20)]
    path = tmp_path / "warm.csv"
    path.write_text("\n".join(["in.x,cond.warmth,out.a", *lines, ",22,300", ""]))
    result = solve(path, ["a=300"], models=["linear"])
    assert result["models"][0]["remoteness"]["seen"] == []
    assert any("rows without settings are passed over: how with other warmth they" in note for note in result["notes"])


def test_a_draw_the_mean_of_a_branch_and_the_most_probable_settings_are_told_apart(tmp_path):
    """On a ring the mean of the draws lies in the middle, and gives nothing of what is wanted."""
    some = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    file = named(tmp_path / "ring.csv", some, (some**2).sum(axis=1, keepdims=True))
    result = solve(file, ["a=0.5±0.05"], models=["gaussian-process"])
    (offer,) = result["models"][0]["candidates"]
    assert np.linalg.norm(list(offer["settings"].values())) == pytest.approx(0.5**0.5, abs=0.04)
    assert np.linalg.norm(list(offer["most_probable"]["settings"].values())) == pytest.approx(0.5**0.5, abs=0.01)
    assert np.linalg.norm(list(offer["mean"]["settings"].values())) < 0.3
    assert (offer["misses"], offer["most_probable"]["misses"], offer["mean"]["misses"]) == ([], [], ["a"])
    said = shown(solve_tables(result))
    assert "mean of draws, misses a" in said
    assert "most probable" in said


def test_a_path_stays_on_the_branch_of_its_known_pair_and_says_where_it_stopped(branches):
    for x, end in ((0.95, 0.8), (0.05, 0.2)):
        result = solve(branches, ["a=0.36", "b=0.5"], models=["gaussian-process"], start=f"x={x}, z=0.4")
        path = result["models"][0]["path"]
        assert path["reached"]
        assert path["start"] == pytest.approx({"x": x, "z": 0.4})
        assert path["settings"]["x"] == pytest.approx(end, abs=0.02)
        assert path["readings"]["a"] == pytest.approx(0.36, abs=0.01)
    beyond = solve(branches, ["a=-0.4", "b=0.5"], models=["gaussian-process"], start="x=0.9,z=0.5")
    path = beyond["models"][0]["path"]
    assert not path["reached"]
    assert path["share"] == pytest.approx(0.64 / 1.04, abs=0.05)  # the fold, where a is 0
    assert "Path from the known pair" in shown(solve_tables(beyond))
    assert path["reason"] in shown(solve_tables(beyond))


def test_what_stopped_a_path_and_what_was_given_up_are_told_by_the_names_of_knobs(sums):
    row = solve(sums, ["a=250"], models=["linear"], start="x=0.9,z=0.5", regularise=True)["models"][0]
    assert "of the way x reaches its upper bound" in row["path"]["reason"]
    assert re.search(r"nothing moved along -?0\.\d\d x [+-] 0\.\d\d z\.$", row["regularised"]["truncated"]["gave_up"])


def test_a_path_starts_from_what_was_measured_there(sums):
    rows = np.loadtxt(sums, delimiter=",", skiprows=1)
    rows[0, 2] += 5.0
    file = named(sums.parent / "moved.csv", rows[:, :2], rows[:, 2:])
    for path in (sums, file):
        x, z, a = np.loadtxt(path, delimiter=",", skiprows=1)[0].tolist()
        found = solve(path, [f"a={a:.17g}"], models=["linear"], start=f"x={x:.17g},z={z:.17g}")["models"][0]["path"]
        assert found["settings"] == pytest.approx({"x": x, "z": z}, abs=1e-6)  # already there


def test_what_is_kept_to_the_prior_says_what_it_gave_up(sums):
    result = solve(sums, ["a=120"], models=MODELS, regularise=True, prior=["x=0.5±0.2", "z=0.5±0.2"])
    for row in result["models"]:
        smooth, few = row["regularised"]["tikhonov"], row["regularised"]["truncated"]
        for kept in (smooth, few):
            assert kept["met"]
            assert kept["settings"] == pytest.approx({"x": 0.6, "z": 0.6}, abs=0.02)
        assert smooth["misfit"] == pytest.approx(1.0, abs=0.05)  # stops fitting where noise begins
        assert few["misfit"] < smooth["misfit"]
        assert few["kept"] == 1
        assert smooth["gave_up"].startswith("The target is missed by 1 σ of noise, so as to lie within 0.1")
        assert "nothing moved along 0.7" in few["gave_up"]
        assert few["gave_up"] in shown(solve_tables(result))


def test_every_fault_is_named_at_once(sums):
    with pytest.raises(InvalidInput) as caught:
        solve(
            sums,
            ["c=1"],
            models=["linaer"],
            prior=["x=0.4", "q=1+-1", "x=7±0.1", "z=0.2±0", "z=0.2±nan", "x=a±b"],
            start="x=0.5,y=1",
            knobs=["x=0:1", "z=0:1"],
        )
    assert list(caught.value.faults) == [
        "unknown inverse model 'linaer'; did you mean 'linear'?",
        "prior: 'x=0.4' needs the form KNOB=SETTING±DEVIATION, as in R=0.4±0.05",
        "prior: unknown knob 'q'; known are 'x', 'z'",
        "prior: x needs a setting from 0 to 1, got 7",
        "prior: ± of z needs a number above 0, got 0",
        "prior: ± of z needs a finite number, got 'nan'",
        "prior: x needs a number such as 16384, got 'a'",
        "prior: x is given twice",
        "prior: z is given twice",
        "from: unknown knob 'y'; known are 'x', 'z'",
        "from: z is missing: a path starts from all of x, z",
        "unknown channel 'c'; known are 'a'",
    ]


@pytest.mark.parametrize("text", ["", "x", "=1", "x=1=2,z"])
def test_a_start_that_is_none_is_refused(sums, text):
    with pytest.raises(InvalidInput, match=r"from: .* needs the form KNOB=SETTING,\.\.\."):
        solve(sums, ["a=100"], models=["linear"], start=text)


def test_a_knob_that_follows_needs_no_prior_and_no_start_of_its_own(tmp_path):
    some = np.random.default_rng(0).random((40, 1))
    file = named(tmp_path / "tied.csv", np.hstack((some, 1 - some)), 3 * some)
    with pytest.raises(InvalidInput) as caught:
        solve(file, ["a=1"], models=["linear"], prior=["z=0.5±0.1"], start="x=0.5,z=0.9")
    assert "prior: z follows from the others in these rows: leave it out" in caught.value.faults
    assert "from: z is 0.5 with these others, by what all rows have in common, got 0.9" in caught.value.faults
    path = solve(file, ["a=1"], models=["linear"], start="x=0.5")["models"][0]["path"]
    assert path["settings"] == pytest.approx({"x": 1 / 3, "z": 2 / 3}, abs=1e-3)


def test_at_the_command_line(sdl, sums):
    words = ("--prior", "x=0.7+-0.02", "--from", "x=0.5,z=0.5", "--regularise")
    outcome = sdl("solve", sums, "--target", "a=100", "--model", "linear", *words)
    assert outcome.code == 0
    for words in ("Path from the known pair", "Tikhonov", "truncated SVD", "mean of draws", "most probable"):
        assert words in outcome.said
    refused = sdl("solve", sums, "--target", "a=100", "--prior", "x=0.7", "--from", "x=2,z=0.5")
    assert refused.code == 2
    assert "prior: 'x=0.7' needs the form" in refused.err
    assert "from: x needs a setting from" in refused.err


def test_the_page_tells_them_apart_too(found):
    page = render_comparison_page(found.result, found.rows, found.evidence)
    for words in ("draw, offered", "mean of the draws", "most probable"):
        assert words in page
