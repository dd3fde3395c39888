"""Two services that want one port, one server, or one name for their instruments; and a twin where nobody looks."""

import asyncio
import socket

import pytest
from places import ROOT
from services import ENDED, SOON_S, Lab

from flows import environment
from flows.laboratory import registration
from flows.laboratory.definition import Laboratory
from flows.laboratory.deployments import define_deployments
from flows.server import server
from flows.server import service_lock as instance
from sdl.errors import InvalidInput

AT = '[instruments.lamp]\nplugin = "claude-light"\nurl = "http://127.0.0.1:{}/api"\nallow_private = true\n'


def made(home):
    home.mkdir(mode=0o700)
    return Lab(home)


@pytest.mark.fault("O-37")
def test_who_answers_at_a_port_is_who_bound_it(tmp_path):
    with server.listen(0) as first:
        port = first.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"another program listens at port {port}: give another --port"):
            server.listen(port)
    server.listen(port).close()


@pytest.mark.slow
@pytest.mark.fault("O-37")
def test_of_two_on_one_port_at_once_one_serves_and_the_other_says_why_not(tmp_path):
    labs = [made(tmp_path / name) for name in ("one", "two")]
    port = server.free_port()
    started = [lab.start("up", "--port", port, "--detach", "--json") for lab in labs]
    result = [process.communicate(timeout=SOON_S) for process in started]
    codes = [process.returncode for process in started]
    assert sorted(codes) == [0, 1], result
    winner, loser = (labs[codes.index(code)] for code in (0, 1))
    try:
        assert f"listens at port {port}: give another --port" in "".join(result[codes.index(1)])
        assert "Traceback" not in loser.words + winner.words
        assert loser.processes() == []
        winner.service = {"api": instance.running(winner.home).api}
        assert winner.service["api"] == server.address(port)
        state = winner.until(winner.trigger("measure", {"settings": {"R": 0.1, "G": 0.2, "B": 0.3}}), ENDED)
        assert state["type"] == "COMPLETED", state
        assert len(winner.trail("by-hand")) == 1
        assert not (loser.home / "prefect" / "prefect.db").exists()  # it never came so far
    finally:
        assert winner.sdl("down").returncode == 0


