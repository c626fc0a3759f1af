"""Choose transcripts of CPAT so that length says nothing: the table that cpat_matched.yaml reads.

Run `python data/real/cpat_matched.py DIR`, where DIR holds the two FASTA files. In each bin of
lengths as many coding as noncoding transcripts are drawn, and both go to train, validation and test
in equal numbers; what is over stays out. The same seed gives the same table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from Bio.SeqIO.FastaIO import SimpleFastaParser

HERE = Path(__file__).parent
FILES = ("Human_test_coding_mRNA.fa", "Human_test_noncoding_RNA.fa")
BIN = 1.02
"""The longest length of a bin over its shortest."""
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}

Ints = npt.NDArray[np.int64]


def matched(lengths: tuple[Ints, Ints], *, seed: int) -> tuple[Ints, Ints, list[str]]:
    """Pairs of records of two classes whose lengths stand in one bin, and the set of each pair.

    Args:
        lengths: of the records of each class.
        seed: of the draws.

    Returns:
        Numbers of the records of each class, and a key of SHARES, pair by pair.
    """
    rng = np.random.default_rng(seed)
    bins = [np.floor(np.log(length) / np.log(BIN)).astype(np.int64) for length in lengths]
    pairs: tuple[list[int], list[int]] = ([], [])
    for number in np.intersect1d(*bins):
        drawn = [rng.permutation(np.flatnonzero(of_class == number)) for of_class in bins]
        for chosen, some in zip(pairs, drawn, strict=True):
            chosen += some[: min(map(len, drawn))].tolist()
    edges = np.cumsum(list(SHARES.values()))[:-1]
    places = np.searchsorted(edges, rng.random(len(pairs[0])), side="right")
    coding, noncoding = (np.asarray(chosen, np.int64) for chosen in pairs)
    return coding, noncoding, [list(SHARES)[place] for place in places]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with the two FASTA files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "cpat_matched.csv")
    options = parser.parse_args()
    names, lengths = [], []
    for file in FILES:
        with (options.folder / file).open(encoding="utf-8") as lines:
            records = [(title.split()[0], len(bases)) for title, bases in SimpleFastaParser(lines)]
        names.append([name for name, _ in records])
        lengths.append(np.array([length for _, length in records]))
    coding, noncoding, sets = matched((lengths[0], lengths[1]), seed=options.seed)
    with options.out.open("w", encoding="utf-8", newline="\n") as table:
        table.write("name,set\n")
        for a, b, part in zip(coding, noncoding, sets, strict=True):
            table.write(f"{names[0][a]},{part}\n{names[1][b]},{part}\n")
    print(f"{options.out}: {len(sets)} pairs of transcripts")


if __name__ == "__main__":
    main()
