"""job.json becomes dataclasses, or one message that says what to write instead."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.job import Job, from_json, read_job, to_json
from models.options.checks import JobError
from models.options.model import Conv, Front, Model
from models.options.training import Train


def test_round_trip() -> None:
    """What the flow writes is what the trainer reads."""
    options = Train(
        model=Model(front=Front(conv=(Conv(channels=3), Conv())), pooling=("last",), head=(4, 5)),
        updates=7,
        memory="2GB",
    )
    job = Job(snapshot="a", out="b", train=options, pipeline={"x": [1, {"y": None}]})
    assert from_json(Job, json.loads(json.dumps(to_json(job))), key="") == job


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """A job folder can be moved to another machine."""
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"snapshot": "../s.json", "out": ".", "fitted": "/abs/f.json"}))
    job = read_job(path)
    assert Path(job.snapshot).resolve() == (tmp_path.parent / "s.json").resolve()
    assert job.fitted == "/abs/f.json"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"out": "b"}, "snapshot is missing"),
        ({"snapshot": "a", "out": "b", "trian": {}}, "did you mean 'train'"),
        ({"snapshot": 1, "out": "b"}, "snapshot must be str, got 1"),
        ({"train": {"model": {"hiden": 3}}}, "'train.model.hiden'; did you mean 'hidden'"),
        ({"train": {"model": {"hidden": "3"}}}, r"train\.model\.hidden must be int"),
        ({"train": {"model": {"hidden": True}}}, r"train\.model\.hidden must be int"),
        ({"train": {"model": {"hidden": 0}}}, r"train\.model\.hidden must be >= 1"),
        ({"train": {"model": {"name": "lstn"}}}, "did you mean 'lstm'"),
        ({"train": {"if_newer": True}}, "`seqprep train --if-newer` decides whether"),
        ({"train": {"retrain": {"when": "refit"}}}, "train.retrain would be ignored"),
        ({"train": {"warm_start": True}}, "True, but warm_from is missing"),
        ({"train": {}, "warm_from": {}}, "False, but warm_from is there"),
        ({"train": {"warm_start": True}, "warm_from": {"bundle": "b"}}, "`sha256`"),
        ({"train": {"retrain": {"share": 0.0}}}, "retrain.share must be > 0"),
        ({"train": {"model": {"pooling": ["mean", "sum"]}}}, "pooling"),
        ({"train": {"model": {"teacher_forcing": [1.0]}}}, "list of 2"),
        ({"train": {"model": {"front": {"conv": [{"stride": 9}]}}}}, "no step may be skipped"),
        ({"train": {"optimizer": {"lr": -1}}}, "optimizer.lr must be > 0"),
        ({"train": {"epochs": 3, "updates": 5}}, "not both"),
        ({"train": {"memory": "lots"}}, "size such as 512MB"),
        ({"train": []}, "must be an object"),
    ],
)
def test_mistakes_name_key_value_and_remedy(data: dict[str, Any], message: str) -> None:
    """A wrong key that is ignored trains another model than was asked for."""
    whole = {"snapshot": "a", "out": "b", **data} if "train" in data else data
    with pytest.raises(JobError, match=message):
        from_json(Job, whole, key="")


def test_one_convolution_may_stand_without_a_list() -> None:
    """`conv: {...}` is what a person writes for one."""
    front = from_json(Front, {"conv": {"channels": 5}}, key="front")
    assert front == replace(Front(), conv=(Conv(channels=5),))


@pytest.mark.parametrize("content", [b"", b"{", b"[1]"])
def test_what_is_no_job_says_so(tmp_path: Path, content: bytes) -> None:
    """A torn file must not end in a traceback."""
    path = tmp_path / "job.json"
    path.write_bytes(content)
    with pytest.raises(JobError):
        read_job(path)
    with pytest.raises(JobError, match="cannot be read"):
        read_job(tmp_path / "none.json")
