"""The mail that is measured with: the seeded corpus of the end-to-end tests, by the thousands."""

import dataclasses
import random

import corpus       # tests/e2e
import mutf7

FOLDERS = corpus.FOLDERS
NEWEST = corpus.BASE_TIME + 5 * 365 * 86400


def disk(name):
    """The folder's name below a Maildir++, "" for the inbox."""
    return "" if name == "INBOX" else mutf7.encode(name).replace("/", ".")


def small(count, seed, mean):
    """Short messages, where only their number matters."""
    rng = random.Random("bulk/%s" % seed)
    names = [f for f, w in FOLDERS for _ in range(w)]
    for n in range(count):
        yield corpus.one(n, seed, folder=rng.choice(names),
                         size=500 + int(min(rng.expovariate(1 / mean), 20 * mean)))


def mixed(count, seed):
    """All sizes and oddities but one: mbsync skips a message whose header does not end, so it would
    have less to do than the others; such a message gets its empty line here."""
    for m in corpus.messages(count, seed):
        if m.what == "header-only-no-blank":
            m = dataclasses.replace(m, body=m.body + b"\r\n")
        yield m


def write(maildir, count, seed, mean=0):
    """Lays out `count` messages, all sizes mixed or short ones of `mean` bytes."""
    corpus.write_maildir(maildir, small(count, seed, mean) if mean else mixed(count, seed))


def news(count, seed):
    """Messages that are new on one side: [(folder on the disk, received, bytes with CRLF)]."""
    return [(disk(m.folder), NEWEST + 60 * n, m.body)
            for n, m in enumerate(corpus.one(n, seed, folder=f) for n, f in _folders(count, seed))]


def _folders(count, seed):
    rng = random.Random("news/%s" % seed)
    names = [f for f, w in FOLDERS for _ in range(w)]
    return [(n, rng.choice(names)) for n in range(count)]
