"""CalDAV and CardDAV over TLS: a server that is not who it says gets no byte of a request, let alone a password; and
nobody leads the password elsewhere.
"""

import base64
import os

import pytest

import product
import records
from records import calendar, card, event
from servers.scripted import PlainWitness, TlsHttp, TlsWitness

pytestmark = pytest.mark.product

USER, PASSWORD = "u@right.example", "Gehe1m-und-lang"
BASIC = base64.b64encode(("%s:%s" % (USER, PASSWORD)).encode())
TLS_FAILED, NOT_UNDERSTOOD = "0x81010012", "0x81010013"


@pytest.fixture(params=("CalDAV", "CardDAV"))
def what(request):
    return request.param


def config_for(directory, what, url, ca):
    """Disk on the left, with something that would be written; nothing but that one service on the right."""
    config = product.Config(directory)
    config.local("left", os.path.join(directory, "disk"))
    disk = records.VdirBox(os.path.join(directory, "disk", "u@left.example"))
    kind, text = ("events", calendar(event("e"))) if what == "CalDAV" else ("contacts", card("c"))
    disk.make(kind, "Team")
    disk.add(kind, "Team", text)
    config.endpoints["right"] = '<endpoint name="right" type="imap">%s<%s>%s</%s></endpoint>' % (
        "<CAFile>%s</CAFile>" % ca if ca else "", what, url, what)
    config.pairing("p", config.mailbox("left", "u@left.example"),
                   config.mailbox("right", USER, login=USER, password=PASSWORD))
    config.disk = disk
    return config.write()


def refused(config, code):
    """The pass fails, status says why and what to do, nothing changes on disk, and the password is nowhere."""
    before = config.disk.read()
    r = config.once()
    assert r.rc == 1, "%s\n%s" % (r, config.log())
    row = config.pairing_status("p")
    assert (row["result"], row["status"]) == ("failed", "Failure"), row
    assert row["code"] == code, row
    assert row["reason"] and row["remedy"], row
    assert config.disk.read() == before
    said = config.log() + r.out + r.err + config.ctl("status", "--json").out
    assert PASSWORD not in said and BASIC.decode() not in said
    return row


@pytest.mark.parametrize("which,why", (
    ("expired", "expired"), ("notyet", "not yet valid"), ("wrongname", "name"), ("selfsigned", "self-signed"),
    ("stranger", "issuer")))
def test_bad_certificate_gets_no_byte(directory, certs, what, which, why):
    with TlsWitness(getattr(certs, which), greeting=b"") as w:
        config = config_for(directory, what, "https://127.0.0.1:%d/" % w.port, certs.ca)
        row = refused(config, TLS_FAILED)
        assert w.accepted >= 1
        assert w.inside == b"", w.inside
        assert why in row["reason"], row


def test_without_the_authority_nothing_is_trusted(directory, certs, what):
    """No CAFile: the system's store, which does not know the test authority."""
    with TlsWitness(certs.good, greeting=b"") as w:
        config = config_for(directory, what, "https://127.0.0.1:%d/" % w.port, None)
        refused(config, TLS_FAILED)
        assert w.accepted >= 1 and w.inside == b""


def test_good_certificate_gets_the_request(directory, certs, what):
    """The counterpart: the witnesses would have seen it, and the password with it."""
    with TlsHttp(certs.good, "401 Unauthorized", 'WWW-Authenticate: Basic realm="x"\r\n') as s:
        config = config_for(directory, what, "https://127.0.0.1:%d/" % s.port, certs.ca)
        r = config.once()
        assert r.rc == 1 and config.pairing_status("p")["code"] == "0x80040111", config.log()
        assert any(BASIC in head for head in s.heads), s.heads


@pytest.mark.parametrize("host", ("dav.example.com", "192.0.2.1", "127.evil.example"))
def test_clear_text_only_on_this_machine(directory, what, host):
    config = config_for(directory, what, "http://%s/dav/" % host, None)
    for r in (config.ctl("check-config"), config.once()):
        assert r.rc == 2 and "mailshadow.xml:" in r.err and "https://" in r.err, r


@pytest.mark.parametrize("status", ("301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent"))
def test_no_redirect_from_https_to_http(directory, certs, what, status):
    """Not even to the same host and port: what is asked for in clear text would carry the password."""
    with PlainWitness() as plain, TlsHttp(certs.good, status, "Location: http://127.0.0.1:%d/dav/\r\n" % plain.port) as s:
        config = config_for(directory, what, "https://127.0.0.1:%d/" % s.port, certs.ca)
        row = refused(config, NOT_UNDERSTOOD)
        assert s.heads and plain.accepted == 0 and plain.seen == b""
        assert "http://127.0.0.1" in row["reason"], row


def test_no_redirect_to_another_host(directory, certs, what):
    """Its certificate is good: it is another server all the same, and was not given the password."""
    with TlsWitness(certs.good, greeting=b"") as other, \
            TlsHttp(certs.good, "302 Found", "Location: https://localhost:%d/dav/\r\n" % other.port) as s:
        config = config_for(directory, what, "https://127.0.0.1:%d/" % s.port, certs.ca)
        row = refused(config, NOT_UNDERSTOOD)
        assert s.heads and other.accepted == 0 and other.inside == b""
        assert "localhost" in row["reason"], row


HOMES = """<?xml version="1.0"?><D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"
xmlns:A="urn:ietf:params:xml:ns:carddav"><D:response><D:href>/</D:href><D:propstat><D:prop>
<C:calendar-home-set><D:href>%s</D:href></C:calendar-home-set><A:addressbook-home-set><D:href>%s</D:href>
</A:addressbook-home-set></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"""


@pytest.mark.parametrize("scheme", ("https", "http"))
def test_no_home_on_another_host(directory, certs, what, scheme):
    """Discovery does not lead there either."""
    with (TlsWitness(certs.good, greeting=b"") if scheme == "https" else PlainWitness()) as other:
        url = "%s://localhost:%d/home/" % (scheme, other.port)
        with TlsHttp(certs.good, "207 Multi-Status", "Content-Type: application/xml\r\n",
                     (HOMES % (url, url)).encode()) as s:
            config = config_for(directory, what, "https://127.0.0.1:%d/" % s.port, certs.ca)
            before = config.disk.read()
            r = config.once()
            assert r.rc in (1, 2), r
            row = config.pairing_status("p")
            assert row["status"] == "Failure" and url in row["reason"] and row["remedy"], row
            assert s.heads and other.accepted == 0
            assert config.disk.read() == before
