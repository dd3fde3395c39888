"""Where a law is used and shown: with rows of a file, and in a campaign, its report and its model card."""

import json

import pytest
from problems import rates

from flows import environment
from flows.benchmarks.laws import CASES, run_campaign
from flows.studies.compare_summary import comparison_tables
from flows.studies.laws import law_tables
from flows.studies.solve import solve
from sdl import Lab
from sdl.analysis.model_card import model_cards
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.history import LawFacts
from sdl.ledger.ledger import Ledger


def written(tmp_path, high, **options):
    """A file of noisy rates at substrates up to a highest one."""
    readings, unit = rates(high, **options)
    lines = (f"{s},{v}" for s, v in zip((high * unit)[:, 0], readings[:, 0], strict=True))
    path = tmp_path / "rates.csv"
    path.write_text("\n".join(["in.substrate,out.rate", *lines]))
    return path


def shown(tables):
    return " ".join(" ".join(map(str, column.cells)) for table in tables for column in table.columns)


def test_rows_of_a_file_tell_settings_and_parameters(tmp_path):
    result = solve(written(tmp_path, 20.0), ["rate=4"], models=["michaelis-menten"], draws=200)
    (answer,) = result["models"]
    assert answer["candidates"][0]["settings"]["substrate"] == pytest.approx(6.0, rel=0.15)
    assert json.loads(json.dumps(answer["law"]))["parameters"]["Km"]["value"] == pytest.approx(3.0, rel=0.2)
    assert "Km" in shown(law_tables(result))


def test_what_rows_do_not_tell_is_warned_of(tmp_path):
    result = solve(written(tmp_path, 0.05), ["rate=0.05"], models=["michaelis-menten"], draws=200)
    facts = LawFacts.from_json(result["models"][0]["law"])
    assert facts.words["not determined"] == "Vmax, Km"
    (table,) = law_tables(result)
    assert "determined together: Vmax Km^-1" in table.caption


def test_a_comparison_shows_parameters_and_says_which_law_does_not_hold(tmp_path):
    from flows.studies.compare import study_models

    path = written(tmp_path, 20.0, n=40, respond=lambda s: 6 * s / (3 + s + s**2 / 3))
    study = study_models(path, ["rate=1.5"], models=["michaelis-menten", "linear"], draws=50)
    assert any("LAW DOES NOT HOLD, michaelis-menten" in each["text"] for each in study.result["warnings"])
    assert "Vmax" in shown(comparison_tables(study.result))
    page = study.write(tmp_path / "page.html").read_text()
    assert "Parameters of the law michaelis-menten" in page
    assert "LAW DOES NOT HOLD" in page


LAMP = {"plugin": "michaelis-menten", "substrate": "R", "rate": "630nm"}
"""A law that cannot hold on a twin: other knobs light the channel too."""


@pytest.mark.slow
def test_a_campaign_reports_the_parameters_and_that_the_law_does_not_hold(tmp_path):
    with Lab("twin", seed=1, home=tmp_path) as lamp:
        done = lamp.campaign("law", {"630nm": 16384}, tolerance="2 %", models=[LAMP], design={"n": 9}).run()
        report = done.report().read_text()
    assert done.verified
    assert "Law, parameters: Vmax" in report
    assert "Law, does not hold" in report
    with Ledger(environment.ledger(None, tmp_path)) as book:
        entry = book.entry("law")
        (card,) = model_cards(entry, book.history(entry.id))
    assert "Vmax" in card.words()["parameters"]
    assert "630nm" in card.words()["does not hold"]
    assert card.plain()["law"]["parameters"]["Km"]["high"] > 0


def test_a_law_that_does_not_go_with_the_instrument_is_refused_before_the_first_request():
    targets = [{"readings": {"630nm": 16384}}]
    with pytest.raises(InvalidInput, match=r"models\.0: beer-lambert: the law BeerLambert asks for 'concentration'"):
        prepare({"name": "x", "instrument": "twin", "targets": targets, "models": ["beer-lambert"]})


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_campaign_with_its_law_is_verified(name):
    requests, verified = run_campaign(CASES[name], seed=3, models=[CASES[name].plugin])
    assert verified
    assert requests < 30
