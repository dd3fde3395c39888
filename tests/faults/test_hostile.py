"""Thousands of wrong files and names: each is refused in sentences, and nothing is written where it should not be."""

import tomllib
from pathlib import Path

import pytest
from hostile import DEEP, bent, everything_in, holds, leaves, numbers, refused, sizes, spoiled, toml, words
from hypothesis import strategies as st
from places import DEPLOYMENTS
from problems import twin_rows, written

from flows.cli.options import override_keys, parse_pairs
from flows.cli.run import read_campaign_file
from flows.engine.opening import open_session
from flows.laboratory.definition import Laboratory
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.emulator.fault_injection import Faults
from sdl.interchange import bundle_reader as unbundling
from sdl.interchange import export_import as exchange
from sdl.ledger.ledger import Ledger
from sdl.reports.campaign_page import write_campaign_page

PAPER = tomllib.loads((DEPLOYMENTS / "paper.toml").read_text())
WHOLE = PAPER | {
    "models": ["linear", {"plugin": "mixture"}],
    "stop": {"rounds": 5, "exams": 2},
    "fitting": {"limit_s": 10.0, "memory_mb": 500},
}
"""Every part of a campaign file that a person may write."""
LAB = tomllib.loads((DEPLOYMENTS / "lab.toml").read_text())
KEYS = [*Campaign.model_fields, *Laboratory.model_fields, "plugin", "n", "rounds", "seed", "path", "url", "clock"]


# ---------------------------------------------------------------------- what a person writes down


@pytest.mark.fault("N-01", "N-03")
@sizes(60, 187)
def test_a_bent_campaign_is_taken_or_refused_in_sentences(examples):
    holds(lambda tree: refused(prepare, tree), bent(WHOLE, KEYS), examples)


@pytest.mark.fault("N-01", "N-02")
@sizes(60, 187)
def test_so_is_any_campaign_file(examples, sandbox):
    path = sandbox / "campaign.toml"

    def claim(content):
        path.write_bytes(content)
        said = refused(Campaign.read, path)
        assert bool(said) >= bool(refused(read_campaign_file, path)), (
            "what the command cannot read is no campaign either"
        )

    texts = bent(WHOLE, KEYS).map(lambda tree: toml(tree).encode(errors="replace"))
    shipped = (DEPLOYMENTS / "paper.toml").read_bytes()
    holds(claim, texts | spoiled(texts) | spoiled(shipped) | st.binary(max_size=50), examples)


@pytest.mark.fault("N-01", "N-02")
@sizes(60, 150)
def test_so_is_any_laboratory_file(examples, sandbox):
    path = sandbox / "lab.toml"

    def claim(content):
        path.write_bytes(content)
        refused(Laboratory.read, path)

    texts = bent(LAB, KEYS).map(lambda tree: toml(tree).encode(errors="replace"))
    holds(claim, texts | spoiled(texts) | spoiled((DEPLOYMENTS / "lab.toml").read_bytes()), examples)


@pytest.mark.fault("N-09")
@sizes(40, 100)
def test_so_is_what_is_edited_in_a_form(examples):
    def claim(tree):
        refused(Laboratory.parse, tree)
        refused(SPACE.settings, tree)

    holds(
        claim,
        bent(LAB, KEYS) | st.dictionaries(st.sampled_from(SPACE.knob_names) | words, leaves, max_size=4),
        examples,
    )


@pytest.mark.parametrize("check", [prepare, Laboratory.parse, Campaign.parse])
@pytest.mark.parametrize("key", KEYS)
def test_nesting_without_end_is_refused_at_every_key(check, key):
    assert refused(check, {**PAPER, key: DEEP})


@sizes(40, 100)
def test_so_are_commandof_the_command_line(examples):
    def claim(given):
        changes, specs = given
        refused(lambda: refused(prepare, override_keys(WHOLE, parse_pairs(changes, "--set"))))
        refused(Faults.parse, specs)

    paths = st.sampled_from(["instrument.url", "targets.0.tolerance", "targets.9.x", "budget", "targets", "a.b.c", ""])
    changes = st.tuples(paths | words, words | numbers.map(str)).map("=".join)
    specs = st.tuples(st.sampled_from(["stall", "nan", "500"]) | words, words | numbers.map(str)).map("@".join)
    holds(claim, st.tuples(st.lists(changes | words, max_size=3), st.lists(specs | words, max_size=3)), examples)


