"""A bundle recomputed: it agrees with the campaign that wrote it, however that went, and with no other one."""

import json
import shutil
import signal
import time
import tomllib
import zipfile

import pytest
from places import ROOT
from traps import DESIGN, EXAM

from flows.engine.opening import open_session
from flows.studies.reproduce import reproduce_bundle, summarise_reproduction
from sdl.errors import CampaignPaused, InstrumentUnavailable
from sdl.history import Control, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.fault_injection import Faults
from sdl.instruments.emulator.server import InstrumentServer
from sdl.interchange import bundle_reader as unbundling
from sdl.interchange import bundle_writer as bundle
from sdl.interchange.evidence import CAMPAIGN
from sdl.interchange.export_import import import_campaign
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from strategies.plan.steps import Examine, Measure, Stop

DAYLIGHT = {"daylight": 1500.0, "memory_h": 1.0}
HASTY = {"read_s": 2.0, "deadline_s": 3.0, "quiet_s": 0.05, "first_wait_s": 0.01, "allow_private": True}


def twin(**options):
    return {"plugin": "twin", **DAYLIGHT, **options}


@pytest.fixture
def book(tmp_path):
    """Where a ledger lies, and how a bundle is made of a campaign in it."""

    class Book:
        where = str(tmp_path / "ledger.sqlite")

        def open(self, written):
            return open_session(written, tmp_path, self.where)

        def bundle(self, name="paper"):
            with Ledger(self.where) as ledger:
                return bundle.write_bundle(ledger, name, tmp_path / f"{name}.zip", force=True)

    return Book()


@pytest.fixture
def bundled(book, drive):
    """The bundle of a campaign that was run to its end."""

    def of(written):
        with book.open(written) as session:
            drive(session)
        return book.bundle()

    return of


def assert_agrees(result, rounds=None):
    assert result["agrees"], "\n".join(summarise_reproduction(result))
    assert result["largest deviation"] < 1e-9
    assert not result["versions"]
    if rounds:
        assert len(result["rounds"]) == rounds


def changed(path, name, change):
    """A bundle in which something was changed, with a manifest that says nothing of it."""
    with zipfile.ZipFile(path) as archive:
        files = {each: archive.read(each) for each in archive.namelist() if each != bundle.MANIFEST}
    lines = [json.loads(line) for line in files[name].splitlines()] if name != CAMPAIGN else json.loads(files[name])
    change(lines)
    outcome = [json.dumps(line) for line in lines] if name != CAMPAIGN else [json.dumps(lines)]
    files[name] = ("\n".join(outcome) + "\n").encode()
    forged = path.with_name("forged.zip")
    with zipfile.ZipFile(forged, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in [*files.items(), (bundle.MANIFEST, bundle.bundle_manifest("paper", files))]:
            archive.writestr(each, content)
    return forged


# ---------------------------------------------------------------------- it agrees, however the campaign went


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seed": 5, "models": ["mixture", "linear", "pls"]},
        {"budget": 14},
        {"background": {"every": 0}},
        {"models": ["pls"], "acquisition": "space-filling", "design": {"n": 1}},
        {"targets": [{"name": "too bright", "readings": {"445nm": 60000.0}},
                     {"name": "red", "readings": {"630nm": 9000.0}}]},
        {"targets": [{"name": "hopeless", "readings": {"630nm": 9000.0}, "tolerance": 1.0}]},
        {"background": {"every": 5, "max_age_s": 1e-9}},
        {"price": {"unit": "EUR", "budget": 12}},
    ],
    ids=["as shipped", "models that compete", "a budget that runs out", "no references", "too few rows at first",
         "two targets", "given up", "every reading too old", "a price that ends it"],
)  # fmt: skip
def test_a_bundle_agrees_with_its_campaign(paper, bundled, changes):
    assert_agrees(reproduce_bundle(bundled(paper | {"seed": 3, "instrument": twin(seed=3)} | changes)))


def test_it_needs_nothing_but_the_file(paper, bundled, tmp_path, tmp_path_factory, monkeypatch, sdl):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(bundled(paper | {"instrument": twin()}), elsewhere / "evidence.zip")
    shutil.rmtree(tmp_path)
    monkeypatch.chdir(elsewhere)
    outcome = sdl("reproduce", "evidence.zip")
    assert outcome.code == 0
    assert "paper agrees with its record" in outcome.said
    assert [each.name for each in elsewhere.iterdir()] == ["evidence.zip"], "nothing is unpacked"


