"""What a campaign file says, the safe name that is made of its own, and files that cannot be read."""

import json
import os

import pytest
from hostile import GOOD, fault
from hypothesis import example, given
from hypothesis import strategies as st

from sdl.campaign.definition import RESERVED, Campaign, Target, slugify
from sdl.campaign.toml import LARGEST, read_toml
from sdl.campaign.validation import prepare, resolve_target
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.channels import SPACE

FILE = """
name       = "White light"
budget     = 40
instrument = { plugin = "twin", seed = 3 }
models     = ["mixture", { plugin = "linear" }]

[design]
plugin = "latin-hypercube"
n      = 6

[[targets]]
name      = "white"
readings  = { 445nm = 16384, 515nm = 16384.0 }
tolerance = { 445nm = "0.5 %", 515nm = 150 }
"""


# ---------------------------------------------------------------------- what is right


def test_a_file_says_it_all(tmp_path):
    path = tmp_path / "white.toml"
    path.write_text(FILE)
    campaign = Campaign.read(path)
    assert (campaign.slug, campaign.budget, campaign.channels) == ("white-light", 40, ["445nm", "515nm"])
    assert campaign.instrument.options == {"seed": 3}
    assert [model.plugin for model in campaign.models] == ["mixture", "linear"]
    white = resolve_target(SPACE, campaign.targets[0])
    assert SPACE.named_readings(white.window.wanted) == {"445nm": 16384, "515nm": 16384}
    assert SPACE.named_readings(white.window.above) == {"445nm": 81.92, "515nm": 150}


def test_three_keys_are_enough():
    campaign, instrument = prepare(GOOD)
    assert instrument.identity == "twin-0"
    assert campaign.targets[0].interval("515nm").above == 163.84


@pytest.mark.parametrize(
    "part",
    [
        {"models": ["linear"], "acquisition": {"plugin": "uncertainty", "pool": 64}},
        {"verification": {"replicates": 6}},
        {"verification": {"replicates": 6, "noise": "estimated"}, "background": {"every": 0}},
        {"verification": {"most": 8}, "stop": {"rounds": 3}, "fitting": {}, "suspend": {}, "history": {}},
    ],
    ids=json.dumps,
)
def test_what_was_parsed_can_be_written_and_parsed_again(part):
    campaign = Campaign.parse(GOOD | part)
    assert Campaign.parse(campaign.model_dump(mode="json")) == campaign
    assert Campaign.parse(campaign.model_dump(mode="json", exclude_unset=True)) == campaign


@pytest.mark.parametrize("written", ["1 %", "1%", " 1.0 % ", "1e0%", ".5 %"])
def test_a_percentage_as_people_write_it(written):
    assert Target(readings={"y": -200.0}, tolerance=written).interval("y").above == (1.0 if "." in written[:1] else 2.0)


# ---------------------------------------------------------------------- names


HOSTILE = [
    "../../x",
    "/etc/passwd",
    "C:\\x",
    "-rf",
    "a/../b",
    "Сampaign",
    "ＣＯＮ1",
    "<b>x</b>",
    "=cmd()",
    "x" * 100,
    "𝔵",
]


@pytest.mark.fault("N-03")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_becomes_a_safe_one(name, tmp_path):
    safe = Campaign.parse(GOOD | {"name": name}).slug
    assert safe.isascii()
    assert 0 < len(safe) <= 64
    assert safe.replace("-", "").isalnum()
    assert not safe.startswith("-")
    assert (tmp_path / f"{safe}.html").resolve().parent == tmp_path.resolve()


@pytest.mark.fault("N-03")
@pytest.mark.parametrize(
    "name", ["CON", "con", " nul ", "COM1", "ＣＯＮ", "", "../..", "Ж", "a\0b", "x\ny", "\u202eevil", "x" * 300]
)
def test_a_name_that_cannot_be_made_safe_is_refused(name):
    assert fault(name=name).startswith("name: ")


@pytest.mark.fault("N-03")
@given(st.text(max_size=200))
@example("ＮＵＬ")
@example("\u2160\u2161")
def test_a_slug_is_safe_or_refused(name):
    try:
        safe = slugify(name)
    except InvalidInput:
        return
    assert set(safe) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 0 < len(safe) <= 64
    assert safe not in RESERVED
    assert slugify(safe) == safe
    assert os.path.basename(safe) == safe


# ---------------------------------------------------------------------- files


@pytest.mark.fault("N-01", "N-02")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = ", "is not TOML"),
        (b"\xff\xfe", "is no text in UTF-8"),
        (b"a = 1\na = 2", "is not TOML"),
        (b"a = " + b"[" * 5000, "is not TOML"),
        (b"a = " + b"9" * 5000, "is not TOML"),
        (
            b"budget = 0x" + b"f" * 5000,
            "budget: Input should be less than or equal to 1000000, got a number of thousands",
        ),
        (b"#" * (LARGEST + 1), "is larger than such a file can be"),
        (b"", "name: is missing\ninstrument: is missing\ntargets: is missing"),
    ],
    ids=["cut", "binary", "twice", "deep", "long number", "huge number", "huge file", "empty"],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, content, message):
    path = tmp_path / "campaign.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        Campaign.read(path)
    assert message in str(caught.value)


@pytest.mark.parametrize("path", ["missing.toml", "."])
def test_a_file_that_is_not_there_says_so(tmp_path, path):
    with pytest.raises(InvalidInput, match="cannot read"):
        Campaign.read(tmp_path / path)


@pytest.mark.fault("N-15")
def test_a_byte_order_mark_is_no_fault_of_a_file(tmp_path):
    path = tmp_path / "white.toml"
    path.write_text('name = "white"', encoding="utf-8-sig")
    assert read_toml(path) == {"name": "white"}
