"""The independent oracle: what a mailbox holds, read without any of the product's code.

`read_imap` uses imaplib, `read_maildir` the file system. Both give a Mailbox: folder name ('/'
between the parts, decoded) -> list of Item. `compare` says in words how two of them differ.
"""

import calendar
import hashlib
import imaplib
import os
import re
from collections import Counter
from dataclasses import dataclass

import mutf7

imaplib._MAXLINE = 100_000_000
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


@dataclass(frozen=True)
class Item:
    sha: str                     # of the body with CRLF line ends
    flags: frozenset             # system flags, with backslash, \\Recent left out
    keywords: frozenset          # in lower case: IMAP does not tell cases apart
    received: int                # seconds since 1970
    size: int
    mid: str
    ref: str                     # UID or file name: for messages to people, never compared

    def key(self, flags=True, received=True):
        return (self.sha, self.flags if flags else None, self.keywords if flags else None,
                self.received if received else None)

    def __str__(self):
        return "%s size=%d received=%d flags=%s keywords=%s ref=%s sha=%s" % (
            self.mid or "(no Message-ID)", self.size, self.received, " ".join(sorted(self.flags)) or "-",
            " ".join(sorted(self.keywords)) or "-", self.ref, self.sha[:10])


class Mailbox(dict):
    """folder -> [Item]"""

    def count(self):
        return sum(len(v) for v in self.values())

    def counters(self, **how):
        return {f: Counter(i.key(**how) for i in items) for f, items in self.items()}

    def bodies(self, without=()):
        """Multiset of all contents, wherever they lie."""
        return Counter(i.sha for f, items in self.items() if f not in without for i in items)

    def of(self, folder, mid):
        return [i for i in self.get(folder, ()) if i.mid == mid]

    def where(self, mid):
        return sorted(f for f, items in self.items() for i in items if i.mid == mid)

    def __str__(self):
        return "\n".join("%s (%d)\n%s" % (f, len(v), "\n".join("    %s" % i for i in v))
                         for f, v in sorted(self.items()))


def canonical(raw):
    """CRLF line ends; a bare CR stays, as it does on servers."""
    return re.sub(rb"\r?\n", b"\r\n", raw)


def message_id(raw):
    end = re.search(rb"\r?\n\r?\n", raw)
    head = raw[:end.start()] if end else raw
    m = re.search(rb"(?im)^message-id:[ \t]*(?:\r?\n[ \t]+)?([^\r\n]*)", head)
    return m.group(1).decode("latin-1").strip() if m else ""


def item(raw, flags, keywords, received, ref):
    raw = canonical(raw)
    return Item(hashlib.sha256(raw).hexdigest(), frozenset(flags),
                frozenset(k.lower() for k in keywords), received, len(raw), message_id(raw), str(ref))


# --- IMAP ---------------------------------------------------------------------------------------------

def quote(name):
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def internaldate(text):
    m = re.match(r"\s*(\d+)-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)", text)
    d, mon, y, hh, mm, ss, sign, zh, zm = m.groups()
    t = calendar.timegm((int(y), _MONTHS.index(mon) + 1, int(d), int(hh), int(mm), int(ss)))
    zone = (int(zh) * 60 + int(zm)) * 60
    return t - zone if sign == "+" else t + zone


def split_flags(text):
    """ "\\Seen $Forwarded" -> system flags, keywords"""
    flags, keywords = set(), set()
    for f in text.split():
        if f.lower() == "\\recent":
            continue
        if f.startswith("\\"):
            flags.add("\\" + f[1:].capitalize())
        else:
            keywords.add(f)
    return flags, keywords


_LIST = re.compile(r'\((?P<attr>[^)]*)\) (?:"(?P<sep>\\?.)"|NIL) (?P<name>.*)$')


def list_folders(m):
    """-> [(decoded name, raw name, attributes)], \\Noselect ones too"""
    typ, data = m.list()
    assert typ == "OK", data
    out = []
    for line in data:
        if line is None:
            continue
        if isinstance(line, tuple):               # the name came as a literal
            line = line[0][:line[0].rindex(b"{")] + quote(line[1].decode()).encode()
        got = _LIST.match(line.decode("latin-1"))
        attributes = {a.lower() for a in got.group("attr").split()}
        raw = got.group("name").strip()
        if raw.startswith('"'):
            raw = raw[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        sep = got.group("sep")
        sep = sep[-1] if sep else None
        name = mutf7.decode(raw)
        if sep and sep != "/":
            name = name.replace(sep, "/")
        if name.upper() == "INBOX":
            name = "INBOX"
        out.append((name, raw, attributes))
    return out


def fetch_folder(m, raw):
    """Items of one folder, read-only."""
    typ, data = m.select(quote(raw), readonly=True)
    assert typ == "OK", (raw, data)
    if int(data[0]) == 0:
        return []
    typ, data = m.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")
    assert typ == "OK", data
    out, i = [], 0
    while i < len(data):
        part = data[i]
        if not isinstance(part, tuple):           # an unsolicited or a bodiless answer
            if part and re.search(rb'BODY\[\] (?:""|NIL)', part):
                out.append(_parsed(part.decode("latin-1"), b""))
            i += 1
            continue
        text, body = part[0].decode("latin-1"), part[1]
        if i + 1 < len(data) and isinstance(data[i + 1], bytes):
            text += " " + data[i + 1].decode("latin-1")
            i += 1
        out.append(_parsed(text, body))
        i += 1
    return out


def _parsed(text, body):
    flags, keywords = split_flags(re.search(r"FLAGS \(([^)]*)\)", text).group(1))
    return item(body, flags, keywords,
                internaldate(re.search(r'INTERNALDATE "([^"]+)"', text).group(1)),
                re.search(r"\bUID (\d+)", text).group(1))


def connect(port, user, password, host="127.0.0.1"):
    m = imaplib.IMAP4(host, port)
    m.login(user, password)
    return m


def read_imap(port, user, password, host="127.0.0.1", prefix=""):
    m = connect(port, user, password, host)
    try:
        out = Mailbox()
        for name, raw, attributes in list_folders(m):
            if {"\\noselect", "\\nonexistent"} & attributes:
                continue
            if prefix and name != "INBOX" and name.startswith(prefix.replace(".", "/")):
                name = name[len(prefix):]
            out[name] = fetch_folder(m, raw)
        return out
    finally:
        m.logout()


# --- Maildir++ ----------------------------------------------------------------------------------------

_FLAG = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}


