from __future__ import annotations

import pytest

from tests.support.services import unique_name


@pytest.fixture
def name() -> str:
    """A queue or exchange name no other test has."""
    return unique_name("broker")
