"""Persons, agents and services: who has which token, what it may do, and what waits until a person approved."""

import sqlite3

import pytest

from flows.engine.direct_run import run_directly
from flows.engine.open_bench import open_bench
from flows.engine.proposed import take_proposed
from flows.versions import versions
from sdl.campaign.sections import Plugin
from sdl.campaign.validation import prepare
from sdl.errors import ApprovalWanted, CampaignStopped, InvalidInput, NotAllowed
from sdl.history import PROPOSAL, Control, NoticeKind, State
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.ledger.people.proposals import Proposals
from sdl.ledger.people.tokens import Kind, Role, Tokens
from sdl.measurement.manual import measure_by_hand

NOBODY = "sdl-1-" + "x" * 43


class People:
    """A ledger with persons, an agent and a service, on a lamp of its own."""

    def __init__(self, where, lamp, paper):
        self.book, self.lamp, self.where = Ledger(where), lamp, str(where)
        self.tokens = Tokens(self.book)
        self.ada = self.let_in("Ada", Kind.PERSON, Role.APPROVER, None)
        self.bob = self.let_in("Bob", Kind.PERSON, Role.APPROVER)
        self.eve = self.let_in("Eve", Kind.PERSON, Role.OPERATOR)
        self.bot = self.let_in("bot", Kind.AGENT, Role.OPERATOR, hourly=3, daily=120)
        self.night = self.let_in("night", Kind.SERVICE, Role.OPERATOR)
        self.reader = self.let_in("reader", Kind.AGENT, Role.VIEWER)
        self.part = {"plugin": "claude-light", "url": lamp.url, "allow_private": True}
        self.written = paper | {"instrument": self.part, "budget": 40}

    def let_in(self, name, kind, role, by="Ada", **limits):
        return self.tokens.identify(self.tokens.issue(name, kind, role, self.ada if by else None, **limits))

    def propose(self, by, name="by a bot", **more):
        campaign, instrument = prepare(self.written | {"name": name} | more)
        instrument.close()
        config = campaign.model_dump(mode="json")
        place = (campaign.slug, instrument.identity, instrument.space)
        return Proposals(self.book, by).enter(*place, config, versions(), title=name, why="to learn")

    def run(self, entry, tmp_path):
        return run_directly(prepare(dict(entry.config))[0], tmp_path, self.where)

    def speaking(self, who):
        return Controls(self.book) if who is None else Controls.of_token(self.book, who)


@pytest.fixture
def lamp():
    with InstrumentServer(Twin(seed=3)) as served:
        yield served


@pytest.fixture
def people(where, lamp, paper):
    made = People(where, lamp, paper)
    yield made
    made.book.close()


