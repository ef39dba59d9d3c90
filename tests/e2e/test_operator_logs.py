"""Logs of running workers: opened anew, another level, protocol traces without a secret."""

import base64
import os
import re
import signal
import time

import pytest

import corpus
import product
from servers import dovecot

from test_operator import ok, slow_pair, some, success

pytestmark = pytest.mark.product


def worker_log(pair, suffix=""):
    path = os.path.join(pair.config.logs, "worker-01.log" + suffix)
    return open(path, errors="replace").read() if os.path.exists(path) else ""


def wait_for(predicate, seconds=15):
    end = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_running_worker_gets_its_log_anew(make, servers):
    pair = slow_pair(make, servers, 8000)
    with pair.config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["items"]["done"] > 0, what="progress")
        path = os.path.join(pair.config.logs, "worker-01.log")
        os.rename(path, path + ".1")
        d.signal(signal.SIGUSR1)
        d.wait(lambda s: s["pairings"][0]["status"] == "Success", 60)
        assert "sync OK" in worker_log(pair) and "sync OK" not in worker_log(pair, ".1")
        assert os.stat(path).st_mode & 0o777 == 0o640
        assert d.stop() == 0
    pair.close()


def test_level_and_trace_change_in_a_pass(make, servers):
    pair = slow_pair(make, servers, 12000)
    config = pair.config
    config.gateway["LogLevel"] = "info"
    config.write()
    with config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["items"]["done"] > 0, what="progress")
        assert "level=trace" not in worker_log(pair)
        config.gateway["Trace"] = "right"
        config.write()
        ok(config.ctl("reload"))
        wait_for(lambda: "level=trace" in worker_log(pair))
        assert pair.status()["state"] == "Synchronizing"
        config.gateway["Trace"] = ""
        config.write()
        ok(config.ctl("reload"))
        time.sleep(0.5)
        n = worker_log(pair).count("level=trace")
        d.wait(lambda s: s["pairings"][0]["status"] == "Success", 60)
        assert worker_log(pair).count("level=trace") <= n + 2
        assert worker_log(pair).count("sync OK") == 1      # the pass noticed nothing
        assert d.stop() == 0
    pair.close()


def secrets_in(text, words):
    """Each word, and what base64 makes of it wherever it stands in a longer text."""
    found = []
    for word in words:
        forms = [word, word.encode().hex()]
        for shift in range(3):
            b = base64.b64encode(b"x" * shift + word.encode() + b"yyy").decode()
            forms.append(b[4 if shift else 0:(shift + len(word)) // 3 * 4])
        found += [f for f in forms if len(f) >= 4 and f in text]
    return found


@pytest.mark.parametrize("login", ("service", "own"))
@pytest.mark.parametrize("auth", ("plain", "login"))
def test_a_trace_has_no_secret_and_no_content(make, login, auth):
    if login == "service" and auth == "login":
        pytest.skip("a service account needs PLAIN")
    pair = make.pair("imap-imap", left={"login": login, "Auth": auth}, right={"login": login, "Auth": auth},
                     gateway={"Trace": "all", "LogLevel": "debug"})
    items = corpus.messages(20)
    pair.left.put(*items)
    pair.once()
    pair.verify()
    log = pair.config.log()
    assert "level=trace" in log and "(the logon is not traced)" in log
    assert re.search(r'msg="left > A\d+ ', log) and re.search(r'msg="right < A\d+ OK', log)
    words = [dovecot.PASSWORD, dovecot.MASTER_PASSWORD]
    assert not secrets_in(log, words), secrets_in(log, words)
    assert not re.search(r" > A\d+ (AUTHENTICATE|LOGIN)", log)
    # control: the same search finds what is there
    assert secrets_in(base64.b64encode(b"\0u\0" + dovecot.PASSWORD.encode()).decode(), words)
    for m in items:
        text = m.body.decode("latin-1")
        for line in re.findall(r"(?mi)^subject: *(.{8,}?)\r?$", text):
            assert line not in log, line
    pair.close()


def test_a_trace_of_a_refused_logon(make):
    pair = make.pair("local-imap", gateway={"Trace": "imap"})
    pair.config.secret("right", "wrong-Secret-4711")
    pair.once(rc=1)
    log = pair.config.log()
    assert "(the logon is not traced)" in log
    assert not secrets_in(log, ["wrong-Secret-4711"])
    pair.close()
