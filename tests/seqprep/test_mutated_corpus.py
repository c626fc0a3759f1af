"""A damaged corpus of NLTK in its zip file: sound rows, rejections or one clear error."""

from __future__ import annotations

import io
import itertools
import shutil
import zipfile
from pathlib import Path

import pytest

from seqprep.source import Field, Source
from tests.seqprep.test_mutated_input import damage
from tests.sources import read_source


def test_a_damaged_corpus_in_a_zip_file_never_passes_for_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a broken download of NLTK's would end in a traceback that does not name it."""
    corpora = pytest.importorskip("nltk.corpus")
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("a", "Emma " * 9), ("b", "Macbeth"), ("c", "x")):
            archive.writestr(f"state_union/{name}.txt", text)
    path = tmp_path / "state_union"  # what every error names
    source = Source(domain="text", nltk="state_union", label=Field(from_="none"))
    places = (tmp_path / f"data{number}" for number in itertools.count())

    def read() -> tuple[int, int]:
        place = next(places)  # NLTK and we keep what was opened
        (place / "corpora").mkdir(parents=True)
        shutil.copy(path, place / "corpora" / "state_union.zip")
        monkeypatch.setattr("nltk.data.path", [str(place)])
        try:
            rows, seen = read_source(source)
        finally:
            if hasattr(corpora.state_union, "_unload"):
                corpora.state_union._unload()
        assert {row["text"] for row in rows} <= {"Emma " * 9, "Macbeth", "x"}
        return len(rows), len(seen.rejections)

    path.write_bytes(sink.getvalue())
    assert read() == (3, 0)
    kept, told = damage(path, sink.getvalue(), read, seed="zip")
    assert kept >= 0.01 and told >= 0.5, (kept, told)


def test_a_corpus_that_is_replaced_is_read_anew_by_the_same_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that lives on would train on yesterday's corpus, and say that nothing changed."""
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    (tmp_path / "corpora").mkdir()
    source = Source(domain="text", nltk="state_union", label=Field(from_="none"))
    for texts in ({"a": "old"}, {"a": "another text", "b": "more"}):
        with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
            for name, text in texts.items():
                archive.writestr(f"state_union/{name}.txt", text)
        (tmp_path / "new.zip").replace(tmp_path / "corpora" / "state_union.zip")
        assert [row["text"] for row in read_source(source)[0]] == list(texts.values())
