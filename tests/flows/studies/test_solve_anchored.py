"""``sdl solve --anchor``: rows of many days, each in its own light, and answers for the light of one of today."""

import json

import numpy as np
import pytest
from places import DAYS
from problems import CHANNELS, twin_answer

from flows.studies.compare import compare_models
from flows.studies.solve import solve
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.twin import Twin

WANTED = {"445nm": 16384.0, "515nm": 16384.0, "630nm": 16384.0}
WHITE = [f"{name}={value:g}" for name, value in WANTED.items()]
MORNING = 1.75e9


def lines(day, n=20):
    """Readings of a day in a light of its own, and the twin that gives them."""
    light = dict(zip(CHANNELS, Twin(seed=day, daylight=1500.0).ambient(), strict=True))
    twin = Twin(seed=day, session_gain=False, steady=light)
    rows = 0.1 + 0.8 * np.random.default_rng(day).random((n, 3))
    said = [twin.measure(twin.space.named_settings(row)).readings for row in rows]
    times = MORNING + 86_400 * day + 4.0 * np.arange(n)
    return [{"in": row, "out": out, "time": at} for row, out, at in zip(rows.tolist(), said, times, strict=True)], twin


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    path = tmp_path_factory.mktemp("days") / "records.jsonl"
    path.write_text("\n".join(json.dumps(line) for day in range(8) for line in lines(day)[0]))
    return path


def words(line, channels=CHANNELS):
    settings = ",".join(f"{name}={value}" for name, value in zip("RGB", line["in"], strict=True))
    readings = ",".join(f"{name}={line['out'][name]}" for name in channels)
    return f"{settings}:{readings}"


KEPT = [name for name in CHANNELS if name != "clear"]


@pytest.fixture(scope="module")
def today():
    """An anchor of a day that is not among the rows, and what its light needs."""
    (anchor, *_), twin = lines(99)
    dark = twin.truth(np.zeros((1, 3)))[0]
    wanted = twin.space.readings(WANTED)
    return anchor, twin_answer(wanted - dark)


@pytest.mark.parametrize("channels", [KEPT, list(WANTED)], ids=["every channel", "those of the target"])
def test_answers_are_for_the_light_of_the_anchor(records, today, channels):
    anchor, needed = today
    result = solve(records, WHITE, models=["linear", "pls"], anchors=[words(anchor, channels)])
    for row in result["models"]:
        offer = row["candidates"][0]
        assert list(offer["settings"].values()) == pytest.approx(needed, abs=0.012)
        off = np.abs(np.array(list(offer["settings"].values())) - needed)
        assert (off <= 3 * np.array(list(offer["spread"].values()))).all()
    assert any("the rows are of 8 runs, each in a light of its own" in note for note in result["notes"])
    assert not any("were taken together" in note for note in result["notes"])


def test_without_an_anchor_the_days_are_pooled_and_that_is_said(records, today):
    _, needed = today
    result = solve(records, WHITE, models=["linear"])
    assert any(note.startswith("rows of 8 days (2025-06-15 to ") for note in result["notes"])
    settings = list(result["models"][0]["candidates"][0]["settings"].values())
    assert np.abs(settings - needed).max() > 0.012, "which is why it has to be said"


def test_an_anchor_may_be_the_rows_of_a_file(records, today, tmp_path):
    path = tmp_path / "today.jsonl"
    path.write_text("\n".join(map(json.dumps, lines(99)[0][:3])))
    result = solve(records, WHITE, models=["linear"], anchors=[str(path)])
    settings = list(result["models"][0]["candidates"][0]["settings"].values())
    assert settings == pytest.approx(today[1], abs=0.008)


def test_models_are_compared_in_the_light_of_each_run(records, today):
    options = {"models": ["linear"], "draws": 50}
    pooled = compare_models(records, WHITE, **options)
    anchored = compare_models(records, WHITE, **options, anchors=[words(today[0], KEPT)])
    error = [each["models"][0]["scores"]["settings"]["test"]["mae"]["R"] for each in (pooled, anchored)]
    assert error[1] < 0.5 * error[0]


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("R=0.5", "anchor: 'R=0.5' needs the form KNOB=SETTING,...:CHANNEL=READING"),
        ("R=0.5,G=0.5,B=0.5:", "anchor: 'R=0.5,G=0.5,B=0.5:' needs the form"),
        ("R=0.5,G=0.5:445nm=5", "anchor: knob 'B' is missing: give a value from 0.0 to 1.0"),
        ("R=0.5,G=0.5,B=1.5:445nm=5", "anchor: knob 'B' needs a number from 0.0 to 1.0, got 1.5"),
        ("R=0.5,G=0.5,B=0.5:446nm=5", "anchor: unknown channel '446nm'; did you mean '445nm'?"),
        ("R=0.5,R=0.5,B=0.5:445nm=5", "anchor: R is given twice in "),
        ("R=0.5,G=0.5,B=0.5:445nm=x", "anchor: 445nm needs a number such as 16384, got 'x'"),
        ("R=0.5,G=0.5,B=0.5:445nm=-4", "anchor: 445nm needs at least 0, got -4"),
        ("R=0.5,G=0.5,B=0.5:445nm=65535", "anchor: 445nm needs less than its ceiling, 65535, got 65535"),
        ("R=0.5,G=0.5,B=0.5:445nm=5", "anchor: 515nm, 630nm is missing; give every channel of the target"),
        ("gone.csv", "anchor: cannot read gone.csv"),
    ],
)
def test_an_anchor_that_makes_no_sense_is_a_fault(records, word, fault):
    with pytest.raises(InvalidInput) as raised:
        solve(records, WHITE, anchors=[word])
    assert raised.value.faults[0].startswith(fault)


def test_an_anchor_and_a_background_are_one_too_many(records, today):
    with pytest.raises(InvalidInput, match="an anchor and a background both say what the light of today is"):
        solve(records, WHITE, anchors=[words(today[0], KEPT)], background=[f"{name}=5" for name in WANTED])


@pytest.mark.skipif(not DAYS.is_file(), reason="the records are not part of the project")
@pytest.mark.parametrize("day", ["20251030", "20251103", "20251107"])
def test_a_day_that_was_left_out_of_the_real_records_gets_its_own_answer(tmp_path, day):
    rows = [json.loads(line) for line in DAYS.read_text().splitlines()]
    others = [row for row in rows if row["tag"] != day]
    inside = [row for row in rows if row["tag"] == day and max(row["out"][name] for name in KEPT) < 65535]
    path = tmp_path / "others.jsonl"
    path.write_text("\n".join(map(json.dumps, others)))
    (anchor, *_), asked = inside, inside[12]  # the middle of the first run of that day
    target = [f"{name}={asked['out'][name]}" for name in WANTED]
    (row,) = solve(path, target, models=["linear"], anchors=[words(anchor, KEPT)])["models"]
    offer = row["candidates"][0]
    off = np.abs(np.array(list(offer["settings"].values())) - asked["in"])
    assert (off < 0.015).all()
    assert (off < 3.5 * np.array(list(offer["spread"].values()))).all()


def test_the_command_takes_an_anchor(sdl, records, today):
    outcome = sdl(
        "solve",
        records,
        *(f"--target={each}" for each in WHITE),
        "--model",
        "linear",
        "--anchor",
        words(today[0], KEPT),
    )
    assert outcome.code == 0
    assert "each in a light of its own" in " ".join(outcome.out.split())
