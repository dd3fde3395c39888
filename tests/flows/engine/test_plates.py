"""Plates and prices through the engine: a real ledger, the same requests as in memory, and no cent too much."""

import numpy as np
import pytest

from flows.campaign.readings_form import ReadingsForm
from flows.engine.ask_and_tell import AskAndTell
from flows.engine.direct_run import run_directly
from sdl.campaign.definition import Campaign
from sdl.errors import ApprovalWanted, InvalidInput
from sdl.instruments.simulated.plate_reader import PlateReader
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls, summarize_planned
from sdl.measurement.sheets import describe_common, read_sheet, write_sheet
from sdl.reports.status import campaign_statuses
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan

TARGETS = [
    {"name": "orange", "readings": {"450nm": 0.9, "540nm": 0.6, "630nm": 0.3}, "tolerance": "8 %"},
    {"name": "green", "readings": {"450nm": 0.8, "540nm": 0.4, "630nm": 0.8}, "tolerance": "8 %"},
]


def campaign(**parts):
    instrument = parts.pop("instrument", {"plugin": "plate-reader", "seed": 1})
    return Campaign.parse({"name": "plate", "instrument": instrument, "targets": TARGETS, **parts})


def run(written, home):
    return run_directly(written, home, str(home / "ledger.sqlite"))


