"""DavMail, an unmodified foreign gateway, between IMAP, CalDAV and CardDAV and this server."""

import base64
import http.client
import imaplib
import os
import shutil
import socket
import subprocess
import time

import pytest

from rig import BOX, PASSWORD, message

JAR = "/usr/share/davmail/davmail.jar"
PROPERTIES = """davmail.server=true
davmail.mode=EWS
davmail.url=http://127.0.0.1:%d/EWS/Exchange.asmx
davmail.imapPort=%d
davmail.caldavPort=%d
davmail.popPort=
davmail.smtpPort=
davmail.ldapPort=
davmail.bindAddress=127.0.0.1
davmail.allowRemote=false
davmail.useSystemProxies=false
davmail.disableUpdateCheck=true
davmail.enableKeepAlive=false
davmail.logFilePath=%s
"""
ZONE = """BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19701025T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""
MASTER = """BEGIN:VEVENT
UID:uid-1@example.org
DTSTAMP:20260301T000000Z
SUMMARY:%s
LOCATION:Here
DTSTART;TZID=Europe/Berlin:20260302T090000
DTEND;TZID=Europe/Berlin:20260302T100000
RRULE:FREQ=WEEKLY;COUNT=5;BYDAY=MO
%sEND:VEVENT
"""
MOVED = """BEGIN:VEVENT
UID:uid-1@example.org
DTSTAMP:20260301T000000Z
RECURRENCE-ID;TZID=Europe/Berlin:20260316T090000
SUMMARY:Moved
DTSTART;TZID=Europe/Berlin:20260317T120000
DTEND;TZID=Europe/Berlin:20260317T130000
END:VEVENT
"""
CARD = """BEGIN:VCARD
VERSION:3.0
UID:card-1
FN:J Doe
N:Doe;J;;;
ORG:C
EMAIL;TYPE=WORK:j@d.example
TEL;TYPE=CELL:1
ADR;TYPE=HOME:;;s;c;;1;x
BDAY:1950-01-02
NOTE:note
END:VCARD
"""


def calendar(*parts):
    return ("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n" + ZONE + "".join(parts) +
            "END:VCALENDAR\n").replace("\n", "\r\n")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class DavMail:
    """A running DavMail before the rig's server."""

    def __init__(self, rig, path):
        self.imap_port, self.dav_port = free_port(), free_port()
        config = os.path.join(path, "davmail.properties")
        with open(config, "w") as f:
            f.write(PROPERTIES % (rig.port, self.imap_port, self.dav_port, os.path.join(path, "davmail.log")))
        self.out = open(os.path.join(path, "out"), "wb")
        self.process = subprocess.Popen(["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar", JAR, "-server", config],
                                        stdout=self.out, stderr=subprocess.STDOUT)
        end = time.monotonic() + 60
        for port in (self.imap_port, self.dav_port):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    assert time.monotonic() < end and self.process.poll() is None
                    time.sleep(0.2)

    def imap(self):
        m = imaplib.IMAP4("127.0.0.1", self.imap_port)
        m.login(BOX, PASSWORD)
        return m

    def dav(self, method, path, body=None, **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.dav_port, timeout=60)
        auth = base64.b64encode(("%s:%s" % (BOX, PASSWORD)).encode()).decode()
        c.request(method, "/users/%s/%s" % (BOX, path), body, {"Authorization": "Basic " + auth, **headers})
        r = c.getresponse()
        data = r.read().decode()
        c.close()
        return r.status, data

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.out.close()


@pytest.fixture
def davmail(rig, tmp_path):
    if not os.path.exists(JAR) or not shutil.which("java"):
        pytest.skip("davmail is not installed")
    rig.control("user", login=BOX, password=PASSWORD, address=BOX)
    d = DavMail(rig, str(tmp_path))
    yield d
    d.stop()


def stored(rig, folder):
    return rig.control("read", mailbox=BOX, folder=folder)["items"]