def advance(session, steps):
    """Execute some steps of the plan and leave the campaign there."""
    for _ in range(steps):
        if isinstance(step := session.propose(), Stop):
            return
        session.execute(step)


def test_a_campaign_that_was_paused_and_given_more_budget(paper, book, drive):
    written = paper | {"instrument": twin(seed=2)}
    for budget, steps in ((6, 1), (12, 3), (9, 2), (100, 1)):
        with book.open(written | {"budget": budget, "stop": {"rounds": budget}}) as session:
            advance(session, steps)
            Controls(session.ledger).ask(session.entry.name, Control.PAUSE)
            with pytest.raises(CampaignPaused):
                session.bench.measure(session.history.planned[-1:])
            Controls(session.ledger).ask(session.entry.name, Control.RUN)
        assert_agrees(reproduce_bundle(book.bundle()))
    with book.open(written) as session:
        drive(session)
    assert_agrees(reproduce_bundle(book.bundle()))
    with Ledger(book.where) as ledger:
        changes = [row["before"]["budget"] for row in ledger.account(ledger.entry("paper").id)["changes"]]
        assert ledger.history(ledger.entry("paper").id).findings[-1].verdict is Verdict.VERIFIED
    assert changes[:3] == [6, 12, 9]


@pytest.mark.parametrize("fault", ["stall@3", "500@4-6", "stuck@4", "stuck@7", "stuck@8", "stuck@14", "saturated@5"])
def test_an_instrument_with_faults(paper, book, drive, fault):
    with InstrumentServer(Twin(seed=1, **DAYLIGHT)) as server:
        server.faults = Faults.parse([fault])
        with book.open(paper | {"instrument": {"plugin": "claude-light", "url": server.url, **HASTY}}) as session:
            drive(session)
            trail_ = session.ledger.trail(session.entry.id)
    assert any(row["verdict"] != "OK" for row in trail_)
    assert_agrees(reproduce_bundle(book.bundle()))


@pytest.mark.parametrize("breaks", [[(1, 2)], [(1, 3), (2, 1)], [(4, 0)], [(5, 1)], [(6, 1), (0, 1)]], ids=str)
def test_after_a_break_a_reference_comes_first(paper, book, drive, monkeypatch, breaks):
    """What the plan saw of the clock is found in what it did, wherever the break was."""
    late = [0.0]
    monkeypatch.setattr("sdl.ledger.ledger.now", lambda: time.time() + late[0])
    for steps, requests in breaks:
        with book.open(paper | {"instrument": twin(seed=4)}) as session:
            advance(session, steps)
            if isinstance(step := session.propose(), Measure | Examine):
                session.ledger.plan(
                    session.lease, session.entry.id, step.round, step.requests, getattr(step, "exam", None)
                )
                session.bench.measure(step.requests[:requests])
        late[0] += 1000.0
    with book.open(paper | {"instrument": twin(seed=4)}) as session:
        drive(session)
    assert_agrees(reproduce_bundle(book.bundle()))


@pytest.mark.slow
def test_readings_by_hand_and_imports_are_judged_reply_by_reply(paper, book, sdl, prefect, home, tmp_path):
    assert sdl("measure", "--instrument", "twin", "R=0.5", "G=0.5", "B=0.5", "--n", 3).code == 0
    with Ledger(home / "ledger.sqlite") as ledger:
        path = bundle.write_bundle(ledger, ledger.entries()[0].name, tmp_path / "hand.zip")
        file = tmp_path / "rows.jsonl"
        file.write_text('{"in": [0.1, 0.2, 0.3], "out": {"445nm": 5}}\n' * 3)
        import_campaign(ledger, file, "taken in")
        imported = bundle.write_bundle(ledger, "taken-in", tmp_path / "imported.zip")
    for each in (path, imported):
        result = reproduce_bundle(each)
        assert_agrees(result, rounds=1)
        assert "without targets" in summarise_reproduction(result)[0]


