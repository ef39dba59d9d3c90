"""type="exchange" with every way to log on that it knows, directly and through the gateway's proxy."""

import base64
import os

import corpus
import product
import pytest

from servers import kdc
from servers.connectproxy import ConnectProxy
from servers.exchange import Exchange
from servers.scripted import TlsHttp, TlsWitness

pytestmark = pytest.mark.product

LOGIN, PASSWORD = "CORP\\svc-mail", "Gehe1m & lang!"


class Site:
    """An Exchange behind TLS that wants one way to log on, and a pairing of anna with disk."""

    def __init__(self, make, certs, auth, login=LOGIN, password=PASSWORD, inner="", host="127.0.0.1", env=None, known=True):
        self.env = env
        self.exchange = Exchange("--tls", certs.good.cert, certs.good.key, env=env)
        self.exchange.ask("settings", auth=auth)
        if known:
            self.exchange.ask("user", login=login, password=PASSWORD, impersonate=True)
        self.box = self.exchange.box("anna@corp.example")
        self.config = make.config()
        self.url = "https://%s:%d/EWS/Exchange.asmx" % (host, self.exchange.port)
        self.config.endpoints["corp"] = (
            '<endpoint name="corp" type="exchange"><LoginName>%s</LoginName><Password file="%s"/><FrontEnd>%s</FrontEnd>'
            "<CAFile>%s</CAFile><Auth>%s</Auth>%s</endpoint>" % (
                login, self.config.secret("exchange", password), self.url, certs.ca, auth,
                inner.replace("PORT", str(self.exchange.port))))
        self.disk, right = make.box(self.config, "right", "local")
        self.config.pairing("p", self.config.mailbox("corp", "anna@corp.example"), right)
        self.config.write()

    def works(self):
        """Mail of many kinds and sizes goes both ways, and a second pass finds nothing to do."""
        self.box.put(*[corpus.one(n, size=300 + 40000 * n) for n in range(8)])
        self.disk.put(*[corpus.one(n, size=300 + 90000 * (n - 20)) for n in range(20, 26)])
        self.exchange.ask("counts", reset=True)
        r = self.config.once(env=self.env)
        assert r.rc == 0, "%s\n%s\n%s" % (r, self.config.log()[-3000:], self.exchange.ask("refused"))
        assert sum(map(len, self.box.read().values())) == sum(map(len, self.disk.read().values())) == 14
        v = product.run([product.CTL, "-c", self.config.file, "verify", "p", "--json"], env=self.env)
        assert v.rc == 0, v
        self.silent(r)
        return self.exchange.ask("counts")

    def silent(self, r):
        said = self.config.log() + r.out + r.err
        for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), PASSWORD.encode("utf-16-le").hex()):
            assert secret not in said

    def refused(self):
        r = self.config.once(env=self.env)
        row = self.config.pairing_status("p")
        assert r.rc == 1 and row["result"] == "logon-failed" and row["code"] == "0x80040111", (row, self.config.log()[-2000:])
        self.silent(r)
        return row

    def stop(self):
        self.disk.close()
        assert self.exchange.failures() == []
        self.exchange.stop()


@pytest.fixture
def site(make, certs):
    made = []

    def new(auth, **how):
        made.append(Site(make, certs, auth, **how))
        return made[-1]
    yield new
    for s in made:
        s.stop()


# --- NTLM ---

@pytest.mark.parametrize("login", (LOGIN, "svc-mail@corp.example"))
def test_ntlm(site, login):
    s = site("ntlm", login=login)
    counts = s.works()
    # each connection logs on by itself, once; nothing is refused in between
    assert counts["counts"]["401"] <= 2 * counts["connections"], counts
    assert s.exchange.ask("refused")["refused"] == []


def test_ntlm_with_a_wrong_password(site):
    s = site("ntlm", password="falsch")
    s.refused()
    assert set(s.exchange.ask("refused")["refused"]) == {"a wrong password"}


