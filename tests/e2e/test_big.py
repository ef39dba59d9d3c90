"""Size: one enormous message, and many messages. Slow: only with --full."""

import hashlib
import os
import re
import threading
import time

import pytest

import corpus
import model
import product

pytestmark = [pytest.mark.product, pytest.mark.full]

MIB = 1 << 20


class Watch(threading.Thread):
    """The highest resident set of any worker while a run goes on."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.samples, self.ending = 0, 0, False

    def run(self):
        while not self.ending:
            for pid in os.listdir("/proc"):
                if pid.isdigit():
                    try:
                        with open("/proc/%s/comm" % pid) as f:
                            # The kernel keeps 15 characters of a name.
                            if f.read().strip() != "mailshadow-worker"[:15]:
                                continue
                        if os.readlink("/proc/%s/exe" % pid) != product.WORKER:
                            continue
                    except OSError:
                        continue
                    got = product.rss_peak(int(pid))
                    if got:
                        self.samples += 1
                        self.peak = max(self.peak, got)
            time.sleep(0.005)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.join()


def big_body(n=1, size=200 * MIB):
    head = (b"From: big@corpus.example\r\nTo: you@corpus.example\r\nSubject: big\r\n"
            b"Date: Sun, 13 Sep 2020 12:26:40 +0000\r\nMessage-ID: <big-%d@corpus.example>\r\n\r\n" % n)
    line = b"0123456789abcdef" * 4 + b"%08d" % n + b"\r\n"
    return head + line * ((size - len(head)) // len(line))


@pytest.mark.parametrize("kind, side", [("local-imap", "left"), ("local-imap", "right"), ("imap-imap", "left")])
def test_200_mib(make, kind, side):
    body = big_body()
    assert len(body) > 199 * MIB
    pair = make.pair(kind)
    pair.side(side).put(corpus.Message("INBOX", body, frozenset(["\\Seen"])), corpus.one(1))
    want = hashlib.sha256(body).hexdigest()
    with Watch() as w:
        pair.once(timeout=300)
    assert w.samples > 3
    assert w.peak < 64 * MIB, "%.1f MiB" % (w.peak / MIB)
    got = pair.other(side).read()["INBOX"]
    assert sorted(i.size for i in got)[-1] == len(body) and want in {i.sha for i in got}
    with Watch() as w:
        pair.verify()
    assert w.peak < 64 * MIB, "%.1f MiB" % (w.peak / MIB)
    pair.idle()
    pair.close()


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
def test_ten_thousand(make, kind):
    items = list(corpus.messages(10_000, seed=1))
    pair = make.pair(kind)
    if kind == "local-imap":
        corpus.write_maildir(pair.left.root, items)
    else:
        server = pair.left.server
        pair.left.read()
        pair.close()
        corpus.write_maildir(server.maildir(pair.left.user), items)
        server.adopt(os.path.dirname(server.maildir(pair.left.user)))
    with Watch() as w:
        pair.once(timeout=300)
    assert w.peak < 64 * MIB, "%.1f MiB" % (w.peak / MIB)
    pair.equal()
    assert pair.right.read().bodies() == model.expected(items).bodies()
    pair.verify()
    pair.idle()
    pair.close()


def test_many_flags_and_folders(make):
    """300 folders, one of them with 2,000 messages."""
    pair = make.pair("local-imap")
    items = [corpus.one(n, folder="Tief/%d/%d" % (n % 17, n), size=300) for n in range(300)]
    items += [corpus.one(n, folder="Voll", size=300) for n in range(1000, 3000)]
    corpus.write_maildir(pair.left.root, items, folders=None)
    pair.settle()
    for path, letters in model.maildir_files(pair.left.path("Voll")):
        base = re.sub(r":2,.*", "", os.path.basename(path))
        os.rename(path, os.path.join(pair.left.path("Voll"), "cur", base + ":2,FS"))
    pair.settle()
    pair.close()
