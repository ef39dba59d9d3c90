"""Servers that misbehave on purpose, each as small as its purpose allows."""

import base64
import re
import socket
import ssl
import threading


class _Listener(threading.Thread):
    """Accepts on 127.0.0.1 and handles each connection in a thread of its own."""

    def __init__(self):
        super().__init__(daemon=True)
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepted = 0

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.accepted += 1
            threading.Thread(target=self._guarded, args=(peer,), daemon=True).start()

    def _guarded(self, peer):
        peer.settimeout(20)
        try:
            self.handle(peer)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            try:
                peer.close()
            except OSError:
                pass

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


class TlsWitness(_Listener):
    """A TLS server with the given certificate that writes down every byte a client says.

    plain      bytes before TLS (only with starttls=True)
    inside     bytes after a handshake that both sides finished
    handshakes how many were finished as the server sees it (with TLS 1.3 a client that refuses the
               certificate may still leave a finished handshake here: `inside` is what counts)
    """

    GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n"

    def __init__(self, pair, starttls=False, inject=b"", greeting=GREETING):
        super().__init__()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.cert, pair.key)
        self.starttls = starttls
        self.greeting = greeting                # b"": the client speaks first
        self.inject = inject                    # sent in clear text right behind the OK of STARTTLS
        self.plain = b""
        self.inside = b""
        self.handshakes = 0
        self.refused = []

    def handle(self, peer):
        if self.starttls:
            peer.sendall(b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready\r\n")
            if not self._until_starttls(peer):
                return
        try:
            tls = self.context.wrap_socket(peer, server_side=True)
        except (ssl.SSLError, OSError) as e:
            with self.lock:
                self.refused.append(str(e))
            return
        with self.lock:
            self.handshakes += 1
        if not self.starttls and self.greeting:
            try:
                tls.sendall(self.greeting)
            except OSError:
                pass
        while True:
            data = tls.recv(4096)
            if not data:
                return
            with self.lock:
                self.inside += data

    def _until_starttls(self, peer):
        buf = b""
        while True:
            data = peer.recv(4096)
            if not data:
                return False
            with self.lock:
                self.plain += data
            buf += data
            while b"\n" in buf:
                line, buf = buf.split(b"\n", 1)
                tag, _, rest = line.strip().partition(b" ")
                verb = rest.upper()
                if verb == b"STARTTLS":
                    peer.sendall(tag + b" OK begin\r\n" + self.inject)
                    return True
                if verb == b"CAPABILITY":
                    peer.sendall(b"* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\n" + tag + b" OK\r\n")
                else:
                    peer.sendall(tag + b" BAD not before STARTTLS\r\n")


class TlsHttp(_Listener):
    """An HTTP server behind a good or bad certificate that answers every request with the same.

    heads      the requests with their headers
    """

    def __init__(self, pair, status, headers, body=b""):
        super().__init__()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.cert, pair.key)
        self.answer = ("HTTP/1.1 %s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n" % (
            status, headers, len(body))).encode() + body
        self.heads = []

    def handle(self, peer):
        with self.context.wrap_socket(peer, server_side=True) as tls:
            seen = b""
            while b"\r\n\r\n" not in seen:
                data = tls.recv(4096)
                if not data:
                    return
                seen += data
            head, _, rest = seen.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)^content-length: *(\d+)", head, re.M)
            while length and len(rest) < int(length.group(1)):
                data = tls.recv(4096)
                if not data:
                    return
                rest += data
            with self.lock:
                self.heads.append(head)
            tls.sendall(self.answer)


class PlainWitness(_Listener):
    """Writes down what a client says in clear text, and says nothing itself."""

    def __init__(self):
        super().__init__()
        self.seen = b""

    def handle(self, peer):
        while True:
            data = peer.recv(4096)
            if not data:
                return
            with self.lock:
                self.seen += data


