"""Facts go to the ledger under the keys that they always had, and come back as they were, whoever wrote them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdl.history import (
    CandidateFacts,
    FindingFacts,
    LessonFacts,
    Parity,
    ParityRows,
    RivalFacts,
    RoundFacts,
    SourceFacts,
)

ROWS = ParityRows(measured=np.array([[1.0, np.nan]]), predicted=np.array([[1.5, 2.0]]))
FULL = RoundFacts(
    why="too few",
    model="linear",
    rows=5,
    chosen="no other",
    scores={"linear": {"readings": 0.1, "settings": math.nan}},
    held_out=12,
    asked=20,
    missed=(1.0, math.inf),
    skipped={"pls": "it failed"},
    target="white",
    chance=0.93,
    uncertainty={"445nm": 20.0, "515nm": math.nan},
    refused=0.25,
    candidates=(CandidateFacts(settings={"R": 0.5}, share=0.75),),
    family=0,
    history=LessonFacts(campaign="monday", instrument="twin", kind="the same", probability=0.9, distances={"a": 0.1}),
    source="cheap",
    sources={"cheap": SourceFacts(asked=3, apart=0.1, louder=1.0, like=4.5, dropped=False, bias={"445nm": "known"})},
    rivals={"linear": RivalFacts(score=-3.5, foretold=4, outside=1, until=9, fell="400 times less likely")},
    parity=Parity(("445nm", "515nm"), {"train": ROWS, "test": ROWS}),
)
JUDGED = FindingFacts(
    channels=("445nm",),
    model="linear",
    **{name: np.array([1.0]) for name in ("target", "tolerance", "background", "mean", "margin", "noise")},
    replicates=3,
    planned=8,
    confidence=0.95,
    **{name: np.array([np.nan]) for name in ("readings", "uncertainty", "excess")},
    family=1,
)


def through_json(facts):
    return json.loads(json.dumps(facts.to_json(), allow_nan=False))


def test_the_keys_in_the_ledger_are_those_of_every_version():
    assert list(through_json(FULL)) == [
        "why", "model", "rows", "chosen", "scores", "held out", "asked", "missed", "skipped", "target",
        "chance of passing", "uncertainty", "refused draws", "candidates", "family", "history", "source", "sources",
        "rivals", "parity",
    ]  # fmt: skip
    assert through_json(FULL)["missed"] == [1.0, None]
    assert set(through_json(JUDGED)) == {
        "channels", "model", "target", "tolerance", "background", "mean", "margin", "noise", "replicates", "planned",
        "confidence", "readings", "uncertainty", "excess", "family",
    }  # fmt: skip
    assert list(through_json(FULL.history)) == ["campaign", "instrument", "kind", "probability", "distances"]
    assert list(through_json(FULL)["parity"]) == ["channels", "train", "test"]


@pytest.mark.parametrize("facts", [FULL, JUDGED, RoundFacts(), FindingFacts(), RoundFacts(skipped={}, candidates=())])
def test_facts_come_back_as_they_were(facts):
    again = type(facts).from_json(through_json(facts))
    assert again == facts
    assert not again.others
    assert bool(again) == bool(through_json(facts))
    for name, value in vars(facts).items():
        assert type(getattr(again, name)) is type(value), name


def test_two_that_differ_in_a_number_are_not_equal():
    assert RoundFacts(asked=20) != RoundFacts(asked=19)
    assert RoundFacts() != FindingFacts()


words = st.sampled_from(["", "linear", "nan", "<b>", "R"])
leaves = st.none() | st.booleans() | st.integers(-9, 10**30) | st.floats(allow_nan=False, allow_infinity=False) | words
strange = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))


@pytest.mark.parametrize("facts", [FULL, JUDGED])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_a_stranger_or_a_later_version_recorded_is_read_and_not_lost(facts, data):
    recorded = through_json(facts)
    keys = [*recorded, "a key of another version"]
    recorded |= data.draw(st.dictionaries(st.sampled_from(keys), strange))
    recorded = {key: recorded[key] for key in data.draw(st.lists(st.sampled_from(sorted(recorded)), unique=True))}
    again = type(facts).from_json(recorded)
    assert through_json(again).keys() == recorded.keys()
    assert type(facts).from_json(through_json(again)) == again
    for key, value in again.others.items():
        assert value == recorded[key]
    for key in recorded.keys() - again.others.keys():
        assert _alike(through_json(again)[key], recorded[key])


def _alike(written, recorded):
    """The same, but that a number which JSON does not know may be written in another way."""
    if isinstance(recorded, dict):
        return written.keys() == recorded.keys() and all(_alike(written[key], recorded[key]) for key in recorded)
    if isinstance(recorded, list):
        return len(written) == len(recorded) and all(map(_alike, written, recorded))
    unknown = (None, "nan")
    return written == recorded or (written in unknown and recorded in unknown) or float(written) == float(recorded)
