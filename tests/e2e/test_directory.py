"""mailshadow addresses: the mailboxes of an organisation, from LDAP (a real slapd) or by ResolveNames."""

import os
import socket
import ssl
import threading

import pytest

from servers import slapd
from servers.exchange import Exchange, PASSWORD as EWS_PASSWORD, SERVICE
from servers.proxy import Proxy
from servers.scripted import TlsWitness

pytestmark = [pytest.mark.product,
              pytest.mark.skipif(not slapd.present(), reason="slapd is not installed (scripts/bootstrap tests)")]

USERS = 1203
SEARCH, BIND = '(?i)SRCH base="dc=', '(?i)BIND dn="cn=svc-mail[^\n]* method=128'


def entries():
    for n in range(USERS):
        yield slapd.person("User %04d" % n, proxyAddresses=["smtp:u%d@old.example" % n, "SMTP:user.%04d@corp.example" % n,
                                                            "X400:C=DE;O=corp", "sip:u%d@corp.example" % n],
                           msExchRecipientTypeDetails=None if n == 7 else "1")
    yield slapd.person("Room A", msExchRecipientTypeDetails="16", userAccountControl="514")
    yield slapd.person("Team", msExchRecipientTypeDetails="4", userAccountControl="514")
    yield slapd.person("Old Server", msExchMailboxGuid=None, homeMDB="CN=Store")
    yield slapd.person("Hidden", msExchHideFromAddressLists="TRUE")
    yield slapd.person("Left", userAccountControl="514")
    yield slapd.person("Arbiter", msExchRecipientTypeDetails="8388608")
    yield slapd.person("Cloud", msExchRecipientTypeDetails="2147483648")
    # these have no mailbox
    yield slapd.person("Contact", msExchMailboxGuid=None)
    yield slapd.person("Account", mailNickname=None)
    yield slapd.person("Nobody", mail=None)


@pytest.fixture(scope="module")
def directory_server(base, certs):
    s = slapd.Slapd(os.path.join(base, "slapd"), certs.good, entries()).start()
    yield s
    s.stop()


def config_for(make, url, certs, login=slapd.ADMIN, password=slapd.PASSWORD, inner=""):
    """An Exchange that nobody answers for: the directory is all that is asked."""
    config = make.config()
    config.endpoints["corp"] = (
        '<endpoint name="corp" type="exchange"><LoginName>svc@corp.example</LoginName><Password file="%s"/>'
        "<Server>127.0.0.1</Server><Port>9</Port><CAFile>%s</CAFile><Directory>%s</Directory>"
        '<DirectoryLogin>%s</DirectoryLogin><DirectoryPassword file="%s"/>%s</endpoint>' % (
            config.secret("exchange", "not for the directory"), certs.ca, url, login,
            config.secret("directory", password), inner))
    _, right = make.box(config, "right", "local")
    config.pairing("p", config.mailbox("corp", "anna@corp.example"), right)
    return config.write()


@pytest.mark.parametrize("way", ("ldaps", "ldap"))
def test_all_of_them_in_pages(make, certs, directory_server, way):
    s = directory_server
    url = "%s://127.0.0.1:%d" % (way, s.tls_port if way == "ldaps" else s.port)
    config = config_for(make, url, certs)
    searches, binds = s.count(SEARCH), s.count(BIND)
    r = config.ctl("addresses", "corp", "--json")
    assert r.rc == 0, "%s\n%s" % (r, config.log())
    doc = r.json()
    assert (doc["version"], doc["endpoint"], doc["source"], doc["complete"], doc["lacking"]) == (1, "corp", url, True, None)
    by = {a["address"]: a for a in doc["addresses"]}
    assert len(by) == len(doc["addresses"]) == USERS + 7, len(by)
    assert by["user.0012@corp.example"] == {
        "address": "user.0012@corp.example", "name": "User 0012", "login": "user.0012@corp.example", "type": "user",
        "hidden": False, "disabled": False, "aliases": ["u12@old.example"]}
    kinds = {n: by["%s@corp.example" % n]["type"] for n in ("user.0007", "room.a", "team", "old.server", "arbiter", "cloud")}
    assert kinds == {"user.0007": "user", "room.a": "room", "team": "shared", "old.server": "user", "arbiter": "system",
                     "cloud": "remote"}
    assert by["hidden@corp.example"]["hidden"] and by["left@corp.example"]["disabled"]
    assert s.count(SEARCH) - searches == 3             # pages of 500
    assert s.count(BIND) - binds == 1
    assert s.count("STARTTLS") > 0 or way == "ldaps"
    said = config.log() + r.out + r.err
    assert slapd.PASSWORD not in said and "not for the directory" not in said


