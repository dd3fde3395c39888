"""The page of a comparison: whole, safe whatever strangers wrote, and it loads nothing."""

import json
import re
import shutil
import subprocess
from collections import Counter

import numpy as np
import pytest
from comparisons import QUICK, SECTIONS
from hostile import HOSTILE
from pages import check, svg
from problems import written

from flows.studies.compare import study_models
from sdl.reports.comparison_page import render_comparison_page
from strategies.models.linear.pls import PartialLeastSquares

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def page(found):
    return render_comparison_page(found.result, found.rows, found.evidence)


def test_the_page_is_whole_and_loads_nothing(found, page):
    seen = check(page, SECTIONS)
    assert len(seen.pictures) == 6
    best = found.result["best"]
    assert seen.text.index(f"{best} gives the settings of 12 rows not seen best") < seen.text.index("Settings offered")
    assert "The condition number in units of noise is" in seen.text
    for name in QUICK:
        assert name in " ".join(svg(seen.pictures[0]).itertext())
        assert name in " ".join(svg(seen.pictures[4]).itertext())


def test_each_mark_of_the_parity_says_which_model_and_which_row_of_the_file_it_is(found, page, dark):
    (marks,) = [json.loads(value) for _, name, value in check(page, SECTIONS).attributes if name == "data-marks"]
    rows = [json.loads(line) for line in dark.read_text().splitlines()]
    models = Counter(words.partition(", row in line ")[0] for words in marks["words"])
    assert models == dict.fromkeys(QUICK, found.result["split"]["test"])
    for words, places in zip(marks["words"], marks["at"], strict=True):
        line = int(re.search(r"line (\d+)", words)[1])
        true = float(re.search(r"\bR \(duty\) \S+, true (\S+?)(;|$)", words)[1])
        assert true == pytest.approx(rows[line - 1]["in"][0], abs=1e-4)
        assert 0 < len(places) <= 2 * 6


def test_one_knob_and_one_channel(tmp_path):
    rng = np.random.default_rng(0)
    degrees = rng.uniform(20, 80, 30)
    path = written(tmp_path / "a.jsonl", degrees[:, None], (2 * degrees + rng.normal(0, 0.1, 30))[:, None], ["y"])
    found = study_models(path, ["y=100"], models=["mixture", "pls"], draws=100)
    assert len(check(render_comparison_page(found.result, found.rows, found.evidence), SECTIONS).pictures) == 6


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
    found = study_models(path, [f"{name}=0.5" for name in names], models=[HOSTILE[0], HOSTILE[5]], draws=40)
    html = render_comparison_page(found.result, found.rows, found.evidence)
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
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stderr
    assert "Refused to" not in outcome
    assert "CONSOLE" not in outcome
    picture = imread(shot)[..., :3]
    assert picture.shape[:2] == (4000, 1200)
    lit = [(part.min(axis=(1, 2)) < 0.5).mean() for part in np.array_split(picture, 8)]
    assert min(lit) > 0.1  # something is drawn all the way down
