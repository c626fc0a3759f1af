"""What a command says and exits with after an error."""

from __future__ import annotations

import pytest

from tests.flows.test_stop import python

CASES = {
    "a full disk": (
        'open("/dev/full", "w", 1).write("x\\n")',
        2,
        "[Errno 28] No space left on device; free space, allow writing, or choose another folder, "
        "then give the same command again",
    ),
    "another folder's trouble": (
        'open("/none/there")',
        1,
        "FileNotFoundError: [Errno 2] No such file or directory: '/none/there' (SEQPREP_DEBUG=1 "
        "shows where)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_error_is_one_line(case: str) -> None:
    """Would break if a person met a traceback, or a full disk passed for a fault of the code."""
    raised, status, line = CASES[case]
    code = f"from flows.commands.ending import ending\nwith ending():\n    {raised}\n"
    done = python(code)
    _, told = done.communicate(timeout=60)
    assert (done.returncode, told) == (status, f"error: {line}\n")
