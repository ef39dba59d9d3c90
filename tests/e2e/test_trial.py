"""mailshadow test: each step into a side, where it ends, and what to do then."""

import corpus
import pytest

from servers import dovecot
from servers.exchange import Exchange, PASSWORD, SERVICE
from servers.scripted import TlsWitness

pytestmark = pytest.mark.product


def steps(document, side):
    """{step: ok} of a side, in their order."""
    found = next(s for s in document["sides"] if s["side"] == side)
    return {s["step"]: s["ok"] for s in found["steps"]}, found["steps"][-1]


def test_all_is_well(make):
    pair = make.pair("local-imap")
    pair.left.put(corpus.one(1, size=300))
    pair.settle()
    r = pair.config.ctl("test", "p", "--json")
    assert r.rc == 0, r
    doc = r.json()
    assert doc["ok"] and [s["endpoint"] for s in doc["sides"]] == ["left", "right"]
    assert list(steps(doc, "left")[0]) == ["mailbox", "folders", "read"]
    assert list(steps(doc, "right")[0]) == ["connect", "tls", "logon", "mailbox", "folders", "read"]
    assert all(all(steps(doc, s)[0].values()) for s in ("left", "right"))
    text = pair.config.ctl("test", "p")
    assert text.rc == 0 and "5 folders: 5 mail" in text.out and text.out.splitlines()[-1].startswith("test: p: ok"), text
    pair.once()
    assert pair.status()["result"] == "ok"
    pair.close()


def test_an_endpoint_by_its_name(make):
    pair = make.pair("local-imap")
    doc = pair.config.ctl("test", "right", "--json").json()
    assert [s["side"] for s in doc["sides"]] == ["right"]
    r = pair.config.ctl("test", "rigth")
    assert r.rc == 3, r
    pair.close()


def test_before_the_first_pass_and_beside_a_service(make):
    """It makes nothing on either side, and nothing of it stands in the schedule."""
    pair = make.pair("local-imap")
    pair.left.put(corpus.one(1, size=300))
    assert pair.config.ctl("test", "p").rc == 0
    assert pair.right.read().count() == 0
    pair.settle()
    with pair.config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["result"] == "ok")
        before = pair.status()
        assert pair.config.ctl("test", "p").rc == 0
        after = pair.status()
        assert (before["result"], before["lastUpdated"]) == (after["result"], after["lastUpdated"])
    pair.close()


def test_a_wrong_password_is_not_held_against_the_pairing(make):
    pair = make.pair("local-imap")
    server = pair.right.server
    pair.config.imap("right", server.tls_port, ca=make.servers.certs.ca, login=server.master, password="wrong")
    pair.config.write()
    for _ in range(3):
        r = pair.config.ctl("test", "p", "--json")
        assert r.rc == 1, r
    doc = r.json()
    ways, last = steps(doc, "right")
    assert ways == {"connect": True, "tls": True, "logon": False} and last["code"] == "MAPI_E_LOGON_FAILED"
    assert "LoginName" in last["remedy"]
    assert all(steps(doc, "left")[0].values())
    assert "wrong" not in r.out
    assert pair.config.pairing_status("p")["status"] != "Failure"
    pair.config.imap("right", server.tls_port, ca=make.servers.certs.ca, login=server.master,
                     password=dovecot.MASTER_PASSWORD)
    pair.config.write()
    pair.settle()
    pair.close()


def test_nobody_there(make):
    pair = make.pair("local-imap", right={"port": 9, "tls": "none"})
    r = pair.config.ctl("test", "p")
    assert r.rc == 1 and "connect  FAILED  E_NET" in r.out and r.out.splitlines()[-1] == "test: p: FAILED", r
    pair.close()


def test_a_certificate_that_is_not_good(make, certs):
    with TlsWitness(certs.selfsigned) as w:
        pair = make.pair("local-imap", right={"port": w.port})
        ways, last = steps(pair.config.ctl("test", "p", "--json").json(), "right")
        assert ways == {"connect": True, "tls": False} and last["code"] == "E_TLS"
        assert w.inside == b""
        pair.close()


def test_exchange_tells_which_right_is_missing(make):
    exchange = Exchange()
    try:
        exchange.box("anna@corp.example")
        config = make.config()
        secret = config.secret("exchange", PASSWORD)
        config.endpoints["corp"] = (
            '<endpoint name="corp" type="exchange"><LoginName>%s</LoginName><Password file="%s"/>'
            "<FrontEnd>%s</FrontEnd></endpoint>" % (SERVICE, secret, exchange.url))
        _, right = make.box(config, "right", "local")
        config.pairing("p", config.mailbox("corp", "anna@corp.example"), right)
        config.write()
        doc = config.ctl("test", "corp", "--json").json()
        assert doc["ok"] and "calendar" in str(doc).lower(), doc
        found = next(s for s in doc["sides"][0]["steps"] if s["step"] == "autodiscover")
        assert "inside " + exchange.url in found["what"] and "configured" not in found["what"], found
        assert "/autodiscover.xml: inside" in found["what"], found

        def advice():
            doc = config.ctl("test", "corp", "--json").json()
            return next(s for s in doc["sides"][0]["steps"] if s["step"] == "autodiscover")["what"]
        exchange.ask("settings", absent=["/autodiscover/autodiscover.xml"])
        assert "/autodiscover.svc: inside %s outside %s" % (exchange.url, exchange.url) in advice()
        exchange.ask("settings", leads_to="anna@elsewhere.example")
        assert "leads to anna@elsewhere.example" in advice()
        exchange.ask("settings", leads_to=None, absent=["/autodiscover/autodiscover.xml", "/autodiscover/autodiscover.svc"])
        assert "autodiscover.svc answered 404" in advice()
        exchange.ask("settings", absent=[])
        exchange.ask("user", login=SERVICE, password=PASSWORD)
        r = config.ctl("test", "corp", "--json")
        ways, last = steps(r.json(), "left")
        assert r.rc == 1 and not last["ok"] and list(ways) == ["connect", "logon"], r
        assert "ApplicationImpersonation" in last["reason"] + last["remedy"], last
    finally:
        exchange.stop()
