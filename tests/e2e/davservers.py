"""Radicale, Xandikos and Cyrus on high ports of 127.0.0.1, and a small DAV client that is another program's.

A server or program that is not installed is named by the test that is skipped for it.
"""

import base64
import http.client
import imaplib
import os
import re
import signal
import subprocess
import time
import urllib.parse
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import pytest

from servers import dovecot, ports

PASSWORD = "horse & battery \u00e4"
RADICALE, XANDIKOS = "/usr/bin/radicale", "/usr/bin/xandikos"

RADICALE_CONF = """\
[server]
hosts = 127.0.0.1:{port}
[auth]
type = htpasswd
htpasswd_filename = {dir}/users
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = {dir}/store
[logging]
level = warning
"""


class Server:
    password = PASSWORD

    def __init__(self, directory):
        self.dir, self.p = directory, None
        os.makedirs(directory, exist_ok=True)

    def spawn(self, argv):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.dir,
                                  env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUTF8": "1",
                                       "HOME": self.dir}, start_new_session=True)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            assert self.p.poll() is None, open(self.log.name, errors="replace").read()[-2000:]
            try:
                c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                c.request("OPTIONS", "/")
                c.getresponse().read()
                return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError("%s does not answer" % argv[0])

    def stop(self):
        if self.p is not None and self.p.poll() is None:
            self.p.send_signal(signal.SIGTERM)
            try:
                self.p.wait(5)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        if self.p is not None:
            self.log.close()


class Radicale(Server):
    """For any number of users; each has a password and an empty home."""

    def start(self):
        if not os.access(RADICALE, os.X_OK):
            pytest.skip("radicale is not installed")
        self.port = ports.free()[0]
        with open(os.path.join(self.dir, "conf"), "w") as f:
            f.write(RADICALE_CONF.format(port=self.port, dir=self.dir))
        open(os.path.join(self.dir, "users"), "w").close()
        return self.spawn([RADICALE, "--config", os.path.join(self.dir, "conf")])

    def user(self, name, password=PASSWORD):
        with open(os.path.join(self.dir, "users"), "a") as f:
            f.write("%s:%s\n" % (name, password))
        return Client(self.port, name, "/%s/" % urllib.parse.quote(name), password)

    def urls(self, name):
        return {"CalDAV": "http://127.0.0.1:%d/" % self.port, "CardDAV": "http://127.0.0.1:%d/{user}/" % self.port}


class Xandikos(Server):
    """For one user, who has a calendar and an address book from the beginning; it asks for no password."""

    def start(self, user):
        if not os.access(XANDIKOS, os.X_OK):
            pytest.skip("xandikos is not installed")
        self.port, self.name = ports.free()[0], user
        self.spawn([XANDIKOS, "-d", os.path.join(self.dir, "store"), "-l", "127.0.0.1", "-p", str(self.port),
                    "--defaults", "--current-user-principal", "/%s/" % user])
        return self

    def user(self, _name):
        return Client(self.port, self.name, "/%s/calendars/" % self.name, contacts="/%s/contacts/" % self.name)

    def urls(self, _name):
        return dict.fromkeys(("CalDAV", "CardDAV"), "http://127.0.0.1:%d/" % self.port)


class Cyrus:
    """The DAV side of a Cyrus of the session: any number of users, who exist from their first IMAP logon."""

    password = dovecot.PASSWORD

    def __init__(self, cyrus):
        self.cyrus, self.port = cyrus, cyrus.http_port

    def user(self, name):
        with imaplib.IMAP4("127.0.0.1", self.cyrus.plain_port) as mail:
            mail.login(name, self.password)
        home = "/dav/%s/user/" + urllib.parse.quote(name, safe="@") + "/"
        return Client(self.port, name, home % "calendars", self.password, home % "addressbooks")

    def urls(self, _name):
        return {k: "http://127.0.0.1:%d/dav/%s/user/{user}/" % (self.port, what)
                for k, what in (("CalDAV", "calendars"), ("CardDAV", "addressbooks"))}


NS = {"d": "DAV:", "c": "urn:ietf:params:xml:ns:caldav", "a": "urn:ietf:params:xml:ns:carddav"}
PROPFIND = """<?xml version="1.0"?><d:propfind xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:prop>
<d:resourcetype/><d:displayname/><c:supported-calendar-component-set/><d:getetag/></d:prop></d:propfind>"""
MKCOL = """<?xml version="1.0"?><d:mkcol xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"
xmlns:a="urn:ietf:params:xml:ns:carddav"><d:set><d:prop><d:resourcetype><d:collection/>%s</d:resourcetype>
<d:displayname>%s</d:displayname>%s</d:prop></d:set></d:mkcol>"""
PROPPATCH = """<?xml version="1.0"?><d:propertyupdate xmlns:d="DAV:"><d:set><d:prop><d:displayname>%s</d:displayname>
</d:prop></d:set></d:propertyupdate>"""
TYPES = {"events": ("<c:calendar/>", "VEVENT"), "tasks": ("<c:calendar/>", "VTODO"),
         "contacts": ("<a:addressbook/>", None)}
