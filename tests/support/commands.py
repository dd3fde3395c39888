"""Words of commands that more than one test gives."""

from places import PAPER

KNOBS = ("R=0.1", "G=0.2", "B=.3")
TWIN = "instrument={plugin='twin', seed=2}"


def on_twin(*changes):
    """The paper's campaign on a twin in this process."""
    return (PAPER, *(word for change in (TWIN, *changes) for word in ("--set", change)))
