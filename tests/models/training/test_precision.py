"""Precision, the scale of a float16 loss, and the same bits twice."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch

from models import train
from models.device import (
    AUTOCAST,
    precision_of,
    prepare_torch,
    scaler_for,
    set_determinism,
    set_precision,
)
from models.job import Job
from models.layers.core import Core
from models.layers.recurrent import LSTM
from models.options.checks import JobError
from models.options.model import Model
from models.options.training import Train
from models.training import loop
from models.training.checkpoint import Checkpoint
from models.training.run import Hooks
from models.training.setting import Setting, resume, save, set_up
from seqprep.snapshot import Snapshot
from tests.conftest import ROOT
from tests.synthetic import task_snapshot

CPU = torch.device("cpu")
TINY = Train(
    model=Model(hidden=4, embedding=4, dropout=0.0),
    max_rows=8,
    epochs=2,
    guard=1,
    threads=1,
    device="cpu",
)


def setting_in(folder: Path, *, scale: float | None) -> Setting:
    """A run that has not begun, its loss scaled as on CUDA."""
    path = folder / "data/snapshot.json"
    if not path.exists():
        task_snapshot(folder / "data", "classify", rows=80)
    job = Job(snapshot=str(path), out=str(folder / "out"), train=TINY)
    setting = set_up(job, Snapshot.read(path), {"snapshot": "one"}, CPU)
    if scale is not None:
        setting.run.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=5)
    return setting


def fit(setting: Setting) -> None:
    hooks = Hooks(log=lambda *_: None, save=lambda: None, stopping=lambda: False)
    loop.fit(setting.run, setting.sources["train"], setting.sources["validation"], hooks)


def weights(setting: Setting) -> torch.Tensor:
    return torch.cat([p.detach().ravel() for p in setting.run.model.parameters()])


def test_the_scale_of_the_loss_changes_no_update(tmp_path: Path) -> None:
    """Clipping, the norms that are told and the weights are those of the loss itself."""
    runs = [setting_in(tmp_path, scale=scale) for scale in (None, 2.0**12)]
    for setting in runs:
        fit(setting)
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    told = [[e["grad_norm"] for e in setting.run.progress.history] for setting in runs]
    assert told[0] == told[1]


def test_a_scale_that_is_too_large_is_halved_and_nobody_is_called(tmp_path: Path) -> None:
    """The first scales of a float16 loss often overflow; the guard is for what does not pass."""
    setting = setting_in(tmp_path, scale=2.0**127)
    with torch.no_grad():
        setting.run.model.head.layers[-1].weight.mul_(1e3)  # type: ignore[union-attr, operator, index]
    fit(setting)
    progress = setting.run.progress
    assert 1 < progress.skipped < progress.seen and progress.bad_in_row == 0
    assert setting.run.scaler.get_scale() < 2.0**127
    assert bool(torch.isfinite(weights(setting)).all())


def test_the_scale_goes_on_where_it_was(tmp_path: Path) -> None:
    """Begun again at its start, it would overflow again, and other updates would be left out."""
    setting = setting_in(tmp_path, scale=2.0**12)
    fit(setting)
    (tmp_path / "out").mkdir()
    save(setting)
    checkpoint = Checkpoint.read(tmp_path / "out/checkpoint")
    assert checkpoint is not None and setting.run.scaler.get_scale() > 2.0**12
    other = setting_in(tmp_path, scale=2.0**12)
    resume(other, checkpoint)
    assert other.run.scaler.state_dict() == setting.run.scaler.state_dict()


def test_float16_on_a_cpu_is_refused_with_the_reason() -> None:
    """It would run, slower than float32 and with worse numbers."""
    with pytest.raises(JobError, match="use float32 or bf16, or device: cuda"):
        prepare_torch(replace(TINY, precision="float16"))
    assert not scaler_for(CPU, "bf16").is_enabled()


def test_a_core_runs_in_the_precision_that_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """A float16 bundle answers on a CPU, in float32, and that is said."""
    core = LSTM(2, 3)
    core = LSTM(2, 3)
    assert isinstance(core, Core)
    for name, kind in {"bf16": torch.bfloat16, "float16": torch.float16, "float32": None}.items():
        set_precision(core, name)
        assert core.autocast is kind
    assert precision_of("float16", CPU) == "float32" and "predicting in float32" in caplog.text


def test_determinism_is_set_and_taken_back() -> None:
    """A run that asks for it must not slow down the next one of the same process."""
    try:
        prepare_torch(replace(TINY, deterministic=True))
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
        prepare_torch(TINY)
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        set_determinism(False)


def test_what_is_free_already_needs_no_compiler() -> None:
    """Every prediction would wait two seconds for PyTorch's compiler, which nothing here uses."""
    code = (
        "import sys; from models.device import prepare_torch; "
        "from models.options.training import Train; prepare_torch(Train(device='cpu')); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_deterministic_run_trains(tmp_path: Path) -> None:
    """An operation without a deterministic form would end it in an error."""
    path = task_snapshot(tmp_path / "data", "classify", rows=20)
    job = Job(
        snapshot=str(path), out=str(tmp_path / "out"), train=replace(TINY, deterministic=True)
    )
    try:
        assert train.train(job).is_file()
    finally:
        set_determinism(False)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_run_trains_every_core_in_the_precision_of_its_job(
    tmp_path: Path, precision: Literal["float32", "bf16"]
) -> None:
    """A precision that stands in the job and not in the model saves neither time nor memory."""
    path = task_snapshot(tmp_path / "data", "classify", rows=8)
    model = Model(name="hierarchical", chunk=4, hidden=4, upper_hidden=4, embedding=4)
    for config in (TINY.model, model):
        options = replace(TINY, model=config, precision=precision)
        job = Job(snapshot=str(path), out=str(tmp_path / "out"), train=options)
        setting = set_up(job, Snapshot.read(path), {"snapshot": "one"}, CPU)
        cores = [m for m in setting.run.model.modules() if isinstance(m, Core)]
        assert {core.autocast for core in cores} == {AUTOCAST[precision]}


def test_denormals_are_flushed_before_a_run_begins() -> None:
    """Gradients of long rows decay into them, and a CPU is up to 20 times slower there."""
    code = (
        "import torch\n"
        "from models.device import prepare_torch\n"
        "from models.options.training import Train\n"
        "def product(): return float(torch.tensor([1e-38]) * 1e-3)\n"
        "before = product()\n"
        "prepare_torch(Train(device='cpu', threads=1))\n"
        "print(before > 0, product())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "0.0"]
