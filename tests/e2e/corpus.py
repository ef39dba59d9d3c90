"""A seeded corpus of mail that looks like people's, with all that breaks programs in it.

`messages(count, seed)` yields Message records, the same for the same arguments. Sizes: median 8 KiB,
2 % about 100 KiB, a few of 2 MiB, so that 10,000 make about 225 MiB. Bodies are cut out of a pool,
so making them costs next to nothing. `write_maildir` lays them out as Dovecot would (Maildir++).

Every message is in canonical form: CRLF line ends, no NUL. `odd()` has the ones that are not.
"""

import base64
import os
import random
import sys
from dataclasses import dataclass

import mutf7

# Names with '/' between the parts. "Projekte" and "Klienten" have children and do not exist
# themselves (a \Noselect parent); "Leer" is empty. Trash and Junk are left out on purpose.
FOLDERS = [("INBOX", 40), ("Sent", 12), ("Drafts", 1), ("Archive", 10),
           ("Projekte/Größe & Maß", 8), ("Projekte/Alpha/Beta/Gamma", 6), ("R&D", 5),
           ("日本語/受信", 5), ("Party 🎉", 4), ("Klienten/Ö (alt)", 4), ("Listen/dev-announce", 5),
           ("Leer", 0)]
EMPTY = "Leer"
NOSELECT = ("Projekte", "Klienten")

SYSTEM = ("\\Seen", "\\Answered", "\\Flagged", "\\Draft")
KEYWORDS = ("$Forwarded", "$Label1", "NonJunk", "$MDNSent", "Wichtig")
BASE_TIME = 1_600_000_000           # 2020-09-13; all received times lie in the 5 years after it

WORDS = ("the of and mail server folder report meeting invoice draft please see attached thanks for "
         "regards Monday budget project review über schön naïve façade 日本 résumé").split()


@dataclass(frozen=True)
class Message:
    folder: str
    body: bytes                      # CRLF
    flags: frozenset = frozenset()
    keywords: frozenset = frozenset()
    received: int = BASE_TIME
    what: str = "plain"              # which oddity it carries

    def on(self, folder):
        return Message(folder, self.body, self.flags, self.keywords, self.received, self.what)


def _pool(rng):
    lines = []
    size = 0
    while size < 1 << 19:
        if len(lines) % 50 < 30:
            line = base64.b64encode(rng.randbytes(54)).decode()
        else:
            line = " ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 11)))
        lines.append(line)
        size += len(line) + 2
    return ("\r\n".join(lines) + "\r\n").encode()


def _date(t):
    import time
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(t))


def _header(rng, n, t, what):
    mid = "<%d.%08x@corpus.example>" % (n, rng.getrandbits(32))
    subject = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 8)))
    sender = "u%d@corpus.example" % rng.randrange(200)
    lines = [b"Return-Path: <%s>" % sender.encode(),
             b"Received: from a.example (a.example [192.0.2.%d])\r\n\tby b.example with ESMTPS id %x;\r\n\t%s"
             % (rng.randrange(256), rng.getrandbits(48), _date(t).encode()),
             b"Date: " + _date(t - rng.randrange(100)).encode(),
             b"From: Somebody <%s>" % sender.encode(),
             b"To: you@corpus.example"]
    if what == "raw-utf8":
        lines.append(("Subject: Grüße, 日本 🎉 %d" % n).encode())
    elif what == "raw-latin1":
        lines.append(("Subject: Gr\xfc\xdfe %d" % n).encode("latin-1"))
    elif what == "folded":
        lines.append(b"Subject: a very\r\n long\r\n\tsubject %d" % n)
    else:
        lines.append(b"Subject: =?utf-8?B?" + base64.b64encode(subject.encode()) + b"?=")
    if what == "repeated-id":
        lines.append(b"Message-ID: <always-the-same@corpus.example>")
    elif what == "empty-id":
        lines.append(b"Message-ID:")
    elif what != "no-id":
        lines.append(b"Message-ID: " + mid.encode())
    lines += [b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=utf-8",
              b"Content-Transfer-Encoding: 8bit"]
    return b"\r\n".join(lines) + b"\r\n"


ODDITIES = ("no-id", "repeated-id", "empty-id", "raw-utf8", "raw-latin1", "long-line", "header-only",
            "header-only-no-blank", "folded", "no-last-newline", "mbox-from", "dots", "imap-bait",
            "huge-header", "blank-first")


def one(n, seed=1, what="plain", folder="INBOX", size=None, **attributes):
    """One message by number; the same arguments give the same bytes."""
    rng = random.Random("%s/%s/%s" % (seed, n, what))
    return _make(rng, n, folder, what, size, POOL, **attributes)


