"""What nobody should write and somebody will: files, names and values that are wrong, and what is said of them."""

import json
import math
import os
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput, SdlError

WHITE = {"445nm": 16384, "515nm": 16384, "630nm": 16384}
GOOD = {"name": "White light", "instrument": "twin", "targets": [{"readings": WHITE}]}
"""A campaign with which nothing is wrong until a test changes it."""
WORDS = [
    "", " ", "0", "1 %", "-1 %", "1e999 %", "nan", "true", "planned", "linear", "twin", "claude-light", "recorded",
    "sobol", "random", "CON", "..", "../../x", "/etc/passwd", "/dev/zero", "~root", "C:\\x", "-rf", "a/b",
    "x" * 5000, "{{7*7}}", "<script>alert(1)</script>", "=cmd()", "%s%n", "\0", "\n", "\x1b[31m", "\u202eevil",
    "\ufeff", "\ud800", "ﷺ", "𝔵", "İ", "http://169.254.169.254/api", "file:///etc/passwd", "http://[::1",
    "http://x:99999/", "http://user:secret@host/", "2026-11-23", "22:00-06:00", "Europe/Berlin", "* * * * *",
    "61 25 * * *",
]  # fmt: skip
"""Words that something somewhere may take for more than text."""
HOSTILE = [
    "<script>alert(1)</script>",
    "{{7*7}}{% raw %}",
    "\x1b[31mred",
    "\u202etxet",
    "$\\frac{1}{0}$",
    '"><img src=//evil.example onerror=x>',
    "_\U0001f701",
    "a\x00b\nc",
]
"""Names that a page or a picture may take for more than text."""
WHOLE = [0, 1, -1, 2**31, 2**63, 2**64, 10**30, 10**400]
NUMBERS = [*WHOLE, -0.0, 0.5, 1e-320, 1e308, -1e308, math.inf, -math.inf, math.nan]

words = st.sampled_from(WORDS) | st.text(max_size=12)
numbers = st.sampled_from(NUMBERS) | st.integers() | st.floats()
leaves = st.none() | st.booleans() | numbers | words
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
DEEP = [*"x" * 3]
for _ in range(2000):
    DEEP = [DEEP]
"""A list in a list, many times over."""


def sizes(few, many):
    """How many examples: few with every change, many in the long run, or as many as SDL_EXAMPLES says."""
    many = int(os.environ.get("SDL_EXAMPLES", many))
    return pytest.mark.parametrize("examples", [few, pytest.param(many, marks=pytest.mark.slow)])


def holds(claim, strategy, examples):
    """Hold a claim against so many examples."""

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def check(example):
        claim(example)

    check()


def refused(call, *arguments):
    """What a call says of its arguments: sentences, each of them a line; nothing where it took them."""
    try:
        call(*arguments)
    except SdlError as error:
        result = error.faults if isinstance(error, InvalidInput) else [str(error)]
        assert result
        assert all(each.strip() for each in result)
        assert all(len(each) < 5000 for each in result), "a fault is a sentence, whatever was written"
        return result
    return []


def faults(**changes):
    """Every fault of a good campaign after some changes."""
    with pytest.raises(InvalidInput) as caught:
        prepare({**GOOD, **changes})
    return caught.value.faults


def fault(**changes):
    (only,) = faults(**changes)
    return only


def unused_rows(notes):
    """How many rows of a file the notes of it say that do not count, or that nothing is fitted to."""
    said = (" rows of the file do", " rows of the file has readings and no", " rows of the file have readings and no")
    return sum(int(note.split()[0]) for note in notes if any(words in note for words in said))


def sane(space, readings):
    """What a fit may see: finite numbers of the sensor's range, below its ceiling; NaN stands for nothing."""
    given = np.asarray(readings, float)
    known = ~np.isnan(given)
    floor = np.array([-np.inf if each.floor is None else each.floor for each in space.channels])
    assert np.all(np.isfinite(given[known]))
    assert np.all((given >= floor)[known])
    assert np.all((given < space.ceiling)[known])


@st.composite
def bent(draw, whole, keys=()):
    """A valid tree with something wrong at one to three of its places."""
    tree = deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        _bend(draw, tree, keys)
    return tree


def _bend(draw, tree, keys):
    place = tree
    while True:
        where = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[where]
        if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
            break
        place = inner
    match draw(st.sampled_from(["replace", "replace", "replace", "remove", "add", "wrap"])):
        case "replace":
            place[where] = draw(trees)
        case "remove" if len(place) > 1:
            del place[where]
        case "add" if isinstance(place, dict):
            place[draw(st.sampled_from(list(keys)) | words if keys else words)] = draw(trees)
        case _:
            place[where] = [inner]


@st.composite
def spoiled(draw, whole):
    """Bytes with some of them cut out, put twice, or replaced by others."""
    data = whole if isinstance(whole, bytes) else draw(whole)
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted(draw(st.integers(0, len(data))) for _ in range(2))
        end = min(end, start + draw(st.sampled_from([0, 1, 8, 10**6])))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=8))
        data = data[:start] + draw(st.sampled_from([b"", piece, data[start:end] * 2])) + data[end:]
    return data


PIECES = [
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r", b"\n", b"\r\n", b'"', b"'", b",", b";", b"[", b"{",
    b"]", b"}", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[" * 3000, b'{"a":' * 3000, b"null", b"true",
    b"\\ud800", b"1.234,5", b"1,234", b"#", "\u2028".encode(), "٣".encode(), b"0x", b"1_0", b"=cmd()", b"in.R",
    b"out.515nm", b"time", b"nan",
]  # fmt: skip


def toml(tree):
    """A tree as a campaign file, as far as TOML can say it."""
    return "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in tree.items() if value is not None)


def _toml(value):
    match value:
        case dict():
            inner = (f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items() if each is not None)
            return "{" + ", ".join(inner) + "}"
        case list():
            return "[" + ", ".join(_toml(each) for each in value if each is not None) + "]"
        case float() if not math.isfinite(value):
            return str(value)
        case int() if not isinstance(value, bool) and abs(value) > 10**300:
            return hex(value)
    return json.dumps(value, ensure_ascii=False) if "\ud800" not in repr(value) else json.dumps(value)


def everything_in(folder):
    """Every file below a folder with its content, links not followed."""
    plain = (each for each in sorted(folder.rglob("*")) if each.is_file() and not each.is_symlink())
    return {path: path.read_bytes() for path in plain}
