"""What a flow run shows on Prefect's page: one artifact for each thing that there is to say.

Each is found again under a key of its dataset, so that a key's page is its history. Links are
relative to the page of an artifact or of a run, which stand equally deep in old and new pages.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect.artifacts import Artifact, create_markdown_artifact
from prefect.client.schemas.objects import Artifact as Stored

from flows.prediction.told import new_files_page, told_of_new_files
from flows.references import Json
from flows.registry.current import models
from flows.reporting import data_pages, drift, model_pages, plots
from flows.reporting.keys import artifact_key
from flows.reporting.reports import data_uri, inline_images
from models.job import read_job
from seqprep.options.drift import Drift
from seqprep.schema import length_unit
from seqprep.snapshot import Facts, Snapshot

LIMIT = 100_000
"""Characters of a picture: a page with larger ones is slow to open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """An artifact that was made.

    Args:
        title: what it is of. told: what it says, in one line. link: to it, from another one.
    """

    title: str
    told: str
    link: str

    @property
    def markdown(self) -> str:
        """Its title as a link."""
        return f"[{self.title}]({self.link})"


def _publish(title: str, text: str, *, key: str, told: str) -> Page:
    made = create_markdown_artifact(text, key=key, description=told)
    return Page(title=title, told=told, link=f"../../artifacts/artifact/{made}")


def _version_link(title: str, *, key: str, version: int) -> str:
    """A link to the newest artifact of a key where it is of this version, else to all of them."""
    newest = Artifact.get(key)
    text = f"{title} version {version}"
    if not isinstance(newest, Stored):
        return text
    if re.match(rf"Version {version}\b", newest.description or ""):
        return f"[{text}](../../artifacts/artifact/{newest.id})"
    return f"[{text}, among all of them](../../artifacts/key/{key})"


def _picture(title: str, draw: Callable[[Path], None]) -> str:
    """A plot as Markdown that carries it."""
    with TemporaryDirectory(prefix="seqprep-plot-") as folder:
        path = Path(folder) / "plot.png"
        draw(path)
        return _inline(title, path)


def _inline(title: str, path: Path) -> str:
    uri = data_uri(path)
    if len(uri) > LIMIT:
        return f"*{title}: too large to be shown here ({len(uri):,} characters).*"
    return f"![{title}]({uri})"


def ingest_artifact(done: Json) -> Page:
    """Show what came in, and what was rejected and why."""
    return _publish(
        "What came in",
        data_pages.sequences_page(done),
        key=artifact_key(done["dataset"], "sequences"),
        told=data_pages.told_of_sequences(done),
    )


def prepare_artifact(done: Json, limits: Drift) -> list[Page]:
    """Show lengths, splits and padding of prepared examples, and drift where rows were appended."""
    snapshot = Snapshot.read(Path(done["snapshot"]))
    buckets: Counter[int] = Counter()
    for shard in snapshot.shards:
        buckets[shard.bucket] += shard.rows
    page = data_pages.examples_page(
        done,
        pictures={
            "lengths": _picture("Lengths", lambda path: _lengths(path, done, snapshot.facts)),
            "padding": _picture("Padding", lambda path: _padding(path, done)),
        },
        buckets=buckets,
        source=_sequences_link(done["dataset"], done["sequences_version"]),
    )
    key = artifact_key(done["dataset"], done["recipe"], "examples")
    told = data_pages.told_of_examples(done)
    pages = [_publish("What it became", page, key=key, told=told)]
    if done["drift"] and done["drift"]["now"]["records"]:
        pages.append(_drift_artifact(done, limits))
    return pages


def _lengths(path: Path, done: Json, facts: Facts) -> None:
    before, after = done["lengths_before"], done["lengths_after"]
    plots.lengths(path, before=before, after=after, unit=length_unit(facts.domain))


def _padding(path: Path, done: Json) -> None:
    shares = {
        "padded to the longest": done["padding_share_unbucketed"],
        "padded to the bucket": done["padding_share"],
    }
    plots.padding(path, shares=shares)


def _drift_artifact(done: Json, limits: Drift) -> Page:
    text = data_pages.drift_page(
        done,
        measures=drift.table(done, limits),
        picture=_picture("Drift", lambda path: drift.plot(path, done, limits)),
        source=_examples_link(done["dataset"], done["recipe"], done["version"]),
    )
    key = artifact_key(done["dataset"], done["recipe"], "drift")
    return _publish("How far it moved", text, key=key, told=data_pages.told_of_drift(done))


def _sequences_link(dataset: str, version: int) -> str:
    return _version_link("sequences", key=artifact_key(dataset, "sequences"), version=version)


def _examples_link(dataset: str, recipe: str, version: int) -> str:
    return _version_link("examples", key=artifact_key(dataset, recipe, "examples"), version=version)


