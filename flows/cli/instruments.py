"""Commands at an instrument: measure, survey, verify, calibrate, twin serve."""

import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import environment
from flows.cli.options import AsJson, Home, LedgerOption, Options, override_keys, parse_pairs, start_prefect
from flows.cli.run import NOT_VERIFIED, File, read_campaign_file
from flows.engine.handover import build_instrument, kept_instrument
from flows.server import server
from flows.terminal import err, plain_table, show, show_progress
from sdl import plugins
from sdl.campaign.definition import Campaign, slugify
from sdl.campaign.sections import DesignPart, Plugin
from sdl.errors import InvalidInput, UnknownPlugin
from sdl.formatting import escape_invisible
from sdl.instruments.protocol import Instrument, KnowsTruth

InstrumentOption = Annotated[
    str, typer.Option("--instrument", "-i", help="Name of the instrument's plug-in, or a campaign file that has it.")
]
Knobs = Annotated[
    list[str], typer.Argument(help="A value for every knob, such as R=0.4 G=0.2 B=0.5.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    twin = typer.Typer(help="Serve a twin, or any other instrument, over HTTP.", no_args_is_help=True)
    twin.command("serve", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve_instrument)
    app.command("measure")(measure_settings)
    app.command("survey")(survey_design)
    app.command("verify")(verify_settings)
    app.command("calibrate")(calibrate_instrument)
    app.add_typer(twin, name="twin")


def measure_settings(
    settings: Knobs,
    instrument: InstrumentOption = "twin",
    option: Options = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Number of readings.")] = 1,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Take readings at settings of your choice."""
    part, chosen = _instrument(instrument, option), parse_pairs(settings, "a setting")
    built, directory = _built(part, instrument), environment.home(home)
    with kept_instrument(part, built):
        built.space.settings(chosen)
        start_prefect(directory)
        from flows.manual import measure as by_hand

        where = environment.parameter(environment.ledger(ledger, directory))
        with _shown_readings(built, n, as_json):
            rows = server.run_with_server(by_hand.measure(part, chosen, n, str(directory), where))
    channels = [[name, *(row["readings"].get(name) for row in rows)] for name in rows[0]["readings"]]
    show(rows, as_json, plain_table(["channel", *(f"reading {i + 1}" for i in range(n))], channels))


def survey_design(
    name: Annotated[str, typer.Argument(help="Name of the entry that the readings go to.", show_default=False)],
    design: Annotated[
        str,
        typer.Option(
            "--design", help="NAME or NAME:KEY=VALUE,... of the design's plug-in, as full-factorial:levels=5."
        ),
    ] = "latin-hypercube",
    n: Annotated[
        int | None, typer.Option("--n", min=1, max=100_000, help="Number of points; by default the design's own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the design.", min=0)] = 0,
    every: Annotated[int, typer.Option(help="Readings between two of the background; 0 for none.", min=0)] = 10,
    instrument: InstrumentOption = "twin",
    option: Options = None,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Take a reading at every point of a design: rows for 'solve' and 'compare'."""
    part, plan = _instrument(instrument, option), _design(design, n)
    entered = slugify(name)
    built, directory = _built(part, instrument), environment.home(home)
    with kept_instrument(part, built):
        points = _count_points(design, n, built, seed)
        references = -(-points // every) if every else 0
        start_prefect(directory)
        from flows.manual import measure as by_hand

        where = environment.parameter(environment.ledger(ledger, directory))
        with _shown_readings(built, points + references, as_json):
            rows = server.run_with_server(by_hand.survey(name, part, plan, seed, every, str(directory), where))
    result = {"campaign": entered, "rows": rows}
    hint = f"sdl report {entered} draws them, sdl export {entered} FILE writes them out"
    show(result, as_json, f"{rows} readings were entered as campaign {entered}: {hint}")


def verify_settings(
    file: File,
    settings: Knobs,
    target: Annotated[str | None, typer.Option("--target", help="Name of a target; by default the first.")] = None,
    replicates: Annotated[int, typer.Option("--replicates", min=2, help="Number of fresh readings.")] = 8,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE that replaces a value of the file.")
    ] = None,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> int:
    """Verify your own settings for a target of a campaign file by fresh readings."""
    config = Campaign.parse(override_keys(read_campaign_file(file), parse_pairs(changes, "--set")))
    names = [part.name for part in config.targets]
    if target is not None and target not in names:
        raise InvalidInput(f"no target {target!r} in {file}; it has {', '.join(names)}")
    chosen = parse_pairs(settings, "a setting")
    built, directory = build_instrument(config.instrument), environment.home(home)
    with kept_instrument(config.instrument, built):
        built.space.settings(chosen)
        start_prefect(directory)
        from flows.manual import measure as by_hand

        where = environment.parameter(environment.ledger(ledger, directory))
        with _shown_readings(built, 1 + replicates, as_json):
            result = server.run_with_server(by_hand.verify(config, chosen, target, replicates, str(directory), where))
    show(result, as_json, f"{result['verdict']} {result['target']}: {result['sentence']}")
    return 0 if result["verdict"] == "VERIFIED" else NOT_VERIFIED


def calibrate_instrument(
    instrument: InstrumentOption = "twin",
    option: Options = None,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Read the background and each knob fully on; compare with earlier calibrations."""
    part, directory = _instrument(instrument, option), environment.home(home)
    built = _built(part, instrument)
    with kept_instrument(part, built):
        start_prefect(directory)
        from flows.manual import calibration

        where = environment.parameter(environment.ledger(ledger, directory))
        with _shown_readings(built, 1 + built.space.d, as_json):
            result = server.run_with_server(calibration.calibrate(part, str(directory), where))
    show(result, as_json, *_calibration(result), *result["alarms"])


def _built(part: Plugin, named: str) -> Instrument:
    """Build an instrument; what it lacks is followed by how a command says it."""
    try:
        return build_instrument(part)
    except UnknownPlugin:
        raise
    except InvalidInput as error:
        hint = [f"--option KEY=VALUE gives {named!r} what it needs, or -i FILE a campaign file that has it"]
        raise InvalidInput([*error.faults, *(hint if named == part.plugin else [])]) from error


def _count_points(words: str, n: int | None, built: Instrument, seed: int) -> int:
    from strategies.designs import propose_by_seed  # brings scipy, which takes a second

    design = plugins.build_from_words("sdl.designs", words)
    try:
        return len(propose_by_seed(design, built.space, n, seed))
    except InvalidInput as error:
        raise InvalidInput([*error.faults, *(["--n says how many points"] if n is None else [])]) from error


@contextmanager
def _shown_readings(instrument: Instrument, readings: int, as_json: bool) -> Iterator[None]:
    """Name an instrument, say whether it is simulated, and how many of its readings are taken by now."""
    from sdl.measurement.bench import watching

    if not as_json:
        simulated = ", simulated" if isinstance(instrument, KnowsTruth) else ""
        err.print(escape_invisible(f"{instrument.identity}{simulated}"), markup=False, soft_wrap=True)
    taken = count(1)
    with show_progress("readings", quiet=as_json) as tell:
        token = watching.set(lambda _: tell(next(taken), readings))
        try:
            yield
        finally:
            watching.reset(token)


def serve_instrument(
    context: typer.Context,
    instrument: InstrumentOption = "twin",
    option: Options = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 5005,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", help="WORD or WORD@WHEN, such as stall@4, 500@2-3 or lamp@10-, repeatable."),
    ] = None,
    hold_s: Annotated[float, typer.Option(help="Seconds that NaN holds the instrument.", min=0)] = 50.0,
    stall_s: Annotated[float, typer.Option(help="Seconds that a stalled request waits.", min=0)] = 120.0,
    seed: Annotated[int, typer.Option(help="Seed of random faults.", min=0)] = 0,
    as_json: AsJson = False,
) -> int:
    """Serve an instrument over Claude-Light's own API, with faults on request.

    With a COMMAND after '--' it is served while that command runs; in the command, {url} stands for the address
    of the server.
    """
    from sdl.instruments.emulator.fault_injection import Faults
    from sdl.instruments.emulator.server import InstrumentServer

    part = _instrument(instrument, option)
    served = plugins.build("sdl.instruments", part.plugin, part.options)
    faults = Faults.parse(fault or [])
    server = InstrumentServer(served, host, port, faults, hold_s=hold_s, stall_s=stall_s, seed=seed)
    with server:
        command = [word.replace("{url}", server.url) for word in context.args]
        address = {"url": server.url, "instrument": served.identity, "faults": fault or []}
        if command:
            err.print(f"{served.identity} at {server.url} while {shlex.join(command)} runs", markup=False)
            return _finished(command)
        show(address, as_json, f"{served.identity} at {server.url} (Ctrl-C ends it)")
        while True:
            time.sleep(3600)


def _finished(command: list[str]) -> int:
    """Run a command to its end and return its exit code; Ctrl-C, which it gets too, is for it to judge."""
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        raise InvalidInput(f"cannot run {command[0]!r}: {error.strerror}") from error
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def _design(words: str, n: int | None) -> DesignPart:
    name, options = plugins.read_words(words)
    if reserved := sorted({"n", "plugin"} & options.keys()):
        raise InvalidInput(f"--design: {', '.join(reserved)} is no option of a design: give --n for the number")
    return DesignPart(plugin=name, n=n, **options)


def _instrument(name: str, options: list[str] | None) -> Plugin:
    values = parse_pairs(options, "--option")
    if "plugin" in values:
        raise InvalidInput("--option plugin: name the instrument by --instrument")
    if not name.endswith(".toml"):
        return Plugin(plugin=name, **values)
    written = read_campaign_file(Path(name)).get("instrument")
    if isinstance(written, str):
        written = {"plugin": written}
    if not isinstance(written, dict) or not isinstance(written.get("plugin"), str):
        raise InvalidInput(f"--instrument: {name} names no instrument: it needs a table [instrument] with a plugin")
    return Plugin.model_validate(override_keys(written, values))


def _calibration(result: dict[str, Any]) -> list[Any]:
    background, response, change = result["background"], result["response"], result["change"] or {}
    columns = ["channel", "background", *(f"{knob} adds" for knob in response), *(f"{knob} changed" for knob in change)]
    rows = [
        [
            name,
            value,
            *(row.get(name) for row in response.values()),
            *(_percent(row.get(name)) for row in change.values()),
        ]
        for name, value in background.items()
    ]
    return [plain_table(columns, rows)]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.2f} %"