def test_imap(davmail, rig):
    m = davmail.imap()
    assert m.create("Projects")[0] == "OK"
    when = imaplib.Time2Internaldate(1772442005)
    assert m.append("INBOX", "(\\Seen)", when, message("One"))[0] == "OK"
    assert m.append("INBOX", "()", when, message("Two"))[0] == "OK"
    m.select("INBOX")
    text = m.fetch("1", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
    assert b'FLAGS (\\Seen) INTERNALDATE "02-Mar-2026 09:00:05 +0000"' in text[0][0]
    assert b"Subject: One\r\n" in text[0][1] and text[0][1].endswith(b"\r\n\r\nSome text.\r\n")
    m.store("1", "+FLAGS", "(\\Flagged \\Answered)")
    m.store("2", "+FLAGS", "(\\Seen Blue)")
    assert m.copy("1", "Projects")[0] == "OK"
    m.select("Projects")
    assert b"\\Seen \\Flagged \\Answered" in m.fetch("1", "(FLAGS)")[1][0]
    m.store("1", "+FLAGS", "(\\Deleted)")
    m.expunge()
    assert m.select("INBOX")[1] == [b"2"]
    assert m.search(None, "SUBJECT", "Two")[1] == [b"2"]
    m.logout()
    one, two = stored(rig, "inbox")
    assert not one["draft"] and one["props"]["DateTimeReceived"] == "2026-03-02T09:00:05Z"
    assert one["props"]["Flag"] == [["FlagStatus", {}, "Flagged"]]
    assert two["props"]["Categories"] == [["String", {}, "Blue"]] and two["read"]
    assert stored(rig, "Projects") == [] and rig.failures() == []


def test_caldav(davmail, rig):
    path, kind = "calendar/uid-1%40example.org.ics", {"Content-Type": "text/calendar"}
    assert davmail.dav("PUT", path, calendar(MASTER % ("Weekly", "")), **kind)[0] == 201
    event, = stored(rig, "calendar")
    assert event["props"]["UID"] == "uid-1@example.org" and event["props"]["Start"] == "2026-03-02T08:00:00Z"
    assert event["series"] == {"kind": "WeeklyRecurrence", "deleted": [], "exceptions": {},
                               "zone": "W. Europe Standard Time"}
    # The second time it walks the occurrences by index, deletes one and changes another.
    gone = "EXDATE:20260309T080000Z\n"
    status, _ = davmail.dav("PUT", path, calendar(MASTER % ("Changed", gone), MOVED), **kind)
    assert status in (200, 204)
    event, = stored(rig, "calendar")
    assert event["props"]["Subject"] == "Changed" and event["series"]["deleted"] == ["2026-03-09"]
    assert "Start" in event["series"]["exceptions"]["2026-03-16"]
    text = davmail.dav("GET", path)[1].replace("\r\n", "\n")
    assert "RRULE:FREQ=WEEKLY;" in text and "SUMMARY:Moved" in text.replace(";LANGUAGE=en-US", "")
    assert text.count("BEGIN:VEVENT") == 2 and "20260317T120000" in text
    ask = '<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:getetag/></D:prop></D:propfind>'
    assert davmail.dav("PROPFIND", "calendar/", ask, Depth="1")[1].count("<D:response>") == 2
    assert davmail.dav("DELETE", path)[0] in (200, 204)
    assert stored(rig, "calendar") == []


def test_carddav(davmail, rig):
    path = "contacts/card-1.vcf"
    assert davmail.dav("PUT", path, CARD.replace("\n", "\r\n"), **{"Content-Type": "text/vcard"})[0] == 201
    text = davmail.dav("GET", path)[1].split("\r\n")
    for line in ("FN:J Doe", "N:Doe;J;;;", "TEL;TYPE=cell:1", "ADR;TYPE=home:;;s;c;;1;x", "EMAIL;TYPE=work:j@d.example",
                 "NOTE:note", "BDAY:1950-01-02"):
        assert line in text, text
    card, = stored(rig, "contacts")
    assert card["props"]["PhoneNumbers"] == [["Entry", {"Key": "MobilePhone"}, "1"]]
    more = CARD.replace("TEL;TYPE=CELL:1", "TEL;TYPE=CELL:2").replace("ADR;TYPE=HOME:;;s;c;;1;x\n", "")
    assert davmail.dav("PUT", path, more.replace("\n", "\r\n"), **{"Content-Type": "text/vcard"})[0] < 300
    card, = stored(rig, "contacts")
    assert card["props"]["PhoneNumbers"][0][2] == "2" and "PhysicalAddresses" not in card["props"]
    photo = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    with_photo = CARD.replace("NOTE:", "PHOTO;ENCODING=b;TYPE=PNG:%s\nNOTE:" % photo)
    assert davmail.dav("PUT", path, with_photo.replace("\n", "\r\n"), **{"Content-Type": "text/vcard"})[0] < 300
    card, = stored(rig, "contacts")
    # it makes a JPEG of it
    assert [(a["photo"], a["name"]) for a in card["attachments"]] == [(True, "ContactPicture.jpg")]
    assert card["attachments"][0]["content"][:1000].replace("\r\n", "") in davmail.dav("GET", path)[1].replace("\r\n ", "")
    assert davmail.dav("DELETE", path)[0] in (200, 204)
    assert stored(rig, "contacts") == [] and rig.failures() == []
