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
from strategies.plan.plates import WELLS, PlannedExam, cheapest, with_idle_used
from strategies.posterior import looks
from strategies.posterior.price import chance_at_once


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


@pytest.mark.parametrize(("every", "each_plate"), [("planned", False), (500, True)])
def test_a_later_plate_has_a_reference_where_the_campaign_says_how_often(done, every, each_plate):
    simulation = done[0] if every == "planned" else simulated(written(background={"every": every}))[0]
    references = [row for row in simulation.observations if row.purpose is Purpose.REFERENCE]
    assert len(references) == (simulation.plates if each_plate else 1)


def test_plates_are_apart_in_time_with_a_reference_or_without(done):
    plan, history = done[0].plan, done[0].history
    rows = observed_rows(plan.campaign, plan.space, plan.columns, history)
    assert (np.diff(rows.order) > 1).sum() == done[0].plates - 1


def test_readings_of_earlier_plates_spare_wells_of_the_next_one(done):
    """Two wells do for a target that was read nearby before, and not for one that was never read."""
    simulation, plan = done[0], done[0].plan
    exam = simulation.exams[0]
    begun, after = (simulation.history.before(number) for number in (1, simulation.rounds[-1].number + 1))
    chances = []
    for history in (begun, after):
        insight = plan.insight(replace(history, findings=[]), None)
        target = next(each for each in plan.targets if each.name == exam.target)
        here, pursuit = plan.space.to_unit(exam.settings)[None], insight.pursuit(target)
        truth = insight.posterior.at(here, pursuit.fixed)[0]
        chances.append(float(chance_at_once(insight.posterior, pursuit, here, np.array([[2]]), truth)[0, 0]))
    assert chances[0] == 0.0 < 0.9 < chances[1]


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
    simulation, why = simulated(written(budget=16))
    assert len(simulation.observations) <= 16
    assert "too few for another plate" in why or "16 requests" in why


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


def test_a_target_that_would_need_another_plate_has_wells_to_learn_from_and_no_look():
    """Where one target fails anyway, another one is settled by itself as far as that spares wells of its own."""

    def ways(chance):
        return [[PlannedExam(np.zeros(1), n, at)] for n, at in ((2, 0.0), (3, chance))]

    hopeless = ways(0.02)
    assert [each[0].replicates for each in cheapest([hopeless, ways(0.7), ways(0.1)], 12.0)] == [2, 3, 2]


def test_instruments_side_by_side_that_would_be_idle_take_replicates():
    here = np.zeros(3)
    two = [[PlannedExam(here, 3, 0.9), PlannedExam(here, 2, 0.9)], [PlannedExam(here, 2, 0.9)]]
    assert [[each.replicates for each in exams] for exams in with_idle_used(two, 4)] == [[4, 3], [4]]
    most = with_idle_used(two, 1000)
    assert [sum(each.replicates for each in exams) for exams in most] == [WELLS[-1]] * 2
    assert with_idle_used([[], []], 3) == [[], []], "there is nothing to repeat"
