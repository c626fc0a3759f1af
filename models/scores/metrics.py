"""Scores of each task, by torchmetrics where classes are told apart.

A score that the data cannot give (AUROC of a class that a split lacks, R2 of a constant) is None.

Legend: R records, C classes, K target channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional import classification as tm

from models.answers.outputs import Array, Outputs
from seqprep.ragged import Ragged
from seqprep.schema import IGNORED_LABEL, Task

Scores = dict[str, float | int | None]


def score(task: Task, outputs: Outputs, *, majority: int | None = None) -> Scores:
    """All figures of a task.

    Args:
        task: what was learnt.
        outputs: pooled to records, with truth.
        majority: code of the most frequent class of the training rows.

    Returns:
        Figures by name; `records` first.
    """
    assert outputs.truth is not None, "scores need the truth"
    found: Scores = {"records": len(outputs)}
    if task == "classify":
        assert not isinstance(outputs.answers, Ragged) and not isinstance(outputs.truth, Ragged)
        found |= classify_scores(outputs.answers, outputs.truth, majority=majority)
    elif task == "label_steps":
        probabilities, truth = labelled_steps(outputs)
        found |= {"steps": len(truth)}
        found |= step_scores(probabilities, truth, majority=majority)
    elif task in ("regress", "regress_steps"):
        found |= regress_scores(_flat(outputs.answers), _flat(outputs.truth))
    elif task == "translate":
        assert isinstance(outputs.answers, Ragged) and isinstance(outputs.truth, Ragged)
        found |= translate_scores(outputs.answers, outputs.truth)
    elif task in ("next", "reconstruct"):
        assert isinstance(outputs.answers, Ragged)
        found |= {"steps": len(outputs.answers.values)}
        found |= loss_scores(outputs.answers.values, foretold=task == "next")
    else:
        raise ValueError(f"unknown task {task!r}")
    return found


def labelled_steps(outputs: Outputs) -> tuple[Array, Array]:
    """Probabilities `(steps, C)` and codes `(steps,)` of the steps that carry a label."""
    assert isinstance(outputs.answers, Ragged) and isinstance(outputs.truth, Ragged)
    truth: Array = outputs.truth.values
    probabilities: Array = outputs.answers.values
    real = truth != IGNORED_LABEL
    return probabilities[real], truth[real]


def classify_scores(probabilities: Array, truth: Array, *, majority: int | None) -> Scores:
    """Accuracy, macro-F1, AUROC, AUPRC, MCC; for two classes sensitivity and specificity.

    Macro-F1 is the mean over the classes that occur in the truth or in the predictions; AUROC and
    AUPRC are means of one class against the rest, over classes that have rows on both sides.

    Args:
        probabilities: `(R, C)`.
        truth: `(R,)` codes.
        majority: code of the most frequent class of the training rows.

    Returns:
        Figures by name.
    """
    classes = probabilities.shape[1]
    predicted = torch.from_numpy(probabilities.argmax(1))
    target, chances = torch.from_numpy(truth.astype(np.int64)), torch.from_numpy(probabilities)
    matrix = confusion(predicted, target, classes)
    sides = [c for c in range(classes) if 0 < int((target == c).sum()) < len(target)]
    sides = sides[-1:] if classes == 2 else sides
    found: Scores = {
        "accuracy": float((predicted == target).double().mean()),
        "macro_f1": _macro_f1(matrix),
        "auroc": _mean([tm.binary_auroc(chances[:, c], (target == c).long()) for c in sides]),
        "auprc": _mean(
            [tm.binary_average_precision(chances[:, c], (target == c).long()) for c in sides]
        ),
        "mcc": _mcc(matrix),
    }
    if classes == 2:
        found["sensitivity"] = _share(matrix[1, 1], matrix[1].sum())
        found["specificity"] = _share(matrix[0, 0], matrix[0].sum())
    if majority is not None:
        found["majority"] = float((truth == majority).mean())
    return found


def step_scores(probabilities: Array, truth: Array, *, majority: int | None) -> Scores:
    """Accuracy and macro-F1 over labelled steps."""
    every = classify_scores(probabilities, truth, majority=majority)
    return {key: every[key] for key in ("accuracy", "macro_f1", "mcc", "majority") if key in every}


def regress_scores(predicted: Array, truth: Array) -> Scores:
    """MAE and RMSE in the units of the target, and R2 over all channels.

    Args:
        predicted: `(rows, K)`.
        truth: `(rows, K)`.

    Returns:
        Figures by name; R2 is None where the truth never changes.
    """
    errors = predicted - truth
    spread = float(((truth - truth.mean(0)) ** 2).sum())
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": math.sqrt(float((errors**2).mean())),
        "r2": 1 - float((errors**2).sum()) / spread if spread > 0 else None,
    }


def translate_scores(predicted: Ragged, truth: Ragged) -> Scores:
    """Share of places with the right symbol (over the longer of both), and of exact records."""
    lengths = np.minimum(predicted.lengths, truth.lengths)
    longer = np.maximum(predicted.lengths, truth.lengths)
    row = np.repeat(np.arange(len(truth)), lengths)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    same = (
        predicted.values[predicted.offsets[row] + place] == truth.values[truth.offsets[row] + place]
    )
    right = np.bincount(row[same], minlength=len(truth))
    return {
        "token_accuracy": _share(right.sum(), longer.sum()),
        "exact_match": float((right == longer).mean()),
    }


def loss_scores(losses: Array, *, foretold: bool) -> Scores:
    """What the losses of steps say, records weighing by their steps.

    Args:
        losses: `(steps, 2)` nats of each symbol and whether it was the likeliest, or `(steps, 1)`
            squared errors in standard deviations of the training rows.
        foretold: the symbols were foretold, not rebuilt.

    Returns:
        Of foretold symbols the perplexity (e to the mean nats), bits a symbol and the share of
        right ones; of rebuilt ones the error in nats and that share; of values the error and its
        root: 1 is what the mean of the training rows gives.

    >>> loss_scores(np.array([[0.0, 1.0], [0.0, 0.0]]), foretold=True)
    {'perplexity': 1.0, 'bits_per_symbol': 0.0, 'token_accuracy': 0.5}
    """
    mean = float(losses[:, 0].mean())
    right = float(losses[:, 1].mean()) if losses.shape[1] == 2 else None
    if foretold:
        return {
            "perplexity": math.exp(min(mean, 700.0)),
            "bits_per_symbol": mean / math.log(2),
            "token_accuracy": right,
        }
    if right is None:
        return {"reconstruction_error": mean, "scaled_rmse": math.sqrt(mean)}
    return {"reconstruction_error": mean, "token_accuracy": right}


def confusion(predicted: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Counts `(C, C)`: rows are the truth, columns the predictions."""
    counts: Tensor = tm.multiclass_confusion_matrix(predicted, truth, num_classes=max(2, classes))
    return counts[:classes, :classes]


