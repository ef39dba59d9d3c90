"""Logons and TLS: who gets the password, and who does not."""

import os
import re
import time

import pytest

import corpus
from servers import dovecot
from servers.oauth import Introspection
from servers.scripted import ImapStub, TlsWitness, plain_token

pytestmark = pytest.mark.product

SECRET = "Gehe1m-und-lang"


def config_for(make, port, tls, **how):
    config = make.config()
    box, left = make.box(config, "left", "local")
    box.put(corpus.one(1, size=300))
    config.imap("right", port, ca=None if tls == "none" else make.servers.certs.ca, tls=tls,
                login="svc-right", password=SECRET, **how)
    config.pairing("p", left, config.mailbox("right", "u@right.example"))
    return config.write()


@pytest.mark.parametrize("login", ("service", "own"))
@pytest.mark.parametrize("tls", ("implicit", "starttls", "none"))
def test_ways_in(make, login, tls):
    """A service account with an authorization identity, or the mailbox's own password."""
    pair = make.pair("local-imap", right={"login": login, "tls": tls})
    pair.left.put(corpus.one(1, size=300))
    pair.settle()
    assert pair.right.read().count() == 1
    pair.close()


def test_by_name_not_by_number(make):
    pair = make.pair("local-imap", right={"server": None})
    server = pair.right.server
    pair.config.imap("right", server.tls_port, ca=make.servers.certs.ca, server="localhost",
                     login=server.master, password=dovecot.MASTER_PASSWORD)
    pair.config.write()
    pair.left.put(corpus.one(1, size=300))
    pair.settle()
    pair.close()


@pytest.mark.parametrize("starttls", (False, True), ids=("implicit", "starttls"))
@pytest.mark.parametrize("which", ("expired", "notyet", "wrongname", "selfsigned", "stranger"))
def test_bad_certificate_gets_no_byte(make, certs, which, starttls):
    with TlsWitness(getattr(certs, which), starttls=starttls) as w:
        config = config_for(make, w.port, "starttls" if starttls else "implicit")
        r = config.once()
        assert r.rc == 1, r
        assert w.accepted >= 1
        assert w.inside == b""
        assert not re.search(rb"LOGIN|AUTHENTICATE", w.plain, re.I)
        assert SECRET.encode() not in w.plain and plain_token("svc-right", SECRET)[:12] not in w.plain
        row = config.pairing_status("p")
        assert (row["result"], row["code"], row["status"]) == ("failed", "0x81010012", "Failure"), row


def test_good_certificate_gets_the_logon(make, certs):
    """The counterpart: the witness would have seen it."""
    with TlsWitness(certs.good) as w:
        config = config_for(make, w.port, "implicit")
        config.gateway["LogLevel"] = "info"
        d = config.daemon()
        try:
            for _ in range(100):
                if w.inside:
                    break
                time.sleep(0.05)
            assert w.handshakes >= 1 and w.inside
        finally:
            d.kill()


def test_without_the_authority_nothing_is_trusted(make, certs, servers):
    """No CAFile: the system's store, which does not know the test authority."""
    with TlsWitness(certs.good) as w:
        config = config_for(make, w.port, "implicit")
        config.imap("right", w.port, tls="implicit", login="svc-right", password=SECRET)
        config.write()
        assert config.once().rc == 1
        assert w.inside == b""
        assert config.pairing_status("p")["code"] == "0x81010012"


def test_starttls_that_is_not_offered(make):
    """A server without STARTTLS is not talked to in clear text."""
    with ImapStub(capabilities="") as stub:
        config = config_for(make, stub.port, "starttls")
        assert config.once().rc == 1
        assert stub.logins == 0
        assert not any(re.search(r"LOGIN|AUTHENTICATE", x, re.I) for x in stub.lines)


