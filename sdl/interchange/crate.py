"""A bundle in the words of others: the metadata that make of it an RO-Crate, which electronic notebooks read as .eln.

RO-Crate 1.1 with the profile Process Run Crate 0.5 (https://w3id.org/ro/wfrun/process): every request, round, verdict
and word of a person is an action with its times, who did it, what it used and what it made. The files of the bundle
are one data set in a folder of its own, as the ELN file format of the ELN Consortium wants it
(https://github.com/TheELNConsortium/TheELNFileFormat). All of it is said of what the bundle holds anyway, so that no
more is given away.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from pathlib import PurePosixPath
from typing import Any, TypeAlias
from urllib.parse import quote

from sdl import __version__
from sdl.analysis.model_card import ModelCard
from sdl.formatting import count_words, format_quantities
from sdl.history import ReplyClass, RoundKind
from sdl.interchange.evidence import CAMPAIGN, Evidence, ReplyLine
from sdl.ledger.people.controls import NAMELESS
from sdl.ledger.people.samples import Sample
from sdl.ledger.people.tokens import Kind

METADATA = "ro-crate-metadata.json"
FOLDER = "evidence/"
"""Where the files of the bundle lie, beside the metadata."""
CONTEXT, VERSION = "https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/crate/1.1"
NEWER_TERMS = {"sha256": "https://schema.org/sha256"}
"""What notebooks check files by, and the vocabulary of version 1.1 has not yet."""
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
EXPERIMENT = "experiment"
"""What a notebook is to take the data set for; eLabFTW made a resource of it otherwise."""
LICENCES, SHORT_NAME = "https://spdx.org/licenses/", re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
"""Where licences have an address by their short names, and what such a name looks like."""
LABORATORY = "Nobody who began this campaign is on record: what is asked for is asked and judged by the program."
UNLICENSED = "Nobody stated a licence: ask whoever gave you this before you use it."
DONE, FAILED = "http://schema.org/CompletedActionStatus", "http://schema.org/FailedActionStatus"
MEDIA = {
    ".json": "application/json", ".jsonl": "application/x-ndjson", ".csv": "text/csv", ".html": "text/html",
    ".parquet": "application/vnd.apache.parquet", ".txt": "text/plain",
}  # fmt: skip

Entity: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Rights:
    """Whose a crate is, and what others may do with it."""

    licence: str = ""
    """Its short name (``CC-BY-4.0``), its address, or words; empty where nobody stated one."""
    authors: Sequence[str] = ()
    """Names of persons."""

    @property
    def entity(self) -> Entity:
        """The licence in the words of a crate."""
        if not self.licence:
            return _entity("#licence", "CreativeWork", name="No licence stated", description=UNLICENSED)
        if SHORT_NAME.fullmatch(self.licence):
            return _entity(LICENCES + self.licence, "CreativeWork", name=self.licence)
        address = self.licence if self.licence.startswith(("https://", "http://")) else "#licence"
        return _entity(quote(address, safe=":/?#&=%+,;@~"), "CreativeWork", name=self.licence)


def crate_metadata(
    evidence: Evidence,
    samples: Sequence[Sample],
    cards: Sequence[ModelCard],
    files: Mapping[str, tuple[bytes, str]],
    rights: Rights,
) -> bytes:
    """Return the metadata of a crate.

    Args:
        evidence: What the bundle holds.
        samples: What persons were asked to measure.
        cards: What is on record of the models.
        files: Content of each file of the bundle, and what it is in words, by name.
        rights: Whose it is; of rows that were imported the licence is theirs unless another one is stated.
    """
    imported = evidence.campaign.config.get("imported")
    if not rights.licence and isinstance(imported, Mapping):
        rights = replace(rights, licence=str(imported.get("licence") or ""))
    graph = _Crate(evidence, samples, cards, files, rights).entities()
    return (json.dumps({"@context": [CONTEXT, NEWER_TERMS], "@graph": graph}, indent=1) + "\n").encode("ascii")


def _entity(identifier: str, kind: str | list[str], **properties: Any) -> Entity:
    """An entity without the properties that are None or empty."""
    return {"@id": identifier, "@type": kind, **{key: value for key, value in properties.items() if value}}


def _to(*identifiers: str) -> Any:
    references = [{"@id": identifier} for identifier in identifiers]
    return references[0] if len(references) == 1 else references


def _time(seconds: float | None) -> str:
    """As the profile writes times; empty where none is known."""
    if seconds is None:
        return ""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):  # a stranger's file said so
        return ""


@dataclass(frozen=True, eq=False)
class _Crate:
    evidence: Evidence
    samples: Sequence[Sample]
    cards: Sequence[ModelCard]
    files: Mapping[str, tuple[bytes, str]]
    rights: Rights

    def entities(self) -> list[Entity]:
        actions = [*self._rounds(), *self._requests(), *self._verdicts(), *self._steering()]
        campaign = self.evidence.campaign
        authors = [f"#author-{place}" for place, _ in enumerate(self.rights.authors)]
        common = {"author": _to(*authors) if authors else None, "license": _to(self.rights.entity["@id"])}
        title = campaign.title or campaign.name
        made = {"version": __version__, "sdPublisher": _to("#laboratory")}
        descriptor = _entity(METADATA, "CreativeWork", about=_to("./"), conformsTo=_to(VERSION), **made)
        root = _entity(
            "./",
            "Dataset",
            name=title,
            description=self._description,
            datePublished=_time(campaign.updated)[:10] or "1970-01-01",
            conformsTo=_to(PROFILE),
            hasPart=[_to(FOLDER)],  # notebooks look for a list, also of one
            variableMeasured=[_to(self._channel(place)) for place in range(self.evidence.space.p)],
            mentions=[_to(action["@id"]) for action in actions if action["@type"].endswith("Action")],
            isBasedOn=_to("#source") if self._source else None,
            **common,
        )
        data = _entity(
            FOLDER,
            "Dataset",
            name=title,
            genre=EXPERIMENT,
            text=self._page,  # and no description, which notebooks show below it, as HTML too
            dateCreated=_time(campaign.created),
            dateModified=_time(campaign.updated),
            hasPart=[_to(FOLDER + name) for name in self.files],
            **common,
        )
        profile = _entity(PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")
        persons = [_entity(f"#author-{place}", "Person", name=name) for place, name in enumerate(self.rights.authors)]
        return [
            *(descriptor, root, data, profile, self.rights.entity),
            *(*self._source, *persons, *self._people.values()),
            *self._file_entities(),
            *self._programs(),
            *self._quantities(),
            *self._targets(),
            *self._sample_entities(),
            *actions,
        ]

    @property
    def _source(self) -> list[Entity]:
        """Where imported rows come from, as far as that was said."""
        imported = self.evidence.campaign.config.get("imported")
        known = imported if isinstance(imported, Mapping) else {}
        counted = known.get("sources") or {}
        rows = [f"{number} rows from {name}" for name, number in counted.items()]
        name = str(known.get("source") or known.get("file") or "")
        return [_entity("#source", "CreativeWork", name=name, description="; ".join(rows))] if name else []

    @property
    def _description(self) -> str:
        campaign, sent = self.evidence.campaign, len(self.evidence.replies)
        end = f": {campaign.reason}" if campaign.reason else ""
        return f"Campaign on {campaign.instrument}, {count_words(sent, 'request')} sent, {campaign.state.value}{end}."

    @property
    def _page(self) -> str:
        """What a notebook shows, in HTML: how the campaign ended, and every verdict."""
        lines = [self._description, *(f"{line.verdict.value}: {line.sentence}" for line in self.evidence.verdicts)]
        return "".join(f"<p>{escape(line)}</p>" for line in lines)

    # ------------------------------------------------------------------ what there is

    def _file_entities(self) -> Iterator[Entity]:
        for name, (content, words) in self.files.items():
            yield _entity(
                FOLDER + name,
                "File",
                name=name,
                description=words,
                encodingFormat=MEDIA.get(PurePosixPath(name).suffix, "application/octet-stream"),
                contentSize=str(len(content)),
                sha256=hashlib.sha256(content).hexdigest(),
            )

    def _programs(self) -> Iterator[Entity]:
        campaign = self.evidence.campaign
        version = campaign.versions.get("sdl", "unknown")
        others = [f"{name} {number}" for name, number in campaign.versions.items() if name != "sdl"]
        program = {"name": "inverse-sdl", "softwareVersion": version, "softwareRequirements": others}
        yield _entity("#sdl", "SoftwareApplication", **program)
        stated = campaign.config.get("instrument")
        plugin = stated.get("plugin") if isinstance(stated, Mapping) else None
        driver = {"name": f"driver {plugin or campaign.instrument}", "softwareVersion": version}
        yield _entity("#driver", "SoftwareApplication", **driver, about=_to("#instrument"))
        properties = [_to(self._knob(place)) for place in range(self.evidence.space.d)]
        properties += [_to(self._channel(place)) for place in range(self.evidence.space.p)]
        laboratory = {"name": f"laboratory of {campaign.name}", "description": LABORATORY}
        # By an area that its publisher serves eLabFTW knows that words are no HTML yet.
        yield _entity("#laboratory", "Organization", **laboratory, areaServed="everywhere")
        yield _entity("#instrument", "IndividualProduct", name=campaign.instrument, additionalProperty=properties)
        cards = {card.model: card.words() for card in self.cards}
        for name, identifier in self._models.items():
            yield _entity(
                identifier,
                "SoftwareApplication",
                name=f"inverse model {name}",
                description=". ".join(f"{about}: {words}" for about, words in cards.get(name, {}).items()),
                softwareVersion=version,
                softwareRequirements=_to("#sdl"),
            )

    def _quantities(self) -> Iterator[Entity]:
        space = self.evidence.space
        for place, knob in enumerate(space.knobs):
            within = {} if knob.names else {"minValue": knob.low, "maxValue": knob.high}
            words = f"knob, {knob.span}"
            entity = _entity(self._knob(place), "PropertyValue", name=knob.name, unitText=knob.unit, description=words)
            yield entity | within
        for place, channel in enumerate(space.channels):
            bounds = {"minValue": channel.floor, "maxValue": channel.ceiling}
            how = f"channel, computed: {channel.formula}" if channel.formula else "channel"
            entity = _entity(
                self._channel(place), "PropertyValue", name=channel.name, unitText=channel.unit, description=how
            )
            yield entity | {key: value for key, value in bounds.items() if value is not None}

    def _targets(self) -> Iterator[Entity]:
        for name, target in self._wanted.items():
            words = json.dumps(target, ensure_ascii=False)
            yield _entity(self._places[name], "PropertyValue", name=f"target {name}", value=words)

    def _sample_entities(self) -> Iterator[Entity]:
        for sample in self.samples:
            said = [f"{edition.by or 'somebody'}: {edition.note}" for edition in sample.editions if edition.note]
            yield _entity(
                f"#sample-{sample.name}",
                ["Product", "PropertyValue"],
                name=f"sample {sample.name}",
                value=self._words(sample.request.settings.tolist()),
                description="; ".join(said),
            )

    @cached_property
    def _wanted(self) -> Mapping[str, Any]:
        targets = self.evidence.campaign.config.get("targets")
        stated = [each for each in targets if isinstance(each, Mapping)] if isinstance(targets, list) else []
        named = {str(each.get("name", place)): each for place, each in enumerate(stated)}
        return named | {line.target: {} for line in self.evidence.verdicts if line.target not in named}

    @cached_property
    def _places(self) -> Mapping[str | None, str]:
        """Identifiers of the targets, by name."""
        return {name: f"#target-{place}" for place, name in enumerate(self._wanted)}

    @cached_property
    def _models(self) -> Mapping[str, str]:
        """Identifiers of the models that were fitted, by name."""
        fitted = [round_.value.facts.model for round_ in self.evidence.rounds]
        names = dict.fromkeys([*filter(None, fitted), *(exam.model for exam in self.evidence.exams if exam.model)])
        return {name: f"#model-{place}" for place, name in enumerate(names)}

    @cached_property
    def _people(self) -> Mapping[tuple[str, str], Entity]:
        """Persons, agents and services, by name and how that was known."""
        asked = [(line.by, line.known or "") for line in self.evidence.steering]
        read = [(edition.by, "") for sample in self.samples for edition in sample.editions]
        known = [who for who in dict.fromkeys([*asked, *read]) if who[0] and who[1] != NAMELESS]
        people = {}
        for place, (name, how) in enumerate(known):
            program = f" of an {Kind.AGENT}," in how or f" of a {Kind.SERVICE}," in how
            kind = "SoftwareApplication" if program else "Person"
            people[name, how] = _entity(f"#person-{place}", kind, name=name, description=how)
        return people

    def _knob(self, place: int) -> str:
        return f"#knob-{place}"

    def _channel(self, place: int) -> str:
        return f"#channel-{place}"

    def _file(self, name: str) -> str:
        return FOLDER + name

    def _target(self, name: str | None) -> list[str]:
        return [self._places[name]] if name in self._places else []

    def _words(self, settings: Sequence[float]) -> str:
        space = self.evidence.space
        units = {knob.name: knob.unit for knob in space.knobs}
        return format_quantities(space.shown_settings(settings), units)

    # ------------------------------------------------------------------ what was done

    def _rounds(self) -> Iterator[Entity]:
        planned = Counter(line.round for line in self.evidence.planned)
        for round_ in self.evidence.rounds:
            facts = round_.value.facts
            model = [self._models[facts.model]] if facts.model else []
            count = count_words(planned[round_.number], "measurement")
            about = f", for {round_.target}" if round_.target else ""
            given = round_.kind in (RoundKind.IMPORTED, RoundKind.BY_HAND)
            yield _entity(
                f"#round-{round_.number}",
                "CreateAction",
                name=f"{'Enter' if given else 'Propose'} round {round_.number} ({round_.kind.value}){about}",
                description=" ".join(filter(None, [f"{count} planned.", facts.why or ""])),
                endTime=_time(round_.at),
                actionStatus=DONE,
                agent=_to("#laboratory"),
                instrument=_to("#sdl", *model),
                object=_to(self._file(CAMPAIGN), self._file("replies.jsonl"), *self._target(round_.target)),
                result=_to(self._file("rounds.jsonl"), self._file("planned.jsonl")),
            )

    def _requests(self) -> Iterator[Entity]:
        planned = {line.value.key: line for line in self.evidence.planned}
        imported = {round_.number for round_ in self.evidence.rounds if round_.kind is RoundKind.IMPORTED}
        taken = {edition.attempt: (sample, edition) for sample in self.samples for edition in sample.editions}
        for line in self.evidence.replies:
            request = planned[line.key]
            sample, edition = taken.get(line.seq, (None, None))
            person = self._people.get((edition.by, "")) if edition else None
            elsewhere = line.round in imported
            failed = "" if line.counts else line.reason or f"the request is {line.state}"
            yield _entity(
                f"#request-{line.seq}",
                "CreateAction",
                name=f"Request {line.seq}: {request.purpose.value}, round {line.round}, index {line.index}, "
                f"replicate {line.replicate}, attempt {line.attempt}",
                description=f"{self._words(request.settings)}: {self._read(line)}",
                startTime=_time(line.sent_at),
                endTime=_time(line.done_at if line.done_at is not None else line.sent_at),
                actionStatus=FAILED if failed else DONE,
                error=failed,
                agent=None if elsewhere else _to(person["@id"] if person else "#laboratory"),
                instrument=_to("#sdl" if elsewhere else "#driver"),
                object=_to(self._file("planned.jsonl"), *([f"#sample-{sample.name}"] if sample else [])),
                result=_to(self._file("replies.jsonl")),
            )

    def _read(self, line: ReplyLine) -> str:
        if line.readings is None:
            return "no reading that counts"
        channels = self.evidence.space.channels
        triples = zip(channels, line.readings, line.censored or [False] * len(channels), strict=True)
        read = [(channel, value, full) for channel, value, full in triples if full or value is not None]
        shown = {channel.name: "at its ceiling" if full else value for channel, value, full in read}
        words = format_quantities(shown, {channel.name: channel.unit for channel, _, full in read if not full})
        return words if line.verdict is not ReplyClass.SUSPECT else f"{words}, not believed"

    def _verdicts(self) -> Iterator[Entity]:
        for place, line in enumerate(self.evidence.verdicts):
            model = self._models.get(line.value.facts.model or "")
            yield _entity(
                f"#verdict-{place}",
                "CreateAction",
                name=f"Judge {line.target}: {line.verdict.value}",
                description=line.sentence,
                endTime=_time(line.at),
                actionStatus=DONE,
                agent=_to("#laboratory"),
                instrument=_to("#sdl", *filter(None, [model])),
                object=_to(self._file("exams.jsonl"), self._file("replies.jsonl"), *self._target(line.target)),
                result=_to(self._file("verdicts.jsonl"), f"#finding-{place}"),
            )
            yield _entity(
                f"#finding-{place}",
                "PropertyValue",
                name=f"verdict on {line.target}",
                value=line.verdict.value,
                description=self._words(line.settings) if line.settings else line.sentence,
            )

    def _steering(self) -> Iterator[Entity]:
        for place, line in enumerate(self.evidence.steering):
            person = self._people.get((line.by, line.known or ""))
            yield _entity(
                f"#notice-{place}",
                "Action",
                name=f"{line.kind.value}: {line.text}",
                description=f"after {count_words(line.sent, 'request')}",
                endTime=_time(line.at),
                agent=_to(person["@id"] if person else "#laboratory" if line.by else "#sdl"),
                object=_to(self._file("steering.jsonl")),
            )