class TestTokens:
    def test_a_token_is_read_nowhere_and_known_again(self, tmp_path):
        with Ledger(tmp_path / "ledger.db") as book:
            token = Tokens(book).issue("Ada", Kind.PERSON, Role.APPROVER)
            assert Tokens(book).identify(f" {token}\n").known == "token 1 of a person, approver"
        secret = token.rpartition("-")[2].encode()
        assert [file for file in tmp_path.iterdir() if secret in file.read_bytes()] == []

    def test_the_first_is_that_of_a_person_who_may_approve_and_others_are_let_in_by_such_a_one(self, ledger):
        tokens = Tokens(ledger)
        for kind, role in ((Kind.AGENT, Role.OPERATOR), (Kind.PERSON, Role.OPERATOR), (Kind.SERVICE, Role.VIEWER)):
            with pytest.raises(NotAllowed, match="the first token is that of a person who may approve"):
                tokens.issue("someone", kind, role)
        ada = tokens.identify(tokens.issue("Ada", Kind.PERSON, Role.APPROVER))
        bot = tokens.identify(tokens.issue("bot", Kind.AGENT, Role.OPERATOR, ada))
        for by in (None, bot):
            with pytest.raises(NotAllowed, match="this takes a person's token of the role approver"):
                tokens.issue("friend", Kind.PERSON, Role.APPROVER, by)
            with pytest.raises(NotAllowed):
                tokens.end("Ada", by)
        assert [holder.name for holder in tokens.holders()] == ["Ada", "bot"]

    @pytest.mark.parametrize("kind", [Kind.AGENT, Kind.SERVICE])
    def test_only_a_person_may_approve(self, ledger, kind):
        with pytest.raises(InvalidInput, match="only a person may approve"):
            Tokens(ledger).issue("bot", kind, Role.APPROVER)

    @pytest.mark.parametrize("name", ["", " Ada", "A\nda", "x" * 61, "Ada\u202e"])
    def test_a_name_shows_as_it_is(self, ledger, name):
        with pytest.raises(InvalidInput, match="letters that show"):
            Tokens(ledger).issue(name, Kind.PERSON, Role.APPROVER)

    def test_who_was_let_out_is_nobody_and_the_name_is_never_had_again(self, people):
        token = people.tokens.issue("guest", Kind.AGENT, Role.OPERATOR, people.ada)
        guest = people.tokens.identify(token)
        people.tokens.end("guest", people.ada)
        with pytest.raises(NotAllowed, match="nobody's, or was ended"):
            people.tokens.identify(token)
        with pytest.raises(NotAllowed, match="was ended"):
            people.propose(guest)
        for name in ("guest", "GUEST", "ｇuest", "gue\u0455t", "gu\u0435st", "\u0261\u00fcest"):
            with pytest.raises(InvalidInput, match="there is, or was, a token of 'guest'"):
                people.tokens.issue(name, Kind.AGENT, Role.OPERATOR, people.ada)

    @pytest.mark.parametrize("token", ["", "x", NOBODY, NOBODY.replace("1", "99"), "sdl-١-" + "x" * 43, "sdl-1-" * 9])
    def test_what_is_no_token_is_nobodys(self, people, token):
        with pytest.raises(NotAllowed, match="nobody's"):
            people.tokens.identify(token)

    def test_the_last_who_may_approve_goes_last(self, ledger):
        tokens = Tokens(ledger)
        ada = tokens.identify(tokens.issue("Ada", Kind.PERSON, Role.APPROVER))
        tokens.issue("bot", Kind.AGENT, Role.VIEWER, ada)
        with pytest.raises(InvalidInput, match="the last who may approve"):
            tokens.end("Ada", ada)
        tokens.end("bot", ada)
        tokens.end("Ada", ada)
        assert tokens.holders() == []

    def test_a_ledger_of_an_earlier_schema_has_room_for_them(self, tmp_path):
        place = tmp_path / "ledger.db"
        Ledger(place).close()
        with sqlite3.connect(place) as connection:
            connection.executescript(
                "DROP TABLE tokens; ALTER TABLE approvals DROP COLUMN proposer; UPDATE about SET version = 6"
            )
        with Ledger(place) as book:
            assert Tokens(book).identify(Tokens(book).issue("Ada", Kind.PERSON, Role.APPROVER)).name == "Ada"


