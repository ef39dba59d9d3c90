"""One mailbox of a test, seen as a foreign mail program sees it: the same verbs for IMAP and Maildir."""

import imaplib
import itertools
import os
import shutil
import socket
import time

import corpus
import model
import mutf7

_serial = itertools.count(1)


class ImapBox:
    """A user's mailbox on a test server, reached by imaplib over the plain port."""

    kind = "imap"

    def __init__(self, server, user, password):
        self.server, self.user, self.password = server, user, password
        self._m = None

    # One connection is kept per box; it is closed before the product runs, so that no test
    # depends on what a server tells a second session.
    @property
    def m(self):
        if self._m is None:
            self._m = model.connect(self.server.plain_port, self.user, self.password)
        return self._m

    def close(self):
        if self._m is not None:
            try:
                self._m.logout()
            except (imaplib.IMAP4.error, OSError):
                pass
            self._m = None

    def raw(self, folder):
        name = folder.replace("/", self.server.separator)
        if folder != "INBOX":
            name = self.server.prefix + name
        return model.quote(mutf7.encode(name))

    def _ok(self, answer):
        assert answer[0] == "OK", answer
        return answer[1]

    def read(self):
        self.close()
        return model.read_imap(self.server.plain_port, self.user, self.password,
                               prefix=self.server.prefix)

    def folders(self):
        return sorted(n for n, _, a in model.list_folders(self.m)
                      if not {"\\noselect", "\\nonexistent"} & a)

    def create(self, folder):
        self._ok(self.m.create(self.raw(folder)))
        self.close()

    def delete_folder(self, folder):
        self._ok(self.m.delete(self.raw(folder)))
        self.close()

    def rename(self, old, new):
        self._ok(self.m.rename(self.raw(old), self.raw(new)))
        self.close()

    def put(self, *messages):
        """Appends corpus messages; makes missing folders."""
        for folder in dict.fromkeys(m.folder for m in messages):
            self._make(folder)
        for m in messages:
            flags = "(" + " ".join(sorted(m.flags) + sorted(m.keywords)) + ")"
            self._ok(self.m.append(self.raw(m.folder), flags,
                                   imaplib.Time2Internaldate(m.received), m.body))
        self.close()

    def select(self, folder):
        self._ok(self.m.select(self.raw(folder)))

    def uids(self, folder, mid):
        """UIDs of the messages with that Message-ID; None: all."""
        items = model.fetch_folder(self.m, mutf7.encode(
            (self.server.prefix if folder != "INBOX" else "") + folder.replace("/", self.server.separator)))
        return [i.ref for i in items if mid is None or i.mid == mid]

    def _on(self, folder, mid):
        uids = self.uids(folder, mid)
        assert uids, "no message %s in %s" % (mid, folder)
        self.select(folder)
        return ",".join(uids)

    def flag(self, folder, mid, add=(), remove=()):
        uids = self._on(folder, mid)
        if add:
            self._ok(self.m.uid("STORE", uids, "+FLAGS.SILENT", "(%s)" % " ".join(add)))
        if remove:
            self._ok(self.m.uid("STORE", uids, "-FLAGS.SILENT", "(%s)" % " ".join(remove)))
        self.close()

    def remove(self, folder, mid, count=None):
        uids = self._on(folder, mid)
        if count is not None:
            uids = ",".join(uids.split(",")[:count])
        self._ok(self.m.uid("STORE", uids, "+FLAGS.SILENT", "(\\Deleted)"))
        self._ok(self.m.uid("EXPUNGE", uids))
        self.close()

    def _make(self, folder):
        if folder not in self.folders():
            self._ok(self.m.create(self.raw(folder)))

    def move(self, folder, mid, target):
        self._make(target)
        uids = self._on(folder, mid)
        self._ok(self.m.uid("MOVE", uids, self.raw(target)))
        self.close()

    def copy(self, folder, mid, target):
        self._make(target)
        uids = self._on(folder, mid)
        self._ok(self.m.uid("COPY", uids, self.raw(target)))
        self.close()

    def stamp(self):
        """Changes when anybody writes: UIDNEXT, UIDVALIDITY, HIGHESTMODSEQ and count of each folder."""
        out = {}
        for name, raw, attributes in model.list_folders(self.m):
            if {"\\noselect", "\\nonexistent"} & attributes:
                continue
            data = self._ok(self.m.status(model.quote(raw),
                                          "(UIDNEXT UIDVALIDITY MESSAGES HIGHESTMODSEQ)"))
            out[name] = data[0].decode("latin-1").rpartition("(")[2]
        self.close()
        return out


