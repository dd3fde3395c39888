"""How far long work is: a bar in a terminal, and in a log a line now and then; both say what is left."""

import io

import pytest
from rich.console import Console

from flows.terminal import show_progress


class Clock:
    seconds = 1000.0

    def __call__(self):
        return self.seconds


def console(*, terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


def test_a_log_says_how_far_work_is_and_what_is_left_the_rarer_the_longer_it_takes():
    clock, log = Clock(), console(terminal=False)
    with show_progress("fitting", console=log, clock=clock) as tell:
        for done in range(100):
            tell(done, 100, f"model {done}")
            clock.seconds += 1.0
    lines = log.file.getvalue().splitlines()
    assert lines[0] == "fitting: 2 of 100, 2.0 s so far, about 1 min 38 s left, model 2"
    assert [int(line.split()[1]) for line in lines] == [2, 6, 14, 30, 62]


def test_a_log_of_what_is_done_at_once_says_nothing():
    log = console(terminal=False)
    with show_progress("fitting", console=log, clock=Clock()) as tell:
        tell(0, 2, "linear")
        tell(1, 2, "pls")
    assert log.file.getvalue() == ""


def test_a_long_first_part_is_named_before_anything_is_known_of_the_rest():
    clock, log = Clock(), console(terminal=False)
    with show_progress("fitting", console=log, clock=clock) as tell:
        clock.seconds += 5.0
        tell(0, 3, "[b]\x1b[31mred")
    assert log.file.getvalue() == "fitting: 0 of 3, 5.0 s so far, [b]\\x1b[31mred\n"


def test_a_terminal_shows_a_bar_with_what_is_being_done():
    shown = console(terminal=True)
    with show_progress("fitting", console=shown) as tell:
        tell(1, 4, "mixture")
    assert "fitting mixture" in shown.file.getvalue()
    assert "1 of 4" in shown.file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_shown_beside_what_is_for_a_program(terminal):
    clock, shown = Clock(), console(terminal=terminal)
    with show_progress("fitting", quiet=True, console=shown, clock=clock) as tell:
        clock.seconds += 50
        tell(1, 4, "mixture")
    assert shown.file.getvalue() == ""
