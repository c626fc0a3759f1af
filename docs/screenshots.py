"""Pictures of Prefect's page for the README, written to docs/images.

Starts a server and a worker in a temporary folder, runs the sample pipeline, appends data that has
drifted, trains again beside the current model, predicts, and looks at every page in a headless
Chromium. Needs the extra `screenshots` and a Chromium on the path, or in the variable CHROMIUM.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("flows", "models", "seqprep", "data", "prefect.yaml", "automations.yaml")
WIDTH, HEIGHT, MENU = 1280, 900, 256
"""Pixels of the window, and of the menu on its left."""
TEXT_WIDTH = 620
"""Pixels of an artifact's text."""
HIGHEST = 1700
"""Pixels of a picture: more is cut off."""
COLOURS = 96
LATER = 0.3
"""Share of the documents that come with the second run."""
PATIENCE_S = 900.0
ARTIFACT = "text=Show Raw Data"
"""What stands under every artifact."""
DRAWING_MS = 4000
"""Milliseconds that a page may take to draw what it has loaded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """A server and a worker that run.

    Args:
        folder: of the project's copy. address: of the page.
    """

    folder: Path
    address: str

    def ask(self, path: str, body: Any = None) -> Any:
        """Call Prefect's API: GET without a body, else POST."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/api{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def deployment(self, flow: str) -> str:
        """The id of a flow's first deployment."""
        found = self.ask("/deployments/filter", {"flows": {"name": {"any_": [flow]}}})
        return str(sorted(found, key=lambda one: one["created"])[0]["id"])

    def start(self, flow: str, **parameters: Any) -> str:
        """Run a deployment; the id of the run."""
        path = f"/deployments/{self.deployment(flow)}/create_flow_run"
        return str(self.ask(path, {"parameters": parameters})["id"])

    def wait(self, run: str) -> None:
        """Wait until a run is done.

        Raises:
            RuntimeError: if it failed, or takes for ever.
        """
        limit_s = time.monotonic() + PATIENCE_S
        while (state := self.ask(f"/flow_runs/{run}")["state"])["type"] != "COMPLETED":
            if state["type"] in ("FAILED", "CRASHED", "CANCELLED") or time.monotonic() > limit_s:
                raise RuntimeError(f"run {run} is {state['name']}: {state.get('message')}")
            time.sleep(1)

    def artifacts(self, kind: str | None = None) -> dict[str, str]:
        """The newest artifact's id by key; of one kind, or of all."""
        found = self.ask("/artifacts/latest/filter", {"limit": 200})
        return {
            str(one["key"]): str(one["latest_id"]) for one in found if kind in (None, one["type"])
        }

    def wait_for_artifact(self, ending: str) -> None:
        """Wait until there is an artifact whose key ends so."""
        limit_s = time.monotonic() + PATIENCE_S
        while not any(key.endswith(ending) for key in self.artifacts()):
            if time.monotonic() > limit_s:
                raise RuntimeError(f"there is no artifact {ending!r}, only {self.artifacts()}")
            time.sleep(0.5)


@contextmanager
def started(folder: Path) -> Iterator[System]:
    """The system in a folder, on a free port of loopback, until the block ends."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        ignored = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT")}
    environment = {**kept, "PYTHONPATH": str(folder), "PORT": str(port)}
    serve = [sys.executable, "-m", "flows.serve"]
    try:
        subprocess.run([*serve, "up"], cwd=folder, env=environment, check=True)
        yield System(folder=folder, address=f"http://127.0.0.1:{port}")
    finally:
        subprocess.run([*serve, "down"], cwd=folder, env=environment, check=False)


def hold_back(folder: Path) -> list[Path]:
    """Move some of the sample's documents away; one of those left is empty."""
    text, later = folder / "data" / "text", folder / "later"
    held = []
    for label in sorted(path for path in text.iterdir() if path.is_dir()):
        files = sorted(label.iterdir())
        (later / label.name).mkdir(parents=True)
        for path in files[: int(LATER * len(files))]:
            held.append(path.rename(later / label.name / path.name))
    (text / "cooking" / "blank.txt").write_text(" \n")
    return held


def append(folder: Path, held: list[Path]) -> None:
    """Bring the documents back, longer than before and with words that nobody knows yet."""
    for number, path in enumerate(held):
        text = path.read_text(encoding="utf-8")
        new = " ".join(f"word{number % 7}{place % 29}" for place in range(60))
        target = folder / "data" / "text" / path.parent.name / f"new-{path.name}"
        target.write_text(f"{text}\n{text}\n{new}\n", encoding="utf-8")