def test_ntlm_where_the_channel_must_be_bound(site):
    """Extended Protection "require": libcurl of Debian 12 binds no channel, so the logon is refused, and says what to do."""
    s = site("ntlm")
    s.exchange.ask("settings", epa=True)
    row = s.refused()
    assert set(s.exchange.ask("refused")["refused"]) == {"the channel is not bound"}
    assert "Extended Protection" in row["reason"] + row["remedy"], row


@pytest.mark.parametrize("auth", ("basic", "ntlm", "oauth"))
def test_only_the_configured_way_is_tried(site, auth):
    """A server that offers another way gets no credentials by that one."""
    s = site("basic")
    s.exchange.ask("settings", auth="ntlm" if auth == "basic" else "basic")
    s.config.endpoints["corp"] = s.config.endpoints["corp"].replace(
        "<Auth>basic</Auth>", "<Auth>%s</Auth>%s" % (auth, "<TokenURL>https://127.0.0.1:%d/token</TokenURL>"
                                                     "<Scope>ews</Scope>" % s.exchange.port if auth == "oauth" else ""))
    s.config.write()
    before = s.exchange.ask("counts")["counts"].get("GetFolder", 0)
    r = s.config.once()
    assert r.rc == 1 and s.exchange.ask("counts")["counts"].get("GetFolder", 0) == before
    s.silent(r)


# --- through the gateway's proxy ---

@pytest.mark.parametrize("auth", ("basic", "ntlm"))
def test_through_a_proxy(site, auth):
    proxy = ConnectProxy()
    try:
        s = site(auth, inner="<HTTPProxy>http://127.0.0.1:%d</HTTPProxy>" % proxy.port)
        s.works()
        assert proxy.heads and all(h.startswith(b"CONNECT 127.0.0.1:%d " % s.exchange.port) for h in proxy.heads)
        assert not any(b"uthorization" in h for h in proxy.heads)
        assert PASSWORD.encode() not in proxy.through and b"Exchange.asmx" not in proxy.through
    finally:
        proxy.stop()


@pytest.mark.parametrize("refuse", ("407 Proxy Authentication Required", "403 Forbidden", "503 Later"))
def test_a_proxy_that_refuses(site, refuse):
    proxy = ConnectProxy(refuse)
    try:
        s = site("basic", inner="<HTTPProxy>http://127.0.0.1:%d</HTTPProxy>" % proxy.port)
        r = s.config.once()
        row = s.config.pairing_status("p")
        assert r.rc == 1 and row["result"] != "logon-failed" and "roxy" in row["reason"] + row["remedy"], row
        assert not any(b"uthorization" in h for h in proxy.heads)
    finally:
        proxy.stop()


# --- OAuth ---

OAUTH = "<TokenURL>https://127.0.0.1:PORT/token</TokenURL><Scope>https://mail.corp.example/.default</Scope>"


def test_oauth(site):
    s = site("oauth", inner=OAUTH)
    counts = s.works()["counts"]
    assert counts["token"] == 2 and "401" not in counts, counts       # a pass and a verification


def test_a_token_is_renewed_before_it_ends(site):
    """It is good for one second: no request goes out with one that has ended."""
    s = site("oauth", inner=OAUTH)
    s.exchange.ask("settings", token_seconds=1)
    s.exchange.ask("fault", kind="delay", op="GetItem", seconds=0.9, times=3)
    counts = s.works()["counts"]
    assert counts["token"] > 3 and "401" not in counts, counts


def test_a_token_that_is_refused_is_renewed_once(site):
    s = site("oauth", inner=OAUTH)
    s.exchange.ask("fault", kind="meanwhile", op="SyncFolderItems", times=1, after=3, ask={"do": "tokens"})
    counts = s.works()["counts"]
    assert counts["token"] == 3 and 1 <= counts["401"] <= 4, counts
    # and where none is good, it is a refused logon and no endless asking
    s.exchange.ask("logons", refuse=True)
    s.exchange.ask("counts", reset=True)
    s.refused()
    counts = s.exchange.ask("counts")["counts"]
    assert (counts["token"], counts["401"]) == (2, 2), counts


