"""What lies on a server's disk: reading it, comparing it, keeping copies of it.

Both Dovecots keep Maildir++, so the truth about a mailbox is read from the disk and no IMAP client,
neither ours nor a peer's, has a say in the verdict.
"""

import collections
import hashlib
import os
import re
import shutil

MESSAGE_DIRS = ("cur", "new")
LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}

Item = collections.namedtuple("Item", "folder digest flags keywords received uid name")


def folders(maildir):
    """{mUTF-7 name as on the disk, "" for the inbox: directory}."""
    if not os.path.isdir(os.path.join(maildir, "cur")):
        return {}
    found = {"": maildir}
    for name in os.listdir(maildir):
        if name.startswith(".") and os.path.isdir(os.path.join(maildir, name, "cur")):
            found[name[1:]] = os.path.join(maildir, name)
    return found


def names(maildir):
    """Every (folder, file name): equal before and after means that nothing was touched."""
    out = set()
    for folder, path in folders(maildir).items():
        out.add((folder, None))
        for sub in MESSAGE_DIRS:
            out.update((folder, x) for x in os.listdir(os.path.join(path, sub)))
    return out


def size(maildir):
    """Bytes of all messages."""
    return sum(e.stat().st_size for path in folders(maildir).values() for sub in MESSAGE_DIRS
               for e in os.scandir(os.path.join(path, sub)))


def _keywords(path):
    table = {}
    try:
        with open(os.path.join(path, "dovecot-keywords"), encoding="ascii") as f:
            for line in f:
                index, word = line.split(None, 1)
                table[chr(ord("a") + int(index))] = word.strip()
    except FileNotFoundError:
        pass
    return table


def _uids(path):
    table = {}
    try:
        with open(os.path.join(path, "dovecot-uidlist"), "rb") as f:
            next(f)
            for line in f:
                head, _, name = line.rstrip(b"\n").partition(b":")
                table[os.fsdecode(name)] = int(head.split(None, 1)[0])
    except (FileNotFoundError, StopIteration):
        pass
    return table


TUID = re.compile(rb"^X-TUID: [^\n]*\n", re.M)


def digest(data, strip_tuid):
    data = data.replace(b"\r\n", b"\n")
    if strip_tuid:
        data = TUID.sub(b"", data, count=1)
    return hashlib.sha1(data).digest()


def items(maildir, strip_tuid=False):
    """Every message: its folder, a hash of its bytes, flags, keywords, received time, UID."""
    out = []
    for folder, path in folders(maildir).items():
        words, uids = _keywords(path), _uids(path)
        for sub in MESSAGE_DIRS:
            base = os.path.join(path, sub)
            for name in os.listdir(base):
                full = os.path.join(base, name)
                with open(full, "rb") as f:
                    data = f.read()
                    received = int(os.fstat(f.fileno()).st_mtime)
                stem, _, info = name.partition(":2,")
                flags = frozenset(LETTERS[c] for c in info if c in LETTERS)
                keys = frozenset(words.get(c, "?" + c) for c in info if c.islower())
                out.append(Item(folder, digest(data, strip_tuid), flags, keys, received,
                                uids.get(stem), os.path.join(sub, name)))
    return out


def compare(left, right, keywords=True, limit=5):
    """Differences between two lists of Items as lines of text, none if equal as multisets."""
    def bag(side):
        return collections.Counter((i.folder, i.digest, i.flags, i.keywords if keywords else None,
                                    i.received) for i in side)
    a, b = bag(left), bag(right)
    lines = []
    for label, only in (("only left", a - b), ("only right", b - a)):
        if only:
            lines.append("%d %s" % (sum(only.values()), label))
            for key in list(only)[:limit]:
                lines.append("  %s: %s %s %s %s %s" % (label, key[0] or "INBOX", key[1].hex()[:12],
                             sorted(key[2]), sorted(key[3] or ()), key[4]))
    return lines


# --- copies -----------------------------------------------------------------------------------------

def _clone(src, dst, link):
    st = os.stat(src)
    os.mkdir(dst)
    with os.scandir(src) as entries:
        for e in entries:
            target = os.path.join(dst, e.name)
            if e.is_dir(follow_symlinks=False):
                _clone(e.path, target, link or e.name in MESSAGE_DIRS)
            elif link:
                os.link(e.path, target)
            elif e.is_file(follow_symlinks=False):
                shutil.copy2(e.path, target)
                if os.geteuid() == 0:
                    own = e.stat()
                    os.chown(target, own.st_uid, own.st_gid)
    if os.geteuid() == 0:
        os.chown(dst, st.st_uid, st.st_gid)
    os.chmod(dst, st.st_mode & 0o7777)
    os.utime(dst, ns=(st.st_atime_ns, st.st_mtime_ns))


def clone(src, dst):
    """Makes `dst` what `src` is. Message files, which never change, are hard links; the rest is
    copied with its times, so that Dovecot finds its indexes as it left them."""
    shutil.rmtree(dst, ignore_errors=True)
    os.makedirs(os.path.dirname(dst), exist_ok=True)
    _clone(src, dst, False)
