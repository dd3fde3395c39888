"""Every kind of page in a browser: nothing cut or overlapping on a phone, a tablet, a desk or paper, and no barrier."""

import json
from importlib.resources import files

import numpy as np
import pytest
from hostile import HOSTILE
from pages import PROGRAM, browsing
from problems import wide_rows, written
from stages import survey_page

from flows.benchmarks.decisions.backtest import run_backtest_study
from flows.engine.ask_and_tell import AskAndTell
from flows.engine.opening import open_session
from flows.studies.compare import study_models
from flows.studies.solve import solve
from flows.studies.solve_page import write_solve_page
from sdl.campaign.definition import Campaign
from sdl.history import Verdict
from sdl.ledger.ledger import Ledger
from sdl.reports.benchmarks.benchmark_page import BenchmarkPart, draw_scatter, write_benchmark_page
from sdl.reports.campaign_page import render_campaign_page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="no Chromium here")]

WIDTHS, THEMES, PAPER = (390, 768, 1200), ("light", "dark"), 717
"""Pixels; the last is A4 less its margins."""
SIDES = {
    "name": "sides",
    "seed": 1,
    "budget": 60,
    "instrument": {"plugin": "twin", "seed": 5},
    "quantities": {"ratio": "445nm / 630nm"},
    "targets": [
        {"name": "warm", "readings": {"ratio": "0.5 .. 0.55", "515nm": ">= 12000", "590nm": "<= 20000"}},
        {"name": "out of reach", "readings": {"445nm": 16384, "515nm": 16384, "555nm": 20000}, "tolerance": "5 %"},
        {"name": "brightest", "readings": {"515nm": "maximum ± 1500", "630nm": "<= 9000"}},
    ],
}
SEVERAL = {
    "name": "several",
    "budget": 60,
    "instrument": {"plugin": "sinewave", "noise": 0.02, "seed": 1},
    "targets": [{"name": "ripple", "readings": {"y": 1.2}, "tolerance": 0.05, "answers": 2}],
}
KINDS = {
    "name": "kinds",
    "budget": 40,
    "instrument": {
        "plugin": "by-hand",
        "knobs": [
            {"name": "acid"},
            {"name": "solvent", "values": ["water", "ethanol", "toluene"]},
            {"name": "drops", "low": 1, "high": 20, "whole": True},
        ],
        "channels": [{"name": "yield", "unit": "%"}, {"name": "pH"}],
        "constraints": {"never": ["solvent = water and drops > 12"]},
    },
    "targets": [{"name": "good", "readings": {"yield": 62.0, "pH": 4.4}, "tolerance": {"yield": 2.0, "pH": 0.15}}],
}
FAULTS = """(() => {
  const faults = [], at = e => `${e.tagName} ${e.className} ${(e.textContent || e.alt || "").trim().slice(0, 40)}`;
  for (const folded of document.querySelectorAll("details")) folded.open = true;
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > wide) faults.push(`the page is ${document.documentElement.scrollWidth}`);
  for (const e of document.querySelectorAll("main, main *")) {
    const box = e.getBoundingClientRect();
    if (!box.width) continue;
    if (box.left < -1 || box.right > wide + 1) faults.push(`beyond the screen: ${at(e)}`);
    if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display != "inline" && e.tagName != "TR")
      faults.push(`wider than its room: ${at(e)}`);
    if (e.tagName == "IMG" && (!e.complete || !e.naturalWidth || box.height > HIGH)) faults.push(`figure: ${at(e)}`);
  }
  const words = [], walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode()); ) {
    const range = document.createRange();
    range.selectNodeContents(node);
    if (node.data.trim()) for (const box of range.getClientRects()) words.push([box, node]);
  }
  for (const picture of document.images) {
    const holder = document.createElement("div");
    holder.innerHTML = new TextDecoder().decode(
      Uint8Array.from(atob(picture.src.split(",")[1]), c => c.charCodeAt(0)));
    const drawn = holder.querySelector("svg");
    holder.style = "position: absolute; top: 0; left: 0; width: 2000px";
    document.body.append(holder);
    const edge = drawn.getBoundingClientRect(), said = [...drawn.querySelectorAll("text")];
    const boxes = said.map(e => e.getBoundingClientRect());
    said.forEach((e, i) => {
      const b = boxes[i];
      if (b.left < edge.left - 2 || b.right > edge.right + 2 || b.top < edge.top - 2 || b.bottom > edge.bottom + 2)
        faults.push(`cut in a figure: ${picture.alt.slice(0, 20)}: ${e.textContent}`);
      for (let j = 0; j < i; j++) if (overlap(b, boxes[j], 3))
        faults.push(`overlap in a figure: ${picture.alt.slice(0, 20)}: ${e.textContent} / ${said[j].textContent}`);
    });
    holder.remove();
  }
  function overlap(a, b, room) {
    return Math.min(a.right, b.right) - Math.max(a.left, b.left) > room
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > room;
  }
  words.sort((a, b) => a[0].top - b[0].top);
  words.forEach(([box, node], i) => {
    for (let j = i + 1; j < words.length && words[j][0].top < box.bottom; j++)
      if (words[j][1] !== node && overlap(box, words[j][0], 4))
        faults.push(`overlap: ${node.data.trim().slice(0, 30)} / ${words[j][1].data.trim().slice(0, 30)}`);
  });
  return [...new Set(faults)];
})()"""
"""What is cut or overlaps, in words, also where it is folded; in figures by a pixel of a drawing 2000 wide more than a
letter's own room."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory, dark):
    """A file for each kind of page."""
    folder, found = tmp_path_factory.mktemp("pages"), {}
    pages = {"sides": _campaign(SIDES, folder), "several": _campaign(SEVERAL, folder), "kinds": _by_hand(folder)}
    with Ledger(folder / "surveys.sqlite") as book:
        pages["survey"] = survey_page(book, dark, "survey")
        pages["wide"] = survey_page(book, wide_rows(folder / "wide.csv", 8, 14), "wide")
    for name, html in pages.items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(html)
    targets = [f"{channel}=16384" for channel in ("445nm", "515nm", "630nm")]
    models = ("linear", "mixture", "pls")
    found["compare"] = study_models(dark, targets, models=models, draws=100, rows=[5, 15, 48]).write(
        folder / "compare.html"
    )
    answer = solve(dark, targets, models=models, draws=50, answers="2", start="R=0.5,G=0.2,B=0.5", regularise=True)
    found["solve"] = write_solve_page(answer, folder / "solve.html")
    strange = written(folder / "strange.jsonl", *_strange_rows(), [name for name in STRANGE])
    targets = [f"{name}=0.5" for name in STRANGE]
    found["strange"] = study_models(strange, targets, models=("linear", "pls"), draws=50).write(folder / "strange.html")
    strategies = ("sdl", "random")
    run_backtest_study(folder, problems=["dark"], strategies=strategies, seeds=2, budget=30, processes=0)
    found["backtest"] = folder / "index.html"
    found["benchmark"] = _benchmark(folder / "benchmark.html")
    return found


STRANGE = [name.replace("\x00", "").replace("\n", "").replace("=", "") for name in HOSTILE]


def _strange_rows():
    rng = np.random.default_rng(0)
    settings = rng.random((40, 2))
    return settings, settings @ rng.random((2, len(STRANGE)))


def _campaign(campaign, folder):
    from flows.engine.outcome import recorded_end
    from strategies.plan.steps import Stop

    where = str(folder / f"{campaign['name']}.sqlite")
    with open_session(campaign, folder, where) as session, recorded_end(session):
        while not isinstance(step := session.propose(), Stop):
            session.execute(step)
        session.execute(step)
    with Ledger(where) as book:
        verdicts = {finding.verdict for finding in book.findings(book.entry(campaign["name"]).id)}
        assert campaign is not SIDES or {Verdict.VERIFIED, Verdict.NOT_REACHABLE} <= verdicts
        return render_campaign_page(book, campaign["name"])


def _by_hand(folder):
    rng, here = np.random.default_rng(8), AskAndTell(Campaign.parse(KINDS), folder / "by hand")
    while samples := here.ask():
        answers = []
        for sample in samples:
            acid, solvent, drops = sample.request.settings
            gain = (20.0, 50.0, 35.0)[int(solvent)] * (0.5 + acid) + 1.2 * drops + 0.5 * rng.standard_normal()
            pH = 7 - 4 * acid + 0.03 * rng.standard_normal()
            answers.append({"sample": sample.name, "readings": {"yield": gain, "pH": pH}})
        here.tell(answers)
    with Ledger(here.where) as book:
        return render_campaign_page(book, "kinds")


def _benchmark(path):
    points = {name: [(f"model {i}", 1.0 + i, 0.1 * (i + 1)) for i in range(6)] for name in ("lamp", "arm")}
    rows = [("a rather long name of a problem", [f"{i}.1234 (1.1 to 2.2)" for i in range(9)])] * 4
    part = BenchmarkPart("Part", ["said"], ["problem", *"abcdefghi"], rows, {"points": draw_scatter(points, "x", "y")})
    machine = {"cores": 2, "processor": "x86_64", "system": "Linux"}
    result = {"at": "2026-01-05T12:00:00+00:00", "machine": machine, "versions": {"sdl": "0.1.0"}}
    return write_benchmark_page("Benchmark", result, ["A note."], [part], [], path)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsing(tmp_path_factory.mktemp("browser"), "--hide-scrollbars") as browser:
        yield browser


KINDS_OF_PAGES = [
    "survey", "wide", "sides", "several", "kinds", "compare", "solve", "strange", "backtest", "benchmark",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS_OF_PAGES)
def test_nothing_is_cut_and_nothing_overlaps(browser, pages, kind):
    for width in WIDTHS:
        for theme in THEMES:
            browser.look(width, theme)
            browser.open(f"file://{pages[kind]}")
            assert browser.run(FAULTS.replace("HIGH", "1e5")) == [], (width, theme)
    browser.look(PAPER, medium="print")
    assert browser.run(FAULTS.replace("HIGH", "950")) == [], "printed"
    assert browser.pdf().startswith(b"%PDF-")


def test_what_is_cut_or_overlaps_is_found(browser, tmp_path):
    cell = "<td style='white-space: nowrap'>" + "wide " * 30 + "</td>"
    over = "<p>one</p><p style='margin-top: -1.5rem'>another</p>"
    for body, fault in (
        (f"<table><tr>{cell}</tr></table>", "beyond the screen: TABLE"),
        (over, "overlap: one / another"),
    ):
        (tmp_path / "page.html").write_text(f"<body><main>{body}</main></body>")
        browser.look(390)
        browser.open(f"file://{tmp_path}/page.html")
        assert any(each.startswith(fault) for each in browser.run(FAULTS.replace("HIGH", "1e5")))


@pytest.mark.parametrize("kind", KINDS_OF_PAGES)
def test_axe_finds_no_barrier(browser, pages, kind):
    axe = files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    for width, theme in ((WIDTHS[0], "light"), (WIDTHS[-1], "dark")):
        browser.look(width, theme)
        browser.open(f"file://{pages[kind]}")
        browser.run(f"{axe}; 0")
        found = json.loads(browser.run("axe.run(document).then(found => JSON.stringify(found))"))
        assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == [], (width, theme)
        tried = {"color-contrast", "html-has-lang"} | ({"image-alt"} if kind != "solve" else set())
        assert tried <= {each["id"] for each in found["passes"]}


MARKED = {"sides": 1, "several": 2, "kinds": 2, "compare": 1, "strange": 1, "backtest": 1}
"""Figures with marks."""


@pytest.mark.parametrize("kind", MARKED)
def test_a_mark_says_what_it_is_to_who_points_at_it_and_to_the_keyboard(browser, pages, kind):
    browser.look(1200)
    browser.open(f"file://{pages[kind]}")
    assert browser.run("document.querySelectorAll('figure[data-marks] input').length") == MARKED[kind]
    browser.run("window.f = document.querySelector('figure[data-marks]'); f.scrollIntoView(); 0")
    marks = json.loads(browser.run("f.dataset.marks"))
    said = "[f.querySelector('p').textContent, f.querySelector('input').getAttribute('aria-valuetext')]"
    browser.run("f.querySelector('input').focus(); 0")
    browser.press("ArrowRight")
    second = min(1, len(marks["words"]) - 1)  # or the only one
    assert browser.run(said) == [marks["words"][second]] * 2
    assert browser.run("f.querySelectorAll('.dot:not([hidden])').length") == len(marks["at"][second]) // 2
    last = max(range(len(marks["at"])), key=lambda mark: len(marks["at"][mark]) and mark)
    x, y = marks["at"][last][:2]
    box = json.loads(browser.run("JSON.stringify(f.querySelector('img').getBoundingClientRect())"))
    at = {"x": box["x"] + x / 1e4 * box["width"], "y": box["y"] + y / 1e4 * box["height"]}
    browser.point(**at)
    now = marks["words"].index(browser.run(said)[0])
    assert [x, y] in [marks["at"][now][place : place + 2] for place in range(0, len(marks["at"][now]), 2)]
    assert browser.console == []


def test_without_its_script_a_figure_is_a_picture(browser, pages, tmp_path):
    text = pages["sides"].read_text()
    (tmp_path / "page.html").write_text(text.replace("sha256-", "sha256-A"))
    browser.look(1200)
    browser.open(f"file://{tmp_path}/page.html")
    assert browser.run("document.querySelectorAll('figure[data-marks] img').length") == MARKED["sides"]
    assert browser.run("document.querySelectorAll('figure input, figure p').length") == 0
    browser.console.clear()
