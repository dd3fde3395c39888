"""The wall by itself: where Prefect's server is somebody else's, or there is none."""

import os
import re
import signal
import subprocess
import sys

import pytest
import requests
from hall import Hall
from places import DEPLOYMENTS

from flows.server import server

SECRET = "lab:known to few"


@pytest.mark.slow
def test_sdl_wall_shows_the_laboratory_and_leads_to_the_runs_of_the_other_server(tmp_path):
    hall = Hall(tmp_path / "ledger.sqlite")
    hall.begin("white", "lamp", title="White")
    hall.reading("white", 1)
    other = server.address(server.free_port())
    command = [sys.executable, "-m", "flows.cli", "wall", DEPLOYMENTS / "lab.toml", "--port", "0", "--home", tmp_path]
    there = {"PREFECT_API_URL": other, "PREFECT_API_AUTH_STRING": SECRET, "PREFECT_HOME": str(tmp_path / "prefect")}
    with subprocess.Popen(command, env=os.environ | there, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = re.match(r"wall (\S+)/wall \(", process.stdout.readline())[1]
            assert "<title>" in requests.get(f"{url}/wall", timeout=60).text
            assert requests.get(f"{url}/wall/api/news", timeout=60).status_code == 401, "it asks as that server does"
            news = requests.get(f"{url}/wall/api/news", auth=tuple(SECRET.split(":")), timeout=60).json()
            assert [each["name"] for each in news["board"]["instruments"]] == ["twin", "lamp"], "idle ones too"
            assert len(news["readings"]) == 1
            led = requests.get(f"{url}/runs/flow-run/7", allow_redirects=False, timeout=60).headers["location"]
            assert led == f"{other.removesuffix('/api')}/runs/flow-run/7"
            strange = requests.get(f"{url}/wall", headers={"host": "evil.example"}, timeout=60)
            assert strange.status_code == 403
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    hall.close()
