"""The command 'sdl twin serve': it serves until it is told to stop, or as long as a command that it runs."""

import json
import os
import signal
import sys

import requests


def test_a_command_runs_against_the_served_twin_and_its_exit_code_is_ours(spawn, ended):
    ask = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1] + '?R=0.5').read().decode()); sys.exit(9)"
    result = ended(spawn("twin", "serve", "--port", 0, "--", sys.executable, "-c", ask, "{url}"))
    assert result.code == 9
    assert json.loads(result.out)["in"] == [0.5, 0, 0]


def test_in_the_foreground_it_tells_where_and_serves_with_faults_until_ctrl_c(spawn, ended):
    words = ("--port", 0, "--json", "-o", "seed=5", "--fault", "busy@2")
    process = spawn("twin", "serve", *words)
    result = ""
    while not result.endswith("}\n"):
        result += process.stdout.readline()
    url = json.loads(result)["url"]
    assert json.loads(result) == {"url": url, "instrument": "twin-5", "faults": ["busy@2"]}
    assert [requests.get(url, timeout=60).status_code for _ in range(3)] == [200, 503, 200]
    process.send_signal(signal.SIGINT)
    assert ended(process, 5).code == 130


def test_ctrl_c_leaves_the_command_the_time_it_takes_to_finish(spawn, ended):
    finish = "import signal, time; signal.signal(2, lambda *_: (time.sleep(1), exit(7))); print('up', flush=True);"
    process = spawn("twin", "serve", "--port", 0, "--", sys.executable, "-c", f"{finish} time.sleep(30)")
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGINT)
    assert ended(process, 10).code == 7
