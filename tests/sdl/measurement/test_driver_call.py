"""Other people's drivers: other types count, and what they do wrong is a sentence with their name."""

import asyncio
import json
import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdl.errors import CampaignSuspended, InstrumentError, InstrumentRefused, LeaseLost
from sdl.history import Purpose, Request, Round, RoundKind
from sdl.instruments.protocol import Patience, Reply
from sdl.ledger.lease import Lease
from sdl.ledger.ledger import Ledger
from sdl.measurement.bench import Bench
from sdl.measurement.driver_call import COPIES_END, ask_driver, close_driver, kept_safe
from sdl.space import Channel, Knob, Space

SPACE = Space(knobs=(Knob(name="x", low=0.0, high=1.0),), channels=(Channel(name="y"), Channel(name="z")))
REQUEST = Request(0, 0, 0, Purpose.DESIGN, np.array([0.25]))


class Driver:
    """A driver that does what it is given to do."""

    identity, space, patience = "a stranger's lamp", SPACE, Patience(attempts=2, first_wait=0.0)

    def __init__(self, does):
        self.does = does

    def measure(self, settings):
        return self.does(settings) if callable(self.does) else self.does

    def close(self):
        self.does({})


def measured(tmp_path, does):
    """The one row of the trail, and the error if there was one."""
    driver, error = Driver(does), None
    with Ledger(tmp_path / "ledger.db") as book, book.hold(driver.identity, "test") as lease:
        entry = book.register("white", driver.identity, SPACE, {}, {})
        book.plan(lease, entry.id, Round(0, RoundKind.DESIGN), [REQUEST])
        try:
            Bench(book, lease, entry.id, driver, 10).measure([REQUEST])
        except CampaignSuspended as suspended:
            error = suspended
        return book.trail(entry.id)[-1], error


@pytest.mark.fault("I-25")
@pytest.mark.parametrize(
    "number",
    [np.int64(7), np.uint16(7), np.float32(7), np.float64(7), np.array(7), np.array(7.0, np.float16), np.longdouble(7),
     Decimal("7.0"), Fraction(14, 2), np.ma.array(7)],
    ids=repr,
)  # fmt: skip
def test_numbers_of_any_kind_are_numbers(tmp_path, number):
    row, error = measured(tmp_path, Reply({"x": np.float32(0.25)}, {"y": number, "z": 2}, b"\xff raw", np.float32(0.5)))
    assert error is None
    assert (row["verdict"], row["readings"], row["seconds"]) == ("OK", [7.0, 2.0], 0.5)
    assert row["raw"] == "\ufffd raw"


@pytest.mark.fault("I-25")
@pytest.mark.parametrize(
    "value",
    [True, np.True_, "7", b"7", None, [7], 7j, Decimal("NaN"), Decimal("sNaN"), Decimal("1e999"), np.nan,
     np.float32("inf"), {1}, np.ma.masked],
)  # fmt: skip
def test_what_is_no_number_is_said_and_kept(tmp_path, value):
    row, error = measured(tmp_path, Reply({"x": 0.25}, {"y": value, "z": 2}, "raw"))
    assert row["verdict"] == "SUSPECT"
    assert "y is not a finite number" in str(error)


@pytest.mark.fault("I-25")
def test_an_exception_is_a_sentence_with_the_drivers_name_and_place(tmp_path):
    row, error = measured(tmp_path, lambda _: [][3])
    assert row["verdict"] == "REJECT"
    assert "the driver of a stranger's lamp failed with IndexError: list index out of range (" in str(error)
    assert "test_driver_call.py, line " in str(error)
    row, error = measured(tmp_path / "again", lambda _: Path("/dev/nowhere").read_text())
    assert row["verdict"] == "RETRY"
    assert "failed with FileNotFoundError" in str(error)
    assert row["attempt"] == 2, "a port may come back"


def raising(error):
    def act(_):
        raise error

    return act


@pytest.mark.fault("I-25")
@pytest.mark.parametrize(
    "error",
    [SystemExit(0), SystemExit("bye"), GeneratorExit(), asyncio.CancelledError(),
     ExceptionGroup("many", [ValueError()]), BaseExceptionGroup("many", [SystemExit(0)])],
    ids=repr,
)  # fmt: skip
def test_a_driver_ends_no_process_of_ours(tmp_path, caplog, error):
    """A campaign that ends with the exit status of a driver would be a success to whoever reads that."""
    row, suspended = measured(tmp_path, raising(error))
    assert (row["state"], row["verdict"]) == ("FAILED", "REJECT")
    assert f"the driver of a stranger's lamp failed with {type(error).__name__}" in str(suspended)
    close_driver(Driver(raising(error)))
    assert "when it was closed" in caplog.text


