"""Take the pictures of the README anew, from a campaign that is run for them.

For maintainers: "python deployments/pictures.py". It needs this package, Chromium (Debian: apt install
chromium), Pillow and websockets (which matplotlib and Prefect bring).
"""

import base64
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image
from websockets.sync.client import connect

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
TWIN_PORT = 5005
COLOURS = 96
"""Of a picture: enough for pages that have few, and a third of the size."""
CHROMIUM_PORT = 9333
BROWSER_BAR = 400
"""What a window has room for beyond the picture."""
PATIENCE_S = 15
"""What a page has to draw itself."""


def sdl(home: Path, *words: str) -> dict[str, str]:
    """The answer of a command."""
    command = [sys.executable, "-m", "flows.cli", *words, "--home", str(home), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    return json.loads(done.stdout)


def latest_run(api: str) -> str:
    """The flow run that ended last, as Prefect numbers it."""
    asked = {"limit": 1, "sort": "END_TIME_DESC", "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    with urllib.request.urlopen(f"{api}/csrf-token?client=pictures") as answer:
        secret = {"Prefect-Csrf-Token": json.load(answer)["token"], "Prefect-Csrf-Client": "pictures"}
    headers = {"Content-Type": "application/json", **secret}
    request = urllib.request.Request(f"{api}/flow_runs/filter", json.dumps(asked).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)[0]["id"])


def photograph(address: str, size: tuple[int, int], picture: Path) -> None:
    """Take a picture of the upper part of a page as a reader sees it after a while, and make the file small."""
    with tempfile.TemporaryDirectory() as profile:
        quiet = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        window = f"--window-size={size[0]},{size[1] + BROWSER_BAR}"
        command = ["chromium", *quiet, window, f"--remote-debugging-port={CHROMIUM_PORT}", address]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as browser:
            try:
                time.sleep(PATIENCE_S)
                taken = _screenshot()
            finally:
                browser.terminate()
    with Image.open(io.BytesIO(taken)) as image:
        small = image.convert("RGB").crop((0, 0, *size)).quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)
    print(picture, f"{picture.stat().st_size / 1000:.0f} kB")


def _screenshot() -> bytes:
    """What the first page of the browser shows, as PNG."""
    with urllib.request.urlopen(f"http://127.0.0.1:{CHROMIUM_PORT}/json/list") as answer:
        page = next(target for target in json.load(answer) if target["type"] == "page")
    with connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
        socket.send(json.dumps({"id": 1, "method": "Page.captureScreenshot"}))
        return base64.b64decode(json.loads(socket.recv())["result"]["data"])


def main() -> None:
    """Run the paper's campaign on a served twin, and take pictures of its report and of its run in Prefect's UI."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        ports = ("--port", "0", "--twin-port", str(TWIN_PORT))
        laboratory = sdl(home, "up", str(HERE / "lab.toml"), "--twin", *ports, "--detach")
        try:
            result = sdl(home, "run", str(HERE / "paper.toml"))
            photograph(Path(result["report"]).as_uri(), (1000, 850), PICTURES / "report.png")
            run = f"{laboratory['ui']}/runs/flow-run/{latest_run(laboratory['api'])}"
            photograph(run, (1280, 530), PICTURES / "prefect.png")
        finally:
            sdl(home, "down")


if __name__ == "__main__":
    main()
