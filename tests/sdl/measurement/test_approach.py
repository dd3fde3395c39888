"""A knob that must not go a long way at once goes it in steps, whoever asks and whatever goes wrong on the way."""

import numpy as np
import pytest

from flows.engine.opening import open_session
from sdl.campaign.validation import prepare
from sdl.errors import CampaignSuspended, InstrumentUnavailable, InvalidInput
from sdl.history import Purpose, Request, Round, RoundKind
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Patience, Reply
from sdl.measurement.bench import Bench
from sdl.space import Channel, Constraints, Knob, Plate, Space

STEP = 0.25
KNOBS = (
    Knob(name="heat", low=0, high=10, max_step=STEP),
    Knob(name="gas", values=("air", "argon", "helium")),
    Knob(name="flow", low=0, high=4, resolution=0.1, max_step=1.0),
)


class Oven:
    """An instrument without any safety of its own, which keeps what it was sent."""

    identity, patience = "oven", Patience(attempts=3, first_wait=0.0)

    def __init__(self, knobs=KNOBS, constraints=None):
        channels = (Channel(name="y", floor=None, integral=False),)
        self.space = Space(knobs=knobs, channels=channels, constraints=constraints or Constraints())
        self.sent, self.stands, self.fails = [self.space.off], self.space.off, set[int]()

    def measure(self, settings):
        self.sent.append(np.array(list(settings.values())))
        if len(self.sent) - 1 in self.fails:
            raise InstrumentUnavailable("the line is noisy")
        return Reply(dict(settings), {"y": float(sum(settings.values())) + 0.01 * len(self.sent)}, "")

    def close(self):
        pass

    @property
    def longest(self):
        """The longest way of each knob at once, if a request that failed may have been done or not."""
        ways, places = [], [self.sent[0]]
        for number, settings in enumerate(self.sent[1:], start=1):
            ways += [np.abs(settings - place) for place in places]
            places = [*places, settings] if number in self.fails else [settings]
        return np.max(ways, axis=0)


@pytest.fixture
def measured(ledger):
    """Measures at settings as a process does, and returns how often an attempt is in the ledger."""
    entries = []

    def measure(oven, *rows):
        if not entries:
            entries.append(ledger.register("campaign", oven.identity, oven.space, {}, {}))
        (entry,), number = entries, len(ledger.history(entries[0].id).rounds)
        requests = [Request(number, i, 0, Purpose.DESIGN, np.array(row, float)) for i, row in enumerate(rows)]
        with ledger.hold(oven.identity, "test") as lease:
            ledger.plan(lease, entry.id, Round(number, RoundKind.DESIGN), requests)
            Bench(ledger, lease, entry.id, oven, 100, ["y"], sleep=lambda _: None).measure(requests)

    measure.trail = lambda: ledger.trail(entries[0].id)
    return measure


def test_a_long_way_is_gone_in_steps_and_none_of_them_is_a_request(measured):
    oven = Oven()
    measured(oven, [3.1, 2, 4.0], [0.4, 0, 0.3], [0.5, 1, 0.4])
    assert (oven.longest <= [STEP + 1e-9, 2, 1.0 + 1e-9]).all()
    assert len(measured.trail()) == 3
    assert [oven.sent[-1].tolist(), len(oven.sent)] == [[0.5, 1, 0.4], 1 + 13 + 11 + 1]
    assert {row[1] for row in oven.sent} <= {0.0, 1.0, 2.0}


def test_a_knob_without_limit_is_sent_where_it_is_to_go(measured):
    oven = Oven(tuple(knob.model_copy(update={"max_step": None}) for knob in KNOBS))
    measured(oven, [3.1, 2, 4.0], [0.4, 0, 0.3])
    assert len(oven.sent) == 3


@pytest.mark.parametrize("fails", [{1}, {5}, {6, 7}, {13}, {14}, {20}], ids=str)
def test_after_a_fault_on_the_way_it_goes_on_from_where_it_surely_was(measured, fails):
    oven = Oven()
    oven.fails = fails
    measured(oven, [3.1, 2, 4.0], [0.4, 0, 0.3])
    assert (oven.longest <= [STEP + 1e-9, 2, 1.0 + 1e-9]).all()