@pytest.mark.fault("I-25")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), BaseExceptionGroup("many", [KeyboardInterrupt()])], ids=repr)
def test_ctrl_c_during_a_reading_is_the_persons(error):
    with pytest.raises(KeyboardInterrupt):
        ask_driver(Driver(raising(error)), {"x": 0.25})


@pytest.mark.fault("I-25")
@pytest.mark.filterwarnings("error")
def test_an_async_driver_is_told_what_it_needs(tmp_path):
    async def measure(_):
        return Reply({"x": 0.25}, {"y": 7, "z": 2}, "raw")

    row, error = measured(tmp_path, measure)
    assert row["verdict"] == "REJECT"
    assert "'measure' is an async function, for which nothing waits" in str(error)


@pytest.mark.fault("I-25")
def test_the_copy_of_a_process_that_forked_measures_nothing(tmp_path):
    """It would write with the lease of the other one."""
    children = []

    def measure(_):
        children.append(os.fork())
        return Reply({"x": 0.25}, {"y": 7 if children[0] else 999, "z": 2}, "raw")

    row, error = measured(tmp_path, measure)
    assert (error, row["readings"]) == (None, [7.0, 2.0])
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == COPIES_END


@pytest.mark.fault("I-25")
def test_how_a_driver_has_numpy_treat_errors_is_its_own(tmp_path):
    def measure(_):
        np.seterr(all="raise")
        return Reply({"x": 0.25}, {"y": 7, "z": 2}, "raw")

    before = np.geterr()
    assert measured(tmp_path, measure)[1] is None
    assert np.geterr() == before


@pytest.mark.fault("I-25")
def test_a_driver_that_fails_at_its_end_is_told_of(caplog):
    close_driver(Driver(lambda _: 1 / 0))
    assert "the driver of a stranger's lamp failed with ZeroDivisionError" in caplog.text


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers()
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
replies = anything | st.builds(Reply, anything, anything, anything, anything)
errors = st.sampled_from(
    [ValueError("\x1b[2J"), KeyError(), OSError(5, "gone"), RecursionError(), InstrumentRefused("no")]
)


@pytest.mark.fault("I-25")
@given(replies, st.none() | errors)
def test_whatever_a_driver_does_is_a_plain_reply_or_an_error_of_ours(returned, raised):
    def does(_):
        if raised is not None:
            raise raised
        return returned

    try:
        reply = ask_driver(Driver(does), {"x": 0.25})
    except InstrumentError:
        return
    json.dumps([dict(reply.applied), dict(reply.readings), reply.raw, reply.seconds])
    assert type(reply.raw) is str
    assert type(reply.seconds) is float


class Heater(Driver):
    """Keeps what was done with it, and who held it then."""

    def __init__(self, book, does=lambda _: None):
        super().__init__(does)
        self.book, self.moved, self.done = book, True, []

    def make_safe(self):
        self.done.append(("safe", self.book.holder("heater") is not None))
        self.does({})
        self.moved = False

    def let_go(self):
        self.done.append(("let go", True))
        self.moved = False


class TestKeptSafe:
    def test_it_is_made_safe_while_it_is_still_held_so_that_nobody_else_is_at_it(self, ledger):
        heater = Heater(ledger)
        with ledger.hold("heater", "a campaign") as lease, kept_safe(heater, lease):
            assert heater.done == []
        assert heater.done == [("safe", True)]

    def test_whoever_holds_it_after_one_who_died_makes_it_safe_first(self, ledger):
        heater = Heater(ledger)
        with kept_safe(heater, Lease("heater", 2, abandoned=True)):
            assert [done for done, _ in heater.done] == ["safe"]
        assert len(heater.done) == 1, "and it was not moved since"

    def test_whoever_lost_it_leaves_it_as_it_is(self, ledger):
        heater = Heater(ledger)
        with pytest.raises(LeaseLost), kept_safe(heater, Lease("heater", 1)):
            raise LeaseLost("taken over", "heater")
        assert heater.done == [("let go", True)]

    def test_one_that_cannot_be_made_safe_is_named_and_keeps_nothing_else_from_its_end(self, ledger, caplog):
        def stuck(_):
            raise OSError("no line")

        heater = Heater(ledger, stuck)
        with pytest.raises(CampaignSuspended, match="cold"), kept_safe(heater, Lease("heater", 1)):
            raise CampaignSuspended("cold")
        assert "a stranger's lamp failed with OSError: no line" in caplog.text
        assert "see to it that it is" in caplog.text

    def test_a_lease_says_whether_its_last_holder_let_go_of_it(self, ledger):
        with ledger.hold("heater", "first") as first:
            assert not first.abandoned
        with ledger.hold("heater", "second") as second:
            assert not second.abandoned