@pytest.mark.fault("N-10")
class TestGate:
    def test_what_is_proposed_sends_nothing_whichever_way_it_is_begun(self, people, tmp_path):
        entry = people.propose(people.bot)
        with pytest.raises(ApprovalWanted, match="no person approved of it: 'sdl approve by-a-bot' shows it"):
            people.run(entry, tmp_path)
        part = Plugin.model_validate(people.part)
        with pytest.raises(ApprovalWanted), open_bench(part, str(tmp_path), people.where, entry.name) as bench:
            measure_by_hand(bench, [bench.instrument.space.off])
        assert people.lamp.requests == people.book.sent(entry.id) == 0

    @pytest.mark.parametrize("who", [None, "eve", "bot", "night", "reader"])
    def test_only_a_person_who_may_approve_lets_it_go_on(self, people, tmp_path, who):
        entry = people.propose(people.bot)
        with pytest.raises(NotAllowed, match="this takes a person's token of the role approver"):
            people.speaking(who and getattr(people, who)).answer(entry.name, True)
        with pytest.raises(ApprovalWanted):
            people.run(entry, tmp_path)
        assert people.lamp.requests == 0

    def test_with_it_the_campaign_is_run_as_any_other_and_the_record_says_who(self, people, tmp_path):
        entry = people.propose(people.bot)
        people.speaking(people.ada).answer(entry.name, True, "fine", PROPOSAL)
        outcome = people.run(entry, tmp_path)
        assert outcome["verified"]
        assert people.lamp.requests == outcome["requests"] <= 40
        proposed, approved = Controls(people.book).notices(entry.id)
        assert (proposed.who, proposed.text) == ("bot (token 4 of an agent, operator)", "proposed: to learn")
        assert (approved.who, approved.kind) == ("Ada (token 1 of a person, approver)", NoticeKind.APPROVED)

    def test_nobody_approves_of_their_own(self, people):
        entry = people.propose(people.ada)
        with pytest.raises(NotAllowed, match="'Ada' proposed this: another person has to answer"):
            people.speaking(people.ada).answer(entry.name, True)
        assert people.speaking(people.bob).answer(entry.name, True).granted

    def test_an_approval_counts_once_and_for_what_was_shown(self, people):
        entry = people.propose(people.bot)
        with pytest.raises(InvalidInput, match="waits for no approval of that"):
            people.speaking(people.ada).answer(entry.name, True, seen=0)
        people.speaking(people.ada).answer(entry.name, True)
        with pytest.raises(InvalidInput, match="waits for no approval of that"):
            people.speaking(people.ada).answer(entry.name, True)

    def test_rounds_of_what_an_agent_proposed_are_approved_by_another_person_too(self, people, tmp_path):
        entry = people.propose(people.bob, approval={"when": "first-round"})
        people.speaking(people.ada).answer(entry.name, True)
        with pytest.raises(ApprovalWanted, match="round 0 waits for approval"):
            people.run(entry, tmp_path)
        for who in (None, people.bot, people.bob):
            with pytest.raises(NotAllowed):
                people.speaking(who).answer(entry.name, True)
        people.speaking(people.ada).answer(entry.name, True)
        assert people.run(entry, tmp_path)["verified"]

    def test_declined_it_is_over(self, people, tmp_path):
        entry = people.propose(people.bot)
        Controls(people.book, "anybody").answer(entry.name, False, "no")  # to say no takes no token
        assert people.book.entry(entry.name).state is State.STOPPED
        with pytest.raises(CampaignStopped):
            people.run(entry, tmp_path)
        people.speaking(people.eve).ask(entry.name, Control.RUN)
        with pytest.raises(ApprovalWanted):
            people.run(entry, tmp_path)
        with pytest.raises(InvalidInput, match="waits for no approval"):
            people.speaking(people.ada).answer(entry.name, True)
        assert people.lamp.requests == 0

    def test_an_agent_gets_no_more_than_was_approved(self, people, tmp_path):
        entry = people.propose(people.bot, budget=12)
        people.speaking(people.ada).answer(entry.name, True)
        for who in (None, people.bot, people.reader, people.night):
            with pytest.raises(NotAllowed):
                people.speaking(who).extend(entry.name, 1000)
        for control in Control:
            with pytest.raises(NotAllowed):
                people.speaking(people.reader).ask(entry.name, control)
        with pytest.raises(NotAllowed):
            people.speaking(people.bot).ask(entry.name, Control.RUN)
        people.run(entry, tmp_path)
        assert people.lamp.requests <= 12
        assert people.speaking(people.eve).extend(entry.name, 8) == 20

    def test_what_was_proposed_stays_as_it_was_and_sends_no_more_than_was_approved(self, people, tmp_path):
        entry = people.propose(people.bot, budget=12)

        def change_it():
            for change in ({"budget": 1000}, {"suspend": {"failures": 1.0}}):
                with pytest.raises(InvalidInput, match=f"stays as it was, and here is another {next(iter(change))}"):
                    run_directly(prepare(dict(entry.config) | change)[0], tmp_path, people.where)

        change_it()
        people.speaking(people.ada).answer(entry.name, True)
        change_it()
        people.run(entry, tmp_path)
        assert people.lamp.requests <= 12

    def test_a_name_that_is_taken_cannot_be_proposed(self, people):
        people.propose(people.bot)
        with pytest.raises(InvalidInput, match="there is a campaign 'by-a-bot' already"):
            people.propose(people.bot, budget=10)

    def test_a_name_that_looks_like_that_of_another_campaign_cannot_be_proposed(self, people):
        people.propose(people.bot, name="bot: Blue 1")
        for name in ("bot: blu\u0435 1", "bot: Blue l", "bot:  BLUE 1", "b\u03bft: Bl\u00fae 1"):
            with pytest.raises(InvalidInput, match=r"there is a campaign 'bot(: Blue |-blue-)1'"):
                people.propose(people.bot, name=name)
        people.propose(people.bot, name="bot: Blue 2")

    def test_an_agent_proposes_so_many_an_hour_and_so_many_requests_a_day_and_a_viewer_nothing(self, people):
        with pytest.raises(NotAllowed, match="may read and not propose"):
            people.propose(people.reader)
        people.propose(people.bot, "one", budget=60)
        with pytest.raises(NotAllowed, match="120 requests in 24 hours; 60 are proposed already, and this asks for 61"):
            people.propose(people.bot, "two", budget=61)
        people.propose(people.bot, "two", budget=30)
        people.propose(people.bot, "three", budget=20)
        with pytest.raises(NotAllowed, match="may make 3 proposals an hour"):
            people.propose(people.bot, "four", budget=10)
        assert people.propose(people.eve, "four").name == "four"  # each has limits of its own

    def test_readings_are_taken_once_and_not_before_they_are_approved(self, people, tmp_path):
        space = Twin().space
        settings = [{"R": 0.1, "G": 0.2, "B": 0.3}, {"R": 0.3, "G": 0.2, "B": 0.1}]
        with people.book.hold("x", "x"):  # whatever else goes on
            config = {"instrument": people.part, "settings": settings, "budget": 2}
            identity = prepare(people.written)[1].identity
            entry = Proposals(people.book, people.bot).enter(
                "two", identity, space, config, versions(), title="two", why=""
            )
        with pytest.raises(ApprovalWanted):
            take_proposed(entry, tmp_path, people.where)
        assert people.lamp.requests == 0
        people.speaking(people.ada).answer("two", True)
        taken = take_proposed(people.book.entry("two"), tmp_path, people.where)
        assert [row["settings"] for row in taken] == settings
        with pytest.raises(InvalidInput, match="is over"):
            take_proposed(people.book.entry("two"), tmp_path, people.where)
        assert people.lamp.requests == 2


