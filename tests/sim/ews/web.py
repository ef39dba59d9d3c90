"""HTTP/1.1: connections kept, basic authentication, size limit, gzip, cookies; /EWS, /autodiscover, /control."""

import gzip
import http.server
import io
import json
import socket
import ssl
import threading
import time
import traceback
import urllib.parse
import uuid

import control
import logons
import misc
import operations
from faults import Drop, Late, Status

GZIP_FROM = 1024


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Microsoft-IIS/10.0", ""
    disable_nagle_algorithm = True
    timeout = 120

    def setup(self):
        if self.server.tls:
            self.request.settimeout(10)
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.server.connections += 1
        self.logon = logons.Connection(self.server.org)
        super().setup()

    def log_message(self, *args):
        pass

    def _body(self):
        """The request's body; None if it is longer than allowed (it is read and thrown away)."""
        limit = self.server.org.settings["limit"]
        out = io.BytesIO()
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                if not size:
                    while self.rfile.readline().strip():
                        pass
                    break
                self._copy(out, size, limit)
                self.rfile.readline()
        else:
            self._copy(out, int(self.headers.get("Content-Length") or 0), limit)
        return out.getvalue() if out.tell() <= limit else None

    def _copy(self, out, size, limit):
        while size:
            data = self.rfile.read(min(size, 1 << 20))
            if not data:
                raise ConnectionError
            size -= len(data)
            if out.tell() <= limit:
                out.write(data)

    def answer(self, status, data=b"", kind="text/xml; charset=utf-8", headers=()):
        if len(data) >= GZIP_FROM and "gzip" in self.headers.get("Accept-Encoding", ""):
            data = gzip.compress(data, 1)
            headers = list(headers) + [("Content-Encoding", "gzip")]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("request-id", str(uuid.uuid4()))
        if self.headers.get("return-client-request-id", "").lower() == "true":
            self.send_header("client-request-id", self.headers.get("client-request-id", ""))
        for name, value in headers:
            self.send_header(name, value)
            if name.lower() == "connection" and value == "close":
                self.close_connection = True
        self._headers_buffer.append(b"\r\n" + data)
        self.flush_headers()

    def do_GET(self):
        if self.path.startswith(self.server.control_path):
            return self._control()
        if self._user() is None:
            return self._refuse()
        # A person with a browser sees the service's page here; clients use it to learn of the authentication.
        self.answer(200, b"<html>You have created a service.</html>", "text/html")

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        if self.path.startswith(self.server.control_path):
            return self._control()
        data = self._body()
        path = self.path.split("?")[0].lower()
        if path == "/token":
            return self._token(data)
        if path not in ("/ews/exchange.asmx", "/autodiscover/autodiscover.xml", "/autodiscover/autodiscover.svc") or \
                path in self.server.org.settings["absent"]:
            return self.answer(404, b"<html>404</html>", "text/html")
        user = self._user()
        if user is None:
            return self._refuse()
        if data is None:
            # IIS: a request that is too long is a 404.13.
            self.server.org.counts["too-long"] = self.server.org.counts.get("too-long", 0) + 1
            return self.answer(404, b"<html>404.13 Content length too large.</html>", "text/html")
        if path.startswith("/autodiscover"):
            url = "%s://%s/EWS/Exchange.asmx" % ("https" if self.server.tls else "http", self.headers.get("Host"))
            say = misc.autodiscover_soap if path.endswith(".svc") else misc.autodiscover
            return self.answer(200, say(self.server.org, data, url))
        if not self.headers.get("Content-Type", "").lower().startswith("text/xml"):
            return self.answer(415, b"")
        self._ews(user, data)
        return None

    def _user(self):
        with self.server.org.lock:
            if self.server.refuse_logons:
                return None
            return self.logon.check(self.headers.get("Authorization"))

    def _token(self, data):
        with self.server.org.lock:
            status, out = logons.grant(self.server.org, dict(urllib.parse.parse_qsl(data.decode())))
        self.answer(status, json.dumps(out).encode(), "application/json")

    def _refuse(self):
        with self.server.org.lock:
            counts = self.server.org.counts
            counts["401"] = counts.get("401", 0) + 1
        self.answer(401, b"", "text/html", [("WWW-Authenticate", self.logon.offer or logons.NAMES["basic"])])

    def _ews(self, user, data):
        anchor = self.headers.get("X-AnchorMailbox")
        try:
            try:
                status, out = self._serve(user, data, anchor)
            except Late as late:
                if late.cut:
                    threading.Timer(late.seconds, self._serve, (user, data, anchor)).start()
                    raise Drop() from None
                time.sleep(late.seconds)
                status, out = self._serve(user, data, anchor)
        except Drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        except Status as s:
            return self.answer(s.status, s.body, "text/html", s.headers)
        except Exception:
            text = traceback.format_exc()
            with self.server.org.lock:
                self.server.org.fail("server-error", text=text, request=data[:4000].decode("utf-8", "replace"))
            return self.answer(500, text.encode(), "text/plain")
        cookies = [("Set-Cookie", "exchangecookie=%s; path=/" % uuid.uuid4().hex)] \
            if "exchangecookie" not in self.headers.get("Cookie", "") else []
        if "X-BackEndCookie" not in self.headers.get("Cookie", ""):
            cookies.append(("Set-Cookie", "X-BackEndCookie=%s; path=/EWS; HttpOnly" % uuid.uuid4().hex))
        if self.logon.extra:
            cookies.append(("WWW-Authenticate", self.logon.extra))
        self.answer(status, out, headers=cookies + [("X-FEServer", "FE1"), ("X-DiagInfo", "BE1")])

    def _serve(self, user, data, anchor):
        with self.server.org.lock:
            status, out = operations.serve(self.server, user, data, anchor)
            self._check(data, out)
            return status, out

    def _check(self, data, out):
        """With --check: our own answers against the schema."""
        if not self.server.org.settings["check"] or not self.server.schema:
            return
        wrong = self.server.schema.check(out)
        if wrong:
            self.server.org.fail("invalid-answer", text="line %d: %s" % wrong,
                                 request=data[:4000].decode("utf-8", "replace"),
                                 answer=out[:8000].decode("utf-8", "replace"))

    def _control(self):
        data = self._body()
        try:
            ask = json.loads(data) if data else {}
            with self.server.org.lock:
                out = control.run(self.server, ask)
            status = 200
        except Exception as e:
            status, out = 400, {"error": "%s: %s" % (type(e).__name__, e), "trace": traceback.format_exc()}
        self.answer(status, json.dumps(out).encode(), "application/json")


class Server(http.server.ThreadingHTTPServer):
    """The state that all connections share."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, port, org, faults, schema, tls=None, control_path="/control"):
        self.org, self.faults, self.schema, self.control_path = org, faults, schema, control_path
        self.tls, self.connections, self.refuse_logons = None, 0, False
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        org.faults = faults
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request, client_address):
        # Clients that went away, handshakes that failed: nothing to tell.
        pass