def maildir_keywords(path):
    table = {}
    try:
        with open(os.path.join(path, "dovecot-keywords"), encoding="utf-8") as f:
            for line in f:
                number, _, word = line.rstrip("\n").partition(" ")
                table[chr(ord("a") + int(number))] = word
    except FileNotFoundError:
        pass
    return table


def maildir_files(path):
    """(full path, letters) of every message file of one folder."""
    out = []
    for sub in ("new", "cur"):
        try:
            names = os.listdir(os.path.join(path, sub))
        except FileNotFoundError:
            continue
        for name in sorted(names):
            if name.startswith("."):
                continue
            letters = name.partition(":2,")[2] if sub == "cur" else ""
            out.append((os.path.join(path, sub, name), letters))
    return out


# How `local` writes what Maildir++ cannot hold in a name; see doc/ on the endpoint type.
_ESCAPE = re.compile(r"%(?=2E|2F|25|[89A-F][0-9A-F])")


def escape_part(text):
    return mutf7.encode(_ESCAPE.sub("%25", text).replace(".", "%2E"))


def unescape(name):
    """A directory name below Mail/ -> folder name, '/' between the parts."""
    return "/".join(re.sub("%(2E|2F|25)", lambda m: chr(int(m.group(1), 16)), mutf7.decode(p))
                    for p in name[1:].split("."))


def read_maildir(root, name_of=unescape):
    out = Mailbox()
    dirs = [("INBOX", root)] if os.path.isdir(os.path.join(root, "cur")) else []
    for entry in sorted(os.listdir(root)):
        path = os.path.join(root, entry)
        if entry.startswith(".") and os.path.isdir(os.path.join(path, "cur")):
            dirs.append((name_of(entry), path))
    for name, path in dirs:
        words, items = maildir_keywords(path), []
        for file, letters in maildir_files(path):
            with open(file, "rb") as f:
                raw = f.read()
                received = int(os.fstat(f.fileno()).st_mtime)
            flags = {_FLAG[c] for c in letters if c in _FLAG}
            keywords = {words.get(c, "?" + c) for c in letters if c.islower()}
            if "P" in letters:
                keywords.add("$Forwarded")
            items.append(item(raw, flags, keywords, received, os.path.basename(file)))
        out[name] = items
    return out


def maildir_stamp(root):
    """Names, sizes and times of everything that counts: equal stamps = nobody wrote a message."""
    out = {}
    for base, dirs, files in os.walk(root):
        if os.path.basename(base) not in ("cur", "new", "tmp"):
            out[base] = "dir"
            continue
        for f in files:
            st = os.stat(os.path.join(base, f))
            out[os.path.join(base, f)] = (st.st_size, int(st.st_mtime), st.st_ino)
    return out


# --- comparison ---------------------------------------------------------------------------------------

# Bins are each side's own under `trash`; see the page on deletions.
BINS = ("Trash",)


def compare(left, right, ignore=BINS, flags=True, received=True, rename=None):
    """Differences in words, [] when equal. `rename` maps left folder names to right ones."""
    rename = rename or {}
    out = []
    names = {rename.get(f, f): f for f in left if f not in ignore}
    for theirs, mine in sorted(names.items()):
        if theirs not in right:
            out.append("folder %r (%d items) is missing on the right" % (theirs, len(left[mine])))
    for f in sorted(right):
        if f not in ignore and f not in names:
            out.append("folder %r (%d items) is missing on the left" % (f, len(right[f])))
    for theirs, mine in sorted(names.items()):
        if theirs in right:
            out += _compare_folder(theirs, left[mine], right[theirs], flags, received)
    return out


def _compare_folder(name, left, right, flags, received):
    a = Counter(i.key(flags, received) for i in left)
    b = Counter(i.key(flags, received) for i in right)
    if a == b:
        return []
    text = {}
    for i in left + right:
        text.setdefault(i.key(flags, received), str(i))
    out = []
    for k, n in (a - b).items():
        out.append("%s: %d more on the left:  %s" % (name, n, text[k]))
    for k, n in (b - a).items():
        out.append("%s: %d more on the right: %s" % (name, n, text[k]))
    return out


def expected(messages, folders=()):
    """The mailbox that a list of corpus messages should make."""
    out = Mailbox({f: [] for f in folders})
    for m in messages:
        out.setdefault(m.folder, []).append(item(m.body, m.flags, m.keywords, m.received, "-"))
    return out
