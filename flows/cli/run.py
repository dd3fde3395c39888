"""Commands about campaigns: run, report."""

import webbrowser
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from flows import environment
from flows.cli.options import AsJson, Home, LedgerOption, open_ledger, override_keys, parse_pairs, start_prefect
from flows.engine.handover import kept_instrument
from flows.terminal import err, plain_table, show, show_progress
from sdl.campaign.definition import Campaign
from sdl.campaign.toml import read_toml
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput, LeaseHeld
from sdl.history import Entry, Request, State, Verdict
from sdl.instruments.protocol import HasSafeState, Instrument, member_identities
from sdl.ledger.ledger import Ledger, refuse_other_instrument
from sdl.measurement.driver_call import kept_safe

COLOURS = {Verdict.VERIFIED: "bold green", Verdict.REFUTED: "bold red", Verdict.NOT_REACHABLE: "bold yellow"}
NOT_VERIFIED = 3

File = Annotated[
    Path, typer.Argument(help="The campaign file (TOML), or the name of one that is begun.", show_default=False)
]
Name = Annotated[str, typer.Argument(help="Name of the campaign.", show_default=False)]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE that replaces a value of the file, such as instrument.url=..."),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("run")(run_campaign_file)
    app.command("report")(write_report)


def run_campaign_file(
    file: File,
    changes: Changes = None,
    again: Annotated[bool, typer.Option("--again", help="Start a new campaign if this one is finished.")] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Wait for an approval, the end of a hold-off or a busy instrument; by default the command ends then.",
        ),
    ] = False,
    moved: Annotated[
        bool,
        typer.Option("--moved", help="Go on with this instrument although the campaign was begun with another one."),
    ] = False,
    no_server: Annotated[
        bool,
        typer.Option("--no-server", help="Without Prefect: it begins at once, and there is no page to watch it on."),
    ] = False,
    open_report: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> int:
    """Run a campaign, or continue it where it was left."""
    if wait and no_server:
        raise InvalidInput("--wait needs Prefect's server, where a person answers: leave --no-server out, or --wait")
    directory = environment.home(home)
    where = environment.ledger(ledger, directory)
    begun = _begun(str(file), where)
    if begun is not None and "settings" in begun.config:
        return _take_proposed(begun, directory, where, as_json)
    written = override_keys(begun.config if begun else read_campaign_file(file), parse_pairs(changes, "--set"))
    sources = list[Instrument]()
    config, instrument = prepare(written, sources=sources)
    with kept_instrument(config.instrument, instrument, zip(config.sources, sources, strict=True)):
        if not wait:
            _refuse_early(config, instrument, where)
        if not again and (done := _finished(where, config, instrument.identity)) is not None:
            _leave_safe(where, config, instrument)
            return conclude_campaign(done, where, directory, open_report, as_json)
        url = None if no_server else start_prefect(directory)
        if not as_json:
            place = f", watch it at {url.removesuffix('/api')}" if url else ""
            err.print(f"campaign [bold]{config.slug}[/]{place}")
        from sdl.measurement.bench import watching

        sent = count(1)
        with show_progress("requests, at most", quiet=as_json) as tell:
            watching.set(lambda request: tell(next(sent), config.budget, _doing(request)))
            if no_server:
                from flows.engine.direct_run import run_directly

                result = run_directly(config, directory, where, again=again, moved=moved)
            else:
                from flows.campaign.flow import run_campaign

                parameter = environment.parameter(where)
                result = run_campaign(config, directory, parameter, again=again, wait=wait, moved=moved)
    return conclude_campaign(result, where, directory, open_report, as_json, written=True)


def read_campaign_file(file: Path) -> dict[str, Any]:
    """Read a campaign file as it is written; only that it is TOML is checked here."""
    return read_toml(file)


