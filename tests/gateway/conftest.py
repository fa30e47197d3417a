"""The gateway in memory, with denials in both forms, and every protocol version."""

from __future__ import annotations

import pytest
from support.in_memory import VERSIONS, make_world


@pytest.fixture
def world():
    return make_world()


@pytest.fixture
def strict_world():
    return make_world(denials="403")


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param
