"""Keep the tokens that tell these records from others: both ends by informativeness (P4).

A token's inverse document frequency here is compared with that in a reference table, built from any
other dataset by `seqprep frequencies`. Use it for text of a narrow field beside general text, or
k-mers of one genome beside another. Not without a reference of the same units.

Source: Sparck Jones 1972, doi:10.1108/eb026526; smoothed as by scikit-learn's TfidfTransformer,
https://scikit-learn.org/stable/modules/feature_extraction.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqprep.errors import ConfigError
from seqprep.transforms.token_rule import Bools, Evidence, TokenRule


def inverse_document_frequency(
    records: npt.ArrayLike, *, num_records: int
) -> npt.NDArray[np.float64]:
    """ln((1 + N) / (1 + df)) + 1 for tokens that `records` of N records hold (CONTRACT 17).

    >>> inverse_document_frequency([3, 0], num_records=3).round(3).tolist()
    [1.0, 2.386]
    """
    found = np.asarray(records, dtype=np.float64)
    result: npt.NDArray[np.float64] = np.log((1 + num_records) / (1 + found)) + 1
    return result


@dataclass(frozen=True, kw_only=True, slots=True)
class Idf(TokenRule):
    """Tokens whose IDF differs from the reference's by at least `tau` stay.

    A token that the reference lacks has df = 0 there. One that no training row holds stays as OOV:
    no training row has taught what it tells.

    Args:
        reference: a table of tokens, written by `seqprep frequencies`; its path, relative to the
            pipeline file.
        tau: smallest difference that stays, in nats.

    >>> Idf(reference="general.parquet", tau=1.0).table
    'general.parquet'
    """

    name: ClassVar[str] = "idf"
    version: ClassVar[int] = 2

    reference: str
    tau: float

    def __post_init__(self) -> None:
        if not isinstance(self.reference, str) or not self.reference:
            raise ConfigError(
                f"idf.reference must be the path of a table of tokens, got {self.reference!r}; "
                "write one with `seqprep frequencies FILE --out TABLE.parquet`"
            )
        if isinstance(self.tau, bool) or not isinstance(self.tau, int | float) or self.tau < 0:
            raise ConfigError(f"idf.tau must be a number >= 0 nats, got {self.tau!r}")

    @property
    def needs_records(self) -> bool:
        """IDF counts records."""
        return True

    @property
    def table(self) -> str:
        """The reference."""
        return self.reference

    def removed(self, evidence: Evidence) -> Bools:
        """Tokens that are about as informative here as in the reference."""
        frequency, reference = evidence.frequency, evidence.tables[self.reference]
        assert frequency.records is not None, "records were not counted"
        if reference.num_records is None:
            raise ConfigError(
                f"idf.reference: {self.reference} does not say how many records were counted; "
                "write it with `seqprep frequencies FILE --out TABLE.parquet`"
            )
        try:
            held = reference.column("records", frequency.tokens, missing=0)
        except ConfigError as error:
            raise ConfigError(f"idf.reference: {self.reference}: {error}") from error
        if len(frequency) and not held.any():
            raise ConfigError(
                f"idf.reference: {self.reference} shares no token with the training rows "
                f"(most frequent here: {frequency.tokens[0].as_py()!r}), so it tells none from "
                "others; write it with `seqprep frequencies` and the same prepare.tokens"
            )
        here = inverse_document_frequency(frequency.records, num_records=frequency.num_records)
        there = inverse_document_frequency(held, num_records=reference.num_records)
        return np.append(np.abs(here - there) < self.tau, False)
