"""The command line: ``sdl``. Exit codes are part of its interface; ``EXIT`` lists them.

Prefect, models and figures are imported by the commands that need them, so that the others answer at once.
"""

import gc
import json
import logging
import os
import signal
import sys
from contextlib import nullcontext
from io import TextIOWrapper
from typing import Annotated, NoReturn, TextIO

HANDLER = signal.getsignal(signal.SIGINT)
if HANDLER is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is loaded now has nothing to finish, and no traceback to show
gc.disable()  # nothing of what is imported is garbage: to search it costs a seventh of a command that only reads
# Our matrices are small: threads that share them out cost more than they save.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import typer
from rich.logging import RichHandler

from flows import environment
from flows.cli import backtest, benchmark, data, instruments, models, new, run, service, watch
from flows.cli.people import agents, by_hand, controls, who
from flows.server.configured_server import adopt_files
from flows.server.service_lock import AlreadyUp
from flows.terminal import err, kept_for_json
from sdl import __version__, errors
from sdl.formatting import escape_invisible

gc.freeze()
gc.enable()
signal.signal(signal.SIGINT, HANDLER)

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


app = typer.Typer(
    help="From the readings you want to verified settings.",
    no_args_is_help=True,
    add_completion=False,
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


# In the order in which 'sdl --help' lists them.
COMMANDS = (run, controls, by_hand, who, agents, watch, instruments, models, new, backtest, data, benchmark, service)
for commands in COMMANDS:
    commands.add_to(app)


def main() -> NoReturn:
    """Run a command and end the process with its exit code."""
    environment.keep_loopback_direct()
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
    faults = list(error.faults) if isinstance(error, errors.InvalidInput) else [str(error)]
    if "--json" in sys.argv:
        _say(json.dumps({"error": type(error).__name__, "faults": faults, "exit": code}), sys.stdout)
    else:
        _say(escape_invisible("\n".join(faults)), sys.stderr)
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
