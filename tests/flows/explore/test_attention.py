"""The plot of attention weights beside a file of predictions."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.explore.attention import SHOWN, _title, plot_attention


def size_of(png: Path) -> tuple[int, int]:
    head = png.read_bytes()[:24]
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])


def written(path: Path, **columns: list[object]) -> Path:
    pq.write_table(
        pa.table({"id": [f"r{n}" for n in range(len(columns["attention"]))], **columns}), path
    )
    return path


def test_each_of_the_first_records_has_its_own_axes(tmp_path: Path) -> None:
    """Records drawn over each other, or a plot of thousands, tell nothing."""
    weights = [[0.2, 0.5, 0.3]] * 40
    many = written(tmp_path / "many.parquet", prediction=["yes"] * 40, attention=weights)
    two = written(tmp_path / "two.parquet", prediction=[1.5, 2.0], attention=weights[:2])
    tall, short = (plot_attention(path) for path in (many, two))
    assert tall is not None and short is not None
    assert size_of(tall)[1] > 2 * size_of(short)[1]
    assert SHOWN == 6 and tall.name == "many.attention.png"


def test_rejected_records_are_passed_over(tmp_path: Path) -> None:
    """A record that could not be read has no weights, and must not end the run."""
    maps = [None, [0.5, 0.5, 1.0, 0.0], None]
    path = written(
        tmp_path / "p.parquet",
        prediction=[None, "MK", None],
        attention=maps,
        attention_shape=[None, [2, 2], None],
    )
    assert plot_attention(path) is not None
    none = written(
        tmp_path / "n.parquet", prediction=["a"], attention=pa.array([None], pa.list_(pa.float32()))
    )
    assert plot_attention(none) is None


def test_the_title_tells_of_windows() -> None:
    """Weights of overlapping windows side by side would be read as those of one long record."""
    row = {"id": "a", "prediction": "yes", "attention": [0.4, 0.6, 0.1, 0.9]}
    assert _title(row) == "a: yes (2 windows, one after the other)"
    assert _title({**row, "attention": [0.25, 0.75]}) == "a: yes"
    assert _title({**row, "attention_shape": [2, 2]}) == "a: yes"
