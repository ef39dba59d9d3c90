"""The seeded mail that is copied, written as a Maildir++ that Dovecot takes over.

Twelve nested folders with awkward names below a parent that is no folder, one of them empty.
Sizes: median 8 KiB, some around 100 KiB, a few of 2 MiB; 10,000 messages are 225 MiB.
"""

import base64
import os
import random
import time

import mutf7        # tests/e2e

FOLDERS = (("INBOX", 30), ("Sent", 14), ("Drafts", 1), ("Old/2023", 15), ("Old/2024", 15),
           ("Projects", 6), ("Projects/Größe & Maß", 5), ("Projects/Größe & Maß/Übersicht", 4),
           ("Lists", 4), ("Lists/日本語", 4), ("Fun 🎉", 2), ("Empty", 0))
KEYWORDS = ("$Forwarded", "$Label1", "Work")
NEWEST = 1_700_000_000
MEAN = 225 * 1024 * 1024 / 10_000


def disk(name):
    """The folder's name below a Maildir++, "" for the inbox."""
    return "" if name == "INBOX" else mutf7.encode(name).replace("/", ".")


class Maker:
    """Messages, one after the other; the same seed gives the same bytes."""

    def __init__(self, seed, small=0):
        self.rng = random.Random(seed)
        self.small = small              # mean size of small messages, 0 for the full mix
        self.count = 0
        words = ["lorem", "ipsum", "mail", "Zeile", "naïve", "réponse", "meeting", "figures",
                 "please", "the", "of", "and", "attached", "=20", "From", ".", "see", "über"]
        text, width = [], 0
        for _ in range(200_000):
            w = self.rng.choice(words)
            width += len(w) + 1
            text.append(w + ("\n" if width > 66 else " "))
            width = 0 if width > 66 else width
        self.pool = "".join(text).encode()
        self.blob = base64.encodebytes(self.rng.randbytes(3 << 20))
        self.last_id = "<first@bench.example>"

    def size(self):
        r = self.rng
        if self.small:
            return max(300, int(r.expovariate(1 / self.small)))
        x = r.random()
        if x < 0.0016:
            return int(r.uniform(1.8, 2.2) * (1 << 20))
        if x < 0.105:
            return int(r.uniform(60, 160) * 1024)
        return max(400, int(r.lognormvariate(8.9, 0.75)))

    def message(self, when):
        """Bytes with LF ends."""
        r, n = self.rng, self.count
        self.count += 1
        odd = r.random()
        mid = "<%d.%d@bench.example>" % (n, r.getrandbits(48))
        subject = "Message %d about %d" % (n, r.getrandbits(20))
        head = ["Received: from mx%d.bench.example by mx.bench.example; %s" %
                (r.randrange(9), time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(when))),
                "From: Sender %d <s%d@bench.example>" % (n % 97, n % 97),
                "To: bench@bench.example",
                "Date: " + time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(when - 30))]
        if 0.01 <= odd < 0.02:
            mid = self.last_id                      # another message's
        if odd >= 0.01:
            head.append("Message-ID: " + mid)       # else: none at all
        raw = b""
        if 0.02 <= odd < 0.03:
            raw = "Subject: Grüße, 8-bit, ünquoted\n".encode("latin-1" if n % 2 else "utf-8")
        else:
            head.append("Subject: " + subject)
        self.last_id = mid
        want = self.size()
        if 0.03 <= odd < 0.035:
            return ("\n".join(head) + "\n").encode() + raw + b"\n"          # header only
        body = b""
        if want > 32 * 1024:
            head += ["MIME-Version: 1.0", "Content-Type: application/octet-stream",
                     "Content-Transfer-Encoding: base64"]
            at = r.randrange(len(self.blob) // 77) * 77
            body = (self.blob[at:] + self.blob)[:want]
            body = body[:len(body) // 77 * 77]
        else:
            at = r.randrange(len(self.pool) - want) if want < len(self.pool) else 0
            body = self.pool[at:at + want] + b"\n"
        if 0.035 <= odd < 0.045:
            body += b"long line " * 180 + b"\n"
        return ("\n".join(head) + "\n").encode() + raw + b"\n" + body

    def flags(self, folder):
        """Letters of the Maildir name, in order."""
        r, out = self.rng, ""
        if folder == "Drafts":
            out += "D"
        out += "F" if r.random() < 0.05 else ""
        out += "R" if r.random() < 0.15 else ""
        out += "S" if r.random() < 0.7 else ""
        if r.random() < 0.06:
            out += "abc"[r.randrange(len(KEYWORDS))]
        return out


def _spread(count, weighted):
    total = sum(w for _, w in weighted)
    counts = {f: count * w // total for f, w in weighted}
    counts[weighted[0][0]] += count - sum(counts.values())
    return counts


def write(maildir, count, seed, small=0, folder_list=FOLDERS):
    """Lays out `count` messages; returns the bytes written."""
    maker = Maker(seed, small)
    written = 0
    for folder, amount in _spread(count, folder_list).items():
        path = os.path.join(maildir, "." + disk(folder)) if folder != "INBOX" else maildir
        for sub in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(path, sub), 0o700)
        if folder != "INBOX":
            open(os.path.join(path, "maildirfolder"), "w").close()
        with open(os.path.join(path, "dovecot-keywords"), "w") as f:
            f.writelines("%d %s\n" % x for x in enumerate(KEYWORDS))
        data = b""
        for n in range(amount):
            when = NEWEST - (amount - n) * 7200 - maker.rng.randrange(3600)
            if not data or maker.rng.random() >= 0.01:      # else: an identical copy
                data = maker.message(when)
            vsize = len(data) + data.count(b"\n")
            name = "%d.M%dP1.bench,S=%d,W=%d:2,%s" % (when, n, len(data), vsize,
                                                     maker.flags(folder))
            full = os.path.join(path, "cur", name)
            fd = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(fd, data)
            os.close(fd)
            os.utime(full, (when, when))
            written += len(data)
    return written
