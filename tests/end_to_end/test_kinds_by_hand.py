"""A chemist's solvents and amounts, by hand: from the campaign file to its sheet, verdict, report and bundle."""

import csv
import tomllib
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from documents import blocks
from pages import check

from flows.engine.ask_and_tell import AskAndTell
from flows.studies.reproduce import reproduce_bundle
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.history import Verdict
from sdl.interchange.bundle_writer import write_bundle
from sdl.ledger.ledger import Ledger
from sdl.measurement.sheets import read_sheet, write_sheet
from sdl.reports.campaign_page import render_campaign_page

SOLVENTS = ("water", "ethanol", "toluene")
WRITTEN = {
    "name": "extract",
    "seed": 4,
    "budget": 60,
    "instrument": {
        "plugin": "by-hand",
        "knobs": [
            *({"name": name} for name in ("acid", "salt", "rest")),
            {"name": "solvent", "values": list(SOLVENTS)},
            {"name": "drops", "low": 1, "high": 20, "whole": True},
        ],
        "channels": [{"name": "yield", "unit": "%"}, {"name": "pH"}],
        "constraints": {"always": ["acid + salt + rest = 1"]},
    },
    "constraints": {"never": ["solvent = water and drops > 12"], "always": ["acid <= 0.7"]},
    "targets": [{"name": "good", "readings": {"yield": 62.0, "pH": 4.4}, "tolerance": {"yield": 2.0, "pH": 0.15}}],
}


def read(settings, rng):
    acid, salt, rest, solvent, drops = settings
    gain = (20.0, 50.0, 35.0)[int(solvent)] * (0.5 + acid) + 1.2 * drops + 5 * salt
    return {"yield": gain + 0.5 * rng.standard_normal(), "pH": 7 - 4 * acid + rest + 0.03 * rng.standard_normal()}


def is_allowed(settings):
    acid, salt, rest, solvent, drops = settings
    in_kind = solvent in (0, 1, 2) and drops == round(drops) and 1 <= drops <= 20
    steps = all(abs(1000 * amount - round(1000 * amount)) < 1e-6 for amount in (acid, salt, rest))
    return (
        in_kind and steps and abs(acid + salt + rest - 1) < 1e-9 and acid <= 0.7 and not (solvent == 0 and drops > 12)
    )


def test_from_the_file_to_sheet_verdict_report_and_bundle(tmp_path):
    rng, here = np.random.default_rng(8), AskAndTell(Campaign.parse(WRITTEN), tmp_path)
    while samples := here.ask():
        space, sheet = here.entry().space, tmp_path / f"{samples[0].name}.csv"
        assert all(is_allowed(sample.request.settings) for sample in samples)
        write_sheet(sheet, space, samples)
        rows = list(csv.DictReader(sheet.read_text("utf-8-sig").splitlines()))
        assert {row["solvent"] for row in rows} <= set(SOLVENTS)
        for row, sample in zip(rows, samples, strict=True):
            values = read(sample.request.settings, rng)
            row |= {"yield [%]": values["yield"], "pH": values["pH"]}
        with sheet.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        assert not here.tell(read_sheet(sheet, space)).faults
    with Ledger(here.where) as book:
        entry = book.entry("extract")
        found, page = book.history(entry.id).concluded("good"), check(render_campaign_page(book, "extract"))
        bundle = write_bundle(book, "extract", tmp_path / "extract.zip")
    assert found.verdict is Verdict.VERIFIED
    assert is_allowed(found.settings)
    (told,) = here.outcome()["targets"]
    assert told["settings"]["solvent"] in SOLVENTS
    assert f"solvent = {told['settings']['solvent']}" in page.text
    assert entry.space.constraints.always == ("acid + salt + rest = 1", "acid <= 0.7")
    assert reproduce_bundle(bundle)["agrees"]


def test_a_campaign_learns_from_earlier_ones_that_mean_the_same_by_a_name(tmp_path):
    rng, here = np.random.default_rng(9), AskAndTell(Campaign.parse(WRITTEN), tmp_path)
    for _ in range(3):
        here.tell([{"sample": s.name, "readings": read(s.request.settings, rng)} for s in here.ask()])
    here.ask()
    history = {"history": {"campaigns": ["extract"]}, "name": "again"}
    assert AskAndTell(Campaign.parse(WRITTEN | history), tmp_path).ask()
    turned = deepcopy(WRITTEN) | history | {"name": "turned"}
    turned["instrument"]["knobs"][3]["values"] = list(reversed(SOLVENTS))
    with pytest.raises(InvalidInput, match="was measured with other knobs"):
        AskAndTell(Campaign.parse(turned), tmp_path).ask()


def test_another_solvent_on_the_sheet_than_was_asked_for_is_noticed(tmp_path):
    here = AskAndTell(Campaign.parse(WRITTEN), tmp_path)
    (sample, *_), space = here.ask(), here.entry().space
    asked, sheet = space.shown_settings(sample.request.settings), tmp_path / "sheet.csv"
    other = next(name for name in SOLVENTS if name != asked["solvent"])
    for written, words in ((other, "solvent sent"), ("aceton", "solvent' needs one of water, ethanol, toluene")):
        sheet.write_text(f"sample,solvent,yield,pH\n{sample.name},{written},50,4\n", "utf-8")
        (fault,) = here.tell(read_sheet(sheet, space)).faults
        assert words in fault


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"always": ["acid <= 2 and salz <= 1"]}, "constraints.always.0: there is no knob 'salz'"),
        ({"always": ["acid >= 0.9", "acid <= 0.1"]}, "no settings were found that keep them all"),
        ({"never": ["solvent = aceton"]}, "constraints.never.0: solvent is one of water, ethanol, toluene"),
        ({"never": ["acid"]}, "constraints.never.0: needs comparisons such as"),
    ],
)
def test_constraints_that_cannot_be_are_refused_before_anything_is_asked_for(changes, words):
    with pytest.raises(InvalidInput) as caught:
        prepare(WRITTEN | {"constraints": changes})
    assert words in str(caught.value)


def test_the_file_of_the_reference_is_a_campaign_and_its_settings_keep_what_it_says():
    reference = Path(__file__).parents[2] / "deployments" / "reference.md"
    (text,) = (block.text for block in blocks(reference, "toml") if "[constraints]" in block.text)
    written = tomllib.loads(text) | {"name": "reference", "targets": [{"readings": {"yield": 80}}]}
    space = prepare(written)[1].space
    for a, b, c, heat, flow, solvent in space.from_unit(np.random.default_rng(6).random((300, space.u))).tolist():
        assert a + b + c == pytest.approx(1)
        assert a + 2 * b <= 0.8 + 1e-9
        assert heat * flow <= 500
        assert heat == round(heat)
        assert not (heat >= 80 and flow <= 0.2)
        assert not (solvent == 0 and heat > 95)
