"""What can be wrong with a person's input, with file, line and reason code.

Everything a person can mend is a `SeqprepError`: commands print its message without a traceback and
exit with 2. A record that cannot be used, in a file that otherwise can, is a `Rejection`: counted,
stored and shown, never silent.
"""

from __future__ import annotations

from dataclasses import dataclass

REASONS = {
    "ambiguous_bases": "the record holds IUPAC ambiguity codes and the policy is to reject them",
    "bad_bases": "the record holds letters that are not DNA",
    "bad_encoding": "the bytes are not text in the stated encoding",
    "bad_json": "the line is not a JSON object",
    "bad_number": "a cell is not a number",
    "bad_target": "the target of the record cannot be read",
    "conflicting_label": "the same content carries different labels",
    "control_characters": "the text holds control characters and the policy is to reject them",
    "constant_channel": "a channel never changes and the policy is to reject such records",
    "duplicate": "the same content stands in another record, which was kept",
    "duplicate_sample": "a channel has two samples at one time",
    "empty": "the record holds nothing",
    "extreme_values": "values lie far outside the record's range and the policy is to reject them",
    "missing_values": "values are missing, NaN or infinite",
    "no_group": "no group could be found for the record",
    "no_header": "bases stand before the first header line",
    "no_label": "no label could be found for the record",
    "protein": "the record holds amino acids, or mostly ambiguity codes, as a protein would",
    "ragged_row": "a row has another number of cells than the first",
    "railed_values": "the signal touches its limits and the policy is to reject such records",
    "repeated_name": "the name occurred before and the policy is to reject repeats",
    "timestamp_gaps": "timestamps have gaps and the policy is to reject such records",
    "timestamp_order": "timestamps run backwards",
    "unreadable": "the file cannot be read",
    "unknown_label": "the label does not occur in the training rows",
    "withdrawn": "the record, its content or its group was withdrawn from the dataset",
    "wrong_channels": "the channels are not those of the dataset",
    "wrong_rate": "the sampling rate differs from the stated one",
}
"""Reason codes of rejections, and what each means."""


class SeqprepError(ValueError):
    """Wrong use or wrong input; the message says where and what to do."""


class InputError(SeqprepError):
    """A source file cannot be used as it is.

    Args:
        message: what is wrong and what to do about it.
        file: the file, relative to the source root where it lies in one.
        line: the line in it, counted from 1, where known.
        reason: a short code.
    """

    def __init__(
        self, message: str, *, file: str, line: int | None = None, reason: str = "unreadable"
    ) -> None:
        self.file, self.line, self.reason, self.text = file, line, reason, message
        where = file if line is None else f"{file}, line {line}"
        super().__init__(f"{where}: {message} [{reason}]")

    def __reduce__(self) -> tuple[object, ...]:
        """Keep file, line and reason when the error crosses a process boundary."""
        return (_rebuild_input_error, (self.text, self.file, self.line, self.reason))


def _rebuild_input_error(text: str, file: str, line: int | None, reason: str) -> InputError:
    return InputError(text, file=file, line=line, reason=reason)


class ConfigError(SeqprepError):
    """A key or value of the pipeline file is wrong."""


class NotBuiltError(ConfigError):
    """A key that the contract names and this version does not do yet."""

    def __init__(self, what: str, instead: str = "remove it or choose another") -> None:
        super().__init__(f"{what} is not built yet; {instead}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive a process boundary."""
        return (ConfigError, (str(self),))


class CorruptError(SeqprepError):
    """A stored file is missing or its bytes are not those that were committed."""


class RemoteError(SeqprepError):
    """A store on S3 cannot be used as it is."""


class UnreachableError(RemoteError):
    """A store on S3 does not answer now; it may later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """One record that was seen and left out, and why.

    Args:
        source: relative path of the source file.
        record: number of the record in that file, from 0; None when the whole file is meant.
        line: line in that file, from 1, where the record (or the fault) starts; None if unknown.
        reason: a key of REASONS.
        detail: what exactly was found, for a person to read.
    """

    source: str
    record: int | None
    line: int | None
    reason: str
    detail: str

    def __post_init__(self) -> None:
        assert self.reason in REASONS, self.reason
