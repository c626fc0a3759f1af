"""The domains. A new one is a file with a READER and a line here."""

from __future__ import annotations

from seqprep.domains import dna, eeg, prices, text
from seqprep.ingestion.records import Reader

DOMAINS: dict[str, Reader] = {
    "dna": dna.READER,
    "text": text.READER,
    "eeg": eeg.READER,
    "prices": prices.READER,
}
