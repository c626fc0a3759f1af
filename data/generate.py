"""Write the sample inputs of this folder: DNA, documents, EEG-like traces, and genes to translate.

Run `python data/generate.py` from anywhere; with `--out DIR` it writes there instead. The files in
this folder are what it writes, byte for byte: a test compares them. Needs only NumPy.

In every set the lengths of the classes are the same list in another order, so that length alone
says nothing about the class. What does is told in README.md, and `oracle.py` measures it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).parent
Rng = np.random.RandomState
"""NumPy's frozen generator: its stream never changes (NEP 19), so the files stay the same bytes."""
Floats = npt.NDArray[np.float64]

# Codons per thousand in human genes, in the order T, C, A, G of the standard table: a line for each
# first letter; in it, four blocks for the third letter, each with the second letter across.
# Source: Codon Usage Database, Nakamura, Gojobori & Ikemura 2000, doi:10.1093/nar/28.1.292
CODONS_PER_THOUSAND = """
17.6 15.2 12.2 10.6  20.3 17.7 15.3 12.6   7.7 12.2  0.0  0.0  12.9  4.4  0.0 13.2
13.2 17.5 10.9  4.5  19.6 19.8 15.1 10.4   7.2 16.9 12.3  6.2  39.6  6.9 34.2 11.4
16.0 13.1 17.0 12.1  20.8 18.9 19.1 19.5   7.5 15.1 24.4 12.2  22.0  6.1 31.9 12.0
11.0 18.4 21.8 10.8  14.5 27.7 25.1 22.2   7.1 15.8 29.0 16.5  28.1  7.4 39.6 16.5
"""
CODONS = [a + b + c for a in "TCAG" for c in "TCAG" for b in "TCAG"]
CODON_BIAS = 1.5
"""1 is human genes on average; more makes frequent codons more frequent."""
STOPS = ("TAA", "TAG", "TGA")
COMPLEMENT = str.maketrans("ACGT", "TGCA")

DNA_RECORDS = 450
"""Records of each class."""
TEXT_CLASSES = ("cooking", "gardening", "sailing")
TEXT_DOCUMENTS = 130
"""Documents of each class."""
TOPIC_WORDS = 8
"""Rare words that tell a class."""
EEG_SUBJECTS = 10
EEG_RECORDS = 10
"""Recordings of each class and subject."""
EEG_CHANNELS = ("F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")
EEG_RATE_HZ = 64
GENES = 2000
"""Short genes to translate."""


def lognormal_lengths(
    rng: Rng, count: int, *, median: float, sigma: float, low: int, high: int
) -> npt.NDArray[np.int64]:
    """`count` lengths in steps, lognormal and clipped to `low..high`."""
    drawn = np.exp(np.log(median) + sigma * rng.standard_normal(count))
    return np.clip(drawn, low, high).astype(np.int64)


def draw_codons(rng: Rng, count: int) -> list[str]:
    """Sense codons at the frequencies of human genes, sharpened as in genes that are much used."""
    weights = np.array(CODONS_PER_THOUSAND.split(), dtype=np.float64) ** CODON_BIAS
    edges = np.cumsum(weights / weights.sum())
    return [CODONS[i] for i in np.searchsorted(edges[:-1], rng.random_sample(count))]


def gene(rng: Rng, codons: int) -> str:
    """A reading frame of so many codons: ATG, sense codons, one stop."""
    return "ATG" + "".join(draw_codons(rng, codons - 2)) + STOPS[rng.randint(3)]


