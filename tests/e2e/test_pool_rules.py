"""The pool's rules on the real thing: supervisor, workers, Dovecot, and what status and logs say of it."""

import re
import time

import pytest

import pooltrace
from servers import dovecot
from servers.scripted import ImapStub

pytestmark = pytest.mark.product
INTERVAL, BUMP = 2.0, 1.0
LOGON_FAILED = "0x80040111"


def five(make, workers=5, trial="2s", **gateway):
    """Five pairings local <-> Dovecot through a proxy, each with a login of its own."""
    server = make.servers.dovecot("b")
    proxy = make.proxy(server)
    config = make.config(**{"Workers": workers, "LastSyncTimeInterval": "2s", "ErrorRetryBump": "1s",
                            "DispatchHold": "700ms", "DispatchHoldMax": "1400ms", "CredentialTrial": trial,
                            "LogLevel": "debug", **gateway})
    names = []
    for i in range(5):
        _, left = make.box(config, "left", "local", endpoint="disk%d" % i)
        box, right = make.box(config, "right", "imap", endpoint="mail", login="own", tls="none",
                              port=proxy.port, server=server)
        config.pairing("p%d" % i, left, right)
        names.append(box.user)
    return config.write(), proxy, names


def secret(config, user, text):
    config.secret("own-mail-%s" % user, text)


def rows(status):
    return {p["name"]: p for p in status["pairings"]}


def trace(config):
    with open(config.logs + "/supervisor.log", errors="replace") as f:
        return f.read()


def lawful(config):
    faults, seen = pooltrace.check(trace(config), INTERVAL, BUMP)
    assert not faults, "\n".join(faults[:20])
    return seen


def all_ok(status):
    return all(p["result"] == "ok" for p in status["pairings"])


def test_one_wrong_password(make):
    """One of five: it fails alone, the pool never restarts, and after three refusals it is left alone."""
    config, _, users = five(make)
    secret(config, users[0], "wrong")
    d = config.daemon()
    try:
        d.wait_ready(30)
        d.wait(lambda s: rows(s)["p0"]["failures"] >= 3, 60, "the third refusal")
        s = config.status()
        p = rows(s)["p0"]
        assert (p["status"], p["state"], p["code"]) == ("Failure", "Active", LOGON_FAILED), p
        assert p["reason"] and p["remedy"] and p["nextRun"]
        assert all(x["status"] == "Success" for n, x in rows(s).items() if n != "p0"), s
        assert s["pool"]["restarts"] == 0 and s["pool"]["threshold"] == 5
        secret(config, users[0], dovecot.PASSWORD)
        assert config.ctl("reload").rc == 0
        d.wait(lambda s: rows(s)["p0"]["result"] == "ok", 30, "success with the new password")
        assert d.stop() == 0
    finally:
        d.kill()
    # due again after interval + bump, exactly, from the end of the failed attempt; not earlier
    ends = [(at, f) for at, what, f in pooltrace.records(trace(config)) if f.get("pairing") == "p0" and
            what == "ended"]
    assert [f["due_ms"] for _, f in ends if f["class"] == "logon-failed"] == ["3000"] * 3
    assert len([1 for _, f in ends if f["class"] == "logon-failed"]) == 3


def test_all_wrong_passwords(make):
    """All five: restarts at the fifth in a row, then a hold that doubles; three refusals each, then quiet."""
    config, _, users = five(make, trial="1h")
    for u in users:
        secret(config, u, "wrong")
    d = config.daemon()
    try:
        d.wait_ready(30)
        d.wait(lambda s: all(p["failures"] == 3 for p in s["pairings"]), 90, "three refusals of each")
        time.sleep(3 * (INTERVAL + BUMP) / 2)
        s = d.wait(lambda s: s["pool"]["busy"] == 0, 20, "quiet")
        assert [p["failures"] for p in s["pairings"]] == [3] * 5, "left alone: the trial comes in an hour"
        assert s["pool"]["restarts"] == 3 and s["pool"]["logonFailures"] == 0, s["pool"]
        seen = lawful(config)
        assert seen["restart"] == 3 and seen["up"] == 3
        text = trace(config)
        assert [f["held_ms"] for _, what, f in pooltrace.records(text) if what == "up"] == ["0", "700", "1400"]
        assert len(re.findall("the pool restarts: 5 tasks in a row", text)) == 3
        for u in users:
            secret(config, u, dovecot.PASSWORD)
        assert config.ctl("reload").rc == 0
        d.wait(all_ok, 40, "success of all")
        assert config.status()["pool"]["logonFailures"] == 0
        assert d.stop() == 0
    finally:
        d.kill()