def test_a_client_that_is_not_known(site):
    s = site("oauth", password="falsch", inner=OAUTH)
    row = s.refused()
    assert "AADSTS7000215" in row["reason"], row


@pytest.mark.parametrize("which", ("wrongname", "stranger"))
def test_no_secret_to_a_token_endpoint_of_a_bad_certificate(site, certs, which):
    with TlsWitness(getattr(certs, which), greeting=b"") as w:
        s = site("oauth", inner=OAUTH.replace("PORT", str(w.port)))
        r = s.config.once()
        assert r.rc == 1 and s.config.pairing_status("p")["code"] == "0x81010012"
        assert w.inside == b""


def test_a_token_endpoint_that_leads_elsewhere(site, certs):
    with TlsWitness(certs.good, greeting=b"") as other, \
            TlsHttp(certs.good, "307 Elsewhere", "Location: https://localhost:%d/token\r\n" % other.port) as w:
        s = site("oauth", inner=OAUTH.replace("PORT", str(w.port)))
        assert s.config.once().rc == 1
        assert other.inside == b"" and len(w.heads) == 1


def test_oauth_through_a_proxy(site):
    proxy = ConnectProxy()
    try:
        s = site("oauth", inner=OAUTH + "<HTTPProxy>http://127.0.0.1:%d</HTTPProxy>" % proxy.port)
        s.works()
        assert len(proxy.heads) >= 2
    finally:
        proxy.stop()


# --- Negotiate ---

@pytest.fixture(scope="module")
def realm(base):
    if kdc.missing():
        pytest.skip(kdc.missing())
    k = kdc.Kdc(os.path.join(base, "kdc")).start()
    k.user("svc-mail", PASSWORD)
    k.service("HTTP/localhost")
    yield k
    k.stop()


def negotiate(site, realm, **how):
    s = site("negotiate", host="localhost", env={"KRB5_CONFIG": realm.conf, "KRB5_KTNAME": realm.keytab}, **how)
    s.exchange.ask("user", login="svc-mail", password="not this one", impersonate=True)
    return s


@pytest.mark.parametrize("login", ("svc-mail@CORP.EXAMPLE", "svc-mail@corp.example", "svc-mail"))
def test_negotiate(site, realm, login):
    s = negotiate(site, realm, login=login)
    counts = s.works()
    assert s.exchange.ask("refused")["refused"] == []
    assert counts["counts"].get("401", 0) <= counts["connections"], counts


def test_negotiate_through_a_proxy(site, realm):
    proxy = ConnectProxy()
    try:
        negotiate(site, realm, login="svc-mail", inner="<HTTPProxy>http://127.0.0.1:%d</HTTPProxy>" % proxy.port).works()
        assert not any(b"uthorization" in h for h in proxy.heads)
    finally:
        proxy.stop()


def test_negotiate_with_a_wrong_password(site, realm):
    s = negotiate(site, realm, login="svc-mail@corp.example", password="falsch")
    row = s.refused()
    assert "Kerberos" in row["reason"] and "svc-mail@CORP.EXAMPLE" in row["reason"], row
    assert s.exchange.ask("counts")["counts"].get("401", 0) == 0     # the server heard nothing of it


def test_negotiate_with_somebody_who_may_not(site, realm):
    """Kerberos knows the name, the server does not."""
    realm.user("stranger", PASSWORD)
    s = negotiate(site, realm, login="stranger", known=False)
    r = s.config.once(env=s.env)
    assert r.rc == 1 and s.config.pairing_status("p")["result"] == "logon-failed", s.config.log()[-2000:]


def test_negotiate_with_a_name_of_another_kind(site, realm):
    s = negotiate(site, realm, login=LOGIN)
    r = s.config.once(env=s.env)
    row = s.config.pairing_status("p")
    assert r.rc == 1 and row["codeName"] == "E_CONF" and "name@REALM" in row["reason"], row