def test_the_next_process_begins_where_the_last_one_ended(measured):
    first = Oven()
    measured(first, [3.1, 2, 4.0])
    second = Oven()
    second.sent = [first.sent[-1]]
    measured(second, [2.5, 2, 3.9])
    assert second.longest[0] <= STEP + 1e-9


def test_the_way_leads_over_nothing_that_is_forbidden_and_nothing_is_sent_then(measured):
    oven = Oven(constraints=Constraints(never=["heat >= 1 and heat <= 2"]))
    with pytest.raises(CampaignSuspended, match=r"the way to .* leads over settings that must not be sent"):
        measured(oven, [3.0, 0, 1.0])
    assert len(oven.sent) == 1
    assert measured.trail() == []


@pytest.mark.fault("N-15")
@pytest.mark.parametrize(
    ("knob", "plate", "fault"),
    [
        (Knob(name="k", values=("a", "b"), max_step=1), None, "goes with numbers, and this knob has names"),
        (Knob(name="k", max_step=1e-12), None, "needs 0.0001 at least, so that no way has more than 10000 steps"),
        (Knob(name="k", resolution=0.1, max_step=0.05), None, "needs 0.1 at least, the step in which the knob is set"),
        (Knob(name="k", max_step=0.5), Plate(), "measured one by one, and not with a plate"),
    ],
)
def test_steps_that_cannot_be_gone_are_refused(knob, plate, fault):
    with pytest.raises(ValueError, match=fault):
        Space(knobs=(knob,), channels=(Channel(name="y"),), plate=plate)


def written(**changes):
    return {"name": "slow", "instrument": "twin", "targets": [{"readings": {"445nm": 9000}}]} | changes


def test_a_campaign_file_states_it_for_an_instrument_that_does_not():
    _, instrument = prepare(written(max_step={"R": 0.05}))
    assert [knob.max_step for knob in instrument.space.knobs] == [0.05, None, None]


def test_a_whole_campaign_keeps_to_it_and_its_steps_are_no_requests(tmp_path, drive, monkeypatch):
    sent, take = [np.zeros(3)], Twin.measure

    def noted(twin, settings):
        sent.append(np.array(list(settings.values())))
        return take(twin, settings)

    monkeypatch.setattr(Twin, "measure", noted)
    limits = {"R": 0.2, "G": 0.3}
    with open_session(written(max_step=limits), tmp_path, str(tmp_path / "ledger.sqlite")) as session:
        result = drive(session)
        requests = len(session.ledger.trail(session.entry.id))
    assert result["verified"]
    assert requests < len(sent) - 1
    assert (np.abs(np.diff(sent, axis=0)).max(axis=0)[:2] <= np.array([0.2, 0.3]) + 1e-9).all()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"max_step": {"Red": 0.05}}, "max_step.Red: is no knob; "),
        ({"max_step": {"R": 0}}, "max_step.R: Input should be greater than 0"),
        ({"instrument": {"plugin": "by-hand", "knobs": [{"name": "R"}], "channels": [{"name": "445nm"}]},
          "max_step": {"R": 0.1}}, "max_step: persons move the knobs of this instrument"),
        ({"instrument": {"plugin": "scpi", "url": "tcp://8.8.8.8", "knobs": [{"name": "R", "write": "R {value}"}],
                         "channels": [{"name": "445nm", "query": "L?"}]}, "max_step": {"R": 0.1}},
         "max_step: this instrument knows where it is left safe"),
    ],
    ids=["a typo", "no step", "persons", "by configuration"],
)  # fmt: skip
def test_what_a_campaign_cannot_ask_for_is_refused(changes, fault):
    with pytest.raises(InvalidInput) as refused:
        prepare(written(**changes))
    assert any(each.startswith(fault) for each in refused.value.faults), refused.value.faults
