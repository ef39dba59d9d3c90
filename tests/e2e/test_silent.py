"""A copied meeting mails nobody: Cyrus with scheduling on, its outgoing mail caught.

First another client shows that this server does send invitations and that they are caught here; then
the product copies, changes and deletes meetings, its own and the server's.
"""

import base64
import http.client
import imaplib
import os
import time
import urllib.parse

import pytest

from servers.dovecot import PASSWORD

pytestmark = pytest.mark.product

MEETING = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Test//EN\r
BEGIN:VEVENT\r
UID:%s\r
DTSTAMP:20260101T000000Z\r
DTSTART:20300601T100000Z\r
DTEND:20300601T110000Z\r
SEQUENCE:%d\r
SUMMARY:%s\r
ORGANIZER;CN=Alice:mailto:%s\r
ATTENDEE;CN=Alice;PARTSTAT=ACCEPTED:mailto:%s\r
ATTENDEE;CN=Bob;RSVP=TRUE;PARTSTAT=NEEDS-ACTION:mailto:bob@outside.example\r
ATTENDEE;CN=Carol;RSVP=TRUE;PARTSTAT=NEEDS-ACTION:mailto:carol@elsewhere.example\r
END:VEVENT\r
END:VCALENDAR\r
"""


class Dav:
    def __init__(self, cyrus, user):
        self.port, self.user = cyrus.http_port, user
        self.home = "/dav/calendars/user/%s/" % urllib.parse.quote(user, safe="@")

    def request(self, method, path, body=None, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        token = base64.b64encode(("%s:%s" % (self.user, PASSWORD)).encode()).decode()
        c.request(method, path, body, {"Authorization": "Basic " + token, **(headers or {})})
        answer = c.getresponse()
        text = answer.read().decode("utf-8", "replace")
        assert answer.status < 300, "%s %s: %d %s" % (method, path, answer.status, text[:1000])
        return text

    def put(self, name, text):
        self.request("PUT", self.home + "Default/" + name, text.encode(),
                     {"Content-Type": "text/calendar; charset=utf-8"})

    def names(self, calendar="Default"):
        text = self.request("PROPFIND", self.home + calendar + "/", None, {"Depth": "1"})
        return sorted(x for x in set(text.replace("<", ">").split(">")) if x.endswith(".ics"))

    def get(self, path):
        return self.request("GET", path)


@pytest.fixture
def cyrus(servers):
    return servers.cyrus("sched")


def wait_for_mail(cyrus, n):
    end = time.monotonic() + 10
    while len(cyrus.sent()) < n and time.monotonic() < end:
        time.sleep(0.1)
    return cyrus.sent()


def test_copied_meetings_mail_nobody(cyrus, make, directory):
    serial = os.path.basename(directory)
    alice = "alice-%s@cyrus.example" % serial
    dav = Dav(cyrus, alice)
    with imaplib.IMAP4("127.0.0.1", cyrus.plain_port) as mail:      # the first logon makes the mailbox
        mail.login(alice, PASSWORD)
    dav.request("PROPFIND", dav.home, None, {"Depth": "1"})

    # It does send: what another client puts goes out, and what it deletes is cancelled.
    for n, (method, verb) in enumerate((("PUT", "REQUEST"), ("DELETE", "CANCEL"), ("PUT", "REQUEST"))):
        if method == "PUT":
            dav.put("loud%d.ics" % n, MEETING % ("loud%d" % n, 0, "Loud", alice, alice))
        else:
            dav.request("DELETE", dav.home + "Default/loud0.ics")
        mails = wait_for_mail(cyrus, 2 * n + 2)[2 * n:]
        assert len(mails) == 2 and all(verb in m for m in mails), "this server sends no invitations: no proof"
    loud = len(cyrus.sent())

    config = make.config()
    config.endpoints["c"] = ('<endpoint name="c" type="imap"><CalDAV>http://127.0.0.1:%d/dav/calendars/user/{user}/'
                             '</CalDAV></endpoint>' % cyrus.http_port)
    disk = os.path.join(directory, "disk")
    config.local("d", disk)
    config.pairing("p", config.mailbox("c", alice, alice, PASSWORD), config.mailbox("d", "a@disk.example"),
                   kinds="events")
    calendar = os.path.join(disk, "a@disk.example", "Calendars", "Quiet")
    os.makedirs(calendar)

    def file(name, text):
        with open(os.path.join(calendar, name + ".ics"), "w", newline="") as f:
            f.write(text)

    def once():
        r = config.write().once()
        assert r.rc == 0, "%s\n%s" % (r, config.log()[-4000:])
        assert config.verify("p").rc == 0, config.verify("p")

    for name in ("one", "two"):
        file(name, MEETING % (name, 0, name, alice, alice))
    once()                                                      # created there
    assert len(dav.names("Default")) == 1
    file("one", MEETING % ("one", 1, "changed", alice, alice))
    once()                                                      # updated there
    os.unlink(os.path.join(calendar, "two.ics"))
    once()                                                      # removed there
    copied = [os.path.join(at, x) for at, _, names in os.walk(os.path.join(disk, "a@disk.example"))
              for x in names if "loud" in open(os.path.join(at, x), errors="replace").read()]
    assert len(copied) == 1, copied
    text = open(copied[0], newline="").read()
    assert "SCHEDULE-AGENT" not in text and "SCHEDULE-STATUS" not in text, text
    with open(copied[0], "w", newline="") as f:
        f.write(text.replace("SUMMARY:Loud", "SUMMARY:Louder"))
    once()                                                      # a meeting of the server's own, changed from outside
    assert "SUMMARY:Louder" in dav.get(dav.names("Default")[0])
    os.unlink(copied[0])
    once()                                                      # and removed: no cancellation

    time.sleep(1)
    assert len(cyrus.sent()) == loud, cyrus.sent()[loud:]
