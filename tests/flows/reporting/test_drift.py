"""What people see of drift: a table with the limits, and a plot."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image

from flows.reporting import drift
from seqprep.options.drift import Drift

FOUND = {
    "records": 12,
    "unseen_share": 0.2,
    "over_limit_share": 0.0,
    "length_distance": 0.1,
    "length_shares": {"edges": [1, 5, 9], "fitted": [0.5, 0.5], "joined": [1.0, 0.0]},
    "amplitude": {"Fp1": {"shift": 0.1, "ratio": 0.25}},
}
DONE = {
    "dataset": "d",
    "recipe": "r",
    "version": 3,
    "drift": {"now": FOUND, "since_fit": {**FOUND, "records": 40, "unseen_share": 0.01}},
    "refit_advised": "reasons",
}


def test_the_table_marks_what_is_over_its_limit() -> None:
    """A person would have to compare numbers by hand, or miss a channel that lost its signal."""
    text = drift.table(DONE, Drift())
    assert "**A refit is advised:** reasons." in text
    assert "| tokens never seen | 20.0% | 1.0% | 5.0% | over |" in text
    assert "| lengths, KS distance | 0.100 | 0.100 | 0.200 |  |" in text
    assert "| Fp1: spread, factor | 4.00 | 4.00 | 1.50 | over |" in text
    assert "| records | 12 | 40 |" in text


def test_of_many_channels_the_worst_are_shown() -> None:
    """A spectrum would give a table of hundreds of rows."""
    many = {f"Fp1 {n} Hz": {"shift": n / 50, "ratio": 1.0} for n in range(100)}
    found = {**FOUND, "amplitude": many}
    text = drift.table({**DONE, "drift": {"now": found, "since_fit": found}}, Drift())
    assert text.count(": mean, deviations") + text.count(": spread, factor") == drift.ROWS
    assert "| Fp1 99 Hz: mean, deviations | 1.98 | 1.98 | 0.50 | over |" in text
    assert "tokens never seen" in text and "| 75 of 203 measures are over |" in text


def test_what_chance_gives_is_not_over() -> None:
    """The table and the plot would show a drift that the command does not speak of."""
    few = {**FOUND, "length_distance": 0.25, "length_distance_by_chance": 0.4}
    rows = {what: (value, limit) for what, value, limit, _ in drift.measures(few, Drift())}
    assert rows["lengths, KS distance"] == (0.25, 0.4)
    words = {**FOUND, "token_divergence": 0.2, "token_divergence_by_chance": 0.3}
    rows = {what: (value, limit) for what, value, limit, _ in drift.measures(words, Drift())}
    assert rows["mix of tokens, bits"] == (0.2, 0.3)
    more = {**few, "length_distance_by_chance": 0.1}
    both = {"now": few, "since_fit": few}
    text = drift.table({**DONE, "drift": both}, Drift())
    assert "| lengths, KS distance | 0.250 | 0.250 | 0.400 |  |" in text
    text = drift.table({**DONE, "drift": {**both, "since_fit": more}}, Drift())
    assert "| lengths, KS distance | 0.250 | 0.250 | 0.400, 0.200 | over |" in text


def test_the_plot_is_written_beside_the_dataset(tmp_path: Path) -> None:
    """The numbers would have no picture; or one would be written where nothing joined."""
    path = drift.write(tmp_path, DONE, Drift())
    assert path == tmp_path / "d" / "plots" / "drift-r-v3.png"
    assert matplotlib.image.imread(path).std() > 0.05
    nothing = {"now": {**FOUND, "records": 0}, "since_fit": FOUND}
    assert drift.write(tmp_path, {**DONE, "drift": nothing}, Drift()) is None
