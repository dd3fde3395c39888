"""A bundle: the same bytes for the same ledger, and nothing but a bundle is taken for one."""

import contextlib
import hashlib
import io
import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.engine.opening import open_session
from flows.studies.reproduce import reproduce_bundle, summarise_reproduction
from sdl.errors import InvalidInput
from sdl.history import NoticeKind
from sdl.interchange import bundle_reader as unbundling
from sdl.interchange import bundle_writer as bundle
from sdl.interchange.evidence import CAMPAIGN, LINES, evidence_files, parse_evidence
from sdl.interchange.export_import import read_data
from sdl.ledger.history_cache import without_parity
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from strategies.plan.steps import Stop

few = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A ledger with a campaign that came to its end, and its bundle."""
    directory = tmp_path_factory.mktemp("made")
    target = {"name": "=white <b>", "readings": {"445nm": 16384}}
    written = {"name": "Weiß", "instrument": {"plugin": "twin", "seed": 1}, "targets": [target]}
    with open_session(written, directory, str(directory / "ledger")) as session:
        while not isinstance(step := session.propose(), Stop):
            session.execute(step)
        session.execute(step)
        Controls(session.ledger, "Ada <b>").note(session.entry.id, NoticeKind.PAUSED, "=asked to pause")
    with Ledger(directory / "ledger") as ledger:
        return directory / "ledger", bundle.write_bundle(ledger, "wei", directory / "made.zip")


@pytest.fixture(scope="module")
def content(made):
    """The members of the bundle."""
    with zipfile.ZipFile(made[1]) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


def packed(folder, entries):
    """A zip file of names (or headers) and contents, in this order; a name may be there twice."""
    path = Path(folder) / "packed.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def signed(files):
    """These files and a manifest that fits them."""
    return [*files.items(), (bundle.MANIFEST, bundle.bundle_manifest("x", files))]


def without_manifest(content):
    return {name: data for name, data in content.items() if name != bundle.MANIFEST}


# ---------------------------------------------------------------------- what is in it


def test_the_same_ledger_gives_the_same_bytes(made, tmp_path):
    with Ledger(made[0]) as ledger:
        again = bundle.write_bundle(ledger, "wei", tmp_path / "again.zip")
    assert again.read_bytes() == made[1].read_bytes()
    with zipfile.ZipFile(again) as archive:
        names = archive.namelist()
        assert {info.date_time for info in archive.infolist()} == {bundle.EPOCH}
    assert names == [*sorted(bundle.MAY_BE), bundle.MANIFEST]
    assert stat.S_IMODE(again.stat().st_mode) == 0o600


def test_the_manifest_has_the_hash_and_size_of_each(content):
    manifest = json.loads(content[bundle.MANIFEST])
    assert manifest["bundle"] == bundle.SCHEMA
    assert manifest["files"].keys() == bundle.MAY_BE
    for name, listed in manifest["files"].items():
        assert listed == {"sha256": hashlib.sha256(content[name]).hexdigest(), "bytes": len(content[name])}


def test_every_raw_reply_is_in_it_and_its_tables_can_be_read(made, content, tmp_path):
    with Ledger(made[0]) as ledger:
        trail = ledger.trail(ledger.entry("wei").id)
    replies = [json.loads(line) for line in content["replies.jsonl"].splitlines()]
    assert [reply["raw"] for reply in replies] == [row["raw"] for row in trail]
    assert all(reply["raw"] for reply in replies)
    for name in bundle.TABLES:
        (tmp_path / name).write_bytes(content[name])
        assert len(read_data(tmp_path / name).settings) == len(trail)


def test_its_readme_names_every_file_and_says_that_all_rows_are_in_it(content):
    words = content["README.txt"].decode()
    named = {name for name in content if not name.startswith("observations")} - {"README.txt"}
    assert [name for name in named if name not in words] == []
    assert "What it shows of the data: all." in words
    assert "'sdl share'" in words


def test_what_was_written_is_read_back(made):
    with Ledger(made[0]) as ledger:
        files = evidence_files(ledger, "wei")
        entry = ledger.entry("wei")
        history = ledger.history(entry.id)
    evidence = parse_evidence(unbundling.read_bundle(made[1]))
    assert {name: data for name, data in unbundling.read_bundle(made[1]).items() if name in files} == files
    assert evidence.space == entry.space
    assert [each.value.key for each in evidence.planned] == [each.key for each in history.planned]
    *earlier, last = [each.value for each in evidence.rounds]
    figures = [round_.facts.parity for round_ in (earlier[-1], last)]
    assert None not in figures, "the bundle has the figure of every round"
    bare = [without_parity(each) for each in earlier]
    assert [*bare, last] == list(history.rounds), "what decisions look at has it of the last round alone"


def test_a_name_of_half_a_character_leaves_the_tables_out(made, tmp_path, monkeypatch):
    with Ledger(made[0]) as ledger:
        trail = ledger.trail(ledger.entry("wei").id)
        trail[0]["out"]["\ud800"] = 1
        monkeypatch.setattr(ledger, "trail", lambda *_: trail)
        path = bundle.write_bundle(ledger, "wei", tmp_path / "half.zip")
    with zipfile.ZipFile(path) as archive:
        assert "observations.jsonl" in archive.namelist()
        assert "observations.csv" not in archive.namelist()
    assert "\\ud800" in unbundling.read_bundle(path)["replies.jsonl"].decode()


# ---------------------------------------------------------------------- what is none


@pytest.mark.parametrize("name", sorted(bundle.MAY_BE))
def test_one_changed_byte_is_named_by_its_file(content, folder, name):
    changed = bytearray(content[name])
    changed[len(changed) // 2] ^= 1
    path = packed(folder, [(each, bytes(changed) if each == name else data) for each, data in content.items()])
    with pytest.raises(InvalidInput) as error:
        unbundling.read_bundle(path)
    assert len(error.value.faults) == 1
    assert f"{name} is not what the manifest says" in str(error.value)


@pytest.mark.parametrize("name", sorted(bundle.REQUIRED))
def test_a_missing_file_is_named(content, folder, name):
    with pytest.raises(InvalidInput, match=rf"^[^\n]*: {name} is missing$"):
        unbundling.read_bundle(packed(folder, [(each, data) for each, data in content.items() if each != name]))
    files = {each: data for each, data in without_manifest(content).items() if each != name}
    with pytest.raises(InvalidInput, match=f"{name} is missing"):
        unbundling.read_bundle(packed(folder, signed(files)))


def test_every_fault_is_told_at_once(content, folder):
    entries = {**content, "exams.jsonl": b"{}\n"}
    del entries["rounds.jsonl"], entries["report.html"]
    with pytest.raises(InvalidInput) as error:
        unbundling.read_bundle(packed(folder, entries.items()))
    result = [fault.split(": ", 1)[1].split(":")[0] for fault in error.value.faults]
    assert result == ["report.html is missing", "rounds.jsonl is missing", "exams.jsonl is not what the manifest says"]


def test_a_table_that_the_manifest_does_not_list_is_extra(content, folder):
    files = {name: data for name, data in without_manifest(content).items() if name != "observations.csv"}
    with pytest.raises(InvalidInput, match=r"observations.csv is extra: the manifest does not list it"):
        unbundling.read_bundle(packed(folder, [*signed(files), ("observations.csv", b"")]))


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../../evil", "C:\\evil", "evil\n", "..", "x" * 300, "Manifest.json", "con"]
)
def test_a_name_that_no_bundle_has_is_refused(content, folder, name):
    with pytest.raises(InvalidInput, match=r"is extra: no bundle of schema 1 has such a file"):
        unbundling.read_bundle(packed(folder, [*content.items(), (name, b"evil")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(content, folder):
    with pytest.raises(InvalidInput, match=r"'exams.jsonl' is there twice"):
        unbundling.read_bundle(packed(folder, [*content.items(), ("exams.jsonl", b"{}")]))


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR], ids=oct)
def test_links_folders_and_devices_are_refused(content, folder, mode):
    header = zipfile.ZipInfo("report.html")
    header.external_attr = (mode | 0o777) << 16
    entries = [(header if name == "report.html" else name, data) for name, data in content.items()]
    with pytest.raises(InvalidInput, match=r"'report.html' is no plain file"):
        unbundling.read_bundle(packed(folder, entries))


def test_a_bomb_is_refused_before_it_is_unpacked(content, folder):
    with pytest.raises(InvalidInput, match=r"it would unpack to 2\d{8} bytes, which is too much for a file of"):
        unbundling.read_bundle(
            packed(folder, [*without_manifest(content).items(), (bundle.MANIFEST, b"0" * 200_000_000)])
        )


@pytest.mark.parametrize("times", [35, 90])
def test_what_unpacks_to_far_more_than_any_campaign_does_is_refused(content, folder, times):
    files = without_manifest(content) | {"report.html": b"0" * 60_000_000}
    files["observations.csv"] = np.random.default_rng(1).bytes(60_000_000 // times)
    with pytest.raises(InvalidInput, match=r"it would unpack to \d{8} bytes, which is too much for a file of"):
        unbundling.read_bundle(packed(folder, [*files.items(), (bundle.MANIFEST, bundle.bundle_manifest("a", files))]))


def test_a_line_that_is_longer_than_any_of_ours_is_not_read(content):
    files = without_manifest(content) | {"replies.jsonl": b"[" + b"0," * 3_000_000 + b"0]\n"}
    with pytest.raises(InvalidInput, match=r"replies\.jsonl, line 1: .*a line of 6000004 bytes; none of ours has more"):
        parse_evidence(files)


def test_a_member_that_hides_its_size_is_read_no_further(content, folder):
    path = packed(
        folder, [(name, b"0" * 1_000_000 if name == "report.html" else data) for name, data in content.items()]
    )
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2", 0, data.rindex(b"report.html"))
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=r"report.html is not what the manifest says"):
        unbundling.read_bundle(path)


def test_a_list_of_a_million_members_is_not_read(folder):
    path = packed(folder, [("a", b"")])
    data = bytearray(path.read_bytes())
    data[-12:-10] = b"\xff\xff"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="lists 65535 members"):
        unbundling.read_bundle(path)


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (b"", "is not what a bundle has"),
        (b"[]", "is not what a bundle has"),
        (b"[" * 50_000, "is not what a bundle has"),
        (b'{"bundle": 1}', "is not what a bundle has: field required"),
        (b'{"bundle": 2}', "this bundle has schema 2, this program reads schema 1"),
        (b'{"bundle": true, "campaign": 1, "written by": [], "files": {"..": 3}}', "is not what a bundle has"),
        (b'{"bundle": 1, "campaign": "x", "written by": "x", "files": {"a": {"sha256": "0", "bytes": -1}}}', "pattern"),
    ],
    ids=["empty", "a list", "too deep", "a part", "newer", "wrong types", "no hash"],
)
def test_a_manifest_that_is_none(content, folder, manifest, says):
    with pytest.raises(InvalidInput, match=says):
        unbundling.read_bundle(packed(folder, [*without_manifest(content).items(), (bundle.MANIFEST, manifest)]))


@pytest.mark.parametrize("what", ["a folder", "nothing", "text", "empty", "cut off", "with a tail"])
def test_a_file_that_is_no_bundle(made, tmp_path, what):
    path, data = tmp_path / "x.zip", made[1].read_bytes()
    if what == "a folder":
        path.mkdir()
    elif what != "nothing":
        path.write_bytes(
            {"text": b"hello", "empty": b"", "cut off": data[: len(data) // 2], "with a tail": data + b"0"}[what]
        )
    with pytest.raises(InvalidInput, match=r"is no file: give a bundle|is no bundle: it does not end as one does"):
        unbundling.read_bundle(path)


WRONG = {
    "rounds.jsonl": {"number": "0", "kind": "party", "facts": [], "at": None},
    "planned.jsonl": {"settings": [0.1], "purpose": 3, "index": -1, "round": 99},
    "replies.jsonl": {"readings": [1.0], "seq": 0.5, "state": "LOST", "out": [], "raw": None, "index": 10**9},
    CAMPAIGN: {"config": None, "space": {}, "versions": [], "state": "ASLEEP", "changes": [{"sent": -1}]},
}


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in WRONG.items() for key in keys])
def test_wrong_types_and_loose_ends_are_named_by_line(content, folder, name, key):
    lines = [json.loads(line) for line in content[name].splitlines()] if name in LINES else [json.loads(content[name])]
    lines[-1][key] = WRONG[name][key]
    files = {**without_manifest(content), name: "\n".join(map(json.dumps, lines)).encode()}
    with pytest.raises(InvalidInput, match=name.replace(".", r"\.")):
        parse_evidence(unbundling.read_bundle(packed(folder, signed(files))))


@pytest.mark.parametrize("text", [b"\xff", b"[[[[[" * 9999, b"NaN", b'{"number": NaN}', b"{", b"null"])
def test_lines_that_are_no_json(content, folder, text):
    files = {**without_manifest(content), "rounds.jsonl": text}
    with pytest.raises(InvalidInput, match=r"rounds\.jsonl, line 1: "):
        parse_evidence(unbundling.read_bundle(packed(folder, signed(files))))


@few
@given(data=st.data())
def test_no_changed_byte_of_the_file_changes_what_is_read(made, folder, data):
    whole = made[1].read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    path = folder / "changed.zip"
    path.write_bytes(changed)
    try:
        found = unbundling.read_bundle(path)
    except InvalidInput:
        return
    assert found == unbundling.read_bundle(made[1])  # a byte of the zip file itself, such as a time


names = (
    st.sampled_from([*sorted(bundle.MAY_BE), bundle.MANIFEST, "../x", "/x", "", "x/", "\\\\host\\x", "\u202ex"])
    | st.text()
)
modes = st.sampled_from([0, stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR])


@pytest.mark.filterwarnings("ignore:Duplicate name")
@few
@given(entries=st.lists(st.tuples(names, modes, st.binary(max_size=200)), max_size=12), sign=st.booleans())
def test_whatever_is_in_a_zip_file_is_refused_in_a_sentence(entries, sign, folder):
    files = {name: content for name, _, content in entries}
    listed = [(bundle.MANIFEST, 0, bundle.bundle_manifest("x", files))] if sign else []
    path = folder / "strange.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode, content in [*entries, *listed]:
            header = zipfile.ZipInfo()
            header.filename, header.external_attr = name.replace("\ud800", "?"), mode << 16
            try:
                archive.writestr(header, content)
            except (UnicodeError, ValueError):
                continue
    before = sorted(each.name for each in folder.iterdir())
    with pytest.raises(InvalidInput):
        parse_evidence(unbundling.read_bundle(path))
    assert sorted(each.name for each in folder.iterdir()) == before


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@few
@given(name=st.sampled_from([CAMPAIGN, *LINES]), line=st.integers(0, 99), value=values, data=st.data())
def test_any_value_in_any_place_is_refused_or_read(content, name, line, value, data):
    lines = [json.loads(each) for each in content[name].splitlines()] if name in LINES else [json.loads(content[name])]
    if not lines:
        return
    lines[line % len(lines)][data.draw(st.sampled_from(sorted(lines[0])))] = value
    buffer = io.BytesIO()
    buffer.writelines(json.dumps(each).encode() + b"\n" for each in lines)
    files = {**content, name: buffer.getvalue()}
    with contextlib.suppress(InvalidInput):
        parse_evidence(files)


odd = st.sampled_from([0, 1, 7, -1, 0.0, 1e300, "", "white", "linear", "UNKNOWN", "VERIFIED", None, [], {}, [0.5] * 3])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([CAMPAIGN, *LINES]), data=st.data())
def test_a_record_that_was_tampered_with_is_refused_or_differs(content, folder, name, data):
    """Whatever stands in it, there is a sentence about it and no traceback."""
    lines = [json.loads(each) for each in content[name].splitlines()] if name in LINES else [json.loads(content[name])]
    place = lines[data.draw(st.integers(0, len(lines) - 1))]
    while isinstance(place, dict | list) and place:
        where = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[where], dict | list) or not place[where] or data.draw(st.booleans()):
            place[where] = data.draw(odd)
            break
        place = place[where]
    files = {**without_manifest(content), name: "\n".join(map(json.dumps, lines)).encode()}
    try:
        result = summarise_reproduction(reproduce_bundle(packed(folder, signed(files))))
    except InvalidInput as error:
        result = error.faults
    assert all(result)
