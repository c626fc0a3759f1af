"""What is on the server is looked at, not only what was deployed there once."""

from __future__ import annotations

from typing import Any, cast
from uuid import uuid4

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse

from flows.serving.deploying import are_there
from tests.conftest import ROOT

ENTRYPOINTS = [
    one["entrypoint"] for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
]


class Server:
    """What `up` asks of Prefect's server, which has these deployments."""

    def __init__(self, pools: dict[str, str | None]) -> None:
        self.pools = pools

    def read_deployments(self) -> list[DeploymentResponse]:
        """All of them."""
        return [
            DeploymentResponse(
                id=uuid4(), name="default", flow_id=uuid4(), entrypoint=one, work_pool_name=pool
            )
            for one, pool in self.pools.items()
        ]


WHOLE: dict[str, str | None] = dict.fromkeys(ENTRYPOINTS, "seqprep")


@pytest.mark.parametrize(
    ("pools", "are"),
    [
        (WHOLE, True),
        ({**WHOLE, "own/flow.py:mine": "elsewhere"}, True),
        (dict.fromkeys(ENTRYPOINTS[1:], "seqprep"), False),
        ({**WHOLE, ENTRYPOINTS[0]: None}, False),
        ({**WHOLE, ENTRYPOINTS[0]: "elsewhere"}, False),
        ({}, False),
    ],
)
def test_deployments_that_were_deleted_or_lost_their_pool_are_missed(
    pools: dict[str, Any], are: bool
) -> None:
    """Would break if `up` said that all is well while no run would ever start."""
    client = cast(SyncPrefectClient, Server(pools))
    assert are_there(client, root=ROOT, pool="seqprep") == are
