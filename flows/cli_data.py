"""Commands that look at data: what its tokens are, what a recipe would do, what is there twice.

They start no server; `flows.cli` adds them to `seqprep`.
"""

from __future__ import annotations

from collections.abc import Callable

COMMANDS: tuple[Callable[..., None], ...] = ()
"""In the order of the help text."""
