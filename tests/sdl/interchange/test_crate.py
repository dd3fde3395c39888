"""A bundle as an RO-Crate: valid by a validator that is not ours, read by others, and still a bundle."""

import hashlib
import json
import zipfile
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
import requests
from chemist import WRITTEN, conversation
from requests_cache import CachedRequest, CachedResponse
from rocrate.rocrate import ROCrate
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings
from rocrate_validator.utils.http import HttpRequester

from flows.engine.opening import open_session
from flows.studies.reproduce import reproduce_bundle
from sdl.errors import InvalidInput
from sdl.history import Control
from sdl.interchange.bundle_reader import read_bundle
from sdl.interchange.bundle_writer import write_bundle
from sdl.interchange.crate import CONTEXT, METADATA, UNLICENSED, Rights, crate_metadata
from sdl.interchange.evidence import parse_evidence
from sdl.interchange.export_import import Provenance, import_campaign
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import NAMELESS, Controls
from sdl.ledger.people.samples import Samples
from strategies.plan.steps import Stop

PROFILE = "process-run-crate"
"""Its checks are those of RO-Crate 1.1, which it builds on, and its own."""
TERMS_OF_1_1 = {
    *("Action", "CreateAction", "CreativeWork", "Dataset", "File", "IndividualProduct", "Organization", "Person"),
    *("Product", "PropertyValue", "SoftwareApplication", "about", "actionStatus", "additionalProperty", "agent"),
    *("author", "conformsTo", "contentSize", "dateCreated", "dateModified", "datePublished", "description"),
    *(
        "encodingFormat",
        "endTime",
        "error",
        "hasPart",
        "instrument",
        "isBasedOn",
        "license",
        "maxValue",
        "mentions",
        "minValue",
    ),
    *("name", "object", "result", "softwareRequirements", "softwareVersion", "startTime", "text", "unitText", "value"),
    *("variableMeasured", "version", "areaServed", "genre", "sdPublisher"),
}
"""Of the words that version 1.1 of the context has, those that we use; its successor, which can be had as a package,
has more."""


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """The validator's cache with the only document that it asks the network for."""
    cache = tmp_path_factory.mktemp("validator") / "cache"
    HttpRequester.initialize_cache(cache_path=str(cache), cache_max_age=-1, offline=True)
    session = HttpRequester().session
    document = json.loads((files("rocrate") / "data" / "ro-crate.jsonld").read_text())
    document["@context"] = {term: document["@context"][term] for term in TERMS_OF_1_1}
    request = CachedRequest(method="GET", url=CONTEXT)
    headers = {"Content-Type": "application/ld+json"}
    key = session.cache.create_key(session.prepare_request(requests.Request("GET", CONTEXT)))
    session.cache.responses[key] = CachedResponse(
        status_code=200, url=CONTEXT, content=json.dumps(document).encode(), headers=headers, request=request
    )
    return cache


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory):
    """A ledger with a campaign of the twin, one by hand and one that was imported, and crates of all three."""
    home = tmp_path_factory.mktemp("crates")
    target = {"name": "=white <b>", "readings": {"445nm": 16384, "515nm": "1000 .. 20000"}}
    written = {"name": "Weiß", "instrument": {"plugin": "twin", "seed": 1}, "targets": [target]}
    with open_session(written, home, str(home / "ledger")) as session:
        while not isinstance(step := session.propose(), Stop):
            session.execute(step)
        session.execute(step)
        Controls(session.ledger, "Ada <b>", "the terminal of ada").ask("wei", Control.RUN, "=go")
        Controls(session.ledger, "Prefect's UI", NAMELESS).ask("wei", Control.RUN)
    hand = conversation(WRITTEN, home, "Ben")
    samples = hand.ask()
    hand.tell([{"sample": each.name, "readings": {"450nm": 1.0, "650nm": 2.0}} for each in samples[1:]])
    hand.tell([{"sample": samples[0].name, "failed": True, "note": "spilled"}])
    (again,) = hand.ask()
    hand.tell([{"sample": again.name, "readings": {"450nm": 1.0, "650nm": 2.0}}])
    hand.ask()
    (home / "rows.csv").write_text("in.T,out.y,time\n300,1,1753991056\n310,2,\n320,,1753991060\n")
    with Ledger(hand.where) as ledger, Ledger(home / "ledger") as book:
        import_campaign(book, home / "rows.csv", "rows")
        import_campaign(book, home / "rows.csv", "ada", provenance=Provenance("Ada's lamp", "CC-BY-4.0"))
        return {
            "wei": write_bundle(book, "wei", home / "wei.eln", crate=Rights("CC-BY-4.0", ["Ada Lovelace"])),
            "dyes": write_bundle(ledger, "dyes", home / "dyes.eln", crate=Rights("https://example.org/ours")),
            "rows": write_bundle(book, "rows", home / "rows.eln", crate=Rights()),
            "ada": write_bundle(book, "ada", home / "ada.eln", crate=Rights()),
            "ledger": home / "ledger",
            "samples": Samples(ledger, ledger.entry("dyes").id).read(),
        }


