"""Predictions while records are read: after every so many steps, with the state carried on.

For signals that are still running, and to see how early an answer can be had. What is answered
after n steps is what the whole-record prediction of these n steps would be. Memory follows from the
rows that are read side by side and from `every`, not from how long a record is. Only for models
whose answer after a step needs nothing behind it: one direction, and a front that sees one step at
a time.

Legend: B rows, T steps, F features, C outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from models.answers.objectives import Objective, objective_for
from models.answers.outputs import Array, Outputs
from models.answers.vocabulary import Vocabulary
from models.bundle import Bundle
from models.device import precision_of, set_precision
from models.layers.segmented import Carried, Segmented
from models.options.checks import JobError
from models.options.model import Model
from models.options.model_fits import CARRIED, OF_RECORDS, OF_STEPS, TASKS
from models.predict import answer_table
from seqprep.arrays import as_array
from seqprep.examples import Examples
from seqprep.ragged import Ints, Ragged, copy_spans, pad_groups, to_offsets
from seqprep.schema import PAD, Task

BLOCK_STEPS = 4096
"""Row-steps that are read at a time: of so many the states are held."""
ROWS = 256
"""Records that are read side by side, at most."""


def check_streams(config: Model, task: Task) -> None:
    """Refuse a model that cannot answer before a record's end.

    Raises:
        JobError: with the reason.
    """
    why = None
    if config.bidirectional:
        why = (
            "its backward direction begins at the record's end (train.model.bidirectional: true); "
            "train one with bidirectional: false"
        )
    elif task not in (*OF_RECORDS, *OF_STEPS):
        why = f"task {task!r} answers for whole records"
    elif config.name not in CARRIED:
        able = " or ".join(name for name in CARRIED if task in TASKS[name])
        why = f"model {config.name!r} needs the whole record; train {able}"
    elif config.front.conv or config.front.parallel > 1:
        part = "conv" if config.front.conv else "parallel"
        why = (
            f"its front ({part}) joins steps that have not come yet to those that have; train one "
            "without model.front"
        )
    if why is not None:
        raise JobError(f"--stream: this model cannot answer while a record is read: {why}")


class Stream:
    """B records that are being read.

    >>> from models.architectures import build
    >>> from models.options.model import Model
    >>> from models.shape import Shape
    >>> shape = Shape(task="classify", vocab_size=6, channels=0, outputs=2)
    >>> model = build(Model(hidden=4, bidirectional=False), shape).eval()
    >>> stream = Stream(model, objective_for("classify"), rows=1)
    >>> for steps in ([2, 3], [4]):  # as they arrive
    ...     answers = stream.read(torch.tensor([steps]))
    >>> answers.shape, stream.steps.tolist()
    (torch.Size([1, 2]), [3])

    Args:
        model: in evaluation mode, of one direction.
        objective: the plain one of the task.
        rows: B.

    Raises:
        ValueError: if the model does not read by segments.
    """

    def __init__(self, model: torch.nn.Module, objective: Objective, *, rows: int) -> None:
        if not isinstance(model, Segmented):
            raise ValueError(f"{type(model).__name__} does not read records step by step")
        self.model, self.objective = model, objective
        self._carried: Carried = model.begin(rows)

    @property
    def steps(self) -> Tensor:
        """Steps of each record so far, `(B,)`."""
        return self._carried.lengths

    @torch.no_grad()
    def read(self, inputs: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Go on by T steps.

        Args:
            inputs: `(B, T)` ids or `(B, T, F)` values, as prepared.
            lengths_B: real steps of each row, each in 0..T; None: all.

        Returns:
            Probabilities or values of the records so far `(B, C)`; for tasks of steps those of
            these steps, `(B, T, C)`. A row without any step yet has an answer without meaning.
        """
        if lengths_B is None:
            lengths_B = torch.full((len(inputs),), inputs.shape[1], device=inputs.device)
        size = max(1, BLOCK_STEPS // len(inputs))
        outputs: list[Tensor] = []
        for start in range(0, inputs.shape[1], size):
            part = inputs[:, start : start + size]
            left_B = (lengths_B - start).clamp(0, part.shape[1])
            states_BTF, self._carried = self.model.read(part, left_B, self._carried)
            if self.model.per_step:
                outputs.append(self.objective.answers(self.model.answer_steps(states_BTF)))
        if self.model.per_step:
            return torch.cat(outputs, dim=1)
        carried = replace(self._carried, lengths=self._carried.lengths.clamp(min=1))
        return self.objective.answers(self.model.answer(carried))

    def keep(self, rows: Tensor) -> None:
        """Let all but the named rows go."""
        self._carried = self._carried.take(rows)


def stream_examples(
    bundle: Bundle, examples: pa.Table, *, every: int, device: torch.device | None = None
) -> Iterator[pa.Table]:
    """Answers of a bundle for prepared rows after every so many steps, and at each row's end.

    Args:
        bundle: a trained model of one direction.
        examples: rows with the schema of `examples`, one a record; targets are not needed.
        every: steps between two answers.
        device: to run on; default the CPU.

    Yields:
        Tables with `id`, `step` (how many steps were read), `prediction` and `probabilities` as
        `predict_examples` has them; for tasks of steps the answers for the steps since the row
        before. Rows of a record come in the order of its steps, those of others between them.

    Raises:
        JobError: if the model cannot answer before a record's end, or a record is cut into several
            rows.
    """
    facts = bundle.facts
    check_streams(bundle.config, facts.task)
    device = device or torch.device("cpu")
    set_precision(bundle.model.to(device), precision_of(bundle.precision, device))
    objective = objective_for(facts.task, moments=bundle.moments)
    vocabulary = Vocabulary.of(facts, bundle.fitted, bundle.pipeline)
    ids = as_array(examples["id"])
    if len(ids.unique()) < len(ids):
        raise JobError(
            "--stream: the recipe cuts records into windows or views, of which each would be a "
            "stream of its own; predict without --stream, or train with a recipe without them"
        )
    inputs = Examples.of(examples, facts).inputs
    order = np.argsort(-inputs.lengths, kind="stable")
    for first in range(0, len(order), ROWS):
        numbers = order[first : first + ROWS]
        stream = Stream(bundle.model, objective, rows=len(numbers))
        for rows, steps, answers in _answers(stream, inputs, numbers, every):
            found = Outputs(
                ids=ids.take(pa.array(numbers[:rows])),
                windows=np.ones(rows, np.int32),
                answers=answers,
                truth=None,
                loss=None,
            )
            table = answer_table(found, vocabulary).select(["id", "prediction", "probabilities"])
            yield table.add_column(1, "step", pa.array(steps, pa.int64()))


def _answers(
    stream: Stream, inputs: Ragged, numbers: Ints, every: int
) -> Iterator[tuple[int, Ints, Array | Ragged]]:
    """How many of the records are read on, how far, and their answers.

    Args:
        stream: at their start.
        inputs: of all records.
        numbers: of these, the longest first.
        every: steps between two answers.
    """
    lengths, device = inputs.lengths[numbers], stream.steps.device
    for start in range(0, int(lengths.max(initial=0)), every):
        rows = int((lengths > start).sum())
        if rows < len(stream.steps):
            stream.keep(torch.arange(rows, device=device))
        left = np.minimum(lengths[:rows] - start, every)
        values = copy_spans(inputs.values, inputs.offsets[numbers[:rows]] + start, left)
        part = pad_groups(Ragged(values, to_offsets(left)), np.array([0, rows]), fill=PAD)[0]
        kind: type[np.generic] = np.int64 if part.ndim == 2 else np.float32
        steps = torch.from_numpy(part.astype(kind)).to(device)
        found = stream.read(steps, torch.from_numpy(left).to(device)).cpu().numpy()
        yield rows, start + left, _real(found, left)


def _real(found: npt.NDArray[np.float64], lengths: Ints) -> Array | Ragged:
    """Answers of records as they are, those of steps without the padding."""
    if found.ndim == 2:
        return found
    return Ragged(found[np.arange(found.shape[1]) < lengths[:, None]], to_offsets(lengths))
