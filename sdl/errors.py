"""Everything that can go wrong, as one tree.

A caller needs one question answered: *is it worth trying again?* Each branch below has one answer to it.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from sdl.formatting import escape_invisible

LONGEST = 2000
"""Characters of one message: names, keys and replies that it repeats may be of any length."""


class SdlError(Exception):
    """Root of every error that this laboratory raises on purpose."""


class InvalidInput(SdlError, ValueError):
    """What a person wrote cannot be done; nothing was started. Mend the input.

    Carries every fault that was found, one sentence each, so that they can be mended in one go.
    """

    def __init__(self, faults: str | Iterable[str]) -> None:
        sentences = (faults,) if isinstance(faults, str) else tuple(faults)
        self.faults: tuple[str, ...] = tuple(map(_ended, sentences))
        super().__init__("\n".join(self.faults))


class UnknownPlugin(InvalidInput):
    """A name that no installed plug-in answers to."""


class NotAllowed(InvalidInput):
    """Whoever asks may not have that done; the message says whose token it takes. Nothing was done."""


class InstrumentError(SdlError):
    """The instrument gave no usable reading. What it said stands in the message as text that acts on no terminal.

    Attributes:
        raw: What came back, as far as it was read; kept in the ledger whatever it is.
        sent: Whether the instrument may have acted on the request.
    """

    def __init__(self, message: str, *, raw: str = "", sent: bool = True) -> None:
        self.raw = raw
        self.sent = sent
        super().__init__(_ended(escape_invisible(message)))


class InstrumentUnavailable(InstrumentError):
    """No answer, or a passing fault. Try again, after ``wait`` seconds if the instrument named a time."""

    def __init__(self, message: str, *, raw: str = "", sent: bool = True, wait: float = 0.0) -> None:
        self.wait = wait
        super().__init__(message, raw=raw, sent=sent)


class InstrumentSilent(InstrumentUnavailable):
    """The request went out and no answer came in time: the instrument may still be measuring.

    Wait ``wait`` seconds in silence before the next request, or two measurements overlap.
    """


class InstrumentRefused(InstrumentError):
    """The instrument, or its driver, will not do this. The same request would fail again."""


class BadReply(InstrumentError):
    """An answer that is not what this instrument answers. One more try may be worth it."""


class LedgerError(SdlError):
    """The ledger cannot be read or written as asked."""


class LedgerAway(LedgerError):
    """The ledger's database server does not answer, which may pass by itself; nothing that was measured is lost."""


class SchemaMismatch(LedgerError):
    """The file was written by another version of this program."""


class LeaseHeld(LedgerError):
    """Somebody else is using the instrument, which is named beside the message."""

    def __init__(self, message: str, instrument: str) -> None:
        self.instrument = instrument
        super().__init__(message)


class LeaseLost(LedgerError):
    """This process was fenced off: another one holds the instrument by now, which is named beside the message."""

    def __init__(self, message: str, instrument: str) -> None:
        self.instrument = instrument
        super().__init__(message)


class Interrupted(SdlError):
    """A person or the system ended this process; the measurement under way was finished and kept."""


class CampaignPaused(SdlError):
    """A person asked for a pause; nothing is lost, run the campaign again to go on."""


class ApprovalWanted(CampaignPaused):
    """A person has to see the settings of a round before they are sent; the round and its reason are the message."""


class ReadingsWanted(CampaignPaused):
    """Persons have to say what they read at the settings of a round; how many and by what command is the message."""


class CampaignStopped(SdlError):
    """A person asked for a stop; no request is sent any more."""


class CampaignSuspended(SdlError):
    """The campaign cannot go on by itself. The reason is the message; run it again once that is mended.

    Attributes:
        transient: Whether the instrument failed to answer, which may pass by itself.
        hold_off_s: Seconds after which trying again makes sense without a person; None if it does not.
        drift: Whether the instrument itself was seen to change.
    """

    def __init__(
        self, message: str, *, transient: bool = False, hold_off_s: float | None = None, drift: bool = False
    ) -> None:
        self.transient, self.hold_off_s, self.drift = transient, hold_off_s, drift
        super().__init__(message)


class BudgetSpent(SdlError):
    """As many requests were sent as the campaign allows."""


class TooFewRows(SdlError):
    """A model was given fewer rows than it has freedom for."""


def _ended(sentence: str) -> str:
    return sentence if len(sentence) <= LONGEST else f"{sentence[:LONGEST]}..."


def suggest_nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean 'budget'?`` or the list of known words.

    >>> suggest_nearest("budgte", ["budget", "seed"])
    "; did you mean 'budget'?"
    >>> suggest_nearest("colour", ["budget", "seed"])
    "; known are 'budget', 'seed'"
    """
    names = sorted(known)
    close = get_close_matches(word, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return "; known are " + ", ".join(repr(name) for name in names) if names else ""
