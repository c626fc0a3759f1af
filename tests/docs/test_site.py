"""The guide as it is built: complete, with no dead link, and readable without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from flows.pipeline_file import json_schema
from seqprep.transforms import TRANSFORMS
from tests.conftest import ROOT

GUIDE = ROOT / "docs"
PATH_OF_A_NEWCOMER = ("index", "choose", "text", "studies", "add-transform")
WORDS_A_MINUTE = 200
HEADLESS = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000")


class Page(HTMLParser):
    """What a page of the site links, loads and names."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.names: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what points somewhere."""
        found = {name: value or "" for name, value in attrs}
        self.names |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif "src" in found:
            self.loads.append(found["src"])
        elif tag == "link" and found.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(found.get("href", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built guide, without a network: mkdocs looks nothing up."""
    folder = tmp_path_factory.mktemp("site")
    nowhere = "http://127.0.0.1:1"  # whoever asks a network gets an error
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1", "HTTPS_PROXY": nowhere},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def inside(pages: dict[Path, Page], of: str) -> Iterator[tuple[Path, str, Path, str]]:
    """(page, link, file that it means, anchor) of every link within the site."""
    for path, page in pages.items():
        for link in getattr(page, of):
            parts = urlsplit(link)
            if not parts.scheme and not parts.netloc and path.name != "404.html":
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                yield path, link, target, unquote(parts.fragment)


def test_every_page_is_in_the_navigation(site: Path) -> None:
    """A page would be there and nobody would find it, or the other way round."""
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r": ([\w-]+\.md)$", nav, re.MULTILINE))
    assert named == {path.name for path in GUIDE.glob("*.md")}
    assert {path.stem for path in site.glob("*.html")} == {name[:-3] for name in named} | {"404"}


def test_every_link_leads_somewhere(pages: dict[Path, Page]) -> None:
    """A reader would land on a missing page, picture or heading."""
    for path, link, target, anchor in inside(pages, "links"):
        assert target.exists(), f"{path.name}: {link}"
        if anchor and target in pages:
            assert anchor in pages[target].names, f"{path.name}: {link}"
    for path, link, target, _ in inside(pages, "loads"):
        assert target.exists(), f"{path.name}: {link}"


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    """The guide would tell others who reads it, and be unreadable without a network."""
    for path, page in pages.items():
        outside = [link for link in page.loads if urlsplit(link).netloc or "//" in link[:8]]
        assert not outside, f"{path.name}: {outside}"
        text = path.read_text(encoding="utf-8")
        # the theme fetches a script for diagrams, and asks a forge about a repository
        assert 'class="mermaid"' not in text and 'data-md-component="source"' not in text
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", text), style.name


def test_search_needs_no_server(site: Path, pages: dict[Path, Page]) -> None:
    """Pages that are opened from disk would find nothing."""
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    places = {doc["location"] for doc in json.loads(index.removeprefix("var __index = "))["docs"]}
    assert {path.name for path in pages} - {"404.html"} <= places
    for path, page in pages.items():
        assert any(load.endswith("assets/iframe-worker.js") for load in page.loads), path.name


@pytest.mark.parametrize("name", ["transform", "model", "domain"])
def test_pages_hold_the_examples_that_are_tested(site: Path, name: str) -> None:
    """A page would show a copy of an example, or none of it."""
    text = unescape(re.sub(r"<[^>]+>", "", (site / f"add-{name}.html").read_text("utf-8")))
    included = re.findall(r'--8<-- "(.*)"', (GUIDE / f"add-{name}.md").read_text("utf-8"))
    assert len(included) >= 2
    for file in included:
        example = (GUIDE / "examples" / file).read_text(encoding="utf-8")
        assert all(line.rstrip() in text for line in example.splitlines()), file


def test_the_tables_hold_every_key(site: Path) -> None:
    """A new key would be missing, or a word of the docstrings mean nothing to a reader."""
    text = (site / "pipeline-file.html").read_text(encoding="utf-8")
    schema = json_schema()
    parts = [schema, *schema["$defs"].values()]
    keys = {key for part in parts for key in part["properties"]}
    assert not {key for key in keys if f"<td><code>{key}</code></td>" not in text}
    assert not {name for name in TRANSFORMS if f'id="step-{name}"' not in text}
    body = re.sub(r"<[^>]+>", "", text)
    assert not re.findall(r"&gt;&gt;&gt;|CONTRACT|TECHNIQUES|ViewOptions", body)


@pytest.mark.slow
def test_search_finds_in_pages_that_are_opened_from_disk(site: Path) -> None:
    """The frame that stands for a Worker would not answer."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    done = subprocess.run(
        [browser, *HEADLESS, "--dump-dom", f"file://{site}/index.html?q=petabase"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert re.search(r'petabases\.html[^"]*" class="md-search-result__link"', done.stdout)


def test_a_newcomer_reads_it_in_twenty_minutes() -> None:
    """Pages would grow until nobody reads them."""
    words = 0
    for name in PATH_OF_A_NEWCOMER:
        text = (GUIDE / f"{name}.md").read_text(encoding="utf-8")
        prose = re.sub(r"^```.*?^```|<!--.*?-->", "", text, flags=re.DOTALL | re.MULTILINE)
        words += len(re.findall(r"[A-Za-z]+", prose))
    assert words <= 20 * WORDS_A_MINUTE


def test_every_finding_was_measured() -> None:
    """A figure could be invented, or stay behind when it is measured again."""
    findings = yaml.safe_load((GUIDE / "findings.yaml").read_text(encoding="utf-8"))
    others = [path for path in GUIDE.glob("*.md") if path.stem != "choose"]
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *others)]
    lines = [line.removeprefix("| ") for page in pages for line in page.splitlines()]
    for finding in findings:
        heads = finding.pop("rows")
        found = [[line for line in lines if line.startswith(head)] for head in heads]
        assert all(found), finding["data"]
        measured = " ".join(line for some in found for line in some)
        for figure in re.findall(r"\d+\.\d+", " ".join(map(str, finding.values()))):
            assert figure in measured, f"{finding['data']}: {figure}"


def test_advice_shows_what_was_measured_of_it(site: Path) -> None:
    """A result would name advice that was reworded, and the row look as if nothing were known."""
    findings = yaml.safe_load((GUIDE / "findings.yaml").read_text(encoding="utf-8"))
    page = unescape((site / "choose.html").read_text(encoding="utf-8"))
    first = page[page.index("by-what-the-answer-depends-on") : page.index('id="by-domain"')]
    rows = [re.sub(r"<[^>]+>", "", row) for row in first.split("<tr>")]
    shown = [finding for finding in findings if "answer" in finding]
    assert shown
    for finding in shown:
        row = next(row for row in rows if row.strip().startswith(finding["answer"]))
        assert f"{finding['data']}: {finding['score']}" in row


def test_run_names_what_the_guide_does() -> None:
    """The first commands of the guide would not be there."""
    told = subprocess.run(["./run", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for command in ("./run demo", "./run test", "./run docs", "./run up"):
        assert command in told.stdout
