"""Deployments of an earlier version, whose flows lie elsewhere now, are named with what to do about them."""

import asyncio
import subprocess

import pytest
import requests
from services import secret_headers

from flows.laboratory.definition import Laboratory
from flows.laboratory.deployments import define_deployments
from flows.laboratory.stale_deployments import describe_stale_deployments, stale_deployments

GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org")

pytestmark = pytest.mark.slow


@pytest.fixture
def deployed(prefect):
    """Registers the deployments of a twin as 'sdl up' does; some of them then get other entry points.

    The server has none yet, whatever else was deployed on it, and by whom.
    """
    from prefect import get_client
    from prefect.client.schemas.actions import DeploymentUpdate
    from prefect.runner import Runner

    from flows.laboratory.registration import register_deployments

    async def deploy(changes):
        offered, runner = list(define_deployments(Laboratory.of_a_twin(None))), Runner(name="stale")
        async with get_client() as client:
            numbers = await register_deployments(client, offered, runner.aadd_deployment, "these tests")
            for definition, number in zip(offered, numbers, strict=True):
                if definition.run in changes:
                    await client.update_deployment(number, DeploymentUpdate(entrypoint=changes[definition.run]))
            return {definition.run: (await client.read_deployment(number)).entrypoint
                    for definition, number in zip(offered, numbers, strict=True)}  # fmt: skip

    async def clear():
        async with get_client() as client:
            for deployment in await client.read_deployments():
                await client.delete_deployment(deployment.id)

    asyncio.run(clear())
    return lambda **changes: asyncio.run(deploy(changes))


def test_prefect_writes_the_place_of_a_flow_as_the_definition_has_it(deployed, prefect):
    written = deployed()
    assert written == {each.run: each.entrypoint for each in define_deployments(Laboratory.of_a_twin(None))}
    assert [name for name in stale_deployments(prefect) if name.endswith("/twin")] == []


def test_they_are_their_owners_in_a_folder_under_version_control_too(deployed, prefect, tmp_path, monkeypatch):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    subprocess.run([*GIT, "-C", tmp_path, "commit", "--quiet", "--allow-empty", "--message", "Begin"], check=True)
    monkeypatch.chdir(tmp_path)
    deployed()
    deployments = requests.post(f"{prefect}/deployments/filter", json={}, headers=secret_headers(prefect), timeout=20)
    ours = [each for each in deployments.json() if each["name"] in ("twin", "laboratory")]
    assert {deployment["version"] for deployment in ours} == {"these tests"}


def test_an_earlier_place_is_a_sentence_until_the_laboratory_is_deployed_again(deployed, prefect, sdl, monkeypatch):
    deployed(campaign="flows.campaign.campaign", measure="flows.by_hand.measure")
    sentence = describe_stale_deployments(prefect)
    assert "earlier version of sdl" in sentence
    assert "campaign/twin, measure/twin" in sentence
    found = {each["what"]: each for each in sdl("doctor", "--json", "--port", 1).json}
    assert found["configured Prefect server"]["state"] == "warning"
    assert found["configured Prefect server"]["advice"].startswith("run 'sdl deploy' again")
    deployed()
    assert describe_stale_deployments(prefect) is None
