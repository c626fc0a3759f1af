"""Figures that are worked out of what was measured: medians, distances, parts, digests."""

from __future__ import annotations

import doctest
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import append_costs, floors, stages, tokens
from benchmarks.append import FEW_SHARE
from benchmarks.append_inputs import MAKE, count_records, write_few
from benchmarks.common import Facts, Settings, check_same, markdown, summary

FACTS = {"date": "d", "cpu": "c", "cores": 2, "system": "s", "python": "3", "versions": {}}


@pytest.mark.parametrize("module", [append_costs, stages], ids=lambda one: one.__name__)
def test_examples_hold(module: ModuleType) -> None:
    """The arithmetic of a table would be wrong as its own docstring tells it."""
    assert doctest.testmod(module).failed == 0


def test_each_kind_of_seconds_is_a_median() -> None:
    """The stages would be those of the last run alone, and not add up."""
    runs = [{"seconds": 1.0 + n, "ingest_s": 3.0 - n, "rows": 7} for n in range(3)]
    found = summary(runs)
    assert (found["seconds"], found["fastest"], found["slowest"]) == (2, 1, 3)
    assert (found["ingest_s"], found["rows"]) == (2, 7)


def test_stages_are_shown_once_beside_their_floors() -> None:
    """A reader would not see which stage is far from its floor."""
    ours = {f"{stage}{unit}": 3.0 for stage in stages.STAGES for unit in ("_s", "_cpu_s")}
    case = {"seconds": 1.0, "fastest": 1.0, "slowest": 1.0, "cpu_s": 2.0}
    cases = {"ours": {**case, **ours}, "floor_ingest": case, "floor_prepare": case}
    body = {"cases": cases, "size_mb": 1, "processes": 2, "repeats": 1, "environment": FACTS}
    text = markdown(replace(tokens.BENCHMARK, stages=2), body)
    assert "| ingest | 3.00 | 1.00 | 3.00 | at most 2 (missed) | 3.00 | 2.00 | 1.50 |" in text
    assert text.count("ingest_s") == 0


def test_cases_that_differ_fail_the_run() -> None:
    """A peer that cuts other words would be compared all the same."""
    runs = {"ours": [{"digest": "a"}, {"digest": "a"}], "floor": [{"cpu_s": 1}]}
    check_same(replace(tokens.BENCHMARK, same=("digest",)), runs)
    with pytest.raises(RuntimeError, match="cases differ in digest"):
        check_same(replace(tokens.BENCHMARK, same=("digest",)), {**runs, "peer": [{"digest": "b"}]})


def words_digest(rows: list[list[str]], numbers: dict[str, int]) -> str:
    """The digest of some documents whose words are numbered as told."""
    ids = np.array([numbers[word] for row in rows for word in row])
    counts = np.bincount(ids, minlength=max(numbers.values()) + 1)
    there = sorted((word for word in numbers if counts[numbers[word]]), key=numbers.__getitem__)
    lengths = [np.array([len(row)]) for row in rows]
    return tokens.digest(lengths, [ids], counts, pa.array(there))


def test_the_digest_tells_words_and_not_their_numbers() -> None:
    """Equal tokens would look different, or different ones equal."""
    rows = [["a", "b", "a"], [], ["c"]]
    digest = words_digest(rows, {"a": 0, "b": 1, "c": 2})
    assert words_digest(rows, {"a": 2, "b": 4, "c": 1}) == digest
    for other in ([["a", "a", "b"], [], ["c"]], [["a", "b"], ["a"], ["c"]], [["a", "b", "a"], []]):
        assert words_digest(other, {"a": 0, "b": 1, "c": 2}) != digest


def test_ours_and_polars_cut_the_same_words(tmp_path: Path) -> None:
    """The benchmark would fail on a quiet machine, an hour after somebody broke it."""
    tokens.BENCHMARK.make(tmp_path, 0.05)
    settings = Settings(inputs=tmp_path, out=tmp_path, processes=2)
    found = [case(settings)()["digest"]() for case in (tokens.ours, tokens.polars_expert)]
    assert found[0] == found[1]


def test_the_floors_of_both_stages_write_all_that_ours_writes(tmp_path: Path) -> None:
    """A table in neither floor would make ours look far from both."""
    import pyarrow.parquet as pq

    def ours(settings: Settings) -> floors.Callable[[], Facts]:
        def job() -> Facts:
            for name in ("sequences", "examples-default/split=train"):
                path = settings.out / "data" / name / "a.parquet"
                path.parent.mkdir(parents=True)
                pq.write_table(pa.table({"length": list(range(9))}), path)
            return {}

        return job

    (tmp_path / "in.txt").write_bytes(b"x" * 10)
    sizes = {}
    for name, case in floors.floor_cases(ours).items():
        out = tmp_path / name
        out.mkdir()
        sizes[name] = case(Settings(inputs=tmp_path / "in.txt", out=out, processes=1))()
    both = sizes["floor_ingest"]["parquet_mb"] + sizes["floor_prepare"]["parquet_mb"]
    assert both == pytest.approx(sizes["floor_write"]["parquet_mb"])
    assert sizes["floor_prepare"]["read_mb"] > 0


@pytest.mark.parametrize("kind", list(MAKE))
def test_the_few_are_few(kind: str, tmp_path: Path) -> None:
    """What the percent costs would be taken for start-up."""
    MAKE[kind](tmp_path, 5)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    percent = files[50::100] or files[:1]
    few = max(1, int(FEW_SHARE * sum(count_records(kind, path) for path in percent)))
    made_bytes = write_few(kind, tmp_path, percent[0], few)
    new = [path for path in tmp_path.rglob("few*") if path not in files]
    assert made_bytes == sum(path.stat().st_size for path in new)
    assert made_bytes <= FEW_SHARE * sum(path.stat().st_size for path in percent)
    assert sum(count_records(kind, path) for path in new) == few
