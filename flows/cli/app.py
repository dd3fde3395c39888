"""The command line: ``sdl``. Exit codes are part of its interface; ``EXIT`` lists them.

A command is imported when it is run, and imports Prefect, models and figures when it needs them, so that the others
answer at once.
"""

import gc
import json
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any, NoReturn, TextIO


@contextmanager
def _loading() -> Iterator[None]:
    """Import with nothing to finish and no traceback to show at Ctrl-C, and with no search for garbage among it."""
    if (handler := signal.getsignal(signal.SIGINT)) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        signal.signal(signal.SIGINT, handler)


# Our matrices are small: threads that share them out cost more than they save.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

with _loading():
    import typer
    from rich.logging import RichHandler
    from typer.core import TyperCommand, TyperGroup
    from typer.main import get_group

    from flows import environment
    from flows.server.configured_server import adopt_files
    from flows.server.service_lock import AlreadyUp
    from flows.terminal import err, kept_for_json
    from sdl import __version__, errors
    from sdl.formatting import escape_invisible

COMMANDS = {
    "run": ("run", "Run a campaign, or continue it where it was left."),
    "report": ("run", "Write the report of a campaign as one HTML page."),
    "pause": ("people.controls", "Ask a campaign to pause before its next request."),
    "resume": ("people.controls", "Take back a pause, a stop or a hold-off."),
    "stop": ("people.controls", "Ask a campaign to stop before its next request."),
    "extend": ("people.controls", "Allow a campaign more requests than its file does, even while it runs."),
    "approve": ("people.controls", "Show the settings that a campaign wants to send, and approve or decline them."),
    "propose": (
        "people.by_hand",
        "Go on with a campaign measured by hand: say what to measure next, or its verdict once it has one.",
    ),
    "tell": (
        "people.by_hand",
        "Keep what was read of samples that a campaign asked for: in any order, in part, twice if need be.",
    ),
    "status": ("watch", "Show what runs, how far it is, who holds each instrument, and what is waited for."),
    "watch": ("watch", "Watch campaigns live: progress, readings against targets, verdicts, alarms."),
    "measure": ("instruments", "Take readings at settings of your choice."),
    "survey": ("instruments", "Take a reading at every point of a design: rows for 'solve' and 'compare'."),
    "verify": ("instruments", "Verify your own settings for a target of a campaign file by fresh readings."),
    "calibrate": ("instruments", "Read the background and each knob fully on; compare with earlier calibrations."),
    "models": (
        "models",
        "Show a card of each model of a campaign: its data and domain, how right it was, its limits, seed and version.",
    ),
    "solve": (
        "models",
        "Find settings for readings from data that exist, or by a model that 'sdl share' wrote, without an instrument.",
    ),
    "compare": ("models", "Compare inverse models on the same rows, and write a page about them."),
    "share": ("models", "Write a differentially private model for others to solve with; say what privacy costs."),
    "backtest": (
        "backtest",
        "Compare our own loop with others on twins: requests until VERIFIED. Continues where it was left.",
    ),
    "import": ("data", "Enter the observations of files as finished campaigns; where that broke off, give it again."),
    "export": ("data", "Write every attempt of a campaign to a file."),
    "bundle": ("data", "Write all evidence of a campaign into one file, for 'sdl reproduce' to check anywhere."),
    "reproduce": (
        "data",
        "Check a bundle: recompute its proposals, fits and verdicts, and compare them with the record.",
    ),
    "upgrade": (
        "data",
        "Bring a ledger of an earlier version up to date; a file is copied first, a server's database by you.",
    ),
    "backup": ("data", "Write the ledger and Prefect's database to a folder, while campaigns run."),
    "restore": ("data", "Put a backup back; what it replaces is kept as a backup."),
    "plugins": ("data", "List instruments, designs, models, acquisitions and peers that are installed."),
    "benchmark": ("benchmark", "Measure this program against its bars, with machine and versions noted."),
    "up": ("service", "Start Prefect's server and UI on this machine, with all flows of the laboratory."),
    "down": ("service", "End what 'sdl up' started; the measurement under way is finished and kept."),
    "wall": (
        "service",
        "Serve the page for the wall by itself, where 'sdl up' has no Prefect server of its own, or does not run.",
    ),
    "deploy": ("service", "Put all flows of a laboratory on the server of PREFECT_API_URL, for workers."),
    "doctor": ("service", "Say what is wrong with this installation, and what to do about it."),
    "who": ("people.who", "Show who you are to the ledger and who has a token; let others in, or out."),
    "mcp": ("people.agents", "Let agents read and propose, by the Model Context Protocol."),
    "twin": ("instruments", "Serve a twin, or any other instrument, over HTTP."),
    "init": ("new", "Begin a laboratory: its file with an instrument and schedules, and a first campaign."),
    "new": ("new", "Write files to begin with; nothing that exists is overwritten."),
}
"""By name, in the order in which 'sdl --help' lists them: the file of ``flows.cli`` that has it, and its help."""

