"""Playing back recorded files."""

import json

import pytest
from places import RECORDS

from sdl.errors import InstrumentRefused, InvalidInput
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.playback import Recorded
from sdl.instruments.protocol import Instrument


def record(settings, **out):
    return json.dumps({"in": settings, "out": out or {"515nm": 7}})


@pytest.fixture
def play(tmp_path):
    def made(*lines: str, **options) -> Recorded:
        path = tmp_path / "records.jsonl"
        path.write_text("\n".join(lines), encoding="utf-8")
        return Recorded(path, **options)

    return made


def at(r, g, b):
    return {"R": r, "G": g, "B": b}


def test_a_record_is_played_as_it_was_written(play):
    line = '{"in": [0.1, 0.2, 0.3], "out": {"515nm": 7, "clear": 9}, "time": null, "note": "kept"}'
    recorded = play(line)
    reply = recorded.measure(at(0.1, 0.2, 0.3))
    assert isinstance(recorded, Instrument)
    assert reply.applied == at(0.1, 0.2, 0.3)
    assert reply.readings == {"515nm": 7, "clear": 9}
    assert reply.raw == line


def test_repeats_are_played_in_order_and_then_again(play):
    recorded = play(*(record([0.5, 0, 0], **{"515nm": count}) for count in (1, 2, 3)))
    played = [recorded.measure(at(0.5, 0, 0)).readings["515nm"] for _ in range(5)]
    assert played == [1, 2, 3, 1, 2]


def test_the_last_bits_of_a_setting_do_not_matter(play):
    assert play(record([0.3, 0, 0])).measure(at(0.1 + 0.2, -0.0, 0)).readings == {"515nm": 7}


def test_a_setting_that_was_not_recorded_is_refused_with_the_nearest(play):
    recorded = play(record([0, 0, 0]), record([0.5, 0.5, 0.5]))
    with pytest.raises(InstrumentRefused, match=r"nearest is .*0\.5.*, 0\.1 away") as caught:
        recorded.measure(at(0.5, 0.5, 0.6))
    assert not caught.value.sent


def test_or_answered_by_the_nearest_if_asked_for(play):
    recorded = play(record([0, 0, 0]), record([0.5, 0.5, 0.5], **{"515nm": 9}), nearest=True)
    reply = recorded.measure(at(0.5, 0.5, 0.6))
    assert reply.applied == at(0.5, 0.5, 0.6)
    assert reply.readings == {"515nm": 9}
    assert json.loads(reply.raw)["in"] == [0.5, 0.5, 0.5]


def test_settings_outside_the_space_are_refused(play):
    with pytest.raises(InvalidInput, match=r"from 0\.0 to 1\.0"):
        play(record([0, 0, 0]), nearest=True).measure(at(0, 0, 1.5))


def test_with_claude_lights_channels_it_has_claude_lights_space(play):
    assert play(record([0, 0, 0], clear=1), record([0, 0, 1], **{"515nm": 1})).space == SPACE


def test_any_other_file_has_the_channels_of_all_lines_and_the_ranges_it_shows(play):
    space = play(record([0, 3], mass=1.5), record([-1, 0.5], heat=2, mass=1)).space
    assert space.knob_names == ("x1", "x2")
    assert space.channel_names == ("mass", "heat")
    assert space.low.tolist() == [-1, 0]
    assert space.high.tolist() == [1, 3]


def test_three_knobs_are_called_as_in_the_paper(play):
    assert play(record([0, 0, 3], mass=1)).space.knob_names == ("R", "G", "B")


def test_one_content_under_one_name_is_one_instrument(play):
    first, second = play(record([0, 0, 0])), play(record([0, 0, 0]))
    assert first.identity == second.identity != play(record([0, 0, 1])).identity


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"in": [], "out": {"a": 1}}',
        '{"in": [0, 0, 0], "out": {}}',
        '{"in": [0, 0, 0]}',
        '{"in": [0, 0, "0"], "out": {"a": 1}}',
        '{"in": [0, 0, true], "out": {"a": 1}}',
        '{"in": [0, 0, NaN], "out": {"a": 1}}',
        '{"in": [0, 0, 0], "out": {"a": null}}',
        '{"in": [0, 0, 0], "out": {"a": 1e999}}',
        '{"in": [0, 0, 0], "out": {"a": ' + "1" * 500 + "}}",
        "[" * 60000,
    ],
    ids=lambda line: line[:40],
)
def test_a_line_that_is_no_record_is_named(play, line):
    with pytest.raises(InvalidInput, match=r'^records.jsonl, line 3: expected \{"in"'):
        play(record([0, 0, 0]), "", line, record([1, 1, 1]))


def test_settings_of_another_number_are_named(play):
    with pytest.raises(InvalidInput, match="line 2: expected 3 settings as in the first record, got 2"):
        play(record([0, 0, 0]), record([0, 0]))


def test_settings_in_another_unit_are_named(play):
    with pytest.raises(InvalidInput, match=r"line 2: .* from 0 to 1, got"):
        play(record([0, 0, 0]), record([0, 128, 255]))


def test_the_first_ten_faults_are_listed_and_the_others_counted(play):
    with pytest.raises(InvalidInput) as caught:
        play(*["?"] * 15)
    assert len(caught.value.faults) == 11
    assert caught.value.faults[-1] == "and 5 more"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe", None], ids=["empty", "blank", "not UTF-8", "missing"])
def test_a_file_that_cannot_be_read_says_why(tmp_path, content):
    path = tmp_path / "records.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"records\.jsonl"):
        Recorded(path)


@pytest.mark.skipif(not RECORDS.exists(), reason="the records are not part of the project")
@pytest.mark.parametrize("name", ["daylight_and_dark_2025", "single_readings", "green_channel_2024"])
def test_the_papers_files_can_be_played(name):
    path = RECORDS / f"{name}.jsonl"
    recorded = Recorded(path)
    assert recorded.space == SPACE
    for line in path.read_text().splitlines()[:50]:
        applied = dict(zip("RGB", json.loads(line)["in"], strict=True))
        assert recorded.measure(applied).readings