@pytest.mark.slow
@pytest.mark.parametrize("at", [DESIGN, EXAM])
def test_after_kill_9_and_another_run(at, prefect, trap, run, ended, go_on, home, tmp_path):
    def kill(_):
        process.kill()
        raise InstrumentUnavailable("nobody listens any more")

    trap.at, trap.act = at, kill
    process = run()
    assert ended(process).code == -signal.SIGKILL
    with Ledger(home / "ledger.sqlite") as ledger:
        assert_agrees(reproduce_bundle(bundle.write_bundle(ledger, "paper", tmp_path / "half.zip")))
    go_on()
    with Ledger(home / "ledger.sqlite") as ledger:
        path = bundle.write_bundle(ledger, "paper", tmp_path / "whole.zip")
    assert b'"state": "UNKNOWN"' in unbundling.read_bundle(path)["replies.jsonl"]
    assert_agrees(reproduce_bundle(path))


# ---------------------------------------------------------------------- it differs where the record was changed


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    """The bundle of a campaign of a design, a learning round and an exam."""
    directory = tmp_path_factory.mktemp("genuine")
    written = tomllib.loads((ROOT / "deployments" / "paper.toml").read_text(encoding="utf-8"))
    written |= {"design": {"plugin": "maximin-latin-hypercube", "n": 5}, "stop": {"rounds": 2}}
    written["targets"][0]["tolerance"] = "0.6 %"  # so narrow that it learns before it examines
    written |= {"instrument": {"plugin": "twin", "seed": 1}}  # in the dark
    with open_session(written, directory, str(directory / "ledger")) as session:
        advance(session, 100)
        session.execute(session.propose())
    with Ledger(directory / "ledger") as ledger:
        return bundle.write_bundle(ledger, "paper", directory / "paper.zip")


def _put(line, key, value):
    def change(lines):
        lines[line][key] = value

    return change


def _settings(line):
    def change(lines):
        lines[line]["settings"][0] += 1e-4

    return change


