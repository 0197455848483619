from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.contract.temporal.world import Cluster, Server, cluster_in, server_in


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server_in(tmp_path_factory.mktemp("temporal")) as found:
        yield found


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Cluster]:
    """For all tests that kill no machine and need no other one: to start it takes seconds."""
    with cluster_in(tmp_path_factory.mktemp("many"), server) as found:
        yield found
