"""Files of streamed predictions: several rows a record, with where each came from."""

from __future__ import annotations

import pyarrow as pa
import pytest
import torch

from flows.commands.parts import stream_every
from flows.stream import stream_rows, stream_schema
from seqprep.errors import ConfigError
from tests.models.test_stream import MODELS, bundle_of


@pytest.mark.parametrize("name", ["tokens", "labels"])
def test_each_row_says_its_record_its_source_and_its_step(name: str) -> None:
    """Records are read side by side; a row must not get its neighbour's file."""
    bundle, examples = bundle_of(*MODELS[name])
    ids = examples["id"].to_pylist()
    sources = [f"{id_}.csv" for id_ in ids]
    records = pa.table({"id": ids[::-1], "source": sources[::-1]})
    schema = stream_schema(bundle.facts.task)
    device = torch.device("cpu")
    tables = list(stream_rows(bundle, records, examples, schema, every=9, device=device))
    found = pa.concat_tables(tables)
    assert found.schema == schema
    rows = found.to_pylist()
    assert all(row["source"] == f"{row['id']}.csv" and row["error"] is None for row in rows)
    last = {row["id"]: row["step"] for row in rows}
    assert last == dict(zip(ids, examples["length"].to_pylist(), strict=True))
    for id_ in ids:
        steps = [row["step"] for row in rows if row["id"] == id_]
        assert steps == sorted(set(steps)) and all(step % 9 == 0 for step in steps[:-1])


def test_steps_without_a_stream_are_refused() -> None:
    """An option that is ignored would leave a file of another kind than was asked for."""
    with pytest.raises(ConfigError, match="no meaning without --stream"):
        stream_every(False, 5)
    with pytest.raises(ConfigError, match="--every must be >= 1"):
        stream_every(True, 0)
