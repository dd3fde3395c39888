"""A program of somebody's own for each reading: settings to it as JSON, readings from it as JSON, within a time."""

import os
import selectors
import shutil
import signal
import subprocess
from contextlib import suppress
from itertools import zip_longest
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, field_validator

from sdl.campaign.section import Section
from sdl.errors import BadReply, InstrumentUnavailable
from sdl.formatting import CONFIDENTIAL, SECRET_PLACE, has_password
from sdl.instruments.configured.definition import InstrumentDefinition, read_definition
from sdl.instruments.configured.driver import LONGEST, ConfiguredInstrument
from sdl.instruments.configured.templates import (
    PLACE,
    refuse_open_secrets,
    reveal,
    show_json,
    write_json,
)
from sdl.instruments.configured.transport import Deadline
from sdl.plugins import SECRET_PREFIX

OURS = (SECRET_PREFIX, "SDL_LEDGER", "PREFECT_", "PGPASS")
"""What the names of variables begin with that may hold a password of ours: no program gets them, so none tells them."""
PIECE = 65_536
SHOWN = 500
"""Characters of the last line of what a program complained of that are shown."""


def _without_secrets(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what every user of the machine would read in its list of processes."""
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue="-"):
        name, sign, value = argument.partition("=")
        said = value if sign else "" if following.startswith("-") else following
        named = (sign or name.startswith("-")) and CONFIDENTIAL.search(name) and not name.endswith(("file", "path"))
        if SECRET_PLACE.search(argument) or has_password(argument):
            raise ValueError(
                "a secret must not stand among the words of a program, which every user of this machine "
                "reads: give it to the program in its environment"
            )
        if named and said and not PLACE.search(said):
            raise ValueError(f"{name} must not stand in the file: give it to the program in its environment")
    return arguments


class Call(Section):
    """One run of the program."""

    arguments: Annotated[tuple[str, ...], AfterValidator(_without_secrets)] = ()
    """After the program's own; ``{NAME}`` is the setting of a knob."""
    input: Annotated[Any, AfterValidator(refuse_open_secrets)] = None
    """What it reads from its standard input as JSON; by default ``{"settings": {NAME: ...}}`` when it is to read."""

    def __str__(self) -> str:
        """The call for people."""
        given = "" if self.input is None else f" < {show_json(self.input)}"
        return f"{' '.join(self.arguments)}{given}".strip() or "the program"


class CommandDefinition(InstrumentDefinition[Call]):
    """An instrument behind a program, which is started for each reading."""

    program: Annotated[tuple[str, ...], AfterValidator(_without_secrets)] = Field(min_length=1)
    """The program and its arguments; no shell is between."""
    environment: Annotated[dict[str, str | SecretStr], AfterValidator(refuse_open_secrets)] = Field(
        default_factory=dict
    )
    """Variables of the program beside ours; our own secrets are none of them."""

    @field_validator("program")
    @classmethod
    def _is_there(cls, program: tuple[str, ...]) -> tuple[str, ...]:
        if shutil.which(program[0]) is None:
            raise ValueError(f"there is no program {program[0]!r} that may be run here: give its path")
        return program


def command(**options: Any) -> ConfiguredInstrument[Call]:
    """An instrument behind a program, by configuration."""
    definition = read_definition(CommandDefinition, _asked(options), "command")
    return ConfiguredInstrument("command", definition, ProgramLine(definition))


def _asked(options: dict[str, Any]) -> dict[str, Any]:
    """The options with what stands for itself: all settings go in, and readings come out by their names."""
    knobs, channels = options.get("knobs"), options.get("channels")
    if not isinstance(knobs, list) or not isinstance(channels, list):
        return options
    names = [str(knob.get("name")) for knob in knobs if isinstance(knob, dict)]
    query = options.get("query", {})
    if isinstance(query, dict):
        query = {"input": {"settings": {name: f"{{{name}}}" for name in names}}} | query
    placed = [
        {"at": ["readings", str(channel.get("name"))]} | channel
        if isinstance(channel, dict) and not {"field", "pattern"} & set(channel)
        else channel
        for channel in channels
    ]
    return options | {"query": query, "channels": placed}


class ProgramLine:
    """Runs of one program.

    Args:
        definition: With the program and its variables.
    """

    def __init__(self, definition: CommandDefinition) -> None:
        self._definition = definition
        self.place = " ".join(definition.program)

    def open(self, deadline: Deadline) -> bool:
        """There is nothing to open."""
        return False

    def send(self, order: Call, value: float | str | None, deadline: Deadline) -> None:
        """Run the program, and let it say what it wants."""
        self.ask(order, deadline)

    def ask(self, order: Call, deadline: Deadline) -> str:
        """Run the program and return what it wrote; at the deadline it is ended, with all that it started."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        with subprocess.Popen(
            [*self._definition.program, *order.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ours | reveal(self._definition.environment),
            start_new_session=True,  # Ctrl-C at our terminal is ours to judge
        ) as process:
            try:
                answer, complaint = _conversation(process, order.input, deadline)
                status = process.wait(deadline.left)
            except subprocess.TimeoutExpired:
                raise TimeoutError("it has closed its output, and does not end") from None
            finally:
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
        if status:
            words = (complaint.strip() or answer.strip()).rpartition("\n")[2][:SHOWN] or "no words"
            raise InstrumentUnavailable(f"{self.place} ended with status {status}: {words}", raw=answer or complaint)
        return answer

    def drop(self) -> None:
        """Nothing is kept open."""


def _conversation(process: "subprocess.Popen[bytes]", written: Any, deadline: Deadline) -> tuple[str, str]:
    """Hand a program its input and return what it wrote to its output, and to its other one."""
    assert process.stdin is not None
    pipes: tuple[Any, Any] = (process.stdout, process.stderr)
    with suppress(BrokenPipeError):  # it does not want to know
        if written is not None:
            process.stdin.write(write_json(written).encode())
        process.stdin.close()
    came = {pipe: bytearray() for pipe in pipes}
    with selectors.DefaultSelector() as waiting:
        for pipe in pipes:
            waiting.register(pipe, selectors.EVENT_READ, pipe)
        while waiting.get_map():
            for pipe in [key.data for key, _ in waiting.select(deadline.left)]:
                if piece := os.read(pipe.fileno(), PIECE):
                    came[pipe] += piece
                else:
                    waiting.unregister(pipe)
                if len(came[pipe]) > LONGEST:
                    text = came[pipe].decode(errors="replace")
                    raise BadReply(f"{process.args!r} wrote more than {LONGEST} bytes", raw=text[:LONGEST])
    answer, complaint = (came[pipe].decode(errors="replace") for pipe in pipes)
    return answer, complaint