def test_as_people_read_it(make, certs, directory_server):
    config = config_for(make, "ldaps://127.0.0.1:%d" % directory_server.tls_port, certs)
    r = config.ctl("addresses", "corp")
    lines = r.out.splitlines()
    assert r.rc == 0 and lines[0].split() == ["ADDRESS", "NAME", "TYPE", "LOGIN", "ALIASES"], r
    assert lines[-1] == ("addresses: corp: %d mailboxes, by ldaps://127.0.0.1:%d; 1 of the system not shown (--all); 1 of "
                         "disabled accounts not shown (--all); 1 hidden from address lists not shown (--all)" % (
                             USERS + 4, directory_server.tls_port))
    assert "hidden@corp.example" not in r.out and "room.a@corp.example" in r.out
    assert "hidden@corp.example" in config.ctl("addresses", "corp", "--all").out
    assert config.ctl("addresses", "crop").rc == 3
    assert config.ctl("addresses", "right").rc == 1
    # beside a service, and nothing of it stands in the schedule
    with config.daemon() as d:
        d.wait_ready()
        assert config.ctl("addresses", "corp", "--json").json()["complete"]


def test_a_part_of_the_tree(make, certs, directory_server):
    config = config_for(make, "ldaps://127.0.0.1:%d" % directory_server.tls_port, certs,
                        inner="<DirectoryBase>OU=Service,%s</DirectoryBase>" % slapd.BASE)
    assert config.ctl("addresses", "corp", "--json").json()["addresses"] == []
    config = config_for(make, "ldaps://127.0.0.1:%d" % directory_server.tls_port, certs,
                        inner="<DirectoryBase>OU=Nowhere,%s</DirectoryBase>" % slapd.BASE)
    r = config.ctl("addresses", "corp", "--json")
    assert r.rc == 1 and "No such object" in r.err, r


def test_a_wrong_password(make, certs, directory_server):
    config = config_for(make, "ldaps://127.0.0.1:%d" % directory_server.tls_port, certs, password="falsch-99")
    r = config.ctl("addresses", "corp", "--json")
    assert r.rc == 1 and "the logon: Invalid credentials" in r.err and r.out == "", r
    assert "falsch-99" not in r.err + config.log()
    assert config.pairing_status("p")["status"] != "Failure"


@pytest.mark.parametrize("which", ("expired", "wrongname", "selfsigned", "stranger"))
def test_no_password_to_a_certificate_that_is_not_good(make, certs, which):
    with TlsWitness(getattr(certs, which), greeting=b"") as w:
        r = config_for(make, "ldaps://127.0.0.1:%d" % w.port, certs).ctl("addresses", "corp")
        assert r.rc == 1 and "certificate" in r.err.lower(), r
        assert w.inside == b""


class StartTls(threading.Thread):
    """Answers StartTLS as it is told, then shakes hands; what comes before and after is kept."""

    GOOD = bytes.fromhex("300c02010178070a010004000400")

    def __init__(self, pair, answer=GOOD, inject=b""):
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.cert, pair.key)
        self.answer, self.inject, self.plain, self.inside = answer, inject, b"", b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        peer, _ = self.listener.accept()
        peer.settimeout(10)
        try:
            self.plain += peer.recv(4096)
            peer.sendall(self.answer + self.inject)
            tls = self.context.wrap_socket(peer, server_side=True)
            self.inside += tls.recv(4096)
        except OSError:
            pass
        peer.close()


