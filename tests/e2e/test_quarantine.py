"""One bad item is set aside with its reason; the rest goes on."""

import os

import pytest

import corpus
import model

pytestmark = pytest.mark.product


def mid(m):
    return model.message_id(m.body)


def some(count, first=0, size=400):
    return [corpus.one(n, size=size, flags=()) for n in range(first, first + count)]


def excepted(answer):
    return [e for f in answer["folders"] for e in f.get("excepted", ())] + list(answer.get("excepted", ()))


def zero_byte_file(box):
    path = os.path.join(box.root, "cur", "1600000000.M1P1.zero:2,S")
    open(path, "wb").close()
    os.utime(path, (1600000000, 1600000000))
    return path


def test_zero_byte_file(make):
    pair = make.pair("local-imap")
    items = some(30)
    pair.left.put(*items)
    path = zero_byte_file(pair.left)
    pair.once()
    assert pair.right.read().bodies() == model.expected(items).bodies()
    assert pair.status()["quarantined"] == 1
    assert len(excepted(pair.verify())) == 1
    pair.idle()
    # It is not tried again and again, and it is forgotten once it is gone.
    assert os.path.exists(path)
    os.unlink(path)
    pair.settle()
    assert pair.status()["quarantined"] == 0
    pair.close()


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
def test_message_over_the_servers_limit(make, servers, kind):
    """In the midst of a batch: the batch is split until the bad one stands alone."""
    small = servers.dovecot("small", max_mail=50_000)
    pair = make.pair(kind, right={"server": small})
    items, big = some(25), [corpus.one(900, size=60_000), corpus.one(901, size=90_000)]
    pair.left.put(*items[:11], big[0], *items[11:20], big[1], *items[20:])
    pair.once()
    assert pair.right.read().bodies() == model.expected(items).bodies()
    assert pair.status()["quarantined"] == 2
    answer = pair.verify()
    assert len(excepted(answer)) == 2 and all(e.get("reason") or e.get("why") for e in excepted(answer)), answer
    pair.idle()
    # A new one still comes through, and the big one may be deleted.
    pair.left.put(*some(1, first=50))
    pair.left.remove("INBOX", mid(big[0]))
    pair.once()
    assert pair.right.read().count() == 26
    assert pair.status()["quarantined"] == 1
    pair.close()


def test_over_appendlimit_is_not_even_sent(make, servers):
    """Cyrus announces APPENDLIMIT: what is larger costs no transfer."""
    from servers import cyrus
    if not cyrus.wanted():
        pytest.skip("MS_NO_CYRUS is set")
    server = servers.cyrus("tiny", max_mail=100_000)
    p = make.proxy(server)
    pair = make.pair("local-cyrus", right={"server": server, "tls": "none", "port": p.port})
    items, big = some(5), corpus.one(900, size=400_000)
    pair.left.put(*items, big)
    pair.once()
    assert pair.right.read().bodies() == model.expected(items).bodies()
    assert pair.status()["quarantined"] == 1
    assert p.bytes["up"] < 200_000
    pair.verify()
    pair.idle()
    pair.close()


@pytest.mark.parametrize("what", ("bare-lf", "bare-cr", "nul", "only-crlf"))
def test_bodies_that_are_not_canonical(make, what):
    """Carried as the book says or set aside with a reason: never an endless loop, never a failed pass."""
    pair = make.pair("local-imap")
    body = dict(corpus.odd())[what]
    items = some(3)
    pair.left.put(*items)
    path = os.path.join(pair.left.root, "cur", "1600000000.M2P1.odd:2,")
    with open(path, "wb") as f:
        f.write(body)
    os.utime(path, (1600000000, 1600000000))
    pair.once()
    set_aside = pair.status()["quarantined"]
    assert set_aside in (0, 1)
    right = pair.right.read()
    assert right.count() == 4 - set_aside
    assert not model.expected(items).bodies() - right.bodies()
    pair.verify()
    pair.idle()
    assert pair.left.read().count() == 4
    with open(path, "rb") as f:
        assert f.read() == body
    pair.close()
