"""A fault is followed by the line of the reference that speaks of its key, wherever this is installed."""

import re
import typing
from itertools import chain

import pytest
from places import ROOT
from pydantic import BaseModel

from flows.cli import documentation
from flows.cli.documentation import SECTIONS, pages_about
from flows.laboratory.definition import Laboratory
from sdl.campaign.definition import Campaign

REFERENCE = (ROOT / "deployments" / "reference.md").read_text(encoding="utf-8")


def keys(model, above=""):
    """Every key that a person may write into a campaign or laboratory file, with dots."""
    for name, field in model.model_fields.items():
        if f"{above}{name}" not in ("extra", "history.lessons"):  # the program writes these
            yield f"{above}{name}"
            yield from chain.from_iterable(keys(part, f"{above}{name}.") for part in models_in(field.annotation))


def models_in(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return list(chain.from_iterable(map(models_in, typing.get_args(annotation))))


def line(page):
    """The text where a link leads."""
    place, _, number = re.fullmatch(r"(\S+\.md)(:)(\d+) \(.+\)", page).groups()
    return (ROOT / place).read_text(encoding="utf-8").splitlines()[int(number) - 1]


def test_every_section_is_there():
    headings = {found[1] for found in re.finditer(r"^#+ (.+)$", REFERENCE, re.M)}
    assert set(SECTIONS.values()) <= headings


@pytest.mark.parametrize("key", [*keys(Laboratory), "schedule.file"])
def test_a_fault_of_every_key_of_a_laboratory_leads_to_its_row(key, monkeypatch):
    monkeypatch.chdir(ROOT)
    (page,) = pages_about([f"{key.replace('schedule.', 'schedule.0.')}: needs something else"])
    if not key.startswith("instruments."):  # its options are those of the plug-in
        assert line(page).startswith(f"| `{key}` |")
        assert page.endswith("(The laboratory file)")


@pytest.mark.parametrize("key", [key for key in keys(Campaign) if not key.endswith(".plugin")])
def test_a_fault_of_every_key_leads_to_a_line_that_names_it(key, monkeypatch):
    monkeypatch.chdir(ROOT)
    (page,) = pages_about([f"{key.replace('targets.', 'targets.0.')}: needs something else"])
    named = rf"`[^`]*\b{key.rpartition('.')[2]}\b"
    assert re.search(named, line(page)) or line(page).startswith("#"), page
    assert re.search(named, section(page)), page


def section(page):
    """Everything below the heading above a link."""
    heading = re.search(r"\((.+)\)$", page)[1]
    return re.split(rf"^#+ {re.escape(heading)}$", REFERENCE, flags=re.M)[1].partition("\n#")[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "{file}", "--set", "targets.0.readings.445nm='bright'"), '| `"445nm" = 16384` |'),
        (("run", "{file}", "--set", "targets.0.tolerance=-1"), "`tolerance`"),
        (("run", "{file}", "--set", "constraints.always=['R = 7']"), "`always`"),
        (("run", "{file}", "--set", "max_step.red=1"), "`max_step`"),
        (("run", "{file}", "--set", "models=['mixtrue']"), "| `mixture` |"),
        (("run", "{file}", "--set", "instrument.plugin='twinn'"), "| `twin` |"),
        (("run", "{file}", "--set", "price.request=-1"), "| `request`, `plate` |"),
        (("run", "{file}", "--set", "verification.confidance=0.9"), "| `verification.confidence` |"),
        (("run", "{file}", "--set", "budgte=50"), "| `budget` |"),
        (("solve", "{rows}", "--target", "445nm=much"), "Rows from elsewhere"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_a_person_got_wrong_is_followed_by_where_to_read_about_it(sdl, home, tmp_path, words, said):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    places = {"file": ROOT / "deployments" / "quickest.toml", "rows": tmp_path / "rows.csv"}
    result = sdl(*(word.format(**places) for word in words))
    assert result.code == 2
    assert said in line(result.err.splitlines()[-1].removeprefix("more in "))


def test_what_is_wrong_with_a_laboratory_is_a_fault_each_with_its_page_also_as_json(sdl, home, tmp_path):
    file = tmp_path / "lab.toml"
    file.write_text(
        "[instruments]\n'Lamp 1' = 'twin'\nother = 'twinn'\n[[schedule]]\nrun = 'calibrate'\n"
        "instrument = 'oter'\nevery_min = 5\n"
    )
    result = sdl("up", file, "--json").json
    assert [fault.partition(" ")[0] for fault in result["faults"]] == [
        "instruments:",
        "schedule.0.instrument:",
        "instruments.other:",
    ]
    assert [line(page).split(" |")[0] for page in result["more"][:2]] == ["| `instruments`", "| `schedule.instrument`"]
    assert result["more"][2].endswith("(Instruments)")
    file.write_text("instruments = ")
    assert sdl("up", file, "--json").json["more"][0].endswith("(The laboratory file)")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("schedule.0.parameters.config.budgte: unknown key; did you mean 'budget'?", "| `budget` |"),
        ("schedule.3.file: night.toml is not TOML: Invalid value", "The campaign file"),
        ("instuments: unknown key; did you mean 'instruments'?", "| `instruments` |"),
        ("unknown channel '444nm'; did you mean '445nm'?", '`"445nm" = 16384`'),
        ("445nm needs a number, or words such as '16384 ± 150', got '5lux'", "What a target wants"),
        ("first.csv is not TOML: Expected '=' after a key", "The campaign file"),
        ("first.csv is no bundle: it does not end as one does", "Records that others read"),
    ],
)
def test_faults_without_a_key_lead_to_what_they_are_about(fault, said, monkeypatch):
    monkeypatch.chdir(ROOT)
    (page,) = pages_about([fault])
    assert said in f"{line(page)} {page}"


def test_a_fault_is_shown_also_where_the_reference_is_not(monkeypatch, tmp_path):
    monkeypatch.setattr(documentation, "files", lambda _: tmp_path)
    assert pages_about(["budget: needs a number"]) == []


def test_nothing_is_said_where_nothing_fits():
    assert pages_about(["cannot read first.toml: No such file or directory", ""]) == []
