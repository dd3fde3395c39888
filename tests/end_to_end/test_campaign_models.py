"""A campaign with each registered model in turn gets there, in a light that moves."""

import pytest
from problems import MODELS

from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput
from sdl.history import Verdict
from sdl.instruments.claude_light.twin import Twin
from strategies.evaluation.simulation import Simulation
from strategies.numerics.blas_threads import one_thread
from strategies.plan.plan import Plan

TARGET = {"readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}}


def campaign(models):
    twin = Twin(seed=1001, daylight=1500.0, memory_h=1.0)
    written = {"name": "x", "instrument": "twin", "targets": [TARGET], "models": models, "seed": 1}
    rehearsal = Simulation(Plan(Campaign.parse(written), twin.space), twin)
    with one_thread():
        rehearsal.run()
    return rehearsal


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_each_model_is_verified_in_daylight(name):
    try:
        plugins.load("sdl.inverse_models", name)
    except InvalidInput as error:
        pytest.skip(str(error))
    done = campaign([name])
    assert [each.verdict for each in done.findings][-1] is Verdict.VERIFIED
    assert {exam.model for exam in done.exams} <= {name, "posterior"}, "with too few rows for the model"
    assert done.exams[-1].model == name


@pytest.mark.slow
def test_models_that_compete_are_verified_and_the_choice_is_told():
    done = campaign(["mixture", "pls", "linear"])
    assert done.findings[-1].verdict is Verdict.VERIFIED
    for round_ in done.rounds:
        if round_.facts.model:
            assert round_.facts.chosen
