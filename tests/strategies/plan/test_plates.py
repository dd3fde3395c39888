"""Campaigns on plates: several targets and candidates on one plate, judged with one look each."""

from dataclasses import replace

import numpy as np
import pytest

from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare, resolve_target
from sdl.errors import InvalidInput
from sdl.history import History, Purpose, RoundKind, Verdict
from sdl.instruments.simulated.plate_reader import PlateReader
from sdl.space import Plate, split_into_batches
from strategies.evaluation.simulation import Simulation
from strategies.plan.knowledge.observed_rows import RIM, observed_rows
from strategies.plan.plan import Plan
from strategies.plan.plates import PlannedExam, cheapest
from strategies.posterior import looks


def written(seed=1, n=3, **parts):
    reader = PlateReader(seed)
    wanted = reader.truth(np.random.default_rng([seed, 9]).uniform(8, 52, (n, 3)))
    readings = [dict(zip(reader.space.channel_names, row.tolist(), strict=True)) for row in wanted]
    targets = [{"name": f"t{place}", "readings": row, "tolerance": "8 %"} for place, row in enumerate(readings)]
    return Campaign.model_validate(
        {"name": "plate", "seed": seed, "instrument": "plate-reader", "targets": targets, **parts}
    )


def simulated(campaign, **options):
    reader = PlateReader(campaign.seed, **options)
    simulation = Simulation(Plan(campaign, reader.space), reader)
    return simulation, simulation.run()


@pytest.fixture(scope="module")
def done():
    return simulated(written())


def test_a_few_plates_settle_all_targets(done):
    simulation, why = done
    assert why == "every target is settled"
    assert simulation.plates <= 3
    verified = {finding.target for finding in simulation.findings if finding.verdict is Verdict.VERIFIED}
    assert verified == {"t0", "t1", "t2"}


def test_what_is_verified_is_true(done):
    simulation, _ = done
    reader = PlateReader(1)
    for finding in simulation.findings:
        if finding.verdict is Verdict.VERIFIED:
            target = resolve_target(reader.space, simulation.plan.campaign.target(finding.target))
            assert target.window.holds(reader.truth(finding.settings[None])[0])


def test_exams_of_several_targets_share_a_plate_and_each_candidate_has_replicates(done):
    simulation, _ = done
    of_plate = {}
    for observation in simulation.observations:
        of_plate.setdefault(observation.sample.partition("/")[0], set()).add(observation.round)
    targets = {round_.target for round_ in simulation.rounds if round_.number in of_plate["2"]}
    assert {"t0", "t1", "t2"} <= targets
    for exam in simulation.exams:
        taken = simulation.history.of_round(exam.round, Purpose.VERIFICATION)
        assert len(taken) == exam.replicates >= 2
        assert not any(Plate().at_rim(observation.well) for observation in taken)


def test_each_candidate_of_a_plate_has_one_look(done):
    simulation, _ = done
    plan = simulation.plan
    first = [round_ for round_ in simulation.rounds if round_.batch == simulation.rounds[1].batch]
    rows = observed_rows(plan.campaign, plan.space, plan.columns, simulation.history.before(first[-1].number + 1))
    insight = plan.insight(replace(simulation.history, findings=[]), None)
    for target in plan.targets:
        exams = [round_ for round_ in first if round_.target == target.name and round_.kind is RoundKind.EXAM]
        assert 1 <= len(looks(rows, insight.pursuit(target))) <= len(exams)


def test_wells_that_bring_nothing_change_no_more_than_the_plates():
    simulation, why = simulated(written(2, n=2), missing=0.2)
    assert why == "every target is settled"
    keys = [observation.key for observation in simulation.observations]
    assert len(set(keys)) == len(keys) == len(simulation.planned)


