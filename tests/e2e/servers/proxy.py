"""A TCP proxy before a real server: slow, cutting, forgetful, and a witness.

It lives in one thread of its own with an asyncio loop. Everything that does not look at the text
(delay, cut, drip) works on TLS as well; what looks at lines (drop_answer, up_filter, down_filter,
commands) needs a plain connection, which the product allows on loopback.

	with Proxy(server.plain_port) as p:
		p.drop_answer(rb"^\\S+ OK \\[APPENDUID")    # the answer is lost, the message is stored
		...                                         # point the product at p.port
		assert p.dropped == 1
"""

import asyncio
import re
import threading
import time


class _Cut(Exception):
    pass


class Proxy:
    def __init__(self, port, delay_ms=0, host="127.0.0.1", record=True, listen_port=0,
                 connect_ms=0):
        self.target = (host, port)
        self.delay = delay_ms / 1000.0          # each direction
        self.connect = connect_ms / 1000.0      # before the server is asked: TCP's own handshake
        self.record = record
        self.port = listen_port
        self.lock = threading.Lock()
        self.log = []                            # (connection, "up" | "down", bytes)
        self.connections = 0
        self.bytes = {"up": 0, "down": 0}
        self.turns = 0                           # client spoke after the server: round trips
        self.dropped = 0
        self.cuts = 0
        self.up_filter = None                    # line -> line or None; line ends with CRLF
        self.down_filter = None
        self._drop = None                        # (regex, times left)
        self._cut = None                         # [direction, bytes left, times left, every connection]
        self._drip = None                        # (size, seconds)
        self._refuse = False
        self._live = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)

    # --- settings, from any thread ------------------------------------------------------------------

    def drop_answer(self, regex, times=1):
        """When a line of the server matches: forward nothing of it and close both sides."""
        self._drop = [re.compile(regex), times]

    def cut_after(self, count, direction="down", times=1):
        """Closes a connection once `count` bytes of it went in that direction; `times` connections."""
        self._cut = [direction, count, times]

    def drip(self, size, seconds):
        """Forwards at most `size` bytes at a time with a pause after each (both directions)."""
        self._drip = (size, seconds)

    def refuse(self, yes=True):
        """Accepts and closes at once, like a server whose backend is down."""
        self._refuse = yes

    def calm(self):
        """Back to a faithful proxy."""
        self._drop = self._cut = self._drip = self.up_filter = self.down_filter = None
        self._refuse = False

    def kill_connections(self):
        def doit():
            for w in list(self._live):
                w.transport.abort()
        self._loop.call_soon_threadsafe(doit)

    # --- what was seen --------------------------------------------------------------------------------

    def text(self, direction):
        with self.lock:
            return b"".join(d for _, way, d in self.log if way == direction)

    def commands(self):
        """All client command lines in order, literals left out (needs a plain connection)."""
        with self.lock:
            streams = {}
            for conn, way, data in self.log:
                if way == "up":
                    streams.setdefault(conn, []).append(data)
        out = []
        for conn in sorted(streams):
            out += split_commands(b"".join(streams[conn]))
        return out

    def clear(self):
        with self.lock:
            self.log.clear()
            self.bytes = {"up": 0, "down": 0}
            self.turns = self.connections = 0

    # --- life -----------------------------------------------------------------------------------------

    def start(self):
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the proxy did not start")
        return self

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def _main(self):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 20))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for w in list(self._live):
                w.transport.abort()
            for t in asyncio.all_tasks(self._loop):
                t.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    async def _serve(self, creader, cwriter):
        if self._refuse:
            cwriter.transport.abort()
            return
        with self.lock:
            self.connections += 1
            conn = self.connections
        await asyncio.sleep(self.connect)
        try:
            sreader, swriter = await asyncio.open_connection(*self.target, limit=1 << 20)
        except OSError:
            cwriter.transport.abort()
            return
        for w in (cwriter, swriter):
            sock = w.get_extra_info("socket")
            sock.setsockopt(6, 1, 1)             # TCP_NODELAY
            self._live.add(w)
        budget = None
        if self._cut and self._cut[2] > 0:
            self._cut[2] -= 1
            budget = [self._cut[0], self._cut[1]]
        # A cut must not wait for the pump, which sleeps in read().
        state = {"last": None, "abort": lambda: [w.transport.abort() for w in (cwriter, swriter)]}
        tasks = [asyncio.ensure_future(self._pump(conn, "up", creader, swriter, budget, state)),
                 asyncio.ensure_future(self._pump(conn, "down", sreader, cwriter, budget, state))]
        try:
            await asyncio.gather(*tasks)
        except (_Cut, OSError, asyncio.CancelledError):
            for t in tasks:
                t.cancel()
        finally:
            for w in (cwriter, swriter):
                self._live.discard(w)
                w.transport.abort() if any(t.cancelled() for t in tasks) else w.close()

    async def _pump(self, conn, way, reader, writer, budget, state):
        queue = asyncio.Queue()
        sender = asyncio.ensure_future(self._send(queue, way, writer, budget, state))
        tail = b""
        try:
            while True:
                data = await reader.read(1 << 18)
                if self.record and data:
                    with self.lock:
                        self.log.append((conn, way, data))
                if data:
                    with self.lock:
                        self.bytes[way] += len(data)
                        if way == "up" and state["last"] == "down":
                            self.turns += 1
                        state["last"] = way
                drop = self._drop if way == "down" else None
                filt = self.up_filter if way == "up" else self.down_filter
                if drop or filt or tail:
                    data, tail, cut = self._lines(tail + data, drop, filt, not data)
                else:
                    cut = False
                if data:
                    queue.put_nowait((time.monotonic() + self.delay, data))
                if cut:
                    queue.put_nowait((time.monotonic() + self.delay, _Cut))
                    await sender
                if sender.done():
                    sender.result()
                if reader.at_eof():
                    queue.put_nowait((time.monotonic() + self.delay, None))
                    await sender
                    return
        finally:
            sender.cancel()

    def _lines(self, data, drop, filt, eof):
        """-> (to forward, kept back, cut?)"""
        out = []
        lines = data.splitlines(True) if b"\r" not in data else re.findall(rb"[^\n]*\n|[^\n]+$", data)
        keep = b""
        if lines and not lines[-1].endswith(b"\n") and not eof:
            keep = lines.pop()
        for line in lines:
            if drop and drop[1] > 0 and drop[0].search(line):
                drop[1] -= 1
                self.dropped += 1
                return b"".join(out), b"", True
            if filt:
                line = filt(line)
            if line:
                out.append(line)
        return b"".join(out), keep, False

    async def _send(self, queue, way, writer, budget, state):
        while True:
            at, data = await queue.get()
            pause = at - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            if data is _Cut:
                await self._flushed(writer)
                state["abort"]()
                raise _Cut
            if data is None:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            while data:
                piece = data
                if self._drip:
                    piece = data[:self._drip[0]]
                if budget and budget[0] in (way, "both") and budget[1] <= len(piece):
                    writer.write(piece[:budget[1]])
                    await self._flushed(writer)
                    self.cuts += 1
                    state["abort"]()
                    raise _Cut
                if budget and budget[0] in (way, "both"):
                    budget[1] -= len(piece)
                writer.write(piece)
                await writer.drain()
                data = data[len(piece):]
                if self._drip:
                    await asyncio.sleep(self._drip[1])

    @staticmethod
    async def _flushed(writer):
        """All that was forwarded has left us: drain() alone is content with a full buffer."""
        for _ in range(200):
            if writer.transport.get_write_buffer_size() == 0:
                return
            await asyncio.sleep(0.005)


LITERAL = re.compile(rb"\{(\d+)\+?\}\r?\n$")


def split_commands(stream):
    """Client bytes -> command lines; a literal becomes {n} and what follows it is joined on."""
    out, at, line = [], 0, b""
    while at < len(stream):
        end = stream.find(b"\n", at)
        if end < 0:
            line += stream[at:]
            break
        part = stream[at:end + 1]
        at = end + 1
        m = LITERAL.search(part)
        if m:
            line += part.rstrip(b"\r\n")
            at += int(m.group(1))
            continue
        out.append((line + part).rstrip(b"\r\n").decode("utf-8", "replace"))
        line = b""
    if line:
        out.append(line.decode("utf-8", "replace"))
    return out
