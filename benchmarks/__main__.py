"""Run benchmarks one after the other: `python -m benchmarks [NAME ...] [--size-mb N] ...`.

Without names all of them; options are handed to each. Then the tables of README.md are renewed from
`results/`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.common import RESULTS

NAMES = (
    "words",
    "tokens",
    "fasta",
    "eeg",
    "eeg_large",
    "batches",
    "first_batch",
    "training",
    "exact",
    "memory",
    "buckets",
    "append",
    "overhead",
    "many_files",
    "dask",
    "mistakes",
)
README = Path(__file__).parent / "README.md"
MARK = "<!-- results -->"


def main(arguments: list[str]) -> int:
    """Run the named benchmarks; the number of those that failed."""
    named = [name for name in arguments if name in NAMES]
    options = [argument for argument in arguments if argument not in NAMES]
    failed = 0
    for name in named or NAMES:
        command = [sys.executable, "-m", f"benchmarks.{name}", *options]
        failed += subprocess.run(command, check=False).returncode != 0
    if not {"--keep", "--help", "-h"} & set(options):
        renew()
    return failed


def renew() -> None:
    """Put the tables of `results/` under the mark in README.md."""
    names = [*NAMES, "growth"]  # of `memory --sizes-gb`
    tables = [RESULTS / f"{name}.md" for name in names]
    text = "\n".join(table.read_text() for table in tables if table.exists())
    head = README.read_text().partition(MARK)[0]
    README.write_text(f"{head}{MARK}\n\n{text}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
