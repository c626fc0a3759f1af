"""The sample inputs: committed as generated, small, and not to be told apart by length."""

import sys
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[2] / "data"
sys.path.insert(0, str(DATA))

import generate  # noqa: E402
import oracle  # noqa: E402

LIMIT_BYTES = 2 * 2**20


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with freshly generated files."""
    out = tmp_path_factory.mktemp("samples")
    generate.generate(out)
    return out


def files(root: Path, name: str) -> dict[str, bytes]:
    """Relative path and content of every sample file of one domain."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted((root / name).rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["dna", "text", "eeg", "translate"])
def test_committed_files_are_what_the_script_writes(written: Path, name: str) -> None:
    """Without this, nobody could say how the sample data came about, or change them on purpose."""
    assert files(DATA, name) == files(written, name)


@pytest.mark.parametrize("name", ["dna", "text", "eeg", "translate"])
def test_each_sample_is_small(name: str) -> None:
    """The repository would grow by what every clone must fetch."""
    assert 0 < sum(map(len, files(DATA, name).values())) <= LIMIT_BYTES


def test_classes_have_the_same_lengths() -> None:
    """A model could score by counting steps, and the sample would show nothing."""
    for one, other in (
        [sorted(map(len, oracle.read_fasta(DATA / "dna" / f"{n}.fa"))) for n in
         ("coding", "shuffled")],
        [sorted(p.read_bytes().count(b"\n") for p in (DATA / "eeg").glob(f"*-{n}-*.csv")) for n in
         ("seizure", "background")],
    ):  # fmt: skip
        assert one == other
    words = [
        sorted(len(path.read_text().split()) for path in (DATA / "text" / name).glob("*.txt"))
        for name in generate.TEXT_CLASSES
    ]
    assert words[0] == words[1] == words[2]


def test_rules_that_know_reach_the_stated_scores_and_length_does_not() -> None:
    """The README's table of what is possible would be wrong."""
    assert oracle.dna(DATA) == (pytest.approx(1.0, abs=0.005), pytest.approx(0.5))
    assert oracle.text(DATA) == (pytest.approx(1.0, abs=0.005), pytest.approx(1 / 3, abs=0.01))
    rule, length, deviation = oracle.eeg(DATA)
    assert rule >= 0.99
    assert length == pytest.approx(0.5)
    assert deviation < 0.65


def test_a_gene_has_a_start_an_open_frame_and_one_stop() -> None:
    """The DNA sample would lack the structure that its README names."""
    rng = np.random.RandomState(0)
    for codons in (8, 60):
        bases = generate.gene(rng, codons)
        frame = [bases[i : i + 3] for i in range(0, len(bases), 3)]
        assert len(frame) == codons
        assert frame[0] == "ATG"
        assert [codon in generate.STOPS for codon in frame] == [False] * (codons - 1) + [True]


def test_records_are_not_repeated() -> None:
    """Copies on two sides of a split would make scores too good."""
    bases = [b for n in ("coding", "shuffled") for b in oracle.read_fasta(DATA / f"dna/{n}.fa")]
    genes = oracle.read_fasta(DATA / "translate" / "genes.fa")
    assert len(set(bases)) == len(bases)
    assert len(set(genes)) == len(genes)