def transcript(rng: Rng, length: int) -> str:
    """A gene between untranslated ends, on either strand, `length` bases in all.

    The gene takes 60 to 90 % of the length; the ends have the same composition of single bases.
    """
    codons = int(length * (0.6 + 0.3 * rng.random_sample())) // 3
    ends = length - 3 * codons
    letters = list("".join(draw_codons(rng, ends // 3 + 1))[:ends])
    rng.shuffle(letters)
    cut = rng.randint(ends + 1)
    bases = "".join(letters[:cut]) + gene(rng, codons) + "".join(letters[cut:])
    return bases.translate(COMPLEMENT)[::-1] if rng.randint(2) else bases


def shuffled(rng: Rng, bases: str) -> str:
    """The same bases in random order: no codon and no reading frame survives."""
    letters = list(bases)
    rng.shuffle(letters)
    return "".join(letters)


def fasta(records: list[str], *, prefix: str) -> bytes:
    """FASTA, 60 bases a line; the names say nothing about the class."""
    lines = []
    for number, bases in enumerate(records):
        lines.append(f">{prefix}{number:04d} length={len(bases)}")
        lines += [bases[i : i + 60] for i in range(0, len(bases), 60)]
    return ("\n".join(lines) + "\n").encode()


def dna() -> Iterator[tuple[str, bytes]]:
    """Genes on either strand against shuffled ones of equal length: (relative path, content)."""
    rng = Rng(101)
    lengths = lognormal_lengths(rng, DNA_RECORDS, median=800, sigma=0.5, low=400, high=2500)
    coding = [transcript(rng, n) for n in lengths.tolist()]
    rng.shuffle(lengths)
    noncoding = [shuffled(rng, transcript(rng, n)) for n in lengths.tolist()]
    yield "dna/coding.fa", fasta(coding, prefix="record")
    yield "dna/shuffled.fa", fasta(noncoding, prefix="record")


def pseudo_words(rng: Rng, count: int) -> list[str]:
    """Different pronounceable words of two to four syllables, in the order they were drawn."""
    words: dict[str, None] = {}
    while len(words) < count:
        syllables = rng.randint(2, 5)
        word = "".join(
            "bdfgklmnprstv"[rng.randint(13)] + "aeiou"[rng.randint(5)] for _ in range(syllables)
        )
        words.setdefault(word)
    return list(words)


def vocabulary(rng: Rng) -> tuple[list[str], list[str], dict[str, list[str]]]:
    """The frequent words, rare words of no class, and the rare words that tell each class."""
    words = pseudo_words(rng, 500 + 800 + TOPIC_WORDS * len(TEXT_CLASSES))
    topics = words[1300:]
    by_class = {
        name: topics[i * TOPIC_WORDS : (i + 1) * TOPIC_WORDS] for i, name in enumerate(TEXT_CLASSES)
    }
    return words[:500], words[500:1300], by_class


def document(rng: Rng, length: int, name: str) -> str:
    """`length` words: Zipfian frequent ones, one in 40 rare, and a few that tell the class.

    Five to nine words of its own class and at most one of another stand anywhere.
    """
    frequent, rare, topics = VOCABULARY
    edges = np.cumsum(1 / np.arange(1, len(frequent) + 1))
    words = [
        frequent[i] for i in np.searchsorted(edges[:-1], rng.random_sample(length) * edges[-1])
    ]
    places = rng.permutation(length)
    telling, misleading = rng.randint(5, 10), rng.randint(2)
    for place in places[:telling]:
        words[place] = topics[name][rng.randint(TOPIC_WORDS)]
    others = [other for other in TEXT_CLASSES if other != name]
    for place in places[telling : telling + misleading]:
        words[place] = topics[others[rng.randint(len(others))]][rng.randint(TOPIC_WORDS)]
    rest = places[telling + misleading :]
    for place in rest[: length // 40]:
        words[place] = rare[rng.randint(len(rare))]
    return prose(rng, words)


def prose(rng: Rng, words: list[str]) -> str:
    """Sentences of 6 to 18 words, with capitals and full stops, a line each."""
    lines, start = [], 0
    while start < len(words):
        stop = start + rng.randint(6, 19)
        lines.append(" ".join(words[start:stop]).capitalize() + ".")
        start = stop
    return "\n".join(lines) + "\n"


VOCABULARY = vocabulary(Rng(201))


def text() -> Iterator[tuple[str, bytes]]:
    """Documents of 150 to 1,500 words in three classes: (relative path, content)."""
    rng = Rng(202)
    lengths = lognormal_lengths(rng, TEXT_DOCUMENTS, median=480, sigma=0.6, low=150, high=1500)
    for name in TEXT_CLASSES:
        rng.shuffle(lengths)
        for number, length in enumerate(lengths.tolist()):
            yield f"text/{name}/{number:03d}.txt", document(rng, length, name).encode()


def background(rng: Rng, steps: int, *, alpha_hz: float) -> Floats:
    """Eight channels of 1/f noise and an alpha rhythm strongest at the back, microvolts, (T, 8)."""
    channels = len(EEG_CHANNELS)
    frequencies = np.fft.rfftfreq(steps, 1 / EEG_RATE_HZ)
    shape = 1 / np.sqrt(np.maximum(frequencies, 0.5))
    white = rng.standard_normal((steps, channels + 1))
    noise = np.fft.irfft(np.fft.rfft(white, axis=0) * shape[:, None], n=steps, axis=0)
    noise = 0.7 * noise[:, :channels] + 0.7 * noise[:, channels:]
    time_s = np.arange(steps) / EEG_RATE_HZ
    waxing = 1 + 0.5 * np.sin(2 * np.pi * (0.3 * time_s + rng.random_sample()))
    alpha = waxing * np.sin(2 * np.pi * (alpha_hz * time_s + rng.random_sample()))
    weights = np.array([0.2, 0.2, 0.5, 0.5, 0.8, 0.8, 1.0, 1.0])
    return 14 * noise / noise.std() + 10 * alpha[:, None] * weights


def envelope(steps: int, start: int, length: int) -> Floats:
    """0 outside the burst, 1 inside, with smooth edges, (T,)."""
    place = (np.arange(steps) - start) / length
    return np.where((place > 0) & (place < 1), np.sin(np.pi * np.clip(place, 0, 1)) ** 0.5, 0.0)


def discharge(phase: Floats) -> Floats:
    """Spike and wave as a function of the phase in its cycle, 0 to 1; amplitude about 1."""
    spike = np.exp(-(((phase - 0.15) / 0.05) ** 2))
    wave = np.where(phase > 0.3, np.sin(np.pi * (phase - 0.3) / 0.7), 0.0)
    return 1.3 * spike - wave + 0.3


def spike_and_wave(rng: Rng, steps: int) -> Floats:
    """A discharge at 2.8 to 3.2 Hz: a sharp spike, then a slow wave, in every cycle, (T,)."""
    rate_hz = 2.8 + 0.4 * rng.random_sample()
    time_s = np.arange(steps) / EEG_RATE_HZ
    return discharge((time_s * rate_hz + rng.random_sample()) % 1)


def artefact(rng: Rng, steps: int) -> Floats:
    """What is as large but no discharge: eye movements of 1 Hz, or a tremor of 6 to 7 Hz, (T,)."""
    rate_hz = 0.7 + 0.6 * rng.random_sample() if rng.randint(2) else 6 + rng.random_sample()
    return np.sin(2 * np.pi * (np.arange(steps) / EEG_RATE_HZ * rate_hz + rng.random_sample()))


def recording(rng: Rng, steps: int, *, seizure: bool, alpha_hz: float, gain: float) -> Floats:
    """One recording in microvolts, (T, 8), with a burst of 1.2 to 2.2 s of either kind."""
    values = background(rng, steps, alpha_hz=alpha_hz)
    length = int(EEG_RATE_HZ * (1.2 + rng.random_sample()))
    burst = envelope(steps, rng.randint(steps - length), length)
    burst = burst * (spike_and_wave if seizure else artefact)(rng, steps)
    spread = 0.6 + 0.4 * rng.random_sample(len(EEG_CHANNELS))
    return gain * (values + (45 + 20 * rng.random_sample()) * burst[:, None] * spread)


def eeg() -> Iterator[tuple[str, bytes]]:
    """Recordings of 2.5 to 7.5 s of ten subjects, with and without a discharge."""
    rng = Rng(301)
    for subject in range(1, EEG_SUBJECTS + 1):
        alpha_hz, gain = 9 + 2.5 * rng.random_sample(), 0.6 + 0.8 * rng.random_sample()
        lengths = lognormal_lengths(rng, EEG_RECORDS, median=260, sigma=0.3, low=160, high=480)
        for name in ("seizure", "background"):
            rng.shuffle(lengths)
            for number, steps in enumerate(lengths.tolist()):
                values = recording(
                    rng, steps, seizure=name == "seizure", alpha_hz=alpha_hz, gain=gain
                )
                yield f"eeg/subject{subject:02d}-{name}-{number:02d}.csv", csv(values)


def csv(values: Floats) -> bytes:
    """A header, a timestamp in seconds and a column for each channel, whole microvolts."""
    lines = [",".join(("timestamp", *EEG_CHANNELS))]
    for step, row in enumerate(np.rint(values).astype(np.int64).tolist()):
        lines.append(f"{step / EEG_RATE_HZ:g}," + ",".join(map(str, row)))
    return ("\n".join(lines) + "\n").encode()


def translate() -> Iterator[tuple[str, bytes]]:
    """Genes of 8 to 24 codons, whose protein is the target: (relative path, content)."""
    rng = Rng(401)
    genes = [gene(rng, int(codons)) for codons in rng.randint(8, 25, size=GENES)]
    yield "translate/genes.fa", fasta(genes, prefix="gene")


def generate(out: Path) -> list[Path]:
    """Write every sample file under `out` and return their paths."""
    written = []
    for make in (dna, text, eeg, translate):
        for name, content in make():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written.append(path)
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the sample inputs.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder (default: this one)")
    generate(parser.parse_args().out)
