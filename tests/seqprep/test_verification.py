"""Whatever byte of a store is altered, verify names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqprep.ingestion import hashes
from seqprep.upkeep.collect import collect
from seqprep.upkeep.removal import remove
from seqprep.upkeep.verification import Verified, verify_dataset
from tests.seqprep.test_collect import LATER_S
from tests.stores import SECRET_ID, documents_of, ingested, prepared

NOT_COVERED = {".lock"}
"""Files that hold nothing."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with several versions of both tables, a withdrawal and versions that are gone."""
    root = tmp_path_factory.mktemp("verify")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashes, "MARGIN_NS", -(10**12))
        ingested(root, documents_of())
        prepared(root)
        for number in range(3):
            ingested(root, {f"pos/new-{number}.txt": f"new words {number}", "neg/ann-1.txt": ""})
            prepared(root)
        remove(root / "store" / "d", ids=[SECRET_ID], apply=True)
        collect(root / "store" / "d", now_s=LATER_S, apply=True)
        prepared(root)
        remove(root / "store" / "d", groups=["bob"], apply=True)
    return root / "store" / "d"


def covered(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_size and path.name not in NOT_COVERED
    )


def named(done: Verified, path: Path) -> bool:
    return any(problem.startswith(f"{path}:") for problem in done.problems)


def flip(path: Path, bit: int) -> bytes:
    """Flip one bit; the bytes of before."""
    data = path.read_bytes()
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    path.write_bytes(changed)
    return data


def test_a_store_is_what_was_committed(store: Path) -> None:
    """A sound store would be called damaged, or part of it not be looked at."""
    done = verify_dataset(store)
    assert (done.problems, done.unsealed) == ([], 0)
    seals = [path for path in covered(store) if path.parent.name == "_seals"]
    assert done.files == len(covered(store)) - len(seals)


def test_one_flipped_bit_in_each_file_is_found_and_the_file_named(store: Path) -> None:
    """Some kind of file would be left out."""
    random = np.random.default_rng(0)
    for path in covered(store):
        data = flip(path, int(random.integers(8 * path.stat().st_size)))
        try:
            assert named(verify_dataset(store), path), path
        finally:
            path.write_bytes(data)
    assert verify_dataset(store).problems == []


@pytest.mark.slow
def test_any_of_five_thousand_flipped_bits_is_found(store: Path) -> None:
    """Some bytes of some file would be left out."""
    random = np.random.default_rng(1)
    paths = covered(store)
    weights = np.array([path.stat().st_size for path in paths], dtype=float)
    for number, place in enumerate(random.choice(len(paths), 5000, p=weights / weights.sum())):
        path = paths[place]
        data = flip(path, int(random.integers(8 * path.stat().st_size)))
        try:
            assert named(verify_dataset(store), path), (number, path)
        finally:
            path.write_bytes(data)


@pytest.mark.parametrize("kind", ["*/*.parquet", "state/*", "*/_delta_log/*0.json", "snapshots/*"])
def test_a_missing_file_is_named(store: Path, kind: str) -> None:
    """A file that is gone would be passed over, because there is nothing to hash."""
    needed = [path for path in sorted(store.glob(kind)) if path.is_file()]
    path = needed[-1]
    data = path.read_bytes()
    path.unlink()
    try:
        assert any(str(path) in problem for problem in verify_dataset(store).problems)
    finally:
        path.write_bytes(data)


def test_a_damaged_file_of_older_versions_can_be_given_up(tmp_path: Path) -> None:
    """Running again mends the newest version alone, which was said to mend any."""
    ingested(tmp_path, {"neg/a-0.txt": "x", "pos/b-0.txt": "y"})
    folder = tmp_path / "store" / "d"
    (old,) = (folder / "sequences").glob("*.parquet")
    ingested(tmp_path, {"neg/a-0.txt": "xx", "pos/b-0.txt": "yy"})
    old.write_bytes(old.read_bytes() + b"x")
    (problem,) = verify_dataset(folder).problems
    assert problem.startswith(f"{old}: the bytes are not") and "only older versions" in problem
    collect(folder, keep=1, apply=True, now_s=LATER_S)
    assert verify_dataset(folder).problems == []


def test_a_log_without_seals_is_counted_and_sealed_by_the_next_commit(tmp_path: Path) -> None:
    """A crash right after a commit would leave an entry unguarded for ever, unseen."""
    ingested(tmp_path, documents_of())
    folder = tmp_path / "store" / "d"
    for path in (folder / "sequences" / "_seals").iterdir():
        path.unlink()
    assert verify_dataset(folder).unsealed == 1
    ingested(tmp_path, {"pos/new-0.txt": "new"})
    assert verify_dataset(folder).unsealed == 0


def test_a_log_that_lists_other_files_is_found_without_a_seal(tmp_path: Path) -> None:
    """Rows would be left out by a log that was edited before it was sealed."""
    ingested(tmp_path, documents_of())
    folder = tmp_path / "store" / "d"
    for path in (folder / "sequences" / "_seals").iterdir():
        path.unlink()
    entry = folder / "sequences" / "_delta_log" / f"{0:020d}.json"
    entry.write_bytes(entry.read_bytes().replace(b'"path":"chunk-00000', b'"path":"chunk-00001'))
    (problem,) = verify_dataset(folder).problems
    assert "lists other files than its manifest" in problem


def test_checkpoints_of_the_log_are_sealed(tmp_path: Path) -> None:
    """Past a hundred versions the log would no longer be guarded."""
    from deltalake import DeltaTable

    ingested(tmp_path, documents_of())
    folder = tmp_path / "store" / "d"
    for number in range(2):
        DeltaTable(folder / "sequences").create_checkpoint()
        ingested(tmp_path, {f"pos/new-{number}.txt": "new"})
    logged = sorted((folder / "sequences" / "_delta_log").iterdir())
    assert sum(".checkpoint." in path.name for path in logged) == 2
    assert (verify_dataset(folder).unsealed, verify_dataset(folder).problems) == (0, [])
    for path in logged:
        data = flip(path, 99)
        assert named(verify_dataset(folder), path), path
        path.write_bytes(data)
