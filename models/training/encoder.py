"""Start a model from the front and core of another one: an autoencoder's or next_symbol's, say.

Only weights are taken; what pools and answers starts fresh. Both models must read the same tokens
or channels, scaled alike: the fitted state of their preparations is compared. A whole model of the
same task is begun from by a warm start, see `warm`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from models.bundle import Bundle
from models.manifest import MANIFEST, bundle_digest, place
from models.options.model import Model
from seqprep.errors import SeqprepError
from seqprep.schema import num_reserved
from seqprep.snapshot import Facts

PARTS = ("front.", "core.")
SHARED = ("hidden", "layers", "bidirectional", "front")
"""Options that decide front and core; of tokens also `input` and `embedding`."""
READ = ("vocabulary", "outputs", "output_rate_hz", "scaler", "byte_pairs")
"""Fitted state that decides what a step means to a model."""


def start_from(
    folder: Path, model: nn.Module, *, config: Model, facts: Facts, fitted: bytes
) -> None:
    """Copy front and core of a bundle into a model.

    Args:
        folder: of the bundle.
        model: fresh; changed.
        config: its options.
        facts: of its data.
        fitted: state of its preparation.

    Raises:
        SeqprepError: saying what differs.
    """
    bundle = Bundle.read(folder)
    where = f"train.encoder_from: {folder}"
    difference = differing_state(bundle.fitted, fitted, READ)
    if difference is not None:
        raise SeqprepError(
            f"{where} was trained on other inputs: {difference}; prepare both with the same "
            "source, split, tokens and steps"
        )
    keys: tuple[str, ...] = SHARED if facts.vocab_size is None else (*SHARED, "input", "embedding")
    if config.input == bundle.config.input == "one_hot":
        keys = tuple(key for key in keys if key != "embedding")
    for key in keys:
        there, here = getattr(bundle.config, key), getattr(config, key)
        if there != here:
            raise SeqprepError(
                f"{where} has model.{key}: {there}, this model {here}; front and core must be the "
                "same to start from them"
            )
    model.load_state_dict(_weights(bundle, model, facts=facts, where=where), strict=False)


def digest_of(folder: Path) -> str:
    """SHA-256 of a bundle's manifest: what a run that starts from it depends on.

    Raises:
        SeqprepError: if there is no bundle.
    """
    if not (place(folder) / MANIFEST).is_file():
        raise SeqprepError(f"train.encoder_from: {folder}: no bundle there (no {MANIFEST})")
    return bundle_digest(folder)


def differing_state(there: bytes, here: bytes, keys: Sequence[str]) -> str | None:
    """The first part of fitted state that differs, for a person to read; None where none does.

    Args:
        there: of a bundle.
        here: of the data at hand.
        keys: the parts to compare.
    """
    one, two = json.loads(there), json.loads(here)
    for key in keys:
        given, own = one.get(key), two.get(key)
        if given == own:
            continue
        if isinstance(given, list) and isinstance(own, list):
            return f"its {key} ({len(given)} entries) is not that of this dataset ({len(own)})"
        return f"its {key} is not that of this dataset"
    return None


def _weights(bundle: Bundle, model: nn.Module, *, facts: Facts, where: str) -> dict[str, Tensor]:
    """Weights of front and core by name, in the ids of the new model.

    Raises:
        SeqprepError: naming the first tensor that one of them lacks, or that has another shape.
    """
    own = {k: v for k, v in model.state_dict().items() if k.startswith(PARTS)}
    given = {k: v for k, v in bundle.model.state_dict().items() if k.startswith(PARTS)}
    reserved = num_reserved(bundle.facts.task), num_reserved(facts.task)
    if reserved[0] != reserved[1]:
        for name in given.keys() & own.keys():
            given[name] = _renumbered(name, given[name], own[name], reserved, bundle.config)
    for name in sorted({*own, *given}):
        shapes = [tuple(side[name].shape) if name in side else None for side in (given, own)]
        if shapes[0] != shapes[1]:
            raise SeqprepError(
                f"{where}: its tensor {name!r} has shape {shapes[0]}, this model's {shapes[1]}; "
                "front and core must be the same to start from them"
            )
    return given


def _renumbered(
    name: str, given: Tensor, own: Tensor, reserved: tuple[int, int], config: Model
) -> Tensor:
    """Weights by token under other ids: where the next symbol is learnt, BOS and EOS have some."""
    if name == "front.embedding.weight":
        axis = 0
    elif config.input == "one_hot" and name.startswith("core.layers.0.") and "weight_ih" in name:
        axis = 1
    else:
        return given
    given, fresh = given.transpose(0, axis), own.transpose(0, axis)
    shared = min(reserved)
    between = fresh[shared : reserved[1]].to(given.device)
    return torch.cat([given[:shared], between, given[reserved[0] :]]).transpose(0, axis)
