"""A campaign in a notebook: it runs where it stands, shows how far it is, and gives its verdicts and rows as tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from flows.notebook import display
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput, ReadingsWanted
from sdl.formatting import format_setting
from sdl.history import Entry, Request, State, Verdict
from sdl.ledger.ledger import Ledger, refuse_other_instrument
from sdl.space import Space

if TYPE_CHECKING:
    import pandas as pd

    from flows.engine.ask_and_tell import AskAndTell
    from sdl.analysis.model_card import ModelCard
    from sdl.ledger.people.samples import Sample
    from sdl.measurement.hand_bench import Taken

COLOURS: Mapping[str, str] = {Verdict.VERIFIED: "#1a7f37", Verdict.REFUTED: "#cf222e", Verdict.NOT_REACHABLE: "#9a6700"}


@dataclass(frozen=True)
class LabVerdict:
    """What was found of a target; the settings are those that were last judged, by knob, if any were."""

    target: str
    verdict: str
    sentence: str
    settings: Mapping[str, float | str] | None

    def __repr__(self) -> str:
        return f"{self.verdict} {self.target}: {self.sentence}"

    def _repr_html_(self) -> str:
        colour = COLOURS.get(self.verdict, "inherit")
        words = f'<b style="color:{colour}">{display.html_text(self.verdict)}</b> {display.html_text(self.target)}'
        shown = [value if isinstance(value, str) else f"{value:.5g}" for value in (self.settings or {}).values()]
        settings = display.html_table(self.settings, [shown]) if self.settings else ""
        return f"<div>{words}: {display.html_text(self.sentence)}</div>{settings}"


@dataclass(frozen=True)
class LabModel:
    """A model that was asked; ``card`` has all that is on record of it."""

    card: "ModelCard"

    def __repr__(self) -> str:
        return "\n".join([self.card.model, *(f"  {about}: {words}" for about, words in self.card.words().items())])

    def _repr_html_(self) -> str:
        return f"<b>{display.html_text(self.card.model)}</b>" + display.html_table((), self.card.words().items())


class AskedSamples(list["Sample"]):
    """What a person is to measure, which shows itself as a table: the name of each sample, and where its knobs stand.

    Args:
        samples: What is wanted.
        space: Its knobs.
    """

    def __init__(self, samples: "Iterable[Sample]", space: Space) -> None:
        super().__init__(samples)
        self._space = space

    def __repr__(self) -> str:
        return "\n".join(f"{each.name}: {self._space.compact_settings(each.request.settings)}" for each in self)

    def _repr_html_(self) -> str:
        shown = (self._space.shown_settings(each.request.settings).values() for each in self)
        rows = [[each.name, *map(format_setting, row)] for each, row in zip(self, shown, strict=True)]
        return display.html_table(["sample", *self._space.knob_names], rows) if self else "nothing is to be measured"


class LabCampaign:
    """Readings that are wanted, and what became of that.

    Args:
        config: The campaign.
        directory: Data directory.
        where: File or URL of the ledger.

    Raises:
        InvalidInput: listing every fault, before the first request; so where one of this name asks for something else.
    """

    def __init__(self, config: Campaign, directory: Path, where: str) -> None:
        self.config, instrument = prepare(config)
        instrument.close()
        self._directory, self._where, self._space = directory, where, instrument.space
        if (begun := self._entry()) is not None:
            from flows.engine.opening import take_as_begun  # brings what learns and draws, which takes a second

            if begun.state is State.FINISHED:
                refuse_other_instrument(begun, instrument.identity)
            self.config = take_as_begun(self.config, begun)

    def run(self) -> Self:
        """Go on until every target is settled; what is finished stays so. The stop button keeps the reading under way.

        Raises:
            CampaignPaused, CampaignStopped, CampaignSuspended, Interrupted: where that ends it for now; ``run()`` again
                goes on from there.
            LeaseHeld: if somebody else measures with this instrument.
        """
        begun = self._entry()
        if begun is not None and begun.state is State.FINISHED:
            return self
        from flows.engine.direct_run import run_directly
        from sdl.measurement.bench import watching

        sent = (begun and self.outcome["requests"]) or 0
        with display.shown_in_place() as show:

            def watch(request: Request) -> None:
                nonlocal sent
                sent += 1
                place = f"round {request.round}, {request.purpose}: {sent} of at most {self.config.most} requests"
                bar = f'<progress max="{self.config.most}" value="{sent}"></progress>'
                show(f"{bar} {display.html_text(place)}")

            token = watching.set(watch)
            try:
                run_directly(self.config, self._directory, self._where)
            except ReadingsWanted as error:
                error.add_note("In a notebook ask() says what to measure, and tell() takes what was read.")
                raise
            finally:
                watching.reset(token)
                show("")
        return self

    def ask(self) -> "AskedSamples":
        """Return what a person is to measure next, where a person is the instrument; see ``AskAndTell``."""
        return AskedSamples(self._conversation().ask(), self._space)

    def tell(self, said: Iterable[Mapping[str, Any]], *, correct: bool = False) -> "Taken":
        """Keep what a person read; see ``AskAndTell``."""
        return self._conversation().tell(said, correct=correct)

    @property
    def outcome(self) -> dict[str, Any]:
        """State, requests and, target by target, verdict, sentence and settings, as plain data.

        Raises:
            InvalidInput: as long as it has not begun.
        """
        from flows.engine.outcome import summarize_outcome

        with Ledger(self._where) as book:
            return summarize_outcome(book, self._begun().name)

    @property
    def verified(self) -> bool:
        """Whether every target is."""
        return self._entry() is not None and bool(self.outcome["verified"])

    def settings(self, target: str | None = None) -> dict[str, float | str]:
        """Return the settings that were verified for a target, by default the first one.

        Raises:
            InvalidInput: if there are none, with what became of it instead.
        """
        outcome = self.outcome
        named = [part for part in outcome["targets"] if target in (None, part["target"])]
        if not named:
            targets = ", ".join(part["target"] for part in outcome["targets"])
            raise InvalidInput(f"no target {target!r} in {outcome['campaign']}: it has {targets}")
        if named[0]["verdict"] != Verdict.VERIFIED:
            raise InvalidInput(
                f"{named[0]['target']} is {named[0]['verdict']}: {named[0]['sentence']}; no settings were verified"
            )
        return dict(named[0]["settings"])

    @property
    def verdicts(self) -> display.Shown[LabVerdict]:
        """What was found of each target, in their order; errors as those of ``outcome``."""
        keys = ("target", "verdict", "sentence", "settings")
        return display.Shown(LabVerdict(**{key: part[key] for key in keys}) for part in self.outcome["targets"])

    @property
    def models(self) -> display.Shown[LabModel]:
        """A card of each model that was asked so far: data, domain, calibration; errors as those of ``outcome``."""
        from sdl.analysis.model_card import model_cards

        with Ledger(self._where) as book:
            entry = self._begun()
            return display.Shown(map(LabModel, model_cards(entry, book.history(entry.id))))

    @property
    def data(self) -> "pd.DataFrame":
        """Every request and what came back, the oldest first; errors as those of ``outcome``."""
        with Ledger(self._where) as book:
            return observations_table(book, self._begun())

    def report(self) -> Path:
        """Write the report as one page and return its file; errors as those of ``outcome``."""
        from sdl.reports.campaign_page import write_campaign_page

        name = self._begun().name
        with Ledger(self._where) as book:
            return write_campaign_page(book, name, self._directory / "reports" / f"{name}.html")

    def __repr__(self) -> str:
        if self._entry() is None:
            return f"<campaign {self.config.slug}: not begun, {len(self.config.targets)} to settle>"
        return repr(self.verdicts)

    def _repr_html_(self) -> str:
        if self._entry() is None:
            rows = [
                [target.name, *(f"{channel} {wanted}" for channel, wanted in target.readings.items())]
                for target in self.config.targets
            ]
            title = f"campaign <b>{display.html_text(self.config.name)}</b>, not begun: <code>run()</code> begins it"
            return title + display.html_table(["target", "wanted"], rows)
        outcome = self.outcome
        title = f"campaign <b>{display.html_text(self.config.name)}</b>: {display.html_text(outcome['state'])}"
        return f"{title}, {outcome['requests']} requests{self.verdicts._repr_html_()}"

    def _conversation(self) -> "AskAndTell":
        from flows.engine.ask_and_tell import AskAndTell

        return AskAndTell(self.config, self._directory, self._where)

    def _entry(self) -> Entry | None:
        with Ledger(self._where) as book:
            return next((entry for entry in book.entries() if entry.name == self.config.slug), None)

    def _begun(self) -> Entry:
        if (entry := self._entry()) is None:
            raise InvalidInput(f"campaign {self.config.name!r} has not begun: run() begins it")
        return entry


def observations_table(ledger: Ledger, entry: Entry) -> "pd.DataFrame":
    """Return every request of a campaign as a table: place, purpose, settings, conditions and readings, verdict."""
    library, space, place = display.pandas(), entry.space, ("round", "index", "replicate", "purpose")
    rows = [
        {name: row[name] for name in place}
        | space.shown_settings(row["settings"])
        | dict.fromkeys(space.condition_names)
        | (row["conditions"] or {})
        | dict(zip(space.channel_names, row["readings"] or [None] * space.p, strict=True))
        | {"verdict": row["verdict"], "time": library.to_datetime(row["sent_at"], unit="s", utc=True)}
        for row in ledger.trail(entry.id)
    ]
    names = (*place, *space.knob_names, *space.condition_names, *space.channel_names, "verdict", "time")
    table: pd.DataFrame = library.DataFrame(rows, columns=list(dict.fromkeys(names)))
    return table
