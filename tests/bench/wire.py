#!/usr/bin/python3
"""The wire limit: what the servers allow to a mover that keeps no state and never waits without need.

It is no product: it is told what to do (and in workload c even what has changed), checks only that
every answer is OK, and pipelines all that can be pipelined, both sides at once. The measured time
starts after the interpreter has started. One job, JSON, in the file named on the command line:

{"do": "copy" | "look" | "changes", "left": SERVER, "right": SERVER, "users": [...], "parallel": N,
 "plan": for changes}     SERVER: {"host", "port", "ca" or null, "password"}
"""

import json
import queue
import re
import resource
import socket
import ssl
import sys
import threading
import time

BATCH_MESSAGES, BATCH_BYTES = 1000, 8 << 20
LOOK = 'LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))'
LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
FETCH = re.compile(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) INTERNALDATE (\"[^\"]*\") ")
STATUS = re.compile(rb'\* STATUS ("(?:[^"\\]|\\.)*"|\S+) \(MESSAGES (\d+)')
NO_FOLDER = re.compile(rb"\\(?:noselect|nonexistent)\b", re.I)
LIST = re.compile(rb'\* LIST \(([^)]*)\) (?:"[^"]*"|NIL) (.+)\r\n$')


class Refused(Exception):
    pass


def quoted(name):
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def plain_name(token):
    if token.startswith(b'"'):
        return re.sub(rb"\\(.)", rb"\1", token[1:-1])
    return token


class Conn:
    contexts = {}

    def __init__(self, server, user):
        sock = socket.create_connection((server["host"], server["port"]))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if server.get("ca"):
            sock = Conn.context(server["ca"]).wrap_socket(sock, server_hostname=server["host"])
        self.sock, self.rf = sock, sock.makefile("rb", 1 << 18)
        self.number, self.pending = 0, []
        self.response()
        self.send(b"LOGIN %s %s" % (quoted(user.encode()), quoted(server["password"].encode())))
        self.finish()

    @classmethod
    def context(cls, ca):
        if ca not in cls.contexts:
            cls.contexts[ca] = ssl.create_default_context(cafile=ca)
        return cls.contexts[ca]

    def send(self, *commands):
        """Each command is bytes, or a list of pieces; all leave in one write."""
        pieces = []
        for c in commands:
            self.number += 1
            tag = b"%d" % self.number
            self.pending.append((tag, c if isinstance(c, bytes) else c[0]))
            pieces += [tag, b" "] + ([c] if isinstance(c, bytes) else c) + [b"\r\n"]
        self.sock.sendall(b"".join(pieces))

    def response(self):
        """One response as [text, literal, text, ...]."""
        line = self.rf.readline()
        if not line:
            raise Refused("connection closed, awaiting %s" % self.pending[:1])
        parts = [line]
        m = LITERAL.search(line)
        while m:
            parts.append(self.rf.read(int(m.group(1))))
            line = self.rf.readline()
            parts.append(line)
            m = LITERAL.search(line)
        return parts

    def each(self):
        """Untagged responses until everything that was sent is answered OK."""
        while self.pending:
            r = self.response()
            if r[0].startswith(b"* "):
                yield r
                continue
            tag, what = self.pending.pop(0)
            if not r[0].startswith(tag + b" OK"):
                raise Refused("%r: %r" % (what[:80], r[0]))

    def finish(self):
        for _ in self.each():
            pass

    def logout(self, *before):
        """Sends the last commands and LOGOUT, and waits for all the answers."""
        self.send(*before, b"LOGOUT")
        untagged = list(self.each())
        self.sock.close()
        return untagged


