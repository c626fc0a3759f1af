"""Predictions while records are read equal those of the whole record, or of what was read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import models.stream
from models.answers.objectives import objective_for
from models.architectures import build
from models.bundle import Bundle
from models.options.checks import JobError
from models.options.model import Conv, Front, Model
from models.predict import predict_examples
from models.shape import Shape
from models.stream import Stream, check_streams, stream_examples
from seqprep.schema import Task
from tests.synthetic import example_table, facts_of_task, rows_of_task

ALL = ("last", "mean", "max", "attention")
MODELS: dict[str, tuple[Task, Model]] = {
    "tokens": ("classify", Model(hidden=8, embedding=8, bidirectional=False, pooling=ALL)),
    "values": ("regress", Model(hidden=8, bidirectional=False, layers=2, pooling="last")),
    "labels": ("label_steps", Model(hidden=8, bidirectional=False)),
    "targets": ("regress_steps", Model(hidden=8, bidirectional=False, layers=2)),
    "min_lstm": ("classify", Model(name="min_lstm", hidden=8, embedding=8, bidirectional=False)),
}


def bundle_of(task: Task, options: Model, rows: int = 12) -> tuple[Bundle, pa.Table]:
    """A fresh model that is shipped, and rows for it."""
    data = rows_of_task(task, rows, seed=5)
    facts = facts_of_task(task, data)
    torch.manual_seed(0)
    model = build(options, Shape.of(facts)).requires_grad_(False).eval()
    moments = ((100.0,), (5.0,)) if task in ("regress", "regress_steps") else None
    bundle = Bundle(model=model, config=options, facts=facts, moments=moments)
    return bundle, example_table(data, facts)


def rows_by_id(tables: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in pa.concat_tables(tables).to_pylist():
        found.setdefault(row["id"], []).append(row)
    return found


def close(found: Any, wanted: Any) -> None:
    if np.asarray(wanted).dtype.kind == "f":
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    else:
        assert found == wanted


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("every", [1, 7, 1000])
def test_the_last_answer_is_that_of_the_whole_record(
    name: str, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost state, or steps read twice, would end in another prediction than `predict` gives."""
    monkeypatch.setattr(models.stream, "BLOCK_STEPS", 40)
    task, options = MODELS[name]
    bundle, examples = bundle_of(task, options)
    whole = {row["id"]: row for row in predict_examples(bundle, examples).to_pylist()}
    found = rows_by_id(stream_examples(bundle, examples, every=every))
    assert found.keys() == whole.keys()
    lengths = dict(zip(examples["id"].to_pylist(), examples["length"].to_pylist(), strict=True))
    for id_, rows in found.items():
        length = lengths[id_]
        assert [row["step"] for row in rows] == [*range(every, length, every), length]
        joined = rows[-1]
        if bundle.facts.task in ("label_steps", "regress_steps"):
            joined = {
                key: [value for row in rows for value in row[key] or ()]
                for key in ("prediction", "probabilities")
            }
        assert len(np.atleast_1d(joined["prediction"])) == len(
            np.atleast_1d(whole[id_]["prediction"])
        )
        for key in ("prediction", "probabilities"):
            if whole[id_][key] is not None:
                close(joined[key], whole[id_][key])


def test_an_answer_on_the_way_is_that_of_what_was_read() -> None:
    """After n steps the model must know n steps, not more and not fewer."""
    bundle, examples = bundle_of(*MODELS["tokens"])
    found = rows_by_id(stream_examples(bundle, examples, every=5))
    for row in examples.to_pylist():
        for answer in found[row["id"]]:
            n = answer["step"]
            cut = {"tokens": [row["tokens"][:n]], "label": [0], "id": [row["id"]]}
            wanted = predict_examples(bundle, example_table(cut, bundle.facts)).to_pylist()[0]
            close(answer["probabilities"], wanted["probabilities"])


def test_steps_can_be_given_as_they_arrive() -> None:
    """A running signal comes in pieces of any size, and now and then none at all."""
    bundle, examples = bundle_of(*MODELS["values"])
    row = examples.slice(3, 1)
    wanted = predict_examples(bundle, row)["prediction"][0].as_py()
    values = torch.tensor(row["values"][0].as_py()).reshape(1, -1, 2)
    stream = Stream(bundle.model, objective_for("regress", moments=bundle.moments), rows=1)
    for part in values.split([3, 1, values.shape[1] - 4], dim=1):
        answer = stream.read(part)
        again = stream.read(part, torch.tensor([0]))
        torch.testing.assert_close(again, answer)
    assert stream.steps.tolist() == [values.shape[1]]
    assert float(answer) == pytest.approx(wanted, abs=1e-5)


def test_what_cannot_answer_on_the_way_is_refused_with_the_reason() -> None:
    """A guess of the backward half, or a convolution cut off, would be another prediction."""
    one = Model(hidden=4, bidirectional=False)
    check_streams(one, "classify")
    for config, task, reason in (
        (Model(hidden=4), "classify", "begins at the record's end"),
        (Model(name="encoder_decoder", bidirectional=False), "translate", "answers for whole"),
        (Model(name="hierarchical", bidirectional=False), "classify", "needs the whole record"),
        (Model(bidirectional=False, front=Front(conv=(Conv(),))), "classify", "conv"),
        (Model(bidirectional=False, front=Front(parallel=2)), "classify", "parallel"),
    ):
        with pytest.raises(JobError, match=reason):
            check_streams(config, task)  # type: ignore[arg-type]
    bundle, examples = bundle_of(*MODELS["tokens"])
    with pytest.raises(JobError, match="windows or views"):
        next(stream_examples(bundle, pa.concat_tables([examples, examples]), every=5))


class Largest(TorchDispatchMode):
    """Notes the largest tensor that is made."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple) else (made,):
            self.numbers = max(self.numbers, one.numel() if isinstance(one, torch.Tensor) else 0)
        return made


@pytest.mark.parametrize("name", ["values", "targets"])
def test_memory_does_not_grow_with_the_length(name: str) -> None:
    """Inputs or states of all steps would be held, and a long signal end the process."""
    bundle, _ = bundle_of(*MODELS[name])
    largest = []
    for steps in (4_000, 16_000):
        data = {"values": [[0.0] * (2 * steps)], "label": [0.0], "targets": [[0.0] * steps]}
        examples = example_table(data, bundle.facts)
        with Largest() as seen:
            for _ in stream_examples(bundle, examples, every=1_000):
                pass
        largest.append(seen.numbers)
    assert largest[0] == largest[1] < 100_000