def unpacked(path, folder):
    """The root folder of a crate, unpacked."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    (root,) = Path(folder).iterdir()
    return root


def faults(root, profile, cache, severity=Severity.REQUIRED):
    settings = ValidationSettings(
        rocrate_uri=str(root),
        profile_identifier=profile,
        requirement_severity=severity,
        offline=True,
        cache_path=cache,
    )
    return [issue.message for issue in services.validate(settings).get_issues()]


def graph(root):
    return {entity["@id"]: entity for entity in json.loads((root / METADATA).read_text())["@graph"]}


# ---------------------------------------------------------------------- for others


@pytest.mark.parametrize(
    ("name", "profile"), [("wei", "ro-crate-1.1"), ("wei", PROFILE), ("dyes", PROFILE), ("ada", PROFILE)]
)
def test_the_validator_finds_no_fault(campaigns, offline, tmp_path, name, profile):
    assert faults(unpacked(campaigns[name], tmp_path / name), profile, offline) == []


def test_the_validator_would_find_one(campaigns, offline, tmp_path):
    root = unpacked(campaigns["rows"], tmp_path / "bent")
    entities = graph(root)
    del entities["./"]["license"]
    next(each for key, each in entities.items() if key.startswith("#request"))["instrument"] = {"@id": "#instrument"}
    entities["#sdl"]["wavelength"] = 445
    (root / "evidence" / "report.html").unlink()
    (root / METADATA).write_text(json.dumps({"@context": CONTEXT, "@graph": list(entities.values())}))
    said = " ".join(faults(root, PROFILE, offline))
    for part in ("license", "instrument property that references the executed tool", '"wavelength"', "report.html"):
        assert part in said


def test_what_is_recommended_is_there_but_for_addresses_of_programs(campaigns, offline, tmp_path):
    root = unpacked(campaigns["wei"], tmp_path / "wei")
    lacking = set(faults(root, PROFILE, offline, Severity.RECOMMENDED))
    assert not [fault for fault in lacking if "Action" in fault]


def test_another_library_reads_actions_with_who_when_what_and_result(campaigns, tmp_path):
    crate = ROCrate(unpacked(campaigns["wei"], tmp_path / "wei"))
    with Ledger(campaigns["ledger"]) as ledger:
        entry = ledger.entry("wei")
        trail, history = ledger.trail(entry.id), ledger.history(entry.id)
    assert crate.name == "Weiß"
    assert crate.license["name"] == "CC-BY-4.0"
    assert crate.root_dataset["author"]["name"] == "Ada Lovelace"
    mentioned = {entity.id: entity for entity in crate.root_dataset["mentions"]}
    sent = [mentioned[f"#request-{row['seq']}"] for row in trail]
    assert all(action["startTime"] <= action["endTime"] for action in sent)
    assert {action["instrument"]["about"]["name"] for action in sent} == {entry.instrument}
    assert {action["agent"].type for action in sent} == {"Organization"}
    assert {action["result"].id for action in sent} == {"evidence/replies.jsonl"}
    assert all(action["description"].startswith("R ") for action in sent)
    rounds = [mentioned[f"#round-{round_.number}"] for round_ in history.rounds]
    assert rounds[-1]["instrument"][1]["name"] == f"inverse model {history.rounds[-1].facts.model}"
    assert "calibration: candidates" in rounds[-1]["instrument"][1]["description"]
    verdict = mentioned["#verdict-0"]
    assert verdict["description"] == history.findings[0].sentence
    assert verdict["result"][1]["value"] == history.findings[0].verdict
    assert verdict["object"][2]["name"] == "target =white <b>"
    said = [entity for id, entity in mentioned.items() if id.startswith("#notice")]
    assert [(each["agent"]["name"], each["agent"].type) for each in said][:1] == [("Ada <b>", "Person")]
    assert said[1]["agent"].id == "#laboratory", "nobody is made a person by a button"
    assert [channel["unitText"] for channel in crate.root_dataset["variableMeasured"]] == ["counts"] * 10


def test_the_cards_of_the_models_are_in_the_bundle_and_shown_by_a_command(campaigns, sdl, tmp_path):
    root = unpacked(campaigns["wei"], tmp_path / "wei")
    cards = json.loads((root / "evidence" / "models.json").read_text())
    assert [card["model"] for card in cards] == ["linear"]
    assert sum(cards[0]["calibration"]["exams"].values()) > 0
    shown = sdl("models", "wei", "--ledger", campaigns["ledger"])
    for words in ("linear", "fitted", "R 0.1", "candidates", "seed 0, sdl"):
        assert words in shown.out
    assert sdl("models", "wei", "--ledger", campaigns["ledger"], "--json").json == cards
    assert sdl("models", "rows", "--ledger", campaigns["ledger"]).said == "no model was asked so far"


def test_samples_and_who_read_them_are_there(campaigns, tmp_path):
    entities = graph(unpacked(campaigns["dyes"], tmp_path / "dyes"))
    samples = {sample.name: sample for sample in campaigns["samples"]}
    assert {f"#sample-{name}" for name in samples} <= entities.keys()
    entered = [sample for sample in samples.values() if sample.entered is not None]
    assert [sample.failed for sample in entered].count(True) == 1
    assert len(entered) == 6
    for sample in entered:
        action = entities[f"#request-{sample.entered}"]
        assert action["object"][1] == {"@id": f"#sample-{sample.name}"}
        assert entities[action["agent"]["@id"]]["name"] == "Ben"
        assert ("error" in action) == sample.failed
    assert "spilled" in json.dumps(entities)


def test_a_notebook_finds_one_folder_named_as_the_file_with_the_metadata_and_a_data_set(campaigns, tmp_path):
    with Ledger(campaigns["ledger"]) as ledger:
        path = write_bundle(ledger, "wei", tmp_path / "for you.eln", crate=Rights())
    assert reproduce_bundle(path)["agrees"]
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert {name.split("/")[0] for name in names} == {"for you"}
        assert names[0] == f"for you/{METADATA}"
        assert names[1:] == [f"for you/evidence/{name.split('/')[-1]}" for name in names[1:]]


@pytest.mark.parametrize("name", ["wei", "dyes", "ada"])
def test_a_notebook_takes_it_by_the_rules_of_the_eln_consortium(campaigns, name):
    """What its checks ask for, and what eLabFTW asks for before it keeps a file: an experiment, lists, and hashes."""
    with zipfile.ZipFile(campaigns[name]) as archive:
        document = json.loads(archive.read(f"{name}/{METADATA}"))
        graph = {entity["@id"]: entity for entity in document["@graph"]}
        assert len(graph) == len(document["@graph"]), "every node once"
        assert graph[METADATA].keys() >= {"version", "sdPublisher"}
        assert graph[graph[METADATA]["sdPublisher"]["@id"]].keys() >= {"name", "areaServed"}
        (part,) = graph["./"]["hasPart"]
        data = graph[part["@id"]]
        assert (data["@type"], data["genre"], part["@id"][-1]) == ("Dataset", "experiment", "/")
        assert data["name"]
        assert data["text"].startswith("<p>Campaign on ")
        assert "description" not in data, "it would be shown a second time, and not escaped"
        for file in (graph[part["@id"]] for part in data["hasPart"]):
            content = archive.read(f"{name}/{file['@id']}")
            assert file["sha256"] == hashlib.sha256(content).hexdigest()
            assert (file["@type"], file["contentSize"]) == ("File", str(len(content)))
            assert file["encodingFormat"]
        assert {file["@id"] for file in document["@graph"] if file["@type"] == "File"} == {
            part["@id"] for part in data["hasPart"]
        }


def test_what_a_notebook_shows_as_a_page_runs_nothing(campaigns):
    evidence = parse_evidence(read_bundle(campaigns["wei"]))
    hostile = evidence.campaign.model_copy(update={"reason": "<script>evil()</script>"})
    document = json.loads(crate_metadata(replace(evidence, campaign=hostile), [], [], {}, Rights()))
    (page,) = [entity["text"] for entity in document["@graph"] if "text" in entity]
    assert "<script" not in page
    assert "&lt;script&gt;evil()" in page


@pytest.mark.parametrize(
    ("licence", "address"),
    [
        ("CC-BY-4.0", "https://spdx.org/licenses/CC-BY-4.0"),
        ("https://example.org/our terms", "https://example.org/our%20terms"),
        ("ask <us> first", "#licence"),
    ],
)
def test_a_licence_is_a_short_name_an_address_or_words(licence, address):
    assert (Rights(licence).entity["@id"], Rights(licence).entity["name"]) == (address, licence)


def test_the_command_writes_it_where_bundles_lie(campaigns, sdl, home, tmp_path):
    words = ("--ledger", campaigns["ledger"], "--author", "Ada", "--license", "CC-BY-4.0")
    written = sdl("bundle", "wei", "--crate", *words, "--json").json["bundle"]
    assert written == str(home / "bundles" / "wei.eln")
    refused = sdl("bundle", "wei", *words)
    assert (refused.code, "give --crate as well" in refused.said) == (2, True)
    sdl("bundle", "wei", tmp_path / "mine.eln", "--ledger", campaigns["ledger"])
    with zipfile.ZipFile(tmp_path / "mine.eln") as archive:
        assert f"mine/{METADATA}" in archive.namelist(), "what ends as a crate does is one"
    assert sdl("reproduce", written).code == 0


def test_a_licence_that_nobody_stated_is_not_made_up(campaigns, tmp_path):
    entities = graph(unpacked(campaigns["rows"], tmp_path / "rows"))
    assert entities[entities["./"]["license"]["@id"]]["description"] == UNLICENSED


def test_rows_of_others_keep_their_source_and_licence(campaigns, tmp_path):
    entities = graph(unpacked(campaigns["ada"], tmp_path / "ada"))
    assert entities[entities["./"]["license"]["@id"]]["name"] == "CC-BY-4.0"
    assert entities[entities["./"]["isBasedOn"]["@id"]]["name"] == "Ada's lamp"
    assert entities[graph(unpacked(campaigns["rows"], tmp_path / "rows"))["./"]["isBasedOn"]["@id"]]


# ---------------------------------------------------------------------- still a bundle


def test_reproduce_takes_it_and_agrees_as_with_the_bundle(campaigns, tmp_path):
    with Ledger(campaigns["ledger"]) as ledger:
        plain = write_bundle(ledger, "wei", tmp_path / "wei.zip")
        again = write_bundle(ledger, "wei", tmp_path / "wei.eln", crate=Rights("CC-BY-4.0", ["Ada Lovelace"]))
    assert read_bundle(campaigns["wei"]) == read_bundle(plain)
    assert again.read_bytes() == campaigns["wei"].read_bytes(), "the same ledger gives the same bytes"
    result = reproduce_bundle(campaigns["wei"])
    assert result["agrees"]
    assert result | {"bundle": ""} == reproduce_bundle(plain) | {"bundle": ""}


def repacked(path, target, change):
    """The same archive with some members changed: None leaves one out."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for info in archive.infolist():
            if (content := change(info.filename, archive.read(info))) is not None:
                copy.writestr(info.filename, content)
    return target


def test_a_changed_word_of_the_metadata_is_noticed(campaigns, tmp_path):
    path = repacked(
        campaigns["wei"],
        tmp_path / "bent.eln",
        lambda name, content: content.replace(b"CC-BY-4.0", b"CC-BY-1.0") if name.endswith(METADATA) else content,
    )
    with pytest.raises(InvalidInput, match=f"{METADATA} is not what the manifest says"):
        read_bundle(path)


def test_files_beside_the_folder_are_refused(campaigns, tmp_path):
    path = repacked(campaigns["wei"], tmp_path / "more.eln", lambda _, content: content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("wei/evil.py", "evil")
        archive.writestr("other/evidence/report.html", "evil")
    with pytest.raises(InvalidInput) as error:
        read_bundle(path)
    assert [fault.split(": ", 1)[1].split(" is")[0] for fault in error.value.faults] == [
        "'wei/evil.py'",
        "'other/evidence/report.html'",
    ]