def _make(rng, n, folder, what, size, pool, flags=None, keywords=None, received=None):
    t = BASE_TIME + rng.randrange(5 * 365 * 86400) if received is None else received
    head = _header(rng, n, t, what)
    if what == "huge-header":
        head += b"".join(b"X-Padding-%d: %s\r\n" % (i, b"p" * 900) for i in range(40))
    if size is None:
        roll = rng.random()
        size = (2 << 20 if roll < 0.0022 else rng.randrange(60, 160) << 10 if roll < 0.08 else
                min(int(rng.lognormvariate(9.0, 0.85)), 60 << 10))
    size = max(size - len(head), 40)
    if what == "header-only":
        body = head + b"\r\n"
    elif what == "header-only-no-blank":
        body = head
    else:
        at = pool.index(b"\n", rng.randrange(len(pool) - 200)) + 1
        text = pool[at:at + size]
        while len(text) < size:
            text += pool[:size - len(text)]
        text = text.rstrip(b"\r\n")
        if what == "long-line":
            text = b"x" * 1200 + b" " + "ü".encode() * 2000 + b"\r\n" + text
        elif what == "mbox-from":
            text = b"From here on\r\nFrom there\r\n>From quoted\r\n" + text
        elif what == "dots":
            text = b".\r\n..\r\n.\r\n" + text
        elif what == "imap-bait":
            text = (b"zz CREATE hacked\r\nzz OK done\r\n* BYE\r\n)\r\n+ \r\n{5}\r\n{5+}\r\n"
                    b"* 1 FETCH (UID 1 FLAGS (\\Deleted))\r\nzz DELETE Archive\r\n") + text
        elif what == "blank-first":
            text = b"\r\n\r\n" + text
        body = head + b"\r\n" + text + (b"" if what == "no-last-newline" else b"\r\n")
    if flags is None:
        flags = [f for f in SYSTEM if rng.random() < (0.6 if f == "\\Seen" else 0.08)]
    if keywords is None:
        keywords = [k for k in KEYWORDS if rng.random() < 0.05]
    return Message(folder, body, frozenset(flags), frozenset(keywords), t, what)


def messages(count, seed=1, folders=FOLDERS):
    """`count` messages over the folders; about one in twelve is odd, one in fifty an exact copy."""
    rng = random.Random(seed)
    names = [f for f, w in folders if w]
    weights = [w for _, w in folders if w]
    kept = []
    for n in range(count):
        folder = rng.choices(names, weights)[0]
        if kept and rng.random() < 0.02:
            old = rng.choice(kept)
            # Half of the copies lie in the same folder, half somewhere else.
            yield old if rng.random() < 0.5 else old.on(folder)
            continue
        what = rng.choice(ODDITIES) if rng.random() < 1 / 12 else "plain"
        m = _make(rng, n, folder, what, None, POOL)
        if len(kept) < 200:
            kept.append(m)
        yield m


def small(count, seed=1, folders=FOLDERS, each_oddity=True):
    """A small corpus for quick tests: short bodies, but every oddity at least once."""
    rng = random.Random("small/%s" % seed)
    names = [f for f, w in folders if w]
    weights = [w for _, w in folders if w]
    out = []
    for n in range(count):
        what = ODDITIES[n] if each_oddity and n < len(ODDITIES) else "plain"
        out.append(_make(rng, n, rng.choices(names, weights)[0], what, rng.randrange(300, 6000), POOL))
    for i in range(min(4, count // 5)):
        old = out[rng.randrange(len(out))]
        out.append(old if i % 2 else old.on(rng.choice(names)))
    return out


def odd(n=0):
    """Bodies that are not in canonical form, as (what, bytes): servers change these."""
    head = b"From: a@b.example\r\nMessage-ID: <odd-%d-" % n
    tail = b"@corpus.example>\r\nSubject: odd\r\n\r\n"
    return [("bare-lf", head + b"lf" + tail + b"one\ntwo\nthree\r\n"),
            ("bare-cr", head + b"cr" + tail + b"one\rtwo\r\n"),
            ("nul", head + b"nul" + tail + b"a\0b\r\n"),
            ("empty", b""),
            ("only-crlf", b"\r\n")]


POOL = _pool(random.Random("pool"))


# --- Maildir++ ----------------------------------------------------------------------------------------

LETTERS = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S", "\\Deleted": "T"}


def maildir_folder(root, folder):
    """Directory of a folder; names with '.' in them are not for this writer."""
    if folder == "INBOX":
        return root
    assert "." not in folder
    return os.path.join(root, "." + mutf7.encode(folder).replace("/", "."))


def make_folder(root, folder):
    path = maildir_folder(root, folder)
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(path, sub), exist_ok=True)
    if path != root:
        open(os.path.join(path, "maildirfolder"), "a").close()
    return path


def write_maildir(root, items, eol="lf", folders=FOLDERS, start=0):
    """Writes messages into a Maildir++; returns how many.

    eol     "lf" as Dovecot and every Unix program keeps them, or "crlf"
    folders are made even where nothing lies in them; None: only what the messages need
    """
    dirs, words, count = {}, {}, start
    for folder, _ in folders or ():
        dirs[folder] = make_folder(root, folder)
    for m in items:
        if m.folder not in dirs:
            dirs[m.folder] = make_folder(root, m.folder)
        body = m.body if eol == "crlf" else m.body.replace(b"\r\n", b"\n")
        letters = "".join(sorted(LETTERS[f] for f in m.flags))
        table = words.setdefault(m.folder, {})
        for k in sorted(m.keywords):
            letters += chr(ord("a") + table.setdefault(k, len(table)))
        name = "%d.M%dP1.corpus,S=%d,W=%d:2,%s" % (m.received, count, len(body),
                                                    len(m.body), "".join(sorted(letters)))
        path = os.path.join(dirs[m.folder], "cur", name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, body)
        finally:
            os.close(fd)
        os.utime(path, (m.received, m.received))
        count += 1
    for folder, table in words.items():
        if table:
            with open(os.path.join(dirs[folder], "dovecot-keywords"), "w") as f:
                f.writelines("%d %s\n" % (i, k) for k, i in sorted(table.items(), key=lambda x: x[1]))
    return count - start


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: corpus.py DIRECTORY COUNT SEED   (writes a Maildir++ there)")
    print(write_maildir(sys.argv[1], messages(int(sys.argv[2]), int(sys.argv[3]))))
