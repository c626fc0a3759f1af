"""Corpora of NLTK by name: the files of a corpus that already lies in NLTK_DATA. Never downloads.

Use it for corpora of plain documents. Tagged or parsed corpora hold markup between the words; they
are refused.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from seqprep.errors import NotBuiltError, SeqprepError
from seqprep.ingestion.files import DAMAGED, SourceFile
from seqprep.ingestion.globs import is_excluded, matches
from seqprep.source import Source


def list_corpus(source: Source) -> list[SourceFile]:
    """The files of the corpus `source.nltk`, with its categories, sorted.

    Raises:
        SeqprepError: if there is no such corpus in NLTK_DATA, or it is damaged.
    """
    try:
        return _listed(source)
    except DAMAGED as error:
        raise SeqprepError(
            f"source.nltk: the corpus {source.nltk!r} is damaged: {error}; get it again with "
            f"`python -m nltk.downloader --force {source.nltk}`"
        ) from error


def _listed(source: Source) -> list[SourceFile]:
    corpus = _load(source.nltk or "")
    categorised = hasattr(corpus, "categories")
    found = []
    for name in sorted(corpus.fileids()):
        if source.include and not matches(name, source.include):
            continue
        if is_excluded(name, source.exclude):
            continue
        file = _located(corpus.abspath(name), name)
        if categorised:
            # Where the corpus has categories, a folder's name is none of them.
            says = tuple(corpus.categories(fileids=[name]))
            file = replace(file, category=says[0] if len(says) == 1 else "", categories=says)
        found.append(file)
    if not found:
        raise SeqprepError(f"source.nltk: no file of {source.nltk!r} fits {source.include}")
    return found


def _load(name: str) -> Any:
    # Imported here: it takes a second that no other source should pay.
    import nltk.corpus
    from nltk.corpus.reader import CorpusReader, PlaintextCorpusReader
    from nltk.corpus.util import LazyCorpusLoader

    corpus = getattr(nltk.corpus, name, None) if name.isidentifier() else None
    if not isinstance(corpus, LazyCorpusLoader | CorpusReader):
        raise SeqprepError(f"source.nltk: nltk.corpus has no corpus {name!r}")
    if (forget := getattr(corpus, "_unload", None)) is not None:
        forget()  # a process that lives on sees a corpus that was replaced
    try:
        corpus.ensure_loaded()
    except LookupError as error:
        searched = ", ".join(nltk.data.path)
        raise SeqprepError(
            f"source.nltk: the corpus {name!r} is not in NLTK_DATA (looked in {searched}); get it "
            f"with `python -m nltk.downloader {name}` or set NLTK_DATA to the folder that has it"
        ) from error
    if not isinstance(corpus, PlaintextCorpusReader):
        raise NotBuiltError(
            f"source.nltk: {name} (a {type(corpus).__name__}; only plain documents can be read)"
        )
    return corpus


def _located(pointer: Any, name: str) -> SourceFile:
    if hasattr(pointer, "zipfile"):
        return SourceFile(
            path=name,
            full=str(pointer.zipfile.filename),
            member=pointer.entry,
            size_bytes=pointer.file_size(),
        )
    full = str(pointer)
    return SourceFile(path=name, full=full, size_bytes=os.stat(full).st_size)