class ImapStub(_Listener):
    """A tiny IMAP server with an empty INBOX, for answers that no real server gives on demand.

    append     "bad": answers BAD to every APPEND without swallowing its literal, then takes what
               follows for commands (the behaviour measured on Dovecot 2.3.19); "no": refuses;
               "throttled"/"overquota": NO with that code
    login      the answer to LOGIN and AUTHENTICATE: "OK", or a whole text such as
               "NO [AUTHENTICATIONFAILED] no"
    folders    LIST answers; None: INBOX only, (): none at all
    lines      every line that was taken for a command, in order
    executed   commands outside what a client has any reason to send
    """

    KNOWN = {"CAPABILITY", "NOOP", "LOGOUT", "LOGIN", "AUTHENTICATE", "ID", "ENABLE", "NAMESPACE", "LIST", "LSUB",
             "STATUS", "SELECT", "EXAMINE", "UID", "FETCH", "APPEND", "CHECK", "CLOSE", "UNSELECT",
             "CREATE", "IDLE", "EXPUNGE", "SEARCH", "STORE", "SUBSCRIBE"}

    def __init__(self, append="bad", login="OK", folders=None, capabilities="LITERAL+ UIDPLUS",
                 greeting="* OK ready"):
        super().__init__()
        self.append_mode, self.login = append, login
        self.folders = ["INBOX"] if folders is None else list(folders)
        self.capabilities = "IMAP4rev1 AUTH=PLAIN " + capabilities
        self.greeting = greeting
        self.lines = []
        self.executed = []
        self.created = []
        self.appends = 0
        self.logins = 0

    def handle(self, peer):
        f = peer.makefile("rb")
        say = lambda text: peer.sendall(text.encode() + b"\r\n")
        say(self.greeting)
        if self.greeting.startswith("* BYE"):
            return
        while True:
            raw = f.readline()
            if not raw:
                return
            line = raw.rstrip(b"\r\n").decode("latin-1")
            with self.lock:
                self.lines.append(line)
            tag, _, rest = line.partition(" ")
            verb, _, args = rest.partition(" ")
            verb = verb.upper()
            if verb not in self.KNOWN:
                with self.lock:
                    self.executed.append(line)
                say("%s BAD what" % (tag or "*"))
                continue
            if verb != "APPEND":
                args = self._literals(f, say, args)
            if self._one(f, say, tag, verb, args):
                return

    @staticmethod
    def _literals(f, say, args):
        while True:
            m = re.search(r"\{(\d+)(\+?)\}$", args)
            if not m:
                return args
            if not m.group(2):
                say("+ go on")
            text = f.read(int(m.group(1))).decode("latin-1")
            args = args[:m.start()] + '"' + text + '"' + f.readline().rstrip(b"\r\n").decode("latin-1")

    def _one(self, f, say, tag, verb, args):
        up = args.upper()
        if verb == "CAPABILITY":
            say("* CAPABILITY " + self.capabilities)
        elif verb in ("LOGIN", "AUTHENTICATE"):
            if verb == "AUTHENTICATE" and " " not in args:
                say("+ ")
                f.readline()
            with self.lock:
                self.logins += 1
            if self.login != "OK":
                say(tag + " " + self.login)
                return False
            say("%s OK [CAPABILITY %s] in" % (tag, self.capabilities))
            return False
        elif verb == "NAMESPACE":
            say('* NAMESPACE (("" "/")) NIL NIL')
        elif verb == "ENABLE":
            say("* ENABLED")
        elif verb == "LIST":
            for name in self.folders:
                say('* LIST () "/" "%s"' % name)
        elif verb == "STATUS":
            name = re.match(r'"[^"]*"|\S+', args).group(0)
            say("* STATUS %s (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7 UNSEEN 0 RECENT 0)" % name)
        elif verb in ("SELECT", "EXAMINE"):
            if not self.folders:
                say(tag + " NO [NONEXISTENT] no such mailbox")
                return False
            say("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)")
            say("* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] ok")
            say("* 0 EXISTS")
            say("* 0 RECENT")
            say("* OK [UIDVALIDITY 7] ok")
            say("* OK [UIDNEXT 1] ok")
            say(tag + " OK [READ-WRITE] selected")
            return False
        elif verb == "UID" and up.startswith("SEARCH"):
            say("* SEARCH")
        elif verb == "CREATE":
            with self.lock:
                self.created.append(args)
        elif verb == "APPEND":
            return self._append(f, say, tag, args)
        elif verb == "LOGOUT":
            say("* BYE")
            say(tag + " OK")
            return True
        elif verb == "IDLE":
            say(tag + " BAD no")
            return False
        say(tag + " OK done")
        return False

    def _append(self, f, say, tag, args):
        with self.lock:
            self.appends += 1
        if self.append_mode == "bad":
            say(tag + " BAD Invalid arguments.")
            return False
        args = self._literals(f, say, args)
        say(tag + {"no": " NO cannot",
                   "throttled": " NO [THROTTLED] slow down",
                   "overquota": " NO [OVERQUOTA] full"}[self.append_mode])
        return False


def plain_token(login, password, authzid=""):
    return base64.b64encode(b"\0".join(x.encode() for x in (authzid, login, password)))