class MaildirBox:
    """The `Mail` directory of a local mailbox, changed the way a Maildir program would."""

    kind = "local"

    def __init__(self, root):
        self.root = root

    def ensure(self):
        self.create("INBOX")

    def close(self):
        pass

    def path(self, folder):
        if folder == "INBOX":
            return self.root
        return os.path.join(self.root, "." + ".".join(model.escape_part(p) for p in folder.split("/")))

    def read(self):
        return model.read_maildir(self.root)

    def folders(self):
        return sorted(model.read_maildir(self.root))

    def create(self, folder):
        path = self.path(folder)
        for sub in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(path, sub), exist_ok=True)
        if path != self.root:
            open(os.path.join(path, "maildirfolder"), "a").close()
        return path

    def delete_folder(self, folder):
        shutil.rmtree(self.path(folder))

    def rename(self, old, new):
        """Children go along, as in every program that renames a Maildir++ folder."""
        was, now = self.path(old), self.path(new)
        for name in sorted(os.listdir(self.root)):
            path = os.path.join(self.root, name)
            if path == was or path.startswith(was + "."):
                os.rename(path, now + path[len(was):])

    def _letters(self, folder, words):
        table = {v: k for k, v in model.maildir_keywords(self.path(folder)).items()}
        out = ""
        for w in words:
            if w.startswith("\\"):
                out += corpus.LETTERS[w]
                continue
            if w not in table:
                used = [ord(c) - ord("a") for c in table.values()]
                number = next(i for i in range(26) if i not in used)
                with open(os.path.join(self.path(folder), "dovecot-keywords"), "a") as f:
                    f.write("%d %s\n" % (number, w))
                table[w] = chr(ord("a") + number)
            out += table[w]
        return out

    def put(self, *messages):
        self.ensure()
        for m in messages:
            path = self.create(m.folder)
            letters = self._letters(m.folder, sorted(m.flags) + sorted(m.keywords))
            name = "%d.M%dP%d.%s" % (m.received, next(_serial), os.getpid(), socket.gethostname())
            body = m.body.replace(b"\r\n", b"\n")
            tmp = os.path.join(path, "tmp", name)
            with open(tmp, "xb") as f:
                f.write(body)
            os.utime(tmp, (m.received, m.received))
            os.rename(tmp, os.path.join(path, "cur", name + ":2," + "".join(sorted(letters))))

    def _files(self, folder, mid):
        out = []
        for file, letters in model.maildir_files(self.path(folder)):
            with open(file, "rb") as f:
                if mid is None or model.message_id(f.read(65536)) == mid:
                    out.append((file, letters))
        return out

    def _on(self, folder, mid):
        files = self._files(folder, mid)
        assert files, "no message %s in %s" % (mid, folder)
        return files

    def flag(self, folder, mid, add=(), remove=()):
        for file, letters in self._on(folder, mid):
            now = set(letters) | set(self._letters(folder, add))
            now -= set(self._letters(folder, remove))
            base = os.path.basename(file).partition(":2,")[0]
            os.rename(file, os.path.join(self.path(folder), "cur", base + ":2," + "".join(sorted(now))))

    def remove(self, folder, mid, count=None):
        for file, _ in self._on(folder, mid)[:count]:
            os.unlink(file)

    def _transfer(self, folder, mid, target, keep):
        self.create(target)
        words = model.maildir_keywords(self.path(folder))
        for file, letters in self._on(folder, mid):
            names = [words[c] for c in letters if c.islower()]
            new = "".join(c for c in letters if not c.islower()) + self._letters(target, names)
            base = os.path.basename(file).partition(":2,")[0]
            if keep:
                base = "%d.M%dP%d.%s" % (int(time.time()), next(_serial), os.getpid(), socket.gethostname())
            to = os.path.join(self.path(target), "cur", base + ":2," + "".join(sorted(new)))
            if keep:
                shutil.copy2(file, to)
            else:
                os.rename(file, to)

    def move(self, folder, mid, target):
        self._transfer(folder, mid, target, keep=False)

    def copy(self, folder, mid, target):
        self._transfer(folder, mid, target, keep=True)

    def stamp(self):
        return model.maildir_stamp(self.root)