CHANGES = {
    "a reading": ("replies.jsonl", lambda lines: lines[2]["readings"].__setitem__(3, 99.0), {0, 1, 2}),
    "a raw value": ("replies.jsonl", lambda lines: lines[2]["out"].__setitem__("515nm", 99), {0}),
    "the worth of a reply": ("replies.jsonl", _put(2, "verdict", "SUSPECT"), {0, 1, 2}),
    "a setting of the design": ("planned.jsonl", _settings(2), {0, 1, 2}),
    "a setting of the candidate": ("exams.jsonl", _settings(0), {2}),
    "the number of replicates": ("exams.jsonl", _put(0, "replicates", 3), {2}),
    "the model of the exam": ("exams.jsonl", _put(0, "model", "pls"), {2}),
    "the verdict": ("verdicts.jsonl", _put(0, "verdict", "REFUTED"), {2}),
    "the mean": ("verdicts.jsonl", lambda lines: lines[0]["facts"]["mean"].__setitem__(0, 1.0), {2}),
    "the model of a round": ("rounds.jsonl", lambda lines: lines[1]["facts"].__setitem__("model", "pls"), {1}),
    "the chance of passing": ("rounds.jsonl", lambda lines: lines[1]["facts"].__setitem__("chance of passing", 1), {1}),
    "the seed": (CAMPAIGN, lambda outcome: outcome["config"].__setitem__("seed", 99), {0, 1, 2}),
    "a tolerance": (CAMPAIGN, lambda outcome: outcome["config"]["targets"][0].__setitem__("tolerance", 9.0), {1, 2}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_found_and_its_round_named(genuine, what):
    name, change, rounds = CHANGES[what]
    result = reproduce_bundle(changed(genuine, name, change))
    differing = {each["round"] for each in result["rounds"] if not each["agrees"]}
    assert not result["agrees"]
    assert differing <= rounds
    assert min(differing) == min(rounds)
    assert any(sentence.startswith(f"round {min(rounds)}, ") for sentence in summarise_reproduction(result))


def test_the_command_says_where_and_by_how_much(genuine, sdl):
    outcome = sdl("reproduce", changed(genuine, "exams.jsonl", _settings(0)))
    assert outcome.code == 3
    assert "round 2, exam: candidate, R: differs by 0.0001" in outcome.said
    assert "paper differs from its record" in outcome.said


def test_other_versions_are_named_and_do_not_count(genuine, sdl):
    path = changed(genuine, CAMPAIGN, lambda outcome: outcome["versions"].__setitem__("numpy", "1.0"))
    outcome = sdl("reproduce", path)
    assert outcome.code == 0
    assert "numpy was 1.0 and is" in outcome.said


def test_a_campaign_at_work_has_no_bundle_yet(paper, book, sdl, home, tmp_path):
    with open_session(paper | {"instrument": twin()}, tmp_path, str(home / "ledger.sqlite")) as session:
        session.execute(session.propose())
        outcome = sdl("bundle", "paper")
    assert outcome.code == 2
    assert "a bundle is of a campaign at rest" in outcome.said
    assert sdl("bundle", "paper").code == 0
    assert sdl("reproduce", home / "bundles" / "paper.zip").code == 0
    assert sdl("bundle", "paper", tmp_path / "mine.zip").code == 0
    assert sdl("bundle", "paper", tmp_path / "mine.zip").code == 2


# ---------------------------------------------------------------------- on plates


PLATES = {
    "name": "paper",
    "budget": 120,
    "instrument": {"plugin": "plate-reader", "seed": 1, "missing": 0.05},
    "targets": [
        {"name": "orange", "readings": {"450nm": 0.9, "540nm": 0.6, "630nm": 0.3}, "tolerance": "8 %"},
        {"name": "green", "readings": {"450nm": 0.8, "540nm": 0.4, "630nm": 0.8}, "tolerance": "8 %"},
    ],
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seed": 4, "background": {"every": 0}, "targets": [PLATES["targets"][0] | {"tolerance": "3 %"}], "budget": 60},
        {"price": {"unit": "EUR", "request": 0.5, "plate": 12, "budget": 45}},
    ],
    ids=["as in the tutorial", "a narrow target", "a price that ends it"],
)
def test_a_bundle_of_plates_agrees_with_its_campaign(bundled, changes):
    result = reproduce_bundle(bundled(PLATES | changes))
    assert_agrees(result)
    assert {check["what"] for each in result["rounds"] for check in each["checks"]} >= {
        "screening", "proposal", "requests", "verdict", "end"
    }  # fmt: skip


@pytest.mark.slow
def test_a_plate_that_was_taken_in_parts(book, drive):
    written = PLATES | {"instrument": PLATES["instrument"] | {"missing": 0.2}}
    for steps, requests in ((0, 4), (0, 6), (4, 7), (1, 3)):
        with book.open(written) as session:
            advance(session, steps)
            if isinstance(step := session.propose(), Measure):
                session.ledger.plan(session.lease, session.entry.id, step.round, step.requests, None)
                session.bench.measure(step.requests[:requests])
    assert_agrees(reproduce_bundle(book.bundle()))
    with book.open(written) as session:
        drive(session)
    assert_agrees(reproduce_bundle(book.bundle()))


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    """The bundle of a campaign on plates."""
    directory = tmp_path_factory.mktemp("plates")
    with open_session(PLATES, directory, str(directory / "ledger")) as session:
        advance(session, 100)
        session.execute(session.propose())
    with Ledger(directory / "ledger") as ledger:
        return bundle.write_bundle(ledger, "paper", directory / "paper.zip")


def _to_a_plate_of_its_own(lines):
    line = next(each for each in lines if each["facts"].get("batch") not in (None, each["number"]))
    line["facts"]["batch"] = line["number"]


def _last_well_to_the_rim(lines):
    lines[-1]["sample"] = lines[-1]["sample"].partition("/")[0] + "/A1"


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("planned.jsonl", _settings(-1), "proposal"),
        ("exams.jsonl", _settings(-1), "proposal"),
        ("exams.jsonl", list.pop, "proposal"),
        ("rounds.jsonl", _to_a_plate_of_its_own, "proposal"),
        ("replies.jsonl", _last_well_to_the_rim, "verdict"),
        ("verdicts.jsonl", _put(-1, "verdict", "REFUTED"), "verdict"),
    ],
    ids=["a setting", "a candidate", "a candidate less", "a plate of its own", "a well", "a verdict"],
)
def test_a_change_of_a_plate_is_found(plates, name, change, what):
    result = reproduce_bundle(changed(plates, name, change))
    assert what in {check["what"] for each in result["rounds"] for check in each["checks"] if not check["agrees"]}