def test_a_rim_that_reads_otherwise_is_a_known_condition():
    campaign = written(3, n=2, design={"plugin": "maximin-latin-hypercube", "n": 20})
    plate = Plate(rows=4, columns=6)  # of 24 wells 16 lie at the rim
    simulation, _ = simulated(campaign, rim=0.06, plate=plate)
    rows = observed_rows(campaign, simulation.instrument.space, [0, 1, 2], simulation.history)
    assert set(rows.apart.tolist()) == {0.0, RIM}
    reader = simulation.instrument
    for finding in simulation.findings:
        if finding.verdict is Verdict.VERIFIED:
            target = resolve_target(reader.space, campaign.target(finding.target))
            assert target.window.holds(reader.truth(finding.settings[None])[0])


def test_the_dearer_a_plate_the_more_wells_of_it_are_used():
    few, _ = simulated(written(4, n=1, price={"request": 10.0, "plate": 10.0}))
    many, _ = simulated(written(4, n=1, price={"request": 1.0, "plate": 1000.0}))
    wells = [[row.sample for row in each.observations if row.sample.startswith("2/")] for each in (few, many)]
    assert len(wells[0]) < len(wells[1])


def test_nothing_is_prepared_ahead_of_a_plate():
    with pytest.raises(InvalidInput, match="a plate is proposed from the plate before it"):
        prepare(written(fitting={"ahead": True}))


def test_a_budget_that_ends_in_a_plate_is_kept():
    simulation, why = simulated(written(budget=20))
    assert len(simulation.observations) <= 20
    assert "too few for another plate" in why or "20 requests" in why


@pytest.fixture(scope="module")
def warmed():
    reader = PlateReader(1, oven=True)
    wanted = reader.truth(np.array([[20.0, 15.0, 30.0, 35.0], [40.0, 30.0, 12.0, 35.0]]))
    readings = [dict(zip(reader.space.channel_names, row.tolist(), strict=True)) for row in wanted]
    targets = [{"name": f"t{place}", "readings": row, "tolerance": "8 %"} for place, row in enumerate(readings)]
    simulation = Simulation(Plan(written(targets=targets), reader.space), reader)
    return simulation, simulation.run()


def test_a_design_has_a_few_values_of_what_is_constant_within_a_plate_and_later_plates_serve_all_targets(warmed):
    simulation, why = warmed
    assert why == "every target is settled"
    ovens, rounds = {}, {}
    for observation in simulation.observations:
        plate = observation.sample.partition("/")[0]
        ovens.setdefault(plate, set()).add(observation.settings[3])
        rounds.setdefault(plate, set()).add(observation.round)
    assert all(len(values) == 1 for values in ovens.values())
    design = [plate for plate, numbers in rounds.items() if numbers == {0}]
    assert len(design) == len({min(ovens[plate]) for plate in design}) == 3, "so that a bend along the oven is seen"
    assert len({each.target for each in simulation.rounds if each.target and each.batch == 1}) == 2


def test_what_is_verified_at_one_temperature_is_true_there(warmed):
    simulation, _ = warmed
    reader, plan = PlateReader(1, oven=True), simulation.plan
    for finding in simulation.findings:
        window = resolve_target(reader.space, plan.campaign.target(finding.target)).window
        assert window.holds(reader.truth(finding.settings[None])[0])


def test_a_design_has_no_more_plates_than_half_of_the_money_pays():
    price = {"request": 1.0, "plate": 30.0, "budget": 130.0}
    reader = PlateReader(1, oven=True)
    step = Plan(written(price=price), reader.space).next_step(History(), None)
    assert len(split_into_batches(reader.space, np.array([request.settings for request in step.requests]))) == 2


def test_wells_are_not_spent_on_one_target_where_another_needs_one_more_plate_anyway():
    def ways(*chances):
        return [[PlannedExam(np.zeros(1), n, chance)] for n, chance in zip((3, 6), chances, strict=True)]

    likely, hopeless = ways(0.8, 0.99), ways(0.05, 0.06)
    assert [each[0].replicates for each in cheapest([likely], 24.0)] == [6]
    assert [each[0].replicates for each in cheapest([likely, hopeless], 24.0)] == [3, 3]