def test_server_down_and_back(make):
    """An outage is no logon failure: nothing is counted, each comes again after interval + bump."""
    config, proxy, _ = five(make)
    d = config.daemon()
    try:
        d.wait_ready(30)
        d.wait(all_ok, 40, "a first success of all")
        proxy.refuse()
        proxy.kill_connections()
        s = d.wait(lambda s: all(p["failures"] >= 2 for p in s["pairings"]), 60, "two failures of each")
        assert all(p["status"] == "Failure" and p["state"] in ("Active", "Synchronizing") and
                   p["result"] == "failed" and p["lastSuccess"] for p in s["pairings"]), s
        assert s["pool"]["restarts"] == 0 and s["pool"]["logonFailures"] == 0
        proxy.calm()
        d.wait(all_ok, 40, "success of all")
        assert d.stop() == 0
    finally:
        d.kill()
    lawful(config)


def test_states_survive_a_restart(make):
    config, _, users = five(make)
    secret(config, users[0], "wrong")
    d = config.daemon()
    try:
        d.wait_ready(30)
        d.wait(lambda s: rows(s)["p0"]["failures"] >= 1 and sum(p["result"] == "ok" for p in s["pairings"]) == 4,
               60, "four successes and a failure")
        assert config.ctl("stop", "p1").rc == 0
        d.wait(lambda s: rows(s)["p1"]["state"] == "Stopped", 20, "Stopped")
        before = rows(config.status())
        d.kill()
        config.gateway["LastSyncTimeInterval"] = "10m"
        config.write()
        d = config.daemon().wait_ready()
        after = rows(config.status())
        for name in ("p0", "p1", "p2"):
            assert after[name]["lastSuccess"] and name != "p0" or not after[name]["lastSuccess"]
            for field in ("status", "code", "lastUpdated") if name == "p1" else ("status",):
                assert after[name][field] == before[name][field], (name, field)
        assert after["p1"]["state"] == "Stopped"
        assert d.stop() == 0
    finally:
        d.kill()


def test_connections_are_limited(make):
    """MaxConnections 2: never more than two workers at that endpoint, by the server's own count."""
    config, proxy, _ = five(make)
    config.endpoints["mail"] = config.endpoints["mail"].replace("</endpoint>", "<MaxConnections>2</MaxConnections></endpoint>")
    config.write()
    d = config.daemon()
    try:
        d.wait_ready(30)
        d.wait(all_ok, 60, "a first success of all")
        assert d.stop() == 0
    finally:
        d.kill()
    busy, most = set(), 0
    for _, what, f in pooltrace.records(trace(config)):
        if what == "spawn":
            busy.add(f["slot"])
        elif what == "reaped":
            busy.discard(f["slot"])
        most = max(most, len(busy))
    assert most == 2


def test_captcha_lockout_is_shown_and_is_no_stop(make):
    """R24: the page is named in status; the pairing goes to the bottom of the pool like any failure."""
    page = "https://accounts.google.com/DisplayUnlockCaptcha"
    with ImapStub(login="NO [WEBALERT %s] Web login required." % page) as stub:
        config = make.config(LastSyncTimeInterval="2s", ErrorRetryBump="1s")
        _, left = make.box(config, "left", "local")
        config.imap("mail", stub.port, tls="none", login="u@mail.example", password="x")
        config.pairing("p", left, config.mailbox("mail", "u@mail.example"))
        d = config.write().daemon()
        try:
            d.wait_ready(30)
            s = d.wait(lambda s: rows(s)["p"]["failures"] >= 2, 40, "a second try")
        finally:
            d.kill()
    p = rows(s)["p"]
    assert p["result"] == "failed" and p["codeName"] == "E_WEB_LOGIN", p
    assert page in p["reason"] and p["state"] in ("Active", "Synchronizing") and p["status"] == "Failure", p
    assert s["pool"]["logonFailures"] == 0 and s["pool"]["restarts"] == 0
    lawful(config)
