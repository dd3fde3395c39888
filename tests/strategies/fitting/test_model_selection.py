"""The choice of a model: by what it makes of rows it has not seen, slow to change, and the same every time."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from problems import two_branches

from sdl.campaign.definition import Campaign
from sdl.campaign.sections import Plugin
from sdl.history import History, Observation, Purpose, ReplyClass, Round, RoundFacts, RoundKind, Verdict
from sdl.instruments.claude_light.twin import Twin
from strategies.evaluation.simulation import Simulation
from strategies.fitting import fitting
from strategies.fitting.cross_validation import predict_held_out
from strategies.fitting.fitting import fit_models
from strategies.fitting.model_selection import FEWEST, choose_model
from strategies.models.linear.linear_program import LinearProgram
from strategies.models.mixtures.mixture import Mixture
from strategies.plan.plan import Plan

CHANNELS = ["445nm", "515nm", "630nm"]
SPACE = Twin().space
COLUMNS = SPACE.columns(CHANNELS)


def scores(level, n=20, scatter=0.0, seed=0):
    """Scores of a model at n settings, about a level, in both directions."""
    return level * (1 + scatter * np.random.default_rng(seed).standard_normal((n, 2)))


# ---------------------------------------------------------------------- the rule


def test_a_clearly_better_model_is_taken():
    choice = choose_model(["a", "b"], {"a": scores(2.0, scatter=0.2), "b": scores(1.0, scatter=0.2, seed=1)}, "a", 20)
    assert choice.name == "b"
    assert choice.reason.startswith("better than a by 49 ± 4 % of")
    assert choice.reason.endswith("energy score on 20 held-out settings")
    assert choice.scores.keys() == {"a", "b"}
    assert choice.held_out == 20


@pytest.mark.parametrize(
    "other",
    [scores(0.95), scores(0.8, scatter=3.0, seed=2), scores(1.0)],
    ids=["a small gain", "a gain within the noise", "none"],
)
def test_the_present_model_stays_without_a_clear_gain(other):
    for present, name in (("a", "b"), ("b", "a")):
        assert choose_model(["a", "b"], {present: scores(1.0), name: other}, present, 20).name == present


def test_what_a_difficult_setting_costs_both_models_does_not_hide_a_gain():
    hard = np.exp(2 * np.random.default_rng(0).standard_normal((20, 1)))
    assert choose_model(["a", "b"], {"a": scores(1.0) * hard, "b": scores(0.7) * hard}, "a", 20).name == "b"


def test_a_change_of_mind_does_not_come_back_by_itself():
    both = {"a": scores(1.0, scatter=0.1), "b": scores(0.8, scatter=0.1, seed=1)}
    assert choose_model(["a", "b"], both, "a", 20).name == "b"
    assert choose_model(["a", "b"], both, "b", 20).name == "b"


def test_few_settings_go_by_order_whatever_they_say():
    choice = choose_model(["a", "b"], {"a": scores(9.0, 4), "b": scores(1.0, 4)}, "b", 4)
    assert choice.name == "a"
    assert choice.reason.startswith("the first of the campaign that can be fitted; 4 settings are too few")


def test_only_settings_that_both_were_judged_on_count():
    part = scores(9.0)
    part[FEWEST - 1 :] = np.nan
    choice = choose_model(["a", "b"], {"a": part, "b": scores(1.0)}, "a", 20)
    assert (choice.name, choice.held_out) == ("a", 0)
    assert "cannot be compared" in choice.reason


def test_the_best_of_several_better_ones_is_taken():
    judged = {"a": scores(1.0), "b": scores(0.6), "c": scores(0.5), "d": scores(0.4, scatter=9)}
    assert choose_model(list("abcd"), judged, "a", 20).name == "c"


def test_units_do_not_matter():
    one, other = scores(2.0, scatter=0.3), scores(1.0, scatter=0.3, seed=1)
    unit = np.array([1000.0, 0.01])
    plain = choose_model(["a", "b"], {"a": one, "b": other}, "a", 20)
    assert plain.reason == choose_model(["a", "b"], {"a": one * unit, "b": other * unit}, "a", 20).reason


def test_perfect_scores_are_no_reason_to_change():
    assert choose_model(["a", "b"], {"a": scores(0.0), "b": scores(0.0)}, "a", 20).name == "a"


def test_a_single_model_needs_no_reason_to_be_compared():
    assert choose_model(["a"], {}, "b", 100).reason == "no other model can be chosen"


# ---------------------------------------------------------------------- the models of a campaign


@dataclass(eq=False)
class Blurred(LinearProgram):
    """A linear model that draws far too widely, both ways."""

    def sample(self, target, n, rng):
        return super().sample(target, n, rng) + 0.2 * rng.standard_normal((n, 3))

    def simulate(self, settings, n, rng):
        draws = super().simulate(settings, n, rng)
        return draws + 5000 * rng.standard_normal(draws.shape)


class Broken(LinearProgram):
    """A linear model with a fault of one kind."""

    fault = ""

    def fit(self, readings, settings):
        if self.fault == "singular":
            raise np.linalg.LinAlgError("Singular matrix\n(and a second line)")
        if self.fault == "strange":
            raise BufferError
        return super().fit(readings, settings)

    def sample(self, target, n, rng):
        draws = super().sample(target, n, rng) * (np.nan if self.fault == "draws" else 1)
        return draws[:, :1] if self.fault == "narrow" else draws

    def simulate(self, settings, n, rng):
        if self.fault == "runtime":
            raise RuntimeError("no convergence")
        return super().simulate(settings, n, rng) * (np.inf if self.fault == "simulated" else 1)

    def predict(self, settings):
        return super().predict(settings) * (np.nan if self.fault == "predicted" else 1)


FAULTS = {
    "singular": "it failed with LinAlgError: Singular matrix",
    "strange": "it failed with BufferError",
    "runtime": "it failed with RuntimeError: no convergence",
    "draws": "its draws are not all finite",
    "simulated": "its simulated readings are not all finite",
    "predicted": "its predictions are not all finite",
}


@pytest.fixture
def fakes(monkeypatch):
    """Adds models that no plug-in offers: a name and what makes one."""
    known, real = {}, fitting.build_model
    monkeypatch.setattr(
        fitting, "build_model", lambda part, named: known[part.plugin]() if part.plugin in known else real(part, named)
    )
    return known


def history(n, model=None, replicates=1):
    """A campaign of n random settings in the dark, whose last round had a model."""
    twin, rng = Twin(seed=1), np.random.default_rng(2)
    seen = []
    for index, settings in enumerate(np.repeat(rng.random((n, 3)) * 0.6 + 0.1, replicates, axis=0)):
        values = np.array(list(twin.measure(SPACE.named_settings(settings)).readings.values()), float)
        censored = np.zeros(values.size, bool)
        key = (0, index // replicates, index % replicates)
        seen.append(
            Observation(
                *key, Purpose.DESIGN, settings, seq=index, verdict=ReplyClass.OK, readings=values, censored=censored
            )
        )
    return History([Round(0, RoundKind.DESIGN, facts=RoundFacts(model=model))], observations=seen)


def fitted(models, n=20, model=None):
    return fit_models([Plugin(plugin=name) for name in models], SPACE, COLUMNS, history(n, model), 1)


@pytest.mark.parametrize("present", [None, "blurred", "linear", "a stranger"])
def test_a_model_that_draws_too_widely_gives_way(fakes, present):
    fakes["blurred"] = Blurred
    assert fitted(["blurred", "linear"], model=present).name == "linear"
    assert fitted(["blurred", "linear"], 7, present).name == "blurred"


def test_the_model_of_the_last_round_stays_against_its_like(fakes):
    fakes["twin"] = LinearProgram
    assert fitted(["linear", "twin"], model="twin").name == "twin"
    assert fitted(["linear", "twin"], model="linear").name == "linear"
    assert fitted(["linear", "twin"]).name == "linear"


def test_the_choice_is_a_matter_of_the_history_alone():
    models = ["mixture", "pls", "linear"]
    once, again = (fitted(models, 14) for _ in range(2))
    assert once.choice == again.choice
    assert once.choice.scores.keys() == set(models)


def test_rounds_to_come_decide_nothing(fakes):
    fakes["twin"] = LinearProgram
    past = history(20, "linear")
    later = replace(past, rounds=[*past.rounds, Round(1, RoundKind.EXAM, "x", RoundFacts(model="twin"))])
    models = [Plugin(plugin=name) for name in ("linear", "twin")]
    assert fit_models(models, SPACE, COLUMNS, later, 1).name == "linear"
    assert fit_models(models, SPACE, COLUMNS, later, 2).name == "twin"


def test_models_are_compared_anew_when_there_are_a_quarter_more_settings(fakes):
    """In between the model of the round before is fitted on all rows, and no model on a part of them."""
    fakes["blurred"] = Blurred
    past = history(24)
    past.rounds[0] = Round(0, RoundKind.DESIGN, facts=RoundFacts(model="blurred", asked=20, missed=(1.0, np.inf, 3.0)))
    kept = fit_models([Plugin(plugin=name) for name in ("blurred", "linear")], SPACE, COLUMNS, past, 1)
    assert (kept.name, kept.held_out, kept.asked, len(kept.settings)) == ("blurred", None, 20, 24)
    assert kept.choice.reason.startswith("as found with 20 settings")
    assert kept.parity(CHANNELS) is None
    assert kept.missed.tolist() == [1.0, np.inf, 3.0]
    past.rounds[0] = replace(past.rounds[0], facts=replace(past.rounds[0].facts, asked=19))
    compared = fit_models([Plugin(plugin=name) for name in ("blurred", "linear")], SPACE, COLUMNS, past, 1)
    assert (compared.name, compared.asked) == ("linear", 24)
    assert compared.parity(CHANNELS)


def test_a_model_that_is_named_twice_has_two_names():
    models = [Plugin(plugin="linear"), Plugin(plugin="linear", intercept=True)]
    done = fit_models(models, SPACE, COLUMNS, history(20, "linear 2"), 1)
    assert done.choice.scores.keys() == {"linear", "linear 2"}
    assert done.refit().intercept == (done.name == "linear 2")


@pytest.mark.fault("M-09")
@pytest.mark.parametrize("n", [6, 20])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_fails_is_passed_over_with_its_reason(fakes, fault, n):
    fakes["broken"] = type("Broken", (Broken,), {"fault": fault})
    done = fitted(["broken", "linear"], n, model="broken")
    assert done.name == "linear"
    assert done.skipped == {"broken": FAULTS[fault]}


@pytest.mark.parametrize(("n", "draws"), [(6, 4), (20, 64)])
def test_a_model_that_forgets_knobs_is_passed_over(fakes, n, draws):
    fakes["broken"] = type("Broken", (Broken,), {"fault": "narrow"})
    done = fitted(["broken", "linear"], n, model="broken")
    assert done.name == "linear"
    assert done.skipped == {"broken": f"its draws have the shape ({draws}, 1), and ({draws}, 3) was asked for"}


def test_where_every_model_fails_there_is_none(fakes):
    fakes["broken"] = type("Broken", (Broken,), {"fault": "draws"})
    done = fitted(["broken"])
    assert (done.name, done.model) == ("", None)
    assert done.skipped == {"broken": FAULTS["draws"]}


@pytest.mark.fault("M-09")
def test_a_campaign_goes_on_with_the_next_model(fakes):
    fakes["broken"] = type("Broken", (Broken,), {"fault": "singular"})
    rehearsal = rehearsed(["broken", "linear"])
    assert rehearsal.findings[-1].verdict is Verdict.VERIFIED
    facts = rehearsal.rounds[-1].facts
    assert facts.model == "linear"
    assert facts.chosen == "no other model can be chosen"
    assert facts.skipped == {"broken": FAULTS["singular"]}


def test_resamples_that_fail_leave_an_exam_at_once(fakes):
    class Careful(LinearProgram):
        def fit(self, readings, settings):
            if len(np.unique(settings, axis=0)) < len(settings):
                raise RuntimeError("a row comes twice")
            return super().fit(readings, settings)

    fakes["careful"] = Careful
    rehearsal = rehearsed(["careful"], stop={"exams": 1}, acquisition={"n": 4, "rounds": 1})
    assert RoundKind.LEARNING not in {each.kind for each in rehearsal.rounds if each.facts.model == "careful"}


def rehearsed(models, **changes):
    target = {"readings": dict.fromkeys(CHANNELS, 16384)}
    plan = Plan(
        Campaign.parse({"name": "x", "instrument": "twin", "targets": [target], "models": models, **changes}), SPACE
    )
    rehearsal = Simulation(plan, Twin(seed=1))
    rehearsal.run()
    return rehearsal


# ---------------------------------------------------------------------- held-out rows


@pytest.mark.parametrize("seed", range(3))
def test_a_line_gives_way_to_a_mixture_where_two_settings_answer(seed):
    settings = np.random.default_rng(seed).random((40, 2))
    readings = two_branches(settings)
    models = {"linear": LinearProgram, "mixture": Mixture}
    judged = {name: predict_held_out(make, readings, settings, scored=True).scores for name, make in models.items()}
    assert choose_model(list(models), judged, "linear", 40).name == "mixture"


def test_no_model_sees_a_row_of_a_setting_that_it_is_asked_about():
    seen, asked = [], []

    class Watched(LinearProgram):
        def fit(self, readings, settings):
            seen.append({tuple(row) for row in settings})
            return super().fit(readings, settings)

        def predict(self, settings):
            asked.append({tuple(row) for row in settings})
            return super().predict(settings)

    settings = np.repeat(np.random.default_rng(0).random((8, 3)), 3, axis=0)
    done = predict_held_out(Watched, settings @ np.ones((3, 2)), settings, scored=False)
    assert np.isfinite(done.predicted).all()
    assert len(seen) == len(asked) == 5
    for known, wanted in zip(seen, asked, strict=True):
        assert not known & wanted


def test_a_model_that_lacks_rows_without_a_fold_has_no_scores_and_no_failure():
    settings = np.random.default_rng(0).random((3, 3))
    done = predict_held_out(LinearProgram, settings, settings, scored=True)
    assert np.isnan(done.scores).all()
    assert not done.failure


def test_a_large_campaign_is_judged_on_part_of_its_settings():
    settings = np.random.default_rng(0).random((400, 3))
    done = predict_held_out(LinearProgram, settings @ np.ones((3, 2)), settings, scored=True)
    assert np.isfinite(done.predicted).all()
    assert 30 <= np.isfinite(done.scores).all(axis=1).sum() <= 40


def test_a_single_model_costs_no_more_than_before(fakes):
    calls = []

    class Counting(LinearProgram):
        def fit(self, readings, settings):
            calls.append(len(settings))
            return super().fit(readings, settings)

    fakes["counting"] = Counting
    fitted(["counting"])
    assert len(calls) == 6
    calls.clear()
    fakes["other"] = LinearProgram
    fitted(["counting", "other"])
    assert len(calls) == 6