def train_artifact(done: Json) -> list[Page]:
    """Show how a model learned, and how good it is beside baselines and the current model."""
    run = Path(done["report"]).parent.parent
    report = json.loads((run / "report.json").read_bytes())
    facts = _facts(run)
    title = f"{facts.dataset}, recipe {facts.recipe}"
    made_of = (
        f"Trained on {_examples_link(facts.dataset, facts.recipe, facts.examples_version)}, made "
        f"from {_sequences_link(facts.dataset, facts.sequences_version)}."
    )
    learning = _publish(
        "How it learned",
        model_pages.learning_page(
            title,
            report,
            pictures=_plots_of(run, "learning_curves"),
            links=f"{made_of} Why it was trained: {done.get('why', 'asked for')}.",
        ),
        key=artifact_key(facts.dataset, facts.recipe, "training"),
        told=model_pages.told_of_learning(report, reused=done["reused"]),
    )
    key = artifact_key(facts.dataset, facts.recipe, "scores")
    scores = model_pages.scores_page(
        title,
        report,
        pictures=_plots_of(run, "confusion"),
        links=f"{made_of} {learning.markdown}. [Scores of all its trainings]"
        f"(../../artifacts/key/{key}).",
        left=done,
        beside=model_pages.models_table(models(run.parent.parent), run=run.name),
    )
    told = model_pages.told_of_scores(report, is_current=done["current"] == run.name)
    return [learning, _publish("How good it is", scores, key=key, told=told)]


def _facts(run: Path) -> Facts:
    """What a training knows of its data."""
    return Snapshot.read(Path(read_job(run / "job.json").snapshot)).facts


def standing_artifact(done: Json) -> Page:
    """Show why nothing was trained, and the models that there are."""
    run = Path(done["report"]).parent.parent
    facts = _facts(run)
    scores = artifact_key(facts.dataset, facts.recipe, "scores")
    text = model_pages.standing_page(
        f"{facts.dataset}, recipe {facts.recipe}",
        why=done["why"],
        links=f"[Scores of all its trainings](../../artifacts/key/{scores}).",
        beside=model_pages.models_table(models(run.parent.parent), run=""),
    )
    key = artifact_key(facts.dataset, facts.recipe, "decision")
    return _publish("Why nothing was trained", text, key=key, told=f"{done['why']}")


def _plots_of(run: Path, name: str) -> Sequence[str]:
    """The plot of a report, where it has it."""
    path = run / "report" / f"{name}.png"
    return [_inline(name.replace("_", " ").capitalize(), path)] if path.is_file() else []


def predict_artifact(done: Json) -> Page:
    """Show where predictions lie and how many records could not be used."""
    recipe = Path(done["bundle"]).parent.name.rpartition("-")[0]
    scores = artifact_key(done["dataset"], recipe, "scores")
    is_known = isinstance(Artifact.get(scores), Stored)
    link = f"[How good its models are](../../artifacts/key/{scores})" if is_known else ""
    return _publish(
        "Predictions",
        data_pages.predictions_page(done, links=link),
        key=artifact_key(done["dataset"], "predictions"),
        told=f"{done['rows']:,} predictions, {done['errors']:,} records that could not be used",
    )


def predict_new_artifact(done: Json) -> Page:
    """Show what a look into a folder found: predicted, done before, and left for the next look."""
    return _publish(
        "New files",
        new_files_page(done),
        key=artifact_key(done["dataset"], "new-files"),
        told=told_of_new_files(done)[0],
    )


def compare_artifact(done: Json) -> Page:
    """Show which way of handling long sequences a comparison recommends, and all it tried."""
    named = f"{done['recommended']} is" if done["recommended"] else "nothing is"
    return _publish(
        "Which way works",
        inline_images(Path(done["page"])),
        key=artifact_key(done["dataset"], "comparison"),
        told=f"{named} recommended, of {len(done['rows'])} strategies",
    )


def lengths_artifact(done: Json) -> Page:
    """Show how long records must be, and what each length costs."""
    named = f"{done['named']:,} steps are named" if done["named"] else "no length beats chance"
    return _publish(
        "How long records must be",
        inline_images(Path(done["page"])),
        key=artifact_key(done["dataset"], "lengths"),
        told=f"{named}, of {len(done['rows'])} lengths",
    )


def optimizers_artifact(done: Json) -> Page:
    """Show how optimisers, clipping and schedules of segments stand against one another."""
    return _publish(
        "Optimisers",
        inline_images(Path(done["page"])),
        key=artifact_key(done["dataset"], "optimizers"),
        told=f"{len(done['rows'])} variants, {done['plan']['updates']:,} updates each",
    )


def overview_artifact(done: Json, pages: Sequence[Page]) -> Page:
    """Show a run of the whole pipeline on one page that links all others.

    Args:
        done: what the `pipeline` flow said.
        pages: that the run made.
    """
    text = model_pages.overview_page(done, [[page.markdown, page.told] for page in pages])
    key = artifact_key(done["dataset"], "overview")
    return _publish("Overview", text, key=key, told=model_pages.told_of_run(done))
