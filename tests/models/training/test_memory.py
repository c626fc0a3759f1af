"""What a run tells of its memory: its own growth, and nothing that was there before."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from models.training.memory import Growth, peak_bytes, reset_peak

CPU = torch.device("cpu")


def test_a_process_does_not_begin_with_the_memory_of_its_parent() -> None:
    """A trainer that a large process starts would seem to need nothing."""
    held = torch.ones(100 * 2**20)  # 400 MB
    code = "import torch; from models.training.memory import peak_bytes as peak; "
    code += "print(peak(torch.device('cpu')))"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, timeout=100
    )
    assert int(done.stdout) < peak_bytes(CPU) - held.nbytes // 2


def test_growth_counts_from_where_work_began() -> None:
    """Begun a second time, as in every epoch, it would forget the first."""
    growth = Growth()
    assert growth.most(CPU) == 0
    growth.begin(CPU)
    block = torch.ones(2 * (peak_bytes(CPU) // 4))  # twice what was ever held
    growth.begin(CPU)
    assert growth.most(CPU) > block.nbytes // 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_forgets_what_was_measured_before_training() -> None:
    """Forward and backward of three batches came before the base, so training took nothing."""
    cuda = torch.device("cuda")
    block = torch.ones(50 * 2**20, device=cuda)
    del block
    reset_peak(cuda)
    growth = Growth()
    growth.begin(cuda)
    block = torch.ones(25 * 2**20, device=cuda)
    assert growth.most(cuda) >= block.nbytes
