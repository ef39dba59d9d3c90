"""A message of a hundred MiB through a web service whose limits were raised, in little memory. The smaller one runs
always, the large one only with --full."""

import hashlib

import pytest

import corpus
from conftest import figure
from test_big import MIB, Watch, big_body
from test_exchange import build, exchange, plain  # noqa: F401 (fixtures)

pytestmark = pytest.mark.product

SIZES = (pytest.param(13, id="13"), pytest.param(100, marks=pytest.mark.full, id="100"))


@pytest.mark.parametrize("side", ("left", "right"))
@pytest.mark.parametrize("size", SIZES)
def test_a_big_message(build, exchange, side, size):  # noqa: F811
    exchange.ask("settings", limit=256 * MIB)
    try:
        pair = build("local", MaxRequestMiB="200")
        body = big_body(size=size * MIB)
        pair.side(side).put(corpus.Message("INBOX", body, frozenset(["\\Seen"])), plain(1))
        with Watch() as w:
            pair.once(timeout=300)
        figure("exchange, %d MiB from the %s: the worker had %d MiB" % (size, side, w.peak // MIB))
        assert w.samples and w.peak < 64 * MIB, "%d MiB" % (w.peak // MIB)
        got = {i.sha for i in pair.other(side).read()["INBOX"]}
        assert hashlib.sha256(body).hexdigest() in got and len(got) == 2
        pair.verify()
        pair.idle()
    finally:
        exchange.ask("settings", limit=64 * MIB)


def test_a_message_beyond_the_server_s_limit(build, exchange):  # noqa: F811
    """The setting promises more than the server takes: one message is set aside, others go."""
    exchange.ask("settings", limit=16 * MIB)
    try:
        pair = build("local")
        pair.right.put(corpus.Message("INBOX", big_body(size=14 * MIB)), plain(1))
        pair.once()
        assert len(pair.left.read()["INBOX"]) == 1
        assert "the server takes no request of that size" in pair.config.ctl("quarantine", "p").out
    finally:
        exchange.ask("settings", limit=64 * MIB)
