"""Cheaper sources beside the instrument: asked for a campaign, kept apart in its ledger, and held with it.

``SDL_SOURCES=8`` seeks as much as possible with so many seeds, and ``-s`` shows the requests.
"""

import os

import numpy as np
import pytest

from flows.engine.direct_run import run_directly
from flows.engine.opening import open_session
from flows.studies.reproduce import reproduce_bundle, summarise_reproduction
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput, LeaseHeld
from sdl.history import Purpose, RoundKind, Verdict
from sdl.instruments.claude_light.channels import SPACE
from sdl.interchange.bundle_writer import write_bundle
from sdl.ledger.ledger import Ledger
from strategies import Plan, Simulation

LAMP = {"plugin": "twin", "seed": 1, "apparatus": "lamp"}
CHEAP = {"name": "cheap", "plugin": "twin", "seed": 2, "unit": 3, "apparatus": "other lamp", "price": 0.05}


def campaign(**parts):
    white = {"name": "white", "readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}, "tolerance": "1 %"}
    written = {"name": "two", "budget": 100, "instrument": LAMP, "targets": [white], "sources": [CHEAP]}
    return Campaign.parse(written | parts)


def ledger(home):
    return str(home / "ledger.sqlite")


def test_a_source_is_asked_first_and_what_it_read_stands_apart_from_what_the_instrument_read(tmp_path):
    price = {"unit": "min", "request": 2.0}
    outcome = run_directly(campaign(price=price), tmp_path, ledger(tmp_path))
    assert outcome["verified"] == 1
    with Ledger(ledger(tmp_path)) as book:
        history = book.history(book.entry("two").id)
    assert history.rounds[0].kind is RoundKind.SOURCE
    assert {row.purpose for row in history.of_sources} == {Purpose.SOURCE}
    assert len(history.of_sources) + len(history.observations) == history.sent
    exams = [row for row in history.observations if row.purpose is Purpose.VERIFICATION]
    assert history.findings[-1].facts.pooled <= len(exams)
    assert [row.seq for row in history.observations] == list(range(len(history.observations)))
    page = (tmp_path / "reports" / "two.html").read_text()
    n = len(history.of_sources)
    assert f"{n} readings for {0.05 * n:g} min in all; its 445nm is " in page
    assert f"{2 * len(history.observations) + 0.05 * n:g} min spent" in page


def test_a_campaign_goes_on_with_its_source_where_it_was_left(tmp_path):
    whole, first = tmp_path / "whole", tmp_path / "first"
    run_directly(campaign(), whole, ledger(whole))
    with open_session(campaign(), first, ledger(first)) as session:
        for _ in range(3):
            session.execute(session.propose())
    run_directly(campaign(), first, ledger(first))
    rows = []
    for home in (whole, first):
        with Ledger(ledger(home)) as book:
            history = book.history(book.entry("two").id)
        rows.append([(row.round, row.settings.tolist()) for row in (*history.of_sources, *history.observations)])
    assert rows[0][:10] == rows[1][:10]


def test_every_request_is_booked_on_who_was_asked(tmp_path):
    run_directly(campaign(), tmp_path, ledger(tmp_path))
    with Ledger(ledger(tmp_path)) as book:
        asked = {(row["instrument"], row["purpose"] == Purpose.SOURCE) for row in book.trail(book.entry("two").id)}
    assert asked == {("lamp", False), ("other lamp", True)}


def test_a_bundle_agrees_with_its_campaign(tmp_path):
    run_directly(campaign(), tmp_path, ledger(tmp_path))
    with Ledger(ledger(tmp_path)) as book:
        written = write_bundle(book, "two", tmp_path / "two.zip")
    result = reproduce_bundle(written)
    assert result["agrees"], "\n".join(summarise_reproduction(result))


def simulated(written):
    """A campaign that has been run in memory, with what was read of its instrument and of its sources."""
    sources = []
    ready, lamp = prepare(written, sources=sources)
    names = [source.name for source in ready.sources]
    done = Simulation(Plan(ready, lamp.space), lamp, sources=dict(zip(names, sources, strict=True)))
    done.run()
    return done, len(done.history.observations), len(done.history.of_sources)


@pytest.mark.slow
def test_as_much_as_possible_is_proved_by_readings_where_the_instrument_might_read_more():
    """Examined over and over where the source says that most is, nothing was ever proved of all other settings."""
    most = {"targets": [{"name": "most", "readings": {"515nm": "maximum ± 1500"}}], "budget": 80}
    for seed in range(20, 20 + int(os.environ.get("SDL_SOURCES", "1"))):
        cheap, lamp = CHEAP | {"seed": seed + 5000, "unit": seed % 7 + 1}, LAMP | {"seed": seed}
        done, own, asked = simulated(campaign(seed=seed, instrument=lamp, sources=[cheap], **most))
        alone = simulated(campaign(seed=seed, instrument=lamp, sources=[], **most))[1]
        print(f"seed {seed}: {own} requests and {asked} to the source, {alone} without one")
        assert done.findings[-1].verdict is Verdict.VERIFIED
        best = done.instrument.truth(np.ones((1, 3)))[0][SPACE.columns(["515nm"])]
        true = done.instrument.truth(done.findings[-1].settings[None])[0][SPACE.columns(["515nm"])]
        assert true >= best - 1500
        assert own <= alone


@pytest.mark.slow
def test_a_source_goes_with_an_earlier_campaign_and_with_sums_of_channels_within_bounds(tmp_path):
    white = {"readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}, "tolerance": "1 %"}
    run_directly(campaign(name="earlier", sources=[], targets=[white]), tmp_path, ledger(tmp_path))
    both = {"name": "both", "readings": {"both": "29000 .. 31000", "515nm": ">= 12000"}}
    parts = {"quantities": {"both": "445nm + 630nm"}, "history": {"campaigns": ["earlier"]}, "targets": [both]}
    outcome = run_directly(campaign(**parts), tmp_path, ledger(tmp_path))
    assert outcome["verified"] == 1
    with Ledger(ledger(tmp_path)) as book:
        assert len(book.history(book.entry("two").id).of_sources) >= 3


def test_what_is_no_sum_of_channels_is_refused_beside_sources():
    quantities = {"ratio": "445nm / 630nm", "more": "2 * ratio + 445nm", "sum": "445nm + 2 * 630nm"}
    for wanted, fault in (("ratio", True), ("more", True), ("sum", False)):
        asked = campaign(quantities=quantities, targets=[{"readings": {wanted: "3 ± 0.2"}}])
        faults = []
        try:
            prepare(asked)
        except InvalidInput as error:
            faults = [each for each in error.faults if each.startswith(f"sources: {wanted} is no sum of channels")]
        assert bool(faults) == fault


def test_nobody_else_measures_with_a_source_that_is_held(tmp_path):
    other = campaign(name="other", instrument=LAMP | {"apparatus": "third lamp"})
    with (
        open_session(campaign(), tmp_path, ledger(tmp_path)),
        pytest.raises(LeaseHeld, match="other lamp"),
        open_session(other, tmp_path, ledger(tmp_path)),
    ):
        pass


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (CHEAP | {"apparatus": "lamp"}, r"sources\.0: .*lamp is the campaign's instrument"),
        (CHEAP | {"plugin": "sinewave", "unit": 0}, r"sources\.0\.unit: 'sinewave' has no such option"),
        ({"name": "cheap", "plugin": "robotic-arm", "price": 1}, r"sources\.0: .* needs the knobs R, G, B"),
        ({"name": "cheap", "plugin": "by-hand", "price": 1}, r"sources\.0\.knobs: 'by-hand' needs this option"),
    ],
)
def test_what_cannot_be_a_source_is_refused_before_the_first_request(source, fault):
    with pytest.raises(InvalidInput, match=fault):
        prepare(campaign(sources=[source]))


def test_two_sources_of_one_name_are_refused():
    with pytest.raises(InvalidInput, match="every source needs a name of its own, found twice: cheap"):
        campaign(sources=[CHEAP, CHEAP])


def test_what_is_wrong_with_sources_is_said_at_once_whatever_else_cannot_be_read():
    bad = [{"name": "a", "plugin": "twn", "price": -1}, {"name": "b", "plugin": "sinewave", "pric": 2}, 3]
    with pytest.raises(InvalidInput) as caught:
        prepare({"name": "x", "instrument": LAMP, "targets": [{"readings": {"445nm": 9000}}], "sources": bad})
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "sources.0.price", "sources.1.price", "sources.2", "sources.0", "sources.1.pric",
    ]  # fmt: skip


def test_of_what_an_instrument_cannot_be_made_of_no_word_is_pydantics():
    twice = {"plugin": "by-hand", "knobs": [{"name": "T"}, {"name": "T"}], "channels": [{"name": "y"}]}
    with pytest.raises(InvalidInput, match=r"^instrument: 'by-hand': every knob needs a name of its own"):
        prepare({"name": "x", "instrument": twice, "targets": [{"readings": {"y": 3}}]})