def both(*calls):
    """Runs the calls at once; the first error is raised here."""
    results, errors = [None] * len(calls), []

    def one(i, call):
        try:
            results[i] = call()
        except BaseException as e:          # handed to the caller below
            errors.append(e)
    threads = [threading.Thread(target=one, args=x) for x in enumerate(calls)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return results


# --- nothing changed --------------------------------------------------------------------------------

def look(job, user):
    def side(server):
        return Conn(server, user).logout(b"ENABLE QRESYNC", LOOK.encode())
    return both(lambda: side(job["left"]), lambda: side(job["right"]))


# --- first copy -------------------------------------------------------------------------------------

def listing(conn):
    """{folder: messages} of what can be selected."""
    conn.send(LOOK.encode())
    found, counts = [], {}
    for r in conn.each():
        text = b"".join(quoted(p) if i % 2 else LITERAL.sub(b"", p) for i, p in enumerate(r))
        m = LIST.match(text)
        if m and not NO_FOLDER.search(m.group(1)):
            found.append(plain_name(m.group(2)))
        m = STATUS.match(text)
        if m:
            counts[plain_name(m.group(1))] = int(m.group(2))
    return {f: counts.get(f, 0) for f in found}


def read_messages(conn, plan, out, then=()):
    """`plan`: (folder, UID set). Puts (folder, [pieces]) batches; the pieces are APPEND's.
    `then`: commands that leave in the same write and whose answers are left to the caller."""
    commands = []
    for folder, uids in plan:
        commands += [b"EXAMINE " + quoted(folder),
                     b"UID FETCH " + uids + b" (FLAGS INTERNALDATE BODY.PEEK[])"]
    conn.send(*commands, *then)
    for folder, _ in plan:
        batch, size = [], 0
        goal = len(conn.pending) - 2
        while len(conn.pending) > goal:
            r = conn.response()
            if not r[0].startswith(b"* "):
                tag, what = conn.pending.pop(0)
                if not r[0].startswith(tag + b" OK"):
                    raise Refused("%r: %r" % (what, r[0]))
                continue
            m = FETCH.match(r[0])
            if not m or len(r) < 3:
                continue
            flags = b" ".join(x for x in m.group(2).split() if x.lower() != b"\\recent")
            batch += [b" (", flags, b") ", m.group(3), b" {%d+}\r\n" % len(r[1]), r[1]]
            size += len(r[1])
            if len(batch) >= 6 * BATCH_MESSAGES or size >= BATCH_BYTES:
                out.put((folder, batch))
                batch, size = [], 0
        if batch:
            out.put((folder, batch))


def write_messages(conn, source, already=None):
    selected = already
    while True:
        got = source.get()
        if got is None:
            break
        folder, batch = got
        commands = []
        if folder != selected:
            commands.append(b"SELECT " + quoted(folder))
            selected = folder
        conn.send(*commands, [b"APPEND " + quoted(folder)] + batch)


def transfer(src, plan, dst, make):
    """Reads `plan` from src while what has come is written to dst; then both log out."""
    q = queue.Queue(2)

    def reader():
        try:
            read_messages(src, plan, q)
        finally:
            q.put(None)
        src.logout()

    def writer():
        if make:
            dst.send(*[b"CREATE " + quoted(f) for f in make])
        write_messages(dst, q)
        dst.logout()
    both(reader, writer)


def copy(job, user):
    left, right = both(lambda: Conn(job["left"], user), lambda: Conn(job["right"], user))
    have, there = both(lambda: listing(left), lambda: listing(right))
    plan = [(f, b"1:*") for f, n in have.items() if n]
    transfer(left, plan, right, [f for f in have if f not in there])


# --- known changes ----------------------------------------------------------------------------------

def apply_known(conn, side, news):
    """One side of workload c: repeat the other side's changes, read this side's news.

    `side`: {"new": {folder: uids}, "store": {folder: [[uids, flags op]...]}, "gone": {folder: uids}}
    """
    commands = []
    for folder in sorted(set(side["store"]) | set(side["gone"])):
        commands.append(b"SELECT " + quoted(folder.encode()))
        commands += [("UID STORE %s %s" % tuple(s)).encode() for s in side["store"].get(folder, ())]
        gone = side["gone"].get(folder)
        if gone:
            commands += [("UID STORE %s +FLAGS.SILENT (\\Deleted)" % gone).encode(),
                         ("UID EXPUNGE " + gone).encode()]
    q = queue.Queue()
    read_messages(conn, [(f.encode(), u.encode()) for f, u in side["new"].items()], q, commands)
    while not q.empty():
        news.append(q.get())


def changes(job, user):
    plan = job["plan"]
    conns = both(lambda: Conn(job["left"], user), lambda: Conn(job["right"], user))
    news, ready = ([], []), (threading.Event(), threading.Event())

    def side(i):
        try:
            apply_known(conns[i], plan[("left", "right")[i]], news[i])
        finally:
            ready[i].set()
        ready[1 - i].wait()
        q = queue.Queue()
        for batch in news[1 - i] + [None]:
            q.put(batch)
        write_messages(conns[i], q)
        conns[i].logout()
    both(lambda: side(0), lambda: side(1))


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        job = json.load(f)
    act = {"copy": copy, "look": look, "changes": changes}[job["do"]]
    use = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.monotonic()
    todo = list(job["users"])[::-1]

    def some():
        while True:
            try:
                user = todo.pop()
            except IndexError:
                return
            act(job, user)
    if len(todo) == 1:
        some()
    else:
        both(*[some] * job.get("parallel", 1))
    wall = time.monotonic() - begin
    end = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"wall": wall, "user": end.ru_utime - use.ru_utime,
                      "sys": end.ru_stime - use.ru_stime, "rss": end.ru_maxrss}))


if __name__ == "__main__":
    main()