def test_starttls_injection(make, certs):
    """What was said in clear text before the handshake is not believed after it."""
    with TlsWitness(certs.good, starttls=True,
                    inject=b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nA2 OK\r\na2 OK\r\n") as w:
        config = config_for(make, w.port, "starttls")
        config.gateway["ProgressTimeout"] = "3s"
        d = config.daemon()
        try:
            time.sleep(1.5)
        finally:
            d.kill()
        # Refused at once, or asked anew inside; never a logon on the strength of the injected text.
        first = w.inside.split(b"\r\n")[0]
        assert first == b"" or b"CAPABILITY" in first.upper(), first


def test_clear_text_only_on_loopback(make):
    config = config_for(make, 143, "none")
    config.imap("right", 143, tls="none", server="imap.example.com", login="svc-right", password=SECRET)
    config.write()
    r = config.ctl("check-config")
    assert r.rc == 2 and "mailshadow.xml:" in r.err, r
    assert config.once().rc == 2


@pytest.mark.parametrize("login", ("service", "own"))
def test_wrong_password(make, login):
    pair = make.pair("local-imap", right={"login": login})
    name = "right" if login == "service" else "own-right-" + pair.right.user
    pair.config.secret(name, "wrong")
    pair.left.put(corpus.one(1, size=300))
    pair.once(rc=1)
    row = pair.status()
    assert (row["result"], row["code"]) == ("logon-failed", "0x80040111"), row
    assert row["status"] == "Failure" and row["reason"] and row["remedy"], row
    pair.config.secret(name, dovecot.MASTER_PASSWORD if login == "service" else dovecot.PASSWORD)
    pair.settle()
    assert pair.status()["status"] == "Success"
    pair.close()


def test_a_refused_password_is_tried_once(make):
    """Not by PLAIN and then by LOGIN again: that locks accounts."""
    with ImapStub(login="NO [AUTHENTICATIONFAILED] no") as stub:
        config = config_for(make, stub.port, "none")
        assert config.once().rc == 1
        assert stub.logins == 1
        assert config.pairing_status("p")["code"] == "0x80040111"


def test_unavailable_is_not_a_refusal(make):
    """[UNAVAILABLE]: the server's user database is down; nobody's password is wrong."""
    with ImapStub(login="NO [UNAVAILABLE] try later") as stub:
        config = config_for(make, stub.port, "none")
        assert config.once().rc == 1
        row = config.pairing_status("p")
        assert row["result"] == "failed" and row["code"] != "0x80040111", row


@pytest.mark.parametrize("password", ('with "quotes"', "back\\slash", "ümläut", " blanks ", "a" * 200, "{5}"))
def test_passwords_with_hard_characters(make, password):
    with ImapStub() as stub:
        config = config_for(make, stub.port, "none")
        config.secret("right", password)
        config.once()
        sent = [x for x in stub.lines if re.search(r"AUTHENTICATE PLAIN \S", x, re.I)]
        if sent:
            want = plain_token("svc-right", password, "u@right.example").decode()
            assert sent[0].endswith(want), sent[0]
        assert stub.logins >= 1


def test_newline_at_the_end_of_a_secret_file(make):
    """Editors add one; it is not part of the password."""
    pair = make.pair("local-imap")
    pair.config.secret("right", dovecot.MASTER_PASSWORD + "\n")
    pair.settle()
    pair.close()


@pytest.mark.parametrize("mode", (0o644, 0o640, 0o604, 0o666))
def test_secret_file_that_others_can_read(make, mode):
    config = config_for(make, 9, "none")
    os.chmod(os.path.join(config.dir, "secrets", "right"), mode)
    r = config.once()
    assert r.rc in (1, 2), r
    assert "secrets/right" in r.err + config.log()


def test_no_secret_anywhere(make):
    """Neither in logs at the most talkative level, nor in status, plan, state or print-config."""
    pair = make.pair("local-imap", gateway={"LogLevel": "debug", "PrintConfiguration": 1})
    m = corpus.one(1, what="raw-utf8", size=2000)
    pair.left.put(m)
    pair.settle()
    seen = pair.config.log() + pair.config.ctl("status", "--json").out + pair.config.ctl("print-config").out
    assert "p" in seen and len(seen) > 200
    assert dovecot.MASTER_PASSWORD not in seen
    assert plain_token(pair.right.server.master, dovecot.MASTER_PASSWORD, pair.right.user).decode() not in seen
    assert "Grüße" not in seen
    line = [x for x in m.body.split(b"\r\n") if len(x) > 40][-1].decode()
    assert line not in seen
    for base, _, files in os.walk(pair.config.state):
        for f in files:
            with open(os.path.join(base, f), "rb") as h:
                assert dovecot.MASTER_PASSWORD.encode() not in h.read()
    pair.close()


def test_pending_credentials(make):
    """A mailbox that nobody can log on to is named and skipped; the others run."""
    pair = make.pair("local-imap")
    pair.left.put(corpus.one(1, size=300))
    pair.config.imap("bare", pair.right.server.tls_port, ca=make.servers.certs.ca)
    path = os.path.join(make.directory, "mail-other")
    os.makedirs(path)
    pair.config.local("other", path)
    pair.config.pairing("q", pair.config.mailbox("other", "q@left.example"),
                        pair.config.mailbox("bare", "q@right.example"))
    pair.config.write()
    pair.close()
    r = pair.config.once()
    assert r.rc == 0 and "q" in r.err + r.out, r
    assert pair.config.pairing_status("q")["state"] == "Pending Credentials"
    assert pair.status()["status"] == "Success"
    assert pair.right.read().count() == 1
    pair.close()


def test_xoauth2(base, certs, make):
    """Bearer tokens: Dovecot takes them; who gives them to the worker comes later."""
    pytest.skip("no source of tokens is built yet: the worker's token function is empty")
    with Introspection() as tokens:
        tokens.tokens["t"] = "u@right.example"
        with dovecot.Dovecot(os.path.join(base, "oauth2"), certs.good, oauth_url=tokens.url) as d:
            config = config_for(make, d.tls_port, "implicit", Auth="xoauth2")
            assert config.once().rc == 0