class TestWithoutTokens:
    def test_all_is_as_it_was(self, ledger, paper, tmp_path):
        written = paper | {"instrument": {"plugin": "twin", "seed": 2}, "approval": {"when": "first-round"}}
        config, where = prepare(written)[0], str(tmp_path / "ledger.db")
        with pytest.raises(ApprovalWanted):
            run_directly(config, tmp_path, where)
        Controls(ledger, "Ada").answer("paper", True)
        Controls(ledger, "Ada").extend("paper", 5)
        assert run_directly(config, tmp_path, where)["verified"]

    def test_with_one_a_name_alone_approves_of_nothing(self, ledger, paper, tmp_path):
        written = paper | {"instrument": {"plugin": "twin", "seed": 2}, "approval": {"when": "first-round"}}
        with pytest.raises(ApprovalWanted):
            run_directly(prepare(written)[0], tmp_path, str(tmp_path / "ledger.db"))
        ada = Tokens(ledger).identify(Tokens(ledger).issue("Ada", Kind.PERSON, Role.APPROVER))
        for forged in (Controls(ledger, "Ada", "token 1 of a person, approver"), Controls.of_form(ledger, "Ada")):
            with pytest.raises(NotAllowed):
                forged.answer("paper", True)
            with pytest.raises(NotAllowed):
                forged.extend("paper", 5)
        assert Controls.of_token(ledger, ada).answer("paper", True).granted
