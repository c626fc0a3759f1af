"""A new model against the current one, on the same validation rows.

Each reads the validation records of the new training with its own preparation, so a model that was
fitted anew, or has another recipe, is compared, too. The new one is better where the interval of
the difference lies above 0. Test rows are not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.sparse import csr_array

from flows.pipeline_file import Pipeline, to_json
from flows.progress import stage
from flows.registry.intervals import intervals
from flows.stored import pipeline_of, prepared_records
from flows.training.job import source_difference
from models.bundle import Bundle
from models.device import prepare_torch
from models.options.training import Train
from models.predict import predict_examples
from seqprep.registry import Event
from seqprep.table import Table

COMPARED = {"classify": "accuracy", "regress": "mean squared error"}
"""What is compared, by task."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a comparison found.

    Args:
        against: the current model's run.
        metric: of the scores. new, present: of the two models.
        low, high: 95 % interval of how much better the new one is.
        records: that both answered.
    """

    against: str
    metric: str
    new: float
    present: float
    low: float
    high: float
    records: int

    @property
    def is_better(self) -> bool:
        """Whether the new model is better beyond chance."""
        return self.low > 0

    @property
    def told(self) -> str:
        """For a person to read."""
        return (
            f"{self.metric} {self.new:.4g}, {self.against} {self.present:.4g} on the same "
            f"{self.records:,} validation records; better by {self.low:+.3g} to {self.high:+.3g}"
        )


def challenge(
    spec: Pipeline, run: Path, trained: Event, current: Event, bundle: Path
) -> Verdict | str:
    """Compare a new model with the current one.

    Args:
        spec: the pipeline of the new one.
        run: its folder.
        trained: what the registry is to say of it.
        current: what made the other current.
        bundle: of that one.

    Returns:
        What was found, or why the two cannot be compared.
    """
    metric = COMPARED.get(spec.source.task)
    if metric is None:
        return f"models of task {spec.source.task} are not compared by themselves"
    model = Bundle.read(bundle)
    before = pipeline_of(model, folder=str(bundle))
    if source_difference(spec, to_json(before)["source"]) is not None:
        return f"{current.run} was trained with other options of source"
    if before.split != spec.split:  # it may have been trained on these rows
        return f"{current.run} was trained with other options of split"
    path = run / "predictions-validation.parquet"
    answers = pq.read_table(path, columns=["id", "prediction", "truth"]) if path.exists() else None
    if answers is None or not len(answers):
        return "there are no validation records"
    with stage(f"{spec.dataset}: compare with {current.run}") as progress:
        others = []
        table = Table(run.parent.parent / "sequences")
        ids = answers["id"].to_pylist()
        device = prepare_torch(Train(device="auto"))
        done = 0
        for part, examples in prepared_records(
            model, before, table, trained.sequences_version, columns=(), only=ids
        ):
            found = predict_examples(model, examples, device=device)
            others.append(found.select(["id", "prediction"]))
            done += len(part)
            progress("records", done, len(ids))
    both = answers.join(pa.concat_tables(others), "id", right_suffix="_present", join_type="inner")
    new, present = (_scores(both, name, metric) for name in ("prediction", "prediction_present"))
    low, high = intervals(csr_array((new - present)[None]))
    sign = 1 if metric == "accuracy" else -1
    return Verdict(
        against=current.run,
        metric=metric,
        new=sign * float(new.mean()),
        present=sign * float(present.mean()),
        low=float(low[0]),
        high=float(high[0]),
        records=len(both),
    )


def _scores(both: pa.Table, name: str, metric: str) -> np.ndarray:
    """How good each answer is, `(R,)`: more is better."""
    if metric == "accuracy":
        right = pc.equal(both[name], both["truth"])
        return right.to_numpy(zero_copy_only=False).astype(np.float64)
    error = both[name].to_numpy() - both["truth"].to_numpy()
    return -np.square(error, dtype=np.float64)