# ---------------------------------------------------------------------- names


@pytest.mark.fault("N-03", "N-04")
@sizes(30, 100)
def test_no_name_leads_out_of_the_data_directory(examples, sandbox):
    home, campaign = sandbox / "home", WHOLE | {"instrument": "twin", "fitting": None}
    outside = {path: content for path, content in everything_in(sandbox).items() if home not in path.parents}

    def claim(name):
        def use():
            with open_session({**campaign, "name": name}, home, str(home / "ledger.sqlite")) as session:
                write_campaign_page(session.ledger, session.entry.name, home / "reports" / f"{session.entry.name}.html")

        refused(use)
        now = {path: content for path, content in everything_in(sandbox).items() if home not in path.parents}
        assert now == outside

    holds(claim, words, examples)


@pytest.mark.fault("N-03")
@sizes(30, 100)
def test_no_name_of_a_file_is_followed_out_of_it_either(examples, sandbox):
    source = written(sandbox / "rows.jsonl", *reversed(twin_rows(3)))

    def claim(given):
        name, suffix = given
        with Ledger(sandbox / "home" / "names.sqlite") as book:
            said = refused(exchange.import_campaign, book, source, name)
            if not said:
                entry = book.entries()[0]
                path = sandbox / "home" / f"{entry.name}{suffix}"
                refused(exchange.export_campaign, book, entry.name, path)
                assert path.parent.resolve() == (sandbox / "home").resolve()
                assert sorted(each.name for each in sandbox.iterdir()) == before
            refused(book.entry, name)
            refused(exchange.import_campaign, book, Path(name), "x")
            refused(unbundling.read_bundle, Path(name))

    before = sorted(each.name for each in sandbox.iterdir())
    holds(claim, st.tuples(words, st.sampled_from([".jsonl", ".csv", ".parquet", ".pkl", "", ".."])), examples)


# ---------------------------------------------------------------------- the command line

COMMANDS = [
    ["run", "{file}"],
    ["run", DEPLOYMENTS / "paper.toml", "--set", "{text}"],
    ["verify", "{file}", "R=0.1"],
    ["up", "{file}"],
    ["doctor", "{file}", "--json"],
    ["import", "{file}", "--name", "{text}"],
    ["export", "{text}", "{text}"],
    ["report", "{text}"],
    ["bundle", "{text}"],
    ["reproduce", "{file}"],
    ["solve", "{file}", "--target", "{text}"],
    ["compare", "{file}", "--target", "{text}"],
    ["pause", "{text}"],
    ["measure", "{text}", "--instrument", "{text}", "--option", "{text}"],
    ["plugins", "--check", "{text}"],
    ["benchmark", "{text}"],
    ["status", "--ledger", "{file}"],
]
"""Commands that a file, a name or a value can be given to."""
TEXTS = ["../../x", "R=" + "9" * 5000, "a=[" + "[" * 3000, "\x1b[31mx\u202e", "=cmd()", "x" * 5000]
FILES = ["nonsense.toml", "deep.toml", "digits.toml", "bytes.csv", "empty.jsonl", "text.parquet", "none.zip", "."]


@pytest.mark.fault("N-01", "N-05")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each[0])
def test_no_command_shows_a_traceback(command, sdl, tmp_path, monkeypatch, prefect):
    """The fixture looks for one; with a server that is up, the doctor need not start one each time."""
    monkeypatch.chdir(tmp_path)
    contents = [b"]", b"a = " + b"[" * 3000, b"a = " + b"9" * 5000, b"\xff\0", b"", b"R,G,B"]
    for name, content in zip(FILES, contents, strict=False):
        (tmp_path / name).write_bytes(content)
    changes = zip(FILES, [*TEXTS, "", "-"], strict=True)
    for file, text in changes:
        result = sdl(*(str(word).format(file=file, text=text) for word in command))
        assert result.code in (0, 2, 3, 7), "1 is a fault of ours"
        assert result.said
