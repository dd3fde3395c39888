"""Whatever is written in place of a campaign is taken, or refused in sentences."""

import pytest
from hostile import GOOD
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput

KEYS = [
    *Campaign.model_fields,
    "plugin",
    "n",
    "rounds",
    "every",
    "readings",
    "tolerance",
    "515nm",
    "seed",
    "path",
    "url",
]
WORDS = [
    "twin",
    "linear",
    "mixture",
    "sobol",
    "random",
    "uncertainty",
    "recorded",
    "claude-light",
    "planned",
    "1 %",
    "/",
]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS)
garbage = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
near_misses = st.fixed_dictionaries({}, optional={key: garbage for key in Campaign.model_fields}).map(
    lambda d: GOOD | d
)


@pytest.mark.fault("N-01")
@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), garbage, max_size=5) | near_misses)
@example({"targets": [{"readings": {"515nm": 10**400}}], "name": "x", "instrument": "twin"})
@example(GOOD | {"instrument": {"plugin": "\ud800"}})
@example(GOOD | {"name": "\ud800"})
@example(GOOD | {"design": {"plugin": "random", "n": None}, "models": [{"plugin": "linear", "self": 1}]})
@settings(max_examples=250)
def test_whatever_is_written_is_taken_or_refused_as_invalid(written):
    assert all(each and isinstance(each, str) for each in taken_or_refused(Campaign.parse, written))
    assert all(each and isinstance(each, str) for each in taken_or_refused(prepare, written))


def taken_or_refused(check, written):
    """The faults, at least one, with which it is refused; "taken" if it is not."""
    try:
        check(written)
    except InvalidInput as error:
        return error.faults or [""]
    return ["taken"]