CONTENT = {"events": "text/calendar", "tasks": "text/calendar", "contacts": "text/vcard"}


class Client:
    """What another program sees and does: collections by kind and name, items by UID."""

    def __init__(self, port, user, home, password=PASSWORD, contacts=None):
        self.port, self.user, self.homes = port, user, {"events": home, "tasks": home, "contacts": contacts or home}
        self.auth = "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()

    def exchange(self, method, path, body=None, **headers):
        """(status, headers, text) of one request."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            c.request(method, path, body.encode() if body is not None else None,
                      {"Authorization": self.auth, **{k.replace("_", "-"): v for k, v in headers.items()}})
            r = c.getresponse()
            return r.status, r.headers, r.read().decode()
        finally:
            c.close()

    def request(self, method, path, body=None, ok=(200, 201, 204, 207), **headers):
        status, _, text = self.exchange(method, path, body, **headers)
        assert status in ok, "%s %s: %d %s" % (method, path, status, text[:500])
        return text

    def propfind(self, path):
        """href -> (kind or None, name) of the members."""
        out = {}
        text = self.request("PROPFIND", path, PROPFIND, Depth="1", Content_Type="text/xml")
        for r in ET.fromstring(text).findall("d:response", NS):
            href = urllib.parse.urlparse(r.find("d:href", NS).text.strip()).path
            if urllib.parse.unquote(href).rstrip("/") == urllib.parse.unquote(path).rstrip("/"):
                continue
            kind = None
            comps = [c.get("name") for c in r.findall(".//c:supported-calendar-component-set/c:comp", NS)]
            if r.find(".//a:addressbook", NS) is not None:
                kind = "contacts"
            elif r.find(".//d:resourcetype/c:calendar", NS) is not None:
                kind = "tasks" if comps == ["VTODO"] else "events"
            name = r.find(".//d:displayname", NS)
            out[href] = (kind, name.text if name is not None and name.text else
                         urllib.parse.unquote(href.rstrip("/").split("/")[-1]))
        return out

    def collections(self):
        """(kind, name) -> path"""
        return {(kind, name): href for home in sorted(set(self.homes.values()))
                for href, (kind, name) in self.propfind(home).items() if kind is not None}

    def items(self, path):
        return [(href, self.request("GET", href)) for href, (kind, _) in self.propfind(path).items()
                if kind is None and not href.endswith("/")]

    def make(self, kind, name):
        markup, comp = TYPES[kind]
        some = "" if comp is None else \
            '<c:supported-calendar-component-set><c:comp name="%s"/></c:supported-calendar-component-set>' % comp
        path = self.homes[kind] + re.sub(r"[^a-z0-9]", "-", (kind + name).lower()) + "/"
        self.request("MKCOL", path, MKCOL % (markup, escape(name), some), Content_Type="text/xml")

    def rename(self, path, name):
        text = self.request("PROPPATCH", path, PROPPATCH % escape(name), Content_Type="text/xml")
        assert "200" in text, text

    def put(self, path, kind, text):
        self.request("PUT", path, text, Content_Type=CONTENT[kind])

    def delete(self, path):
        self.request("DELETE", path)

    def change(self, path, kind, edit):
        """edit(text) -> text, on what is there and never over what came meanwhile. False: it is gone."""
        for _ in range(20):
            status, headers, text = self.exchange("GET", path)
            if status in (404, 410):
                return False
            assert status == 200 and headers["ETag"], "GET %s: %d %s" % (path, status, headers)
            status, _, said = self.exchange("PUT", path, edit(text), Content_Type=CONTENT[kind],
                                            If_Match=headers["ETag"])
            if status in (200, 201, 204):
                return True
            assert status in (404, 409, 412), "PUT %s: %d %s" % (path, status, said[:500])
        raise AssertionError("%s changes all the time" % path)

    def move(self, path, to, kind):
        """False: it is gone. What has no MOVE gets a copy first, as from a client."""
        status, headers, text = self.exchange("GET", path)
        if status in (404, 410):
            return False
        status, _, said = self.exchange("MOVE", path, Destination="http://127.0.0.1:%d%s" % (self.port, to),
                                        Overwrite="F")
        if status in (404, 410):
            return False
        if status in (405, 501):
            self.request("PUT", to, text, Content_Type=CONTENT[kind], If_None_Match="*")
            status, _, said = self.exchange("DELETE", path)
        assert status in (200, 201, 204, 404), "MOVE %s: %d %s" % (path, status, said[:500])
        return True