def write_report(
    name: Name,
    output: Annotated[
        Path | None, typer.Option("--output", help="Where to write the page.", show_default=False)
    ] = None,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a campaign as one HTML page."""
    from sdl.reports.campaign_page import write_campaign_page

    with open_ledger(home, ledger) as book:
        entry = book.entry(name)
        page = (
            write_campaign_page(book, name, output)
            if output
            else _write_report(book, entry.name, environment.home(home))
        )
    show({"report": str(page)}, as_json, str(page))


def _begun(name: str, where: str) -> Entry | None:
    """The campaign that the ledger has under a name that no file has; None if it has none."""
    if Path(name).suffix or Path(name).exists() or not ("://" in where or Path(where).exists()):
        return None
    with Ledger(where) as book:
        return next((entry for entry in book.entries() if entry.name == name), None)


def _take_proposed(entry: Entry, directory: Path, where: str, as_json: bool) -> int:
    """Take the readings that an agent proposed, and print them."""
    from flows.engine.proposed import take_proposed

    knobs, channels = entry.space.knob_names, entry.space.channel_names
    taken = take_proposed(entry, directory, where)
    table = plain_table([*knobs, *channels], [[*row["settings"].values(), *row["readings"].values()] for row in taken])
    show(taken, as_json, table)
    return 0


def _refuse_early(campaign: Campaign, instrument: Instrument, where: str) -> None:
    """Find a taken instrument, and a pause, before anything is started."""
    with Ledger(where) as book:
        if (holder := book.holder(instrument.identity)) is not None:
            advice = "wait for it to end, or end it with 'sdl stop'"
            raise LeaseHeld(f"{instrument.identity} is held by {holder}; {advice}", instrument.identity)
        book.obey(campaign.slug)


def _finished(where: str, campaign: Campaign, instrument: str) -> dict[str, Any] | None:
    """What came of a campaign, if nothing is left to measure in it."""
    from flows.engine.opening import has_other_limits, take_as_begun
    from flows.engine.outcome import summarize_outcome

    with Ledger(where) as book:
        entry = next((each for each in book.entries() if each.name == campaign.slug), None)
        if entry is None or entry.state is not State.FINISHED:
            return None
        refuse_other_instrument(entry, instrument)
        if has_other_limits(take_as_begun(campaign, entry), entry):
            return None
        err.print(f"campaign {entry.name} is finished; --again begins it anew under another name")
        return summarize_outcome(book, entry.name)


def _leave_safe(where: str, campaign: Campaign, instrument: Instrument) -> None:
    """Make the instrument of a finished campaign safe, if its process was killed before it had done so."""
    if not isinstance(instrument, HasSafeState):
        return
    with Ledger(where) as book:
        if book.holder(instrument.identity) is None:
            owner, members = f"campaign {campaign.slug!r}", member_identities(instrument)
            with book.hold(instrument.identity, owner, members) as lease, kept_safe(instrument, lease):
                pass


def conclude_campaign(
    result: dict[str, Any], where: str, directory: Path, open_report: bool, as_json: bool, *, written: bool = False
) -> int:
    """Print what came of a campaign and return the exit code; write its report, unless that was written just now."""
    page = _report_file(result["campaign"], directory)
    if not written:
        with Ledger(where) as book:
            _write_report(book, result["campaign"], directory)
    show(result | {"report": str(page)}, as_json, *_verdicts(result), f"report: {page}")
    if open_report:
        webbrowser.open(page.as_uri())
    return 0 if result["verified"] else NOT_VERIFIED


def _write_report(book: Ledger, name: str, directory: Path) -> Path:
    from sdl.reports.campaign_page import write_campaign_page

    return write_campaign_page(book, name, _report_file(name, directory))


def _report_file(name: str, directory: Path) -> Path:
    return environment.folder(directory / "reports") / f"{name}.html"


def _doing(request: Request) -> str:
    return f"round {request.round} · {request.purpose}"


def _verdicts(result: dict[str, Any]) -> list[Any]:
    lines: list[Any] = []
    for each in result["targets"]:
        colour = COLOURS.get(each["verdict"], "bold")
        lines.append(Text.assemble((each["verdict"], colour), f" {each['target']}: {each['sentence']}"))
        if "answers" in each:
            lines += [_answers(each["answers"])] if each["answers"] else []
        elif each["settings"] and each["verdict"] == Verdict.VERIFIED:
            lines.append(plain_table(["knob", "setting"], each["settings"].items()))
        lines += map(Text, each["free"])
    return [*lines, f"{result['reason']}; {result['requests']} requests"]


def _answers(answers: list[dict[str, Any]]) -> Any:
    """The settings that were verified for one target."""
    knobs = list(answers[0]["settings"])
    rows = ((str(each["family"]), *(each["settings"][knob] for knob in knobs)) for each in answers)
    return plain_table(["family", *knobs], rows)
