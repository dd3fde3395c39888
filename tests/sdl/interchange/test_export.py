"""The file that a campaign is exported to: what stands in it, how far it is believed, and what it may replace."""

import json
import os
import stat

import numpy as np
import pytest

from sdl.errors import InvalidInput
from sdl.history import Purpose, ReplyClass
from sdl.instruments.claude_light.channels import SPACE
from sdl.interchange.export_import import export_campaign, import_campaign, read_data
from sdl.ledger.imported_rows import ImportedRows

SUFFIXES = [".jsonl", ".csv", ".parquet"]
ONE = {"in": [0.1, 0.2, 0.3], "out": {"445nm": 9974, "515nm": 14290}, "time": 1753991056.85}


def plain(tmp_path, *rows):
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


# ---------------------------------------------------------------------- what stands in it


def test_an_unknown_attempt_is_exported_with_what_was_asked_and_no_reading(ledger, tmp_path):
    row = {"round": 0, "index": 0, "replicate": 0, "purpose": Purpose.DESIGN, "settings": [0.1, 0.2, 0.3], "attempt": 1}
    row |= {"state": "UNKNOWN", "verdict": ReplyClass.UNKNOWN, "reason": "silence", "raw": "", "sent_at": 5.0}
    row |= dict.fromkeys(["applied", "out", "readings", "censored", "done_at", "seconds"])
    ImportedRows("twin", SPACE, [row], {}).enter(ledger, "lost")
    line = json.loads(export_campaign(ledger, "lost", tmp_path / "lost.jsonl").read_text())
    assert (line["in"], line["out"], line["time"], line["state"]) == ([0.1, 0.2, 0.3], None, 5.0, "UNKNOWN")
    with pytest.raises(InvalidInput, match="none of 1 readings counts; the first: silence"):
        read_data(tmp_path / "lost.jsonl")


@pytest.mark.fault("N-05")
def test_a_spreadsheet_finds_no_formula_in_a_csv(ledger, tmp_path):
    import_campaign(ledger, plain(tmp_path, ONE), "formulas")
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("update attempts set reason = '=cmd()', raw = ?", ("@SUM(1)",))
    path = export_campaign(ledger, "formulas", tmp_path / "formulas.csv")
    assert ",'=cmd()," in path.read_text()
    assert ",'@SUM(1)," in path.read_text()
    entry = import_campaign(ledger, path, "formulas again")
    assert ledger.trail(entry.id)[0]["reason"] == "=cmd()"


# ---------------------------------------------------------------------- how far it is believed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out": {"515nm": -5}}, "it cannot be OK and DONE: 515nm is below 0"),
        ({"out": {"515nm": "9"}}, "it cannot be OK and DONE: 515nm is not a finite number"),
        ({"state": "UNKNOWN"}, "it cannot be OK and UNKNOWN"),
        ({"in": [0.9, 0.2, 0.3]}, r"'in' is \[0.9, 0.2, 0.3\], but applied is"),
        ({"settings": {"R": 0.1}}, "needs settings of R, G, B"),
        ({"verdict": "GREAT"}, "verdict: input should be"),
        ({"round": -1}, "round: "),
        ({"attempt": 1}, "attempt 1 at round 0, index 1, replicate 0 is there twice"),
        ({"purpose": "design"}, "is another measurement further up"),
        ({"model": "pickle"}, "model: extra inputs are not permitted"),
    ],
)
def test_a_changed_export_is_not_believed(ledger, tmp_path, change, message):
    import_campaign(ledger, plain(tmp_path, ONE), "true")
    line = json.loads(export_campaign(ledger, "true", tmp_path / "true.jsonl").read_text())
    changed = line | {"attempt": 2} | change
    with pytest.raises(InvalidInput, match=f"line 2: .*{message}"):
        import_campaign(ledger, plain(tmp_path, line, changed), "false")


def test_a_saturated_reading_called_ok_is_censored_all_the_same(ledger, tmp_path):
    import_campaign(ledger, plain(tmp_path, ONE), "true")
    line = json.loads(export_campaign(ledger, "true", tmp_path / "true.jsonl").read_text())
    data = read_data(plain(tmp_path, line | {"out": {"515nm": 65535}}))
    assert data.censored[0, 3]
    assert np.isnan(data.readings[0, 3])


# ---------------------------------------------------------------------- where it is written


def test_an_export_is_private_and_replaces_nothing_unasked(ledger, tmp_path):
    import_campaign(ledger, plain(tmp_path, ONE), "mine")
    path = export_campaign(ledger, "mine", tmp_path / "mine.csv")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InvalidInput, match="exists"):
        export_campaign(ledger, "mine", path)
    assert export_campaign(ledger, "mine", path, force=True) == path


@pytest.mark.fault("O-14")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_export_that_fails_leaves_nothing_behind(ledger, tmp_path, monkeypatch, suffix):
    import_campaign(ledger, plain(tmp_path, ONE), "mine")
    folder = tmp_path / "out"
    folder.mkdir()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(InvalidInput, match="No space left"):
        export_campaign(ledger, "mine", folder / f"mine{suffix}")
    assert list(folder.iterdir()) == []


@pytest.mark.fault("N-04")
def test_an_export_replaces_a_link_and_does_not_follow_it(ledger, tmp_path):
    import_campaign(ledger, plain(tmp_path, ONE), "mine")
    (tmp_path / "precious").write_text("precious")
    link = tmp_path / "mine.csv"
    link.symlink_to(tmp_path / "precious")
    with pytest.raises(InvalidInput, match="exists"):
        export_campaign(ledger, "mine", link)
    export_campaign(ledger, "mine", link, force=True)
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize(
    ("path", "message"),
    [("no/folder/x.csv", "cannot write"), ("x.pkl", "no format"), ("x", "no format")],
)
def test_an_export_that_cannot_be_is_refused(ledger, tmp_path, path, message):
    import_campaign(ledger, plain(tmp_path, ONE), "mine")
    with pytest.raises(InvalidInput, match=message):
        export_campaign(ledger, "mine", tmp_path / path)
