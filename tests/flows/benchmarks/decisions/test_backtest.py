"""The whole back-test: its result, its page and its command."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from flows.benchmarks.decisions.backtest import run_backtest_study
from sdl.reports.benchmarks import backtest_page


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backtest")
    names = ("sdl", "random", "hypercube-pls")
    return run_backtest_study(folder, problems=["dark"], strategies=names, seeds=2, processes=0), folder


def test_result_is_plain_data_with_every_run(studied):
    result, folder = studied
    assert json.loads((folder / "result.json").read_text()) == json.loads(json.dumps(result, allow_nan=False))
    assert len(result["runs"]) == 6
    assert {each["strategy"] for each in result["problems"][0]["strategies"]} == {"sdl", "random", "hypercube-pls"}
    assert result["problems"][0]["strategies"][-1]["strategy"] == "random"


def test_page_holds_all_it_shows(studied):
    page = (studied[1] / "index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert page.count("data:image/svg+xml") == 2
    for words in ("hypercube-pls", "Every request counts", "needs the fewest requests"):
        assert words in page


def test_first_figure_lies_beside_the_page_on_white_paper(studied):
    figure = ElementTree.parse(studied[1] / "requests.svg").getroot()
    assert figure.tag.endswith("svg")
    said = "".join(figure.itertext())
    for words in ("hypercube-pls", "sdl", "dark", "requests until VERIFIED"):
        assert words in said
    assert "fill: #ffffff" in ElementTree.tostring(figure, "unicode")


def test_what_was_run_is_shown_without_a_run(studied):
    outcome = []
    result = run_backtest_study(
        studied[1],
        problems=["dark"],
        strategies=["sdl", "random"],
        seeds=5,
        show=True,
        tell=lambda *ended: outcome.append(ended),
    )
    assert not outcome
    assert [each["runs"] for each in result["problems"][0]["strategies"]] == [2, 2]


def test_page_says_what_crashed_and_what_is_left_out(studied):
    result = {**studied[0], "notes": ["<b>peer</b> on dark, seed 0, crashed: no memory"], "problems": []}
    page = backtest_page.render_backtest_page(result)
    assert "&lt;b&gt;peer&lt;/b&gt; on dark, seed 0, crashed: no memory" in page


# ---------------------------------------------------------------------- the command


def test_command_tells_every_wrong_name_at_once(sdl):
    outcome = sdl("backtest", "--problem", "drak", "--strategy", "sld", "--tolerance", "1 %")
    assert outcome.code == 2
    assert "unknown problem 'drak'" in outcome.said
    assert "unknown strategy 'sld'" in outcome.said


def test_command_refuses_what_is_no_tolerance(sdl):
    outcome = sdl("backtest", "--problem", "dark", "--strategy", "random", "--tolerance", "soon")
    assert outcome.code == 2
    assert "'1 %'" in outcome.said


def test_command_shows_a_table_and_where_the_page_is(sdl, home):
    words = ("backtest", "--problem", "dark", "--strategy", "random", "--seeds", 1, "--budget", 8)
    outcome = sdl(*words)
    assert outcome.code == 0
    assert "No strategy is VERIFIED within 8 requests" in outcome.said
    assert str(home / "backtest" / "index.html") in outcome.out.replace("\n", "")
    again = sdl(*words, "--json").json
    assert again["problems"][0]["strategies"][0]["median"]["value"] == 8
