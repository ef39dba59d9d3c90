"""Fixtures of the tests of this server."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as rig_module  # noqa: E402


@pytest.fixture
def rig():
    r = rig_module.Rig()
    if r.server.schema is None:
        r.close()
        pytest.skip("no EWS schemas: neither $MS_SHARED nor ../shared has data/ews")
    yield r
    bad = [f for f in r.failures() if f["what"] in ("server-error", "invalid-answer")]
    r.close()
    assert not bad, bad