def visit(page: Page, address: str, *, until: str = "h1, h2, nav") -> None:
    """Open a page and wait until it has drawn itself.

    Args:
        page: of the browser.
        address: to open.
        until: selector of what must be there.
    """
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.goto(address)
    page.wait_for_selector(until, timeout=PATIENCE_S * 1000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(DRAWING_MS)


def take(page: Page, path: Path, *, left: int = 0, width: int = WIDTH, whole: bool = False) -> None:
    """Take a picture of what the page shows, or of the whole page, in few colours.

    Args:
        page: that is open.
        path: of the PNG.
        left: pixels that are cut off there.
        width: of the picture.
        whole: make the window as high as the page first.
    """
    if whole:
        script = "Math.max(...[...document.querySelectorAll('*')].map(one => one.scrollHeight))"
        page.set_viewport_size({"width": WIDTH, "height": min(page.evaluate(script), HIGHEST)})
        page.wait_for_timeout(800)
    size = page.viewport_size
    assert size is not None
    clip = {"x": left, "y": 0, "width": min(width, WIDTH - left), "height": size["height"]}
    page.screenshot(path=path, clip=clip)
    with Image.open(path) as image:
        seen = without_bottom(image.convert("RGB"))
    seen.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def without_bottom(image: Image.Image) -> Image.Image:
    """The picture without the empty part at its bottom."""
    empty = Image.new("RGB", image.size, image.getpixel((image.width - 1, image.height - 1)))
    found = ImageChops.difference(image, empty).getbbox()
    bottom = image.height if found is None else min(found[3] + 16, image.height)
    return image.crop((0, 0, image.width, bottom))


def take_artifacts(system: System, page: Page, out: Path) -> None:
    """A picture of each artifact's text; progress is seen on the page of the run."""
    for key, number in system.artifacts(kind="markdown").items():
        visit(page, f"{system.address}/v2/artifacts/artifact/{number}", until=ARTIFACT)
        take(page, out / f"page-artifact-{key}.png", left=MENU, width=TEXT_WIDTH, whole=True)


def check_links(system: System, page: Page) -> None:
    """Follow the overview's links on the new and the old page; one that leads nowhere raises."""
    number = next(one for key, one in system.artifacts().items() if key.endswith("-overview"))
    for prefix in ("/v2", ""):
        home = f"{system.address}{prefix}/artifacts/artifact/{number}"
        visit(page, home, until="td a")
        links = page.locator("td a").evaluate_all(
            "all => all.map(one => [one.innerText, one.href])"
        )
        for name, address in links:
            visit(page, address, until="h1:has-text(':')")
            print(f"{name}: {page.url}: {page.locator('h1').last.inner_text()}")


def tell_the_story(system: System, page: Page, out: Path) -> None:
    """Run, append, run again, predict; a picture of everything on the way."""
    held = hold_back(system.folder)
    visit(page, f"{system.address}/v2/deployments")
    take(page, out / "page-deployments.png", left=MENU)
    visit(page, f"{system.address}/v2/deployments/deployment/{system.deployment('pipeline')}/run")
    take(page, out / "page-run-form.png", left=MENU, whole=True)
    page.get_by_text("Pipeline", exact=True).click()
    page.wait_for_timeout(DRAWING_MS)
    take(page, out / "page-run-form-pipeline.png", left=MENU, whole=True)
    visit(page, f"{system.address}/v2/automations")
    take(page, out / "page-automations.png", left=MENU)
    first = system.start("pipeline", file="data/text.yaml", settings=["train.updates=800"])
    system.wait_for_artifact("-updates")
    visit(page, f"{system.address}/v2/runs/flow-run/{first}?tab=Logs", until="canvas")
    page.get_by_text("Oldest to newest").click()
    page.get_by_text("Newest to oldest").click()
    page.wait_for_timeout(2 * DRAWING_MS)
    take(page, out / "page-run-while-it-runs.png")
    system.wait(first)
    append(system.folder, held)
    second = system.start("pipeline", file="data/text.yaml", settings=["train.updates=150"])
    system.wait(second)
    bundle = {"bundle": "sample_text@current", "out": "predictions.parquet"}
    system.wait(system.start("predict", inputs=["data/text/sailing"], **bundle))
    visit(page, f"{system.address}/v2/runs/flow-run/{second}?tab=Artifacts", until="canvas")
    take(page, out / "page-run.png", whole=True)
    take_artifacts(system, page, out)
    check_links(system, page)


def chromium() -> str:
    """Where a Chromium is.

    Raises:
        SystemExit: if there is none.
    """
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        sys.exit("no Chromium on the path: install one, or say where it is: CHROMIUM=/path/to/it")
    return found


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description="Pictures of Prefect's page.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="seqprep-") as folder,
        started(Path(folder)) as system,
        sync_playwright() as playwright,
    ):
        # Without a sandbox of its own, which containers do not allow: all pages are ours.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        tell_the_story(system, browser.new_page(), out)
        browser.close()


if __name__ == "__main__":
    main()
