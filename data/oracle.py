"""What score is possible on the sample inputs: rules that know how they were made.

Run `python data/oracle.py`. An oracle knows what no model is told (the genetic code, the telling
words, the shape of a discharge); length alone is shown beside it and says nothing. The thresholds
of the rules are the best ones in the sample, so their scores are slightly flattering. Needs only
NumPy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import generate
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def read_fasta(path: Path) -> list[str]:
    """The sequences of a FASTA file, in order."""
    records = path.read_text().split(">")[1:]
    return ["".join(record.split("\n")[1:]) for record in records]


def best_threshold(scores: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Accuracy of the best single threshold, in either direction."""
    order = np.argsort(scores, kind="stable")
    below = np.concatenate([[0], np.cumsum(~positive[order])])
    above = positive.sum() - np.concatenate([[0], np.cumsum(positive[order])])
    between = np.concatenate([[True], np.diff(scores[order]) > 0, [True]])
    right = (below + above)[between] / len(order)
    return float(max(right.max(), 1 - right.min()))


def frame_score(bases: str) -> float:
    """Codon usage of the best open stretch in six reading frames, against single bases, nats."""
    weights = [float(w) for w in generate.CODONS_PER_THOUSAND.split()]
    total = sum(w**generate.CODON_BIAS for w in weights)
    share = {base: max(bases.count(base), 1) / len(bases) for base in "ACGT"}
    gain = {
        codon: np.log(weight**generate.CODON_BIAS / total)
        - sum(np.log(share[base]) for base in codon)
        for codon, weight in zip(generate.CODONS, weights, strict=True)
        if codon not in generate.STOPS
    }
    best = 0.0
    for strand in (bases, bases.translate(generate.COMPLEMENT)[::-1]):
        for start in range(3):
            run = 0.0
            for place in range(start, len(strand) - 2, 3):
                run = max(0.0, run + gain.get(strand[place : place + 3], -np.inf))
                best = max(best, run)
    return best


def dna(root: Path) -> tuple[float, float]:
    """(accuracy of the reading-frame rule, accuracy of length)."""
    records = [read_fasta(root / "dna" / f"{name}.fa") for name in ("coding", "shuffled")]
    both = records[0] + records[1]
    positive = np.arange(len(both)) < len(records[0])
    scores = np.array([frame_score(bases) for bases in both])
    lengths = np.array([len(bases) for bases in both], dtype=np.float64)
    return best_threshold(scores, positive), best_threshold(lengths, positive)


def text(root: Path) -> tuple[float, float]:
    """(accuracy of counting telling words, that of the length's third)."""
    topics = generate.VOCABULARY[2]
    right, lengths, classes = [], [], []
    for number, name in enumerate(generate.TEXT_CLASSES):
        for path in sorted((root / "text" / name).glob("*.txt")):
            words = re.findall(r"\w+", path.read_text().lower())
            counts = [sum(word in topics[other] for word in words) for other in topics]
            right.append(int(np.argmax(counts)) == number)
            lengths.append(len(words))
            classes.append(number)
    return float(np.mean(right)), thirds(lengths, classes)


def thirds(lengths: Sequence[int], classes: Sequence[int]) -> float:
    """Accuracy of the best class for the short, the middling and the long documents."""
    edges = np.quantile(lengths, [1 / 3, 2 / 3])
    third = np.searchsorted(edges, lengths)
    counts = np.zeros((3, max(classes) + 1))
    np.add.at(counts, (third, np.asarray(classes)), 1)
    return float(counts.max(axis=1).sum() / len(lengths))


def discharges() -> Floats:
    """Unit vectors of 1.25 s of spike and wave: 2.8 to 3.2 Hz, 16 phases each, (80, 80)."""
    width = generate.EEG_RATE_HZ * 5 // 4
    time_s = np.arange(width) / generate.EEG_RATE_HZ
    rows = []
    for rate_hz in (2.8, 2.9, 3.0, 3.1, 3.2):
        for phase in np.arange(16) / 16:
            shape = generate.discharge((time_s * rate_hz + phase) % 1)
            rows.append(shape - shape.mean())
    templates = np.array(rows)
    return templates / np.linalg.norm(templates, axis=1, keepdims=True)


def discharge_score(values: Floats) -> float:
    """The highest correlation of any 1.25 s with a discharge, times the root of its amplitude."""
    templates = discharges()
    mean = values.mean(axis=1) / np.abs(values.mean(axis=1)).mean()
    windows = np.lib.stride_tricks.sliding_window_view(mean, templates.shape[1])
    windows = windows - windows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(windows, axis=1)
    correlation = (windows @ templates.T).max(axis=1) / norms
    return float((correlation * np.sqrt(norms)).max())


def eeg(root: Path) -> tuple[float, float, float]:
    """(accuracy of the 3 Hz rule, of length, of the standard deviation)."""
    scores, lengths, deviations, positive = [], [], [], []
    for path in sorted((root / "eeg").glob("*.csv")):
        values = np.loadtxt(path, delimiter=",", skiprows=1)[:, 1:]
        scores.append(discharge_score(values))
        lengths.append(float(len(values)))
        deviations.append(float(values.std()))
        positive.append("seizure" in path.name)
    truth = np.array(positive)
    return (
        best_threshold(np.array(scores), truth),
        best_threshold(np.array(lengths), truth),
        best_threshold(np.array(deviations), truth),
    )


def main(root: Path = generate.HERE) -> None:
    """Print the table of README.md."""
    dna_rule, dna_length = dna(root)
    text_rule, text_length = text(root)
    eeg_rule, eeg_length, eeg_deviation = eeg(root)
    print("| sample | rule that knows | length alone | other |")
    print("|---|---|---|---|")
    print(f"| dna | reading frames {dna_rule:.3f} | {dna_length:.3f} | |")
    print(f"| text | telling words {text_rule:.3f} | {text_length:.3f} | |")
    print(f"| eeg | 3 Hz {eeg_rule:.3f} | {eeg_length:.3f} | deviation {eeg_deviation:.3f} |")


if __name__ == "__main__":
    main()
