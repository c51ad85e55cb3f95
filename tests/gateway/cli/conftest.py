from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.command_line import Dualrun, dualrun_at
from tests.support.gateway_server import running_gateway


@pytest.fixture
def dualrun() -> Iterator[Dualrun]:
    """The command, against a gateway of the test's own, which knows of `cart.merge`, too."""
    with running_gateway() as server:
        server.serve("cart.merge")
        yield dualrun_at(server.url)


@pytest.fixture
def dualrun_of_nobody() -> Dualrun:
    """The command, with no gateway to speak to."""
    return dualrun_at("http://127.0.0.1:9", columns=80)
