"""On the way of a campaign from its file to the instrument the file is parsed once, and the instrument built once."""

import asyncio
from functools import wraps

import pytest
from places import on_twin

from flows.engine.handover import build_instrument, kept_instrument, take_instrument
from flows.laboratory.definition import Laboratory
from flows.laboratory.deployments import define_deployments
from sdl.campaign.definition import Campaign
from sdl.campaign.sections import Plugin
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.twin import Twin

TWIN = Plugin(plugin="twin")


@pytest.fixture
def calls(monkeypatch):
    """How often a twin was built and closed, and a campaign parsed before the first reading (its report parses too)."""
    counts, read = {"built": 0, "closed": 0, "parsed": 0}, []

    def counted(what, method):
        @wraps(method)
        def count(*args, **options):
            counts[what] += not (what == "parsed" and read)
            return method(*args, **options)

        return count

    monkeypatch.setattr(Twin, "__init__", counted("built", Twin.__init__))
    monkeypatch.setattr(Twin, "close", counted("closed", Twin.close))
    measure = Twin.measure
    monkeypatch.setattr(Twin, "measure", lambda *args: read.append(args) or measure(*args))
    monkeypatch.setattr(Campaign, "parse", counted("parsed", Campaign.parse))
    return counts


def test_an_instrument_is_taken_once_and_by_its_own_section_alone(calls):
    with kept_instrument(TWIN, build_instrument(TWIN)):
        assert take_instrument(Plugin(plugin="twin", seed=2)) is None
        assert take_instrument(TWIN) is not None
        assert take_instrument(TWIN) is None
    assert take_instrument(TWIN) is None
    assert calls["closed"] == 0, "who took it closes it"


def test_one_that_nobody_took_is_closed_in_the_end(calls):
    with kept_instrument(TWIN, build_instrument(TWIN)):
        pass
    assert (calls["built"], calls["closed"]) == (1, 1)


def test_what_one_task_took_no_other_one_gets():
    async def take():
        return take_instrument(TWIN)

    async def take_twice():
        return await asyncio.create_task(take()), await asyncio.create_task(take())

    with kept_instrument(TWIN, build_instrument(TWIN)):
        first, second = asyncio.run(take_twice())
    assert first is not None
    assert second is None


def test_a_laboratory_builds_each_instrument_once_for_all_its_deployments(calls):
    laboratory = Laboratory.parse({"instruments": {"twin": "twin", "other": {"plugin": "twin", "seed": 3}}})
    assert len(list(define_deployments(laboratory))) > 10
    assert (calls["built"], calls["closed"]) == (2, 2)


def test_a_source_is_built_once_with_its_instrument_and_both_are_closed(sdl, tmp_path, calls):
    file = tmp_path / "two.toml"
    white = '[[targets]]\nname = "white"\nreadings = {"515nm" = 16384}\n'
    source = '[[sources]]\nname = "cheap"\nplugin = "twin"\nseed = 2\napparatus = "other"\nprice = 0.05\n'
    file.write_text(f'name = "two"\nbudget = 4\ninstrument = "twin"\n{white}{source}')
    assert sdl("run", file, "--no-server").code == 3
    assert (calls["built"], calls["closed"]) == (2, 2)


def test_what_is_wrong_beside_a_source_leaves_none_open(calls):
    cheap = {"name": "cheap", "plugin": "twin", "apparatus": "other", "price": 0.05}
    wrong = {"name": "x", "instrument": "twin", "sources": [cheap], "targets": [{"readings": {"515nm": -1}}]}
    sources = []
    with pytest.raises(InvalidInput):
        prepare(wrong, sources=sources)
    assert sources == []
    assert calls["closed"] == calls["built"] == 2, "the source, and the instrument"


class TestWithPrefect:
    pytestmark = pytest.mark.slow

    def test_from_the_command_line(self, sdl, prefect, calls):
        assert sdl("run", *on_twin()).code == 0
        assert calls == {"built": 1, "closed": 1, "parsed": 1}

    def test_for_a_campaign_that_is_finished(self, sdl, prefect, calls):
        sdl("run", *on_twin())
        calls |= {"built": 0, "closed": 0}
        assert sdl("run", *on_twin()).code == 0
        assert (calls["built"], calls["closed"]) == (1, 1)

    @pytest.mark.parametrize("words", [["measure", "R=0.1", "G=0", "B=0"], ["calibrate"]], ids=["measure", "calibrate"])
    def test_by_hand(self, sdl, prefect, calls, words):
        assert sdl(*words).code == 0
        assert (calls["built"], calls["closed"]) == (1, 1)

    def test_an_exam_by_hand(self, sdl, prefect, calls):
        file, *changes = on_twin()
        assert sdl("verify", file, "R=0.5", "G=0.5", "B=0.5", *changes, "--replicates", 2).code == 3
        assert calls == {"built": 1, "closed": 1, "parsed": 1}

    def test_in_a_run_of_a_deployment(self, prefect, home, paper, calls):
        from prefect import get_client
        from prefect.flow_engine import run_flow

        from flows.campaign.flow import campaign

        config = paper | {"name": "deployed", "instrument": {"plugin": "twin", "seed": 1}}
        parameters = {"config": config, "home": str(home), "wait": True}

        async def run():
            async with get_client() as client:
                flow = await client.create_flow(campaign)
                deployment = await client.create_deployment(flow, "counted", parameters=parameters)
                flow_run = await client.create_flow_run_from_deployment(deployment, parameters=parameters)
            return await run_flow(campaign, flow_run=flow_run, parameters=parameters, return_type="state")

        assert asyncio.run(run()).is_completed()
        assert (calls["built"], calls["closed"]) == (1, 1)
        assert calls["parsed"] == 0, "Prefect parsed it with the parameters"