@pytest.fixture
def book(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


@pytest.mark.parametrize("fitting", [None, pytest.param({"limit_s": 60}, marks=pytest.mark.slow)])
def test_a_campaign_on_plates_sends_what_it_sends_in_memory(fitting, tmp_path, book):
    written = campaign(**({"fitting": fitting} if fitting else {}))
    assert run(written, tmp_path)["reason"] == "every target is settled"
    reader = PlateReader(1)
    rehearsal = Simulation(Plan(written, reader.space), reader)
    rehearsal.run()
    history = book.history(book.entry("plate").id)
    assert [row.sample for row in history.observations] == [row.sample for row in rehearsal.observations]
    for one, other in zip(history.observations, rehearsal.observations, strict=True):
        assert one.key == other.key
        assert np.array_equal(one.settings, other.settings)
    assert [each.sentence for each in history.findings] == [each.sentence for each in rehearsal.findings]


def test_what_is_spent_never_exceeds_the_budget_and_is_said(tmp_path, book):
    price = {"unit": "EUR", "request": 0.5, "plate": 12, "budget": 30}
    reader = {"plugin": "plate-reader", "seed": 1, "missing": 0.1}  # asked again, each time on a plate of its own
    outcome = run(campaign(price=price, instrument=reader), tmp_path)
    assert "of 30 EUR are spent, and one more request may cost 12.5" in outcome["reason"]
    entry = book.entry("plate")
    history = book.history(entry.id)
    spent = 0.5 * history.sent + 12 * history.plates
    assert spent <= 30
    assert campaign_statuses(book)[0].spent == f"{spent:g} of 30 EUR"
    assert f"{spent:g} of 30 EUR" in (tmp_path / "reports" / "plate.html").read_text()


def test_one_by_one_the_price_of_moving_knobs_is_kept_too(tmp_path, book):
    price = {"request": 1, "knobs": {"red": 5, "blue": 1}, "budget": 60}
    run(campaign(instrument={"plugin": "plate-reader", "seed": 1, "plate": None}, price=price), tmp_path)
    entry = book.entry("plate")
    settings = np.array([row["settings"] for row in book.trail(entry.id)])
    moved = (np.abs(np.diff(settings, axis=0)) > 0).sum(axis=0)
    assert len(settings) + moved @ [0, 5, 1] <= 60


def test_a_deadline_that_is_over_is_refused_and_one_that_comes_ends_the_campaign(tmp_path, book):
    with pytest.raises(InvalidInput, match=r"price.deadline: 2020-01-01 07:00 \(UTC\) is over"):
        run(campaign(price={"deadline": "2020-01-01 07:00"}), tmp_path)
    assert book.entries() == []
    hurried = {"unit": "h", "request": 400_000, "plate": 1, "deadline": "2060-01-01 07:00"}
    outcome = run(campaign(price=hurried), tmp_path)
    assert outcome["reason"] == "nothing more can be measured before the deadline 2060-01-01 07:00"


def test_a_person_is_asked_for_a_whole_plate_and_several_targets_share_the_next(tmp_path):
    reader = PlateReader(2)
    knobs = [knob.model_dump(exclude_none=True, include={"name", "high", "resolution"}) for knob in reader.space.knobs]
    by_hand = {"plugin": "by-hand", "knobs": knobs, "plate": {"rows": 4, "columns": 6}}
    by_hand["channels"] = [{"name": name, "noise": 0.02} for name in reader.space.channel_names]
    here = AskAndTell(campaign(instrument=by_hand, background={"every": 0}), tmp_path)
    asked = []
    for _ in range(6):
        if not (samples := here.ask()):
            break
        asked.append(samples)
        here.tell([{"sample": sample.name, "readings": read(reader, sample)} for sample in samples])
    assert here.outcome()["reason"] == "every target is settled"
    assert [len(samples) <= 24 for samples in asked] == [True] * len(asked)
    with Ledger(here.where) as ledger:
        targets = {round_.number: round_.target for round_ in ledger.history(here.entry().id).rounds}
    assert {targets[sample.request.round] for sample in asked[1]} >= {"orange", "green"}


def read(reader, sample):
    settings = reader.space.named_settings(sample.request.settings)
    return dict(reader.measure(settings).readings)


def test_who_approves_of_a_plate_sees_all_its_wells(tmp_path, book):
    written = campaign(approval={"when": "always"})
    for targets in (set(), {"orange", "green"}):
        with pytest.raises(ApprovalWanted):
            run(written, tmp_path)
        history = book.history(book.entry("plate").id)
        shown = summarize_planned(history, history.rounds[-1].number)
        assert sum(times for _, _, times in shown) == len(history.pending) > 0
        assert {round_.target for round_ in history.rounds if round_.target} == targets
        Controls(book, "Ada").answer("plate", granted=True)


def test_a_person_is_asked_for_one_temperature_after_the_other(tmp_path):
    reader = PlateReader(2, oven=True)
    given = {"name", "low", "high", "resolution", "constant_within_batch"}
    knobs = [knob.model_dump(include=given | {"unit"}) for knob in reader.space.knobs]
    by_hand = {"plugin": "by-hand", "knobs": knobs, "plate": {"rows": 4, "columns": 6}}
    by_hand["channels"] = [{"name": name, "noise": 0.02} for name in reader.space.channel_names]
    here = AskAndTell(campaign(instrument=by_hand), tmp_path)
    ovens = []
    for number in range(4):
        samples = here.ask()
        common = describe_common(here.entry().space, samples)
        assert common == f"set once for the whole plate: oven = {samples[0].request.settings[3]:g} °C"
        with Ledger(here.where) as ledger:
            form = ReadingsForm(ledger, here.entry().name).blank()[0]
        assert common[1:] in form._description
        assert "oven" not in next(iter(form.model_fields.values())).description
        write_sheet(tmp_path / f"{number}.csv", here.entry().space, samples)
        sheet = read_sheet(tmp_path / f"{number}.csv", here.entry().space)
        assert (sheet.unread, [float(row.cells["oven"]) for row in sheet.rows]) == (
            [],
            [samples[0].request.settings[3]] * len(samples),
        )
        ovens.append({sample.request.settings[3] for sample in samples})
        here.tell([{"sample": sample.name, "readings": read(reader, sample)} for sample in samples])
    assert [len(values) for values in ovens] == [1, 1, 1, 1]
    assert len(set.union(*ovens[:3])) == 3
    with Ledger(here.where) as ledger:
        assert {each.number for each in ledger.history(here.entry().id).rounds} >= {0, 1}
