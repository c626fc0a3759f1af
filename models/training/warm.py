"""A warm start: begin from all weights of an earlier model of the same recipe.

Use it where a model is trained again and again on data that grows: less is to be learnt anew. Not
where options or data changed so much that the old answer misleads. What does not fit is never taken
in part: the model then begins with fresh weights, and says why. Where another model's front and
core alone are wanted, see `encoder`.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import nn

from models.bundle import Bundle
from models.job import WarmFrom
from models.manifest import MANIFEST, BundleError, bundle_digest, place
from models.options.model import Model
from models.training.encoder import READ, differing_state
from seqprep.snapshot import Facts

FREE = (
    *("dropout", "input_dropout", "noise", "execution", "teacher_forcing"),
    *("beam", "max_target", "continuation", "temperature"),
)
"""Options of a model that say how it is trained or asked, not what its weights mean."""
ANSWERS = ("labels", "step_codes", "target_vocabulary", "target_names")
"""Fitted state that decides what an answer means."""


def begin_from(
    warm: WarmFrom, model: nn.Module, *, config: Model, facts: Facts, fitted: bytes
) -> dict[str, Any]:
    """Copy all weights of a bundle into a model, where they fit.

    Args:
        warm: what to begin from.
        model: fresh; changed where the weights fit.
        config: its options.
        facts: of its data.
        fitted: state of its preparation.

    Returns:
        What the report says: `run`, `bundle`, `sha256`, whether it was `taken`, and `told`, a line
        for a person.
    """
    why = warm.why
    if warm.bundle is not None:
        try:
            why = _take(warm, model, config=config, facts=facts, fitted=fitted)
        except BundleError as error:
            why = str(error)
    told = f"begins with fresh weights: {why}" if why else f"begins from the weights of {warm.run}"
    return {
        "run": warm.run,
        "bundle": warm.bundle,
        "sha256": warm.sha256,
        "taken": not why,
        "told": told,
    }


def _take(warm: WarmFrom, model: nn.Module, *, config: Model, facts: Facts, fitted: bytes) -> str:
    """Why the weights do not fit; nothing where they did and were copied.

    Raises:
        BundleError: if the bundle is damaged.
    """
    folder = Path(str(warm.bundle))
    if not (place(folder) / MANIFEST).is_file():
        return f"{folder}: the bundle is gone"
    if bundle_digest(folder) != warm.sha256:
        return f"{folder} is not the bundle that was chosen any more"
    bundle = Bundle.read(folder)
    if bundle.facts.task != facts.task:
        return f"{warm.run} answers task {bundle.facts.task}, not {facts.task}"
    why = differing_state(bundle.fitted, fitted, (*READ, *ANSWERS))
    if why is not None:
        return f"{warm.run} does not fit: {why}"
    for key in (item.name for item in fields(Model) if item.name not in FREE):
        there, here = getattr(bundle.config, key), getattr(config, key)
        if there != here:
            return f"{warm.run} has model.{key}: {there}, this model {here}"
    given, own = bundle.model.state_dict(), model.state_dict()
    for name in sorted({*given, *own}):
        shapes = [tuple(side[name].shape) if name in side else None for side in (given, own)]
        if shapes[0] != shapes[1]:
            return f"{warm.run}: its tensor {name!r} has shape {shapes[0]}, here it is {shapes[1]}"
    model.load_state_dict(given)
    return ""