EXIT: dict[type[BaseException], int] = {
    errors.InvalidInput: 2,
    errors.CampaignSuspended: 4,
    errors.InstrumentError: 4,
    errors.LeaseHeld: 5,
    errors.LeaseLost: 5,
    AlreadyUp: 5,
    errors.CampaignPaused: 6,
    errors.CampaignStopped: 6,
    errors.LedgerError: 7,
    errors.Interrupted: 130,
}
"""0: done, every target verified; 1: a fault of this program; 3: done, but not every target is verified."""


def _end(code: int | None, **_options: bool) -> NoReturn:
    """What a command returns is its exit code; the options are those before it."""
    raise typer.Exit(code or 0)


class _Commands(TyperGroup):
    """All commands, of which each is imported when it is run."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, help=words) for name, (_, words) in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in COMMANDS:
            self.commands.update(load_commands(COMMANDS[args[0]][0]))
        return super().resolve_command(ctx, args)


def load_commands(file: str) -> Mapping[str, Any]:
    """Return the commands and groups of a file of ``flows.cli`` by their names."""
    with _loading():
        group = typer.Typer(pretty_exceptions_enable=False)
        import_module(f"flows.cli.{file}").add_to(group)
        group.callback()(lambda: None)  # so that one command is a group of commands too
        return get_group(group).commands


app = typer.Typer(
    cls=_Commands,
    help="From the readings you want to verified settings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    result_callback=_end,
    epilog="Exit codes: 0 done and verified, 1 a fault of this program, 2 invalid input, 3 done but not verified, "
    "4 suspended (the instrument needs attention), 5 the instrument is held by somebody else, 6 paused or stopped, "
    "7 the ledger cannot be used, 130 interrupted.",
)


def _show_version(wish: bool) -> None:
    if wish:
        print(f"sdl {__version__}")
        raise typer.Exit


@app.callback()
def _before_any_command(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Options that belong to no command."""


ODD = ("divide by zero", "overflow", "underflow", "invalid value")
"""What NumPy warns of."""


def main() -> NoReturn:
    """Run a command and end the process with its exit code."""
    environment.keep_loopback_direct()
    if not sys.warnoptions:  # what arithmetic makes of numbers that no unit suits is judged where it is used
        warnings.filterwarnings("ignore", f"({'|'.join(ODD)}) encountered", RuntimeWarning)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a character that a terminal lacks is better spelt out than not said
            stream.reconfigure(errors="backslashreplace")
    # Ours alone, and above the progress bar: Prefect's own lines go to its server.
    logging.getLogger("sdl").addHandler(RichHandler(logging.WARNING, console=err, show_time=False, show_path=False))
    try:
        adopt_files()
        environment.share_authorities()
        with kept_for_json() if "--json" in sys.argv else nullcontext():
            sys.exit(app())
    except errors.SdlError as error:
        sys.exit(_print_error(error))
    except TimeoutError as error:
        code = _print_error(error)
        sys.stdout.flush()
        os._exit(code)  # else Prefect tries for minutes to say its last words to a server that is gone
    except OSError as error:
        _say(_system_fault(error), sys.stderr)
        sys.exit(EXIT[errors.InvalidInput])


def _system_fault(error: OSError) -> str:
    """What the system refused, in words; what is still to be printed goes nowhere."""
    try:
        os.getcwd()
    except OSError:
        return "the folder in which this runs was deleted: go to another one"
    if error.filename is None:
        _leave_unsaid(sys.stdout)
        return f"what this had to say could not be written: {error.strerror}; it is done all the same"
    return escape_invisible(f"{error.filename}: {error.strerror}")


def _print_error(error: BaseException) -> int:
    """Print what happened, as text or as JSON, and return the exit code."""
    code = next((code for kind, code in EXIT.items() if isinstance(error, kind)), 1)
    faults, pages = [str(error)], list[str]()
    if isinstance(error, errors.InvalidInput):
        from flows.cli.documentation import pages_about

        faults, pages = list(error.faults), pages_about(error.faults)
    if "--json" in sys.argv:
        said = {"error": type(error).__name__, "faults": faults, "more": pages, "exit": code}
        _say(json.dumps(said), sys.stdout)
    else:
        _say(escape_invisible("\n".join([*faults, *(f"more in {page}" for page in pages)])), sys.stderr)
    return code


def _say(words: str, stream: TextIO | None) -> None:
    """Print the last words of a command; where nobody can hear them the exit code says enough."""
    try:
        print(words, file=stream, flush=True)
    except OSError:
        _leave_unsaid(stream)


def _leave_unsaid(stream: TextIO | None) -> None:
    """Have what is still to be printed go nowhere, so that the end of the process is not a failure to print it."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