@pytest.mark.slow
@pytest.mark.fault("O-37", "O-38")
def test_two_on_one_server_do_not_take_each_others_deployments(tmp_path, home, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    environment.set_up_prefect(tmp_path)
    own = server.OwnServer(tmp_path)
    one, two = made(tmp_path / "one"), made(tmp_path / "two")
    for lab in (one, two):
        lab.environment["PREFECT_API_URL"] = own.api
    file = tmp_path / "lab.toml"
    file.write_text(AT.format(port := server.free_port()), encoding="utf-8")
    try:
        own.wait()
        one.up(file, "--twin")
        assert one.service["twin"] == f"http://127.0.0.1:{port}/api"  # where the file looks for it
        before = one.deployment("measure", "lamp")
        refused = two.sdl("up", "--detach")
        assert refused.returncode == 1
        assert f"for {one.home} serves 'pause/laboratory' on the Prefect server at {own.api}" in refused.stderr
        deploy = two.sdl("deploy", file)
        assert deploy.returncode == 2
        assert f"for {one.home} serves 'campaign/lamp'" in deploy.stderr
        after = one.deployment("measure", "lamp")
        assert all(after[part] == before[part] for part in ("id", "version", "parameters", "work_pool_name"))
        run = one.trigger("measure", {"settings": {"R": 0.1, "G": 0.2, "B": 0.3}}, name="lamp")
        assert one.until(run, ENDED)["type"] == "COMPLETED"
        assert one.sdl("down").returncode == 0
        one.up(file, "--twin")  # its own deployments are nobody else's
    finally:
        for lab in (one, two):
            lab.sdl("down")
        own.stop()


# ---------------------------------------------------------------------- one server, at one moment


@pytest.fixture
def register(prefect):
    """Registers deployments of one instrument for each of several owners at once; what came of each."""
    from prefect import get_client
    from prefect.runner import Runner

    async def one(offered, owner, formerly):
        async with get_client() as client:
            adds = Runner(name=owner).aadd_deployment
            numbers = await registration.register_deployments(client, offered, adds, owner, formerly)
            return {(await client.read_deployment(number)).version for number in numbers}

    def all_of(instrument, *owners, formerly=""):
        laboratory = Laboratory.parse({"instruments": {instrument: "twin"}})
        offered = [each for each in define_deployments(laboratory) if each.name == instrument]

        async def at_once():
            return await asyncio.gather(*(one(offered, owner, formerly) for owner in owners), return_exceptions=True)

        return asyncio.run(at_once())

    return all_of


@pytest.mark.slow
@pytest.mark.fault("O-38")
def test_of_several_at_one_moment_one_has_all_deployments_and_the_others_are_told(register):
    came = register("lamp-1", "the first", "the second", "the third")
    (winner,) = (outcome for outcome in came if isinstance(outcome, set))
    (name,) = winner
    refused = [outcome for outcome in came if not isinstance(outcome, set)]
    assert len(refused) == 2
    assert all(isinstance(each, InvalidInput) and f"{name} serves 'campaign/lamp-1'" in str(each) for each in refused)
    assert register("lamp-1", name) == [{name}]  # again, as often as it likes


@pytest.mark.slow
@pytest.mark.fault("O-38")
def test_a_service_in_a_new_boot_or_container_is_its_own_successor(register, tmp_path):
    assert register("lamp-2", "as it was called before") == [{"as it was called before"}]
    assert isinstance(register("lamp-2", "another")[0], InvalidInput)
    assert register("lamp-2", "as it is called now", formerly="as it was called before") == [{"as it is called now"}]
    with instance.alone(tmp_path):
        assert instance.former_owner(tmp_path) == ""
        instance.keep_owner(tmp_path, instance.describe_owner(tmp_path))
    with instance.alone(tmp_path):
        assert instance.former_owner(tmp_path) == instance.describe_owner(tmp_path)


@pytest.mark.slow
@pytest.mark.fault("O-38")
def test_one_that_was_killed_while_it_registered_is_passed_over(register, monkeypatch):
    from prefect import get_client
    from prefect.client.schemas.actions import VariableCreate

    monkeypatch.setattr(registration, "CLAIM_S", 0.5)

    async def die():
        async with get_client() as client:
            await client.create_variable(VariableCreate(name=registration.CLAIM, value="one who was killed"))

    asyncio.run(die())
    assert register("lamp-3", "the next") == [{"the next"}]


@pytest.mark.fault("O-38")
def test_a_twin_stands_where_the_laboratory_file_looks_for_it(sdl, tmp_path):
    shipped = Laboratory.read(ROOT / "deployments" / "lab.toml")
    assert (shipped.twin_port(None), shipped.twin_port(5005)) == (5005, 5005)
    (tmp_path / "lab.toml").write_text(AT.format(6006), encoding="utf-8")
    assert Laboratory.read(tmp_path / "lab.toml").twin_port(None) == 6006
    for port in (5005, 0):
        result = sdl("up", tmp_path / "lab.toml", "--twin", "--twin-port", port, "--detach")
        assert result.code == 2
        assert f"no instrument of the laboratory file uses a twin at port {port}" in result.said
        assert "leave --twin-port out, or give 6006" in result.said
    (tmp_path / "lab.toml").write_text('[instruments]\nlamp = "twin"\n', encoding="utf-8")
    assert "leave --twin out" in sdl("up", tmp_path / "lab.toml", "--twin", "--detach").said


@pytest.mark.slow
@pytest.mark.fault("O-38")
def test_a_port_of_the_twin_that_somebody_has_is_told(tmp_path):
    lab = made(tmp_path / "home")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = lab.sdl("up", "--port", 0, "--twin", "--twin-port", port, "--detach")
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
    assert lab.gone() == []
