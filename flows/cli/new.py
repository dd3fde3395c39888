"""Commands that write files to begin with: an instrument or a law of one's own, a campaign."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flows.cli.options import AsJson, Options, parse_pairs
from flows.terminal import show
from sdl.errors import InvalidInput
from sdl.space import is_number

NewName = Annotated[str, typer.Argument(help="Of the plug-in, such as dye-mixer.", show_default=False)]
NewFile = Annotated[Path, typer.Argument(help="The campaign file to write; its name becomes that of the campaign.")]
Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="Where to write it; a folder of that name if left out.", show_default=False),
]
InstrumentName = Annotated[
    str | None,
    typer.Option(
        "--instrument", "-i", help="Instrument plug-in ('sdl plugins'); if left out, the paper's problem on a twin."
    ),
]
PAPER = {"445nm": 16384, "515nm": 16384, "630nm": 16384}
"""What the example asks of the twin."""
Targets = Annotated[
    list[str] | None,
    typer.Option("--target", help="CHANNEL=READING that is wanted, again for more.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Write files to begin with; nothing that exists is overwritten.", no_args_is_help=True)
    group.command()(instrument)
    group.command()(law)
    group.command()(campaign)
    app.add_typer(group, name="new")
    app.command("init")(begin_laboratory)


def instrument(name: NewName, folder: Folder = None, as_json: AsJson = False) -> None:
    """Write a driver of your own to begin with: a module, its pyproject.toml and its test.

    What speaks SCPI, REST, MQTT or OPC-UA, or has a program, needs none: sdl new campaign FILE --instrument scpi.
    """
    _show_plug_in("instrument", name, folder, as_json, f"sdl new campaign --instrument {name}")


def law(name: NewName, folder: Folder = None, as_json: AsJson = False) -> None:
    """Write a physical law of your own to begin with, an inverse model: a module, its pyproject.toml and its test."""
    _show_plug_in("law", name, folder, as_json, f"sdl solve FILE --model {name} --target CHANNEL=READING")


def _show_plug_in(kind: Literal["instrument", "law"], name: str, folder: Path | None, as_json: bool, then: str) -> None:
    """Write a plug-in, and say what was written and what comes next."""
    from sdl.skeletons.plug_in import write_plug_in

    place = folder or Path(name)
    files = [str(file) for file in write_plug_in(kind, name, place)]
    show({kind: name, "files": files}, as_json, *files, f"next: pip install -e {place}, then {then}")


def campaign(
    file: NewFile = Path("campaign.toml"),
    instrument: InstrumentName = None,
    option: Options = None,
    target: Targets = None,
    as_json: AsJson = False,
) -> None:
    """Write a campaign file with the knobs and channels of an instrument filled in."""
    from sdl.skeletons.campaign import campaign_text
    from sdl.skeletons.rendering import write_new

    instrument, readings = _instrument_and_readings(instrument, target)
    write_new(file, campaign_text(file.stem, instrument, parse_pairs(option, "--option"), readings))
    show({"file": str(file)}, as_json, str(file), f"next: sdl run {file}")


def begin_laboratory(
    folder: Annotated[Path, typer.Argument(help="Where; by default here.")] = Path(),
    instrument: InstrumentName = None,
    option: Options = None,
    target: Targets = None,
    as_json: AsJson = False,
) -> None:
    """Begin a laboratory: its file with an instrument and schedules, and a first campaign."""
    from sdl.skeletons.laboratory import write_laboratory

    instrument, readings = _instrument_and_readings(instrument, target)
    files = write_laboratory(folder, instrument, parse_pairs(option, "--option"), readings)
    laboratory, campaign, _ = map(str, files)
    words = f"next: sdl run {campaign}; or sdl up {laboratory}, for schedules, Prefect's UI and several people"
    show({"files": [str(file) for file in files]}, as_json, *map(str, files), words)


def _instrument_and_readings(instrument: str | None, target: list[str] | None) -> tuple[str, dict[str, Any]]:
    """What is asked of which instrument; without one, the paper's problem of the twin.

    Raises:
        InvalidInput: for readings that are no numbers.
    """
    readings = parse_pairs(target, "--target")
    if faults := [
        f"--target {name} needs a number, got {value!r}" for name, value in readings.items() if not is_number(value)
    ]:
        raise InvalidInput(faults)
    return (instrument, readings) if instrument is not None else ("twin", readings or PAPER)
