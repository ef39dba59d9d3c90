"""A proxy before a real HTTP server that knows requests: it rewrites them, lets something happen before them, answers
for the server, or loses its answers.

	with HttpProxy(server.port) as p:
		p.hook = lambda r: Answer(507) if r.method == "PUT" else None
		...                                 # point the product at p.port
		assert ("PUT", "/cal/a.ics", 507) in p.log
"""

import http.client
import http.server
import socket
import socketserver
import threading

# Between two neighbours only; what the proxy sends has a length, and can be read by hooks.
OWN = {"accept-encoding", "connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade"}
WRITES = {"PUT", "DELETE", "MOVE", "COPY", "MKCOL", "MKCALENDAR", "PROPPATCH"}


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body


class Answer:
    """Instead of the server's; status 0: the connection is cut."""

    def __init__(self, status, body=b"", headers=()):
        self.status, self.body, self.headers = status, body, headers


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True


class HttpProxy:
    """hook(request): None, or the Answer; it may change the request. after(request, answer): the Answer that goes on.
    One of them runs at a time.
    """

    def __init__(self, port):
        self.target, self.lock, self.turn = port, threading.Lock(), threading.Lock()
        self.hook = self.after = None
        self.log = []                   # (method, path, status)
        self.failed = []                # what a hook raised
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return lambda: proxy._serve(self)
                raise AttributeError(name)

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def _serve(self, h):
        r = Request(h.command, h.path, [(k, v) for k, v in h.headers.items() if k.lower() not in OWN],
                    h.rfile.read(int(h.headers.get("Content-Length") or 0)))
        try:
            with self.turn:
                answer = self.hook(r) if self.hook is not None else None
            if answer is None:
                answer = self._ask(r)
                with self.turn:
                    answer = self.after(r, answer) if self.after is not None else answer
        except Exception as e:          # noqa: B902 (the test looks at it)
            self.failed.append(e)
            answer = Answer(0)
        with self.lock:
            self.log.append((r.method, r.path, answer.status))
        if answer.status == 0:
            h.close_connection = True
            h.connection.shutdown(socket.SHUT_RDWR)
            return
        h.send_response_only(answer.status)
        for k, v in answer.headers:
            h.send_header(k, v)
        if answer.status not in (204, 304):
            h.send_header("Content-Length", str(len(answer.body)))
        h.end_headers()
        if h.command != "HEAD":
            h.wfile.write(answer.body)

    def _ask(self, r):
        c = http.client.HTTPConnection("127.0.0.1", self.target, timeout=30)
        try:
            c.putrequest(r.method, r.path, skip_host=True, skip_accept_encoding=True)
            for k, v in r.headers:
                if k.lower() != "expect":
                    c.putheader(k, v)
            c.putheader("Content-Length", str(len(r.body)))
            c.endheaders(r.body)
            a = c.getresponse()
            body = a.read()
            return Answer(a.status, body, [(k, v) for k, v in a.getheaders() if k.lower() not in OWN])
        finally:
            c.close()

    def calm(self):
        self.hook = self.after = None

    def count(self, method, status=None):
        with self.lock:
            return sum(m == method and status in (None, s) for m, _, s in self.log)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)
        assert not self.failed, self.failed

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