def confusion_of(probabilities: Array, truth: Array) -> list[list[int]]:
    """The confusion matrix as plain lists."""
    predicted = torch.from_numpy(probabilities.argmax(1))
    target = torch.from_numpy(truth.astype(np.int64))
    rows: list[list[int]] = confusion(predicted, target, probabilities.shape[1]).tolist()
    return rows


def per_class(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Precision, recall, F1 and support of each class."""
    counts = torch.tensor(matrix)
    table = []
    for code, label in enumerate(labels):
        hit, said, real = counts[code, code], counts[:, code].sum(), counts[code].sum()
        table.append(
            {
                "label": label,
                "precision": _share(hit, said),
                "recall": _share(hit, real),
                "f1": _share(2 * hit, said + real),
                "support": int(real),
            }
        )
    return table


def _macro_f1(matrix: Tensor) -> float | None:
    hits, said, real = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
    seen = (said + real) > 0
    return _mean(list((2 * hits[seen]).double() / (said + real)[seen]))


def _mcc(matrix: Tensor) -> float | None:
    """Matthews' coefficient for any number of classes (Gorodkin 2004)."""
    counts = matrix.double()
    total, hits = counts.sum(), counts.trace()
    said, real = counts.sum(0), counts.sum(1)
    scale = ((total**2 - said @ said) * (total**2 - real @ real)).sqrt()
    return float((hits * total - said @ real) / scale) if scale > 0 else None


def _mean(values: Sequence[Tensor]) -> float | None:
    return float(torch.stack([v.double() for v in values]).mean()) if values else None


def _share(part: Any, whole: Any) -> float | None:
    return float(part) / float(whole) if float(whole) > 0 else None


def _flat(values: Array | Ragged) -> Array:
    flat: Array = np.asarray(values.values if isinstance(values, Ragged) else values)
    return flat.reshape(len(flat), -1).astype(np.float64)
