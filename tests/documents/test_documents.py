"""What holds for all documents: links lead somewhere, TOML can be read, every command and exit code is described."""

import re
import tomllib

import pytest
from documents import assert_done, blocks, commands, run
from places import DEPLOYMENTS, ROOT

REFERENCE = DEPLOYMENTS / "reference.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DEPLOYMENTS.glob("*.md")])

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)


@each_document
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    ours = [link.partition("#")[0] for link in links if not link.startswith(("http", "#"))]
    assert [link for link in ours if not (document.parent / link).exists()] == []


def headings(document):
    text = document.read_text(encoding="utf-8")
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)}


@each_document
def test_links_to_a_heading_lead_to_one(document):
    links = re.findall(r"\]\(([^)\s#]*\.md|)#([^)\s]+)\)", document.read_text(encoding="utf-8"))
    ours = [(document.parent / page if page else document, place) for page, place in links if "://" not in page]
    assert [f"{page.name}#{place}" for page, place in ours if place not in headings(page)] == []


def test_files_that_the_architecture_names_as_an_answer_are_there():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:sdl|strategies|flows|tests)/[\w/.]+)`", text[text.index("## What the sources ask") :])
    assert len(named) > 40
    assert [name for name in named if not (ROOT / name).exists()] == []


@each_document
def test_toml_is_toml(document):
    for block in blocks(document, "toml"):
        assert tomllib.loads(block.text)


@pytest.fixture(scope="module")
def every_command():
    """By name, as the files of the command line have them."""
    from flows.cli.app import load_commands

    folder, found = ROOT / "flows" / "cli", {}
    for path in sorted(folder.rglob("*.py")):
        if "def add_to(" in path.read_text(encoding="utf-8"):
            found |= load_commands(".".join(path.relative_to(folder).with_suffix("").parts))
    return found


def test_every_command_is_described(every_command):
    text, named = REFERENCE.read_text(encoding="utf-8"), list[str]()
    for name, command in every_command.items():
        named += [name, *(f"{name} {each}" for each in getattr(command, "commands", ()))]
    assert [name for name in sorted(named) if not re.search(rf"`(?:sdl )?{name}\b", text)] == []


def test_the_list_of_commands_says_of_each_what_it_says_itself(every_command):
    from flows.cli.app import COMMANDS

    said = {name: " ".join(command.help.split("\n\n")[0].split()) for name, command in every_command.items()}
    assert said == {name: words for name, (_, words) in COMMANDS.items()}


def test_exit_codes_are_those_of_the_program():
    from flows.cli.app import EXIT

    text = REFERENCE.read_text(encoding="utf-8")
    paragraph = text[text.index("Exit codes:") :].split("\n\n")[0]
    assert [code for code in set(EXIT.values()) if not re.search(rf"\b{code}\b", paragraph)] == []


def test_every_plug_in_is_described():
    from sdl import plugins

    text = REFERENCE.read_text(encoding="utf-8")
    named = [
        name for group in ("sdl.instruments", "sdl.inverse_models", "sdl.acquisitions") for name in plugins.names(group)
    ]
    assert [name for name in named if f"`{name}`" not in text] == []


@pytest.mark.slow
def test_the_commands_of_the_reference_run(tmp_path, prefect):
    (tmp_path / "deployments").symlink_to(DEPLOYMENTS)
    for command in commands(REFERENCE):
        assert_done(run(command, tmp_path))


@pytest.mark.parametrize("document", [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_files_and_rooms_that_are_named_exist(document):
    named = re.findall(r"`([a-z_/]+/(?:[a-z_]+\.py)?)`", document.read_text(encoding="utf-8"))
    places = [ROOT, ROOT / "sdl", ROOT / "strategies", ROOT / "flows"]
    assert named
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