@pytest.mark.parametrize("which", ("wrongname", "stranger"))
def test_starttls_with_a_certificate_that_is_not_good(make, certs, which):
    w = StartTls(getattr(certs, which))
    r = config_for(make, "ldap://127.0.0.1:%d" % w.port, certs).ctl("addresses", "corp")
    w.join(10)
    assert r.rc == 1 and "certificate" in r.err.lower(), r
    assert b"1.3.6.1.4.1.1466.20037" in w.plain and slapd.PASSWORD.encode() not in w.plain and w.inside == b""


def test_what_is_said_before_starttls_is_believed_by_nobody(make, certs):
    bind_ok = bytes.fromhex("300c02010261070a010004000400")
    w = StartTls(certs.good, inject=bind_ok)
    r = config_for(make, "ldap://127.0.0.1:%d" % w.port, certs).ctl("addresses", "corp")
    w.join(10)
    assert r.rc == 1 and slapd.PASSWORD.encode() not in w.plain + w.inside, r


def test_a_directory_without_tls_gets_no_password(make, certs, base):
    s = slapd.Slapd(os.path.join(base, "slapd-plain"), certs.good, (), tls=False).start()
    try:
        r = config_for(make, "ldap://127.0.0.1:%d" % s.port, certs).ctl("addresses", "corp")
        assert r.rc == 1 and "StartTLS" in r.err, r
        assert s.count(" BIND") == 0, s.said()
    finally:
        s.stop()


def test_a_list_that_breaks_off_is_no_list(make, certs, directory_server):
    with Proxy(directory_server.tls_port) as p:
        p.cut_after(60000)
        r = config_for(make, "ldaps://127.0.0.1:%d" % p.port, certs).ctl("addresses", "corp", "--json")
        assert p.cuts == 1 and r.rc == 1 and r.out == "" and "the search" in r.err, r


# --- by ResolveNames ---

@pytest.fixture
def exchange():
    e = Exchange()
    yield e
    assert e.failures() == []
    e.stop()


def exchange_config(make, exchange, password=EWS_PASSWORD):
    config = make.config()
    config.endpoints["corp"] = (
        '<endpoint name="corp" type="exchange"><LoginName>%s</LoginName><Password file="%s"/><FrontEnd>%s</FrontEnd>'
        "</endpoint>" % (SERVICE, config.secret("exchange", password), exchange.url))
    _, right = make.box(config, "right", "local")
    config.pairing("p", config.mailbox("corp", "anna@corp.example"), right)
    return config.write()


def test_by_names_beyond_a_hundred(make, exchange):
    wanted = {"anna@corp.example", "Zoe.O'Neil+x@corp.example", "_svc@corp.example"}
    wanted |= {"user%03d@corp.example" % n for n in range(250)}
    exchange.ask("load", mailboxes=[{"address": a, "name": "N " + a, "aliases": ["b-" + a.lower()] if a[0] == "Z" else []}
                                    for a in sorted(wanted)])
    exchange.ask("counts", reset=True)
    exchange.ask("user", login=SERVICE, password=EWS_PASSWORD)   # no right on any mailbox is needed
    r = exchange_config(make, exchange).ctl("addresses", "corp", "--json")
    assert r.rc == 0, r
    doc = r.json()
    assert doc["source"] == "ResolveNames" and doc["complete"]
    assert [a["address"] for a in doc["addresses"]] == sorted(wanted, key=str.lower)
    zoe = next(a for a in doc["addresses"] if a["address"][0] == "Z")
    assert zoe["name"] == "N Zoe.O'Neil+x@corp.example" and zoe["aliases"] == ["b-zoe.o'neil+x@corp.example"], zoe
    calls = exchange.ask("counts")["counts"]["ResolveNames"]
    assert 100 < calls < 500, calls


def test_by_names_of_an_older_server_that_is_busy(make):
    old = Exchange("--version", "14.1.218.15")
    try:
        old.box("anna@corp.example")
        old.ask("fault", kind="busy", op="ResolveNames", times=2, backoff=300)
        r = exchange_config(make, old).ctl("addresses", "corp", "--json")
        assert r.rc == 0 and [a["address"] for a in r.json()["addresses"]] == ["anna@corp.example"], r
        r = exchange_config(make, old, "wrong").ctl("addresses", "corp", "--json")
        assert r.rc == 1 and "refused the logon" in r.err and "wrong" not in r.err, r
    finally:
        old.stop()
