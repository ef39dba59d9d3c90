"""The operator's commands, as a person uses them: what they show, what they do, what they refuse."""

import dataclasses
import json
import os
import signal
import subprocess
import time

import pytest

import corpus
import model
import product
from servers import dovecot

pytestmark = pytest.mark.product


def mid(m):
    return model.message_id(m.body)


def some(count, folder="INBOX", first=0):
    return [corpus.one(n, folder=folder, size=300, flags=(), keywords=()) for n in range(first, first + count)]


def one_line(result):
    """An error is one line on standard error, and nothing on standard output."""
    assert result.out == "" and result.err.count("\n") == 1 and result.err.startswith("mailshadow: "), result
    return result.err


def ok(result):
    assert result.rc == 0, result
    return result


def long_pause(make, **gateway):
    """A pairing whose passes come only when asked for."""
    return make.pair("local-imap", gateway={"LastSyncTimeInterval": "1h", "ErrorRetryBump": "1h", **gateway})


def slow_pair(make, servers, count):
    """A first pass of some seconds, through a slow line."""
    proxy = make.proxy(servers.dovecot("b"), record=False)
    proxy.drip(16000, 0.02)
    pair = make.pair("local-imap", right={"tls": "none", "port": proxy.port},
                     gateway={"LastSyncTimeInterval": "1h", "ErrorRetryBump": "1h"})
    corpus.write_maildir(pair.left.root, some(count), folders=None)
    return pair


def success(status):
    return status["pairings"][0]["result"] == "ok"


def idle(status):
    return status["pairings"][0]["state"] != "Synchronizing"


# --- off and on ---------------------------------------------------------------------------------------------

def test_stop_and_start_survive_a_restart(make):
    pair = long_pause(make)
    config = pair.config
    with config.daemon() as d:
        d.wait_ready()
        d.wait(success)
        assert "stopped" in ok(config.ctl("stop", "p")).out
        assert pair.status()["state"] == "Stopped"
        assert "stopped already" in one_line(config.ctl("stop", "p"))
        refused = config.ctl("sync", "p")
        assert refused.rc == 1 and "mailshadow start p" in one_line(refused)
        d.stop()
    with config.daemon() as d:
        d.wait_ready()
        assert pair.status()["state"] == "Stopped" and pair.status()["nextRun"] is None
        pair.left.put(corpus.one(1, size=300))
        time.sleep(1)
        assert pair.right.read().count() == 0
        refused = config.ctl("resume", "p")
        assert refused.rc == 1 and "mailshadow start p" in one_line(refused)
        assert "due now" in ok(config.ctl("start", "p")).out
        d.wait(lambda s: pair.right.read().count() == 1)
        assert "not stopped" in one_line(config.ctl("start", "p"))
        assert d.stop() == 0


def test_stop_ends_a_pass_in_hand(make, servers):
    pair = slow_pair(make, servers, 4000)
    with pair.config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["items"]["done"] > 0, what="progress")
        assert "next safe point" in ok(pair.config.ctl("stop", "p")).out
        d.wait(lambda s: s["pairings"][0]["state"] == "Stopped")
        n = pair.right.read().count()
        assert 0 < n < 4000
        ok(pair.config.ctl("start", "p"))
        d.wait(lambda s: s["pairings"][0]["status"] == "Success", 60)
        assert pair.right.read().count() == 4000


def test_names_that_are_nearly_right(make):
    pair = long_pause(make)
    for words, rc, text in ((("stpo", "p"), 2, "did you mean 'stop'?"), (("journal",), 2, "name of a pairing"),
                            (("explain", "p"), 2, "needs an item"), (("stop", "q"), 3, "did you mean 'p'?"),
                            (("stop", "p"), 69, "systemctl start mailshadow"),
                            (("release", "p"), 69, "no service runs"),
                            (("quarantine", "p", "--retry"), 69, "no service runs"),
                            (("quarantine", "p", "--retyr"), 2, "did you mean '--retry'?"),
                            (("stop", "p", "--json"), 2, "takes no --json"),
                            (("journal", "p", "x"), 2, "one argument too many")):
        r = pair.config.ctl(*words)
        assert r.rc == rc and text in one_line(r), r


def test_resume_after_a_stop_error(make):
    """Credentials that were refused for good: resume tries again, and not before."""
    pair = long_pause(make)
    with pair.config.daemon() as d:
        d.wait_ready()
        d.wait(success)
        r = pair.config.ctl("resume", "p")
        assert r.rc == 1 and "no stop error" in one_line(r)


# --- what is held back --------------------------------------------------------------------------------------

def held_deletions(pair, d, items, gone=30):
    pair.left.put(*items)
    ok(pair.config.ctl("sync", "p", "--wait"))      # no pass is in hand or asked for after that
    assert pair.right.read().count() == len(items)
    for m in items[:gone]:
        pair.left.remove(m.folder, mid(m))
    ok(pair.config.ctl("sync", "p"))
    d.wait(lambda s: s["pairings"][0]["held"] == gone)


def in_bin(pair):
    return [f for f in pair.right.read().items() if f[0] == "Trash"]


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
def test_release(make, kind):
    pair = make.pair(kind, gateway={"LastSyncTimeInterval": "1h", "ErrorRetryBump": "1h"})
    items = some(60)
    with pair.config.daemon() as d:
        d.wait_ready()
        held_deletions(pair, d, items)
        rows = ok(pair.config.ctl("quarantine", "p", "--json")).json()["items"]
        assert len(rows) == 30 and all(r["state"] == "held-deletion" and r["side"] == "right" for r in rows)
        assert "30 deletions released" in ok(pair.config.ctl("release", "p")).out
        d.wait(lambda s: success(s) and s["pairings"][0]["held"] == 0)
        assert pair.right.read().bodies(without=("Trash",)) == model.expected(items[30:]).bodies()
        assert len(pair.right.read()["Trash"]) == 30
        r = pair.config.ctl("release", "p")
        assert r.rc == 1 and "nothing is held back" in one_line(r)
        assert d.stop() == 0
    pair.verify()
    pair.idle()
    pair.close()


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap"))
def test_discard_brings_them_back(make, kind):
    pair = make.pair(kind, gateway={"LastSyncTimeInterval": "1h", "ErrorRetryBump": "1h"})
    items = some(60)
    with pair.config.daemon() as d:
        d.wait_ready()
        held_deletions(pair, d, items)
        answer = ok(pair.config.ctl("release", "p", "--discard", "--json")).json()
        assert answer == {"version": 1, "pairing": "p", "discarded": True, "deletions": 30, "creations": 0}
        d.wait(lambda s: success(s) and s["pairings"][0]["held"] == 0)
        assert pair.left.read().bodies(without=("Trash",)) == model.expected(items).bodies()
        assert d.stop() == 0
    pair.equal()
    pair.verify()
    pair.idle()
    pair.close()


def test_what_changed_meanwhile_is_not_deleted(make):
    """Released deletions obey the rule that a change wins over a deletion."""
    pair = long_pause(make)
    items = some(60)
    with pair.config.daemon() as d:
        d.wait_ready()
        held_deletions(pair, d, items)
        pair.right.flag("INBOX", mid(items[3]), add=("\\Flagged",))
        pair.right.remove("INBOX", mid(items[4]))
        ok(pair.config.ctl("release", "p"))
        d.wait(lambda s: success(s) and s["pairings"][0]["held"] == 0)
        d.stop()
    left = items[30:] + [items[3]]
    assert pair.right.read().bodies(without=("Trash",)) == model.expected(left).bodies()
    assert pair.left.read().bodies(without=("Trash",)) == model.expected(left).bodies()
    pair.verify()
    pair.idle()
    pair.close()


# --- what is set aside --------------------------------------------------------------------------------------

def test_quarantine_and_retry(make, servers):
    small = servers.dovecot("small", max_mail=50_000)
    pair = make.pair("local-imap", right={"server": small})
    big = corpus.one(900, size=60_000)
    pair.left.put(*some(5), big)
    pair.once()
    rows = ok(pair.config.ctl("quarantine", "p", "--json")).json()["items"]
    assert len(rows) == 1, rows
    row = rows[0]
    assert row["state"] == "quarantined" and row["folder"] == "INBOX" and row["side"] == "left"
    assert row["messageId"] == mid(big) and row["attempts"] == 1 and row["nextTry"] and row["since"], row
    text = ok(pair.config.ctl("quarantine", "p")).out
    assert mid(big) in text and "quarantine: p: 1 item\n" in text and row["reason"] in text
    assert "refused it" in ok(pair.config.ctl("explain", "p", mid(big))).out or row["reason"]
    with pair.config.daemon() as d:
        d.wait_ready()
        assert "1 of 1 are tried again now" in ok(pair.config.ctl("quarantine", "p", "--retry")).out
        end = time.monotonic() + 10
        while ok(pair.config.ctl("quarantine", "p", "--json")).json()["items"][0]["attempts"] < 2:
            assert time.monotonic() < end
            time.sleep(0.2)
        d.stop()
    pair.close()


# --- journal and explain ------------------------------------------------------------------------------------

def test_journal(make):
    pair = make.pair("local-imap")
    assert "no pass has written" in ok(pair.config.ctl("journal", "p")).out
    items = some(4)
    pair.left.put(*items)
    pair.right.create("Box")
    pair.once()
    pair.left.flag("INBOX", mid(items[0]), add=("\\Flagged",))
    pair.left.move("INBOX", mid(items[1]), "Box")
    pair.left.remove("INBOX", mid(items[2]))
    pair.once()
    rows = ok(pair.config.ctl("journal", "p", "--json")).json()["rows"]
    actions = [r["action"] for r in rows]
    assert actions.count("create") == 4 and sorted(actions[-3:]) == ["flags", "move", "trash"], actions
    assert "create-folder" in actions
    assert {r["messageId"] for r in rows if r["action"] == "create"} == {mid(m) for m in items}
    assert rows[-1]["pass"] > rows[0]["pass"] and all(r["at"].endswith("Z") for r in rows)
    moved = [r for r in rows if r["action"] == "move"][0]
    assert moved["from"]["folder"] == "INBOX" and moved["to"]["folder"] == "Box" and moved["side"] == "right"
    text = ok(pair.config.ctl("journal", "p")).out
    assert "INBOX:UID" in text and "deleted on the other side" in text
    # no subject, whatever is asked
    assert not any(s in text for s in ("Subject", "subject"))
    pair.close()


def test_explain(make):
    pair = make.pair("local-imap", folders="<exclude>Private</exclude>")
    assert "no pass has run yet" in pair.config.ctl("explain", "p", "INBOX:1").out
    items = some(3)
    pair.left.put(*items, corpus.one(70, folder="Private", size=300))
    pair.once()
    r = ok(pair.config.ctl("explain", "p", mid(items[1]), "--json")).json()
    assert len(r["matches"]) == 1 and r["matches"][0]["state"] == "both-sides", r
    assert [j["action"] for j in r["journal"]] == ["create"] and r["conclusion"] == "it is on both sides"
    match = r["matches"][0]
    for name in ("INBOX:" + match["right"]["id"], "INBOX:" + match["right"]["id"].replace("UID ", ""),
                 "INBOX:" + match["left"]["id"], match["key"], mid(items[1]).strip("<>")):
        r = pair.config.ctl("explain", "p", name, "--json")
        assert r.rc == 0, (name, str(r))
        again = r.json()
        assert [m["key"] for m in again["matches"]] == [match["key"]], (name, again)
    for name, text in (("Private:1", "excluded by the configuration"), ("Nowhere:1", "no folder of that path"),
                       ("<no@such>", "knows no such item"), ("INBOX:4711", "knows no such item")):
        r = pair.config.ctl("explain", "p", name)
        assert r.rc == 1 and text in r.out, r
    r = pair.config.ctl("explain", "p", "nonsense")
    assert r.rc == 1 and "FOLDER:UID" in one_line(r)
    pair.close()


def test_questions_do_not_wait_for_a_long_first_pass(make, servers):
    """The pass in hand yields, the answer comes, the pass goes on."""
    pair = slow_pair(make, servers, 6000)
    with pair.config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["items"]["done"] > 0, what="progress")
        t = time.monotonic()
        rows = ok(pair.config.ctl("journal", "p", "--json")).json()["rows"]
        assert rows and time.monotonic() - t < 5
        assert pair.right.read().count() < 6000
        d.wait(lambda s: s["pairings"][0]["status"] == "Success", 90)
        assert pair.right.read().count() == 6000


# --- log ----------------------------------------------------------------------------------------------------

def test_log_merges_by_time_and_filters(make):
    pair = make.pair("local-imap")
    pair.left.put(*some(3))
    pair.once()
    lines = ok(pair.config.ctl("log")).out.splitlines()
    assert lines == sorted(lines, key=lambda l: l[:24]) and len(lines) > 3
    assert any(" worker=1 " in l for l in lines) and any(" worker=" not in l for l in lines)
    mine = ok(pair.config.ctl("log", "p")).out.splitlines()
    assert mine and all("pairing=p " in l or "pairing p:" in l for l in mine)
    pair.close()


def test_log_follows_over_a_rotation(make):
    pair = long_pause(make)
    with pair.config.daemon() as d:
        d.wait_ready()
        follower = subprocess.Popen([product.CTL, "-c", pair.config.file, "log", "-f"], stdout=subprocess.PIPE,
                                    env=product.environment(), text=True)
        time.sleep(0.6)
        log = os.path.join(pair.config.logs, "supervisor.log")
        os.rename(log, log + ".1")
        d.signal(signal.SIGUSR1)
        time.sleep(1)
        ok(pair.config.ctl("stop", "p"))
        time.sleep(1)
        follower.terminate()
        out = follower.communicate(timeout=10)[0]
        assert "p: stopped by an operator" in out, out
        assert "p: stopped by an operator" in open(log).read()


# --- status -------------------------------------------------------------------------------------------------

def documented(section):
    """The members that doc/json.md shows for the status."""
    with open(os.path.join(product.TOP, "doc", "json.md")) as f:
        text = f.read()
    return json.loads(text.split("## status")[1].split("```json")[1].split("```")[0])


def keys(value, path=""):
    if isinstance(value, dict):
        out = set()
        for k, v in value.items():
            out |= {path + k} | keys(v, path + k + ".")
        return out
    if isinstance(value, list) and value:
        return keys(value[0], path)
    return set()


def test_status_json_is_as_documented(make):
    pair = make.pair("local-imap")
    before = pair.config.status()
    pair.once()
    for answer in (before, pair.config.status()):
        assert answer["version"] == 1
        missing = keys(documented("status")) - keys(answer)
        assert not missing, missing
        assert keys(answer) - keys(documented("status")) <= {"pairings.codeName"}
    assert before["pairings"][0]["status"] == "Unknown" and before["service"]["oldestSuccess"] is None
    assert answer["pairings"][0]["status"] == "Success" and answer["pairings"][0]["state"] == "Active"
    assert answer["service"]["oldestSuccess"] == answer["pairings"][0]["lastSuccess"] is not None
    text = ok(pair.config.ctl("status", "p")).out
    assert "Last Success:  " + answer["pairings"][0]["lastSuccess"] in text and "Status:        Success" in text


def test_progress_of_a_first_pass(make, servers):
    """Items done and to do, the rate, and the time left."""
    pair = slow_pair(make, servers, 8000)
    with pair.config.daemon() as d:
        d.wait_ready()
        row = d.wait(lambda s: s["pairings"][0]["items"]["perMinute"], what="a rate")["pairings"][0]
        assert row["status"] == "Initial Sync" and row["state"] == "Synchronizing"
        items = row["items"]
        assert items["done"] > 0 and items["todo"] > 0 and 0 < items["secondsLeft"] < 600
        text = ok(pair.config.ctl("status")).out
        assert " a minute, " in text or "Success" in text
        d.wait(lambda s: s["pairings"][0]["status"] == "Success", 60)
        row = pair.status()
        assert row["items"] == {"done": 8000, "todo": 0, "perMinute": None, "secondsLeft": None}
    pair.close()


def test_watch_goes_on(make):
    pair = long_pause(make)
    with pair.config.daemon() as d:
        d.wait_ready()
        p = subprocess.Popen([product.CTL, "-c", pair.config.file, "status", "--watch", "--json"],
                             stdout=subprocess.PIPE, env=product.environment(), text=True)
        documents = [json.loads(p.stdout.readline()) for _ in range(2)]
        p.terminate()
        p.wait()
        assert all(x["pairings"][0]["name"] == "p" for x in documents)


# --- subjects -----------------------------------------------------------------------------------------------

def test_subjects_are_decoded(make):
    """--subjects reads encoded words; the log has no subject, whatever is asked."""
    pair = make.pair("local-imap")
    one = corpus.one(1, size=300)
    head, text = one.body.split(b"\r\n\r\n", 1)
    lines = [l for l in head.split(b"\r\n") if not l.lower().startswith((b"subject:", b" ", b"\t"))]
    lines.append(b"Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe_aus_?=\r\n =?koi8-r?B?8NLJ18XU?= [x]")
    one = dataclasses.replace(one, body=b"\r\n".join(lines) + b"\r\n\r\n" + text)
    pair.left.put(one)
    actions = ok(pair.config.ctl("plan", "p", "--json", "--subjects")).json()["actions"]
    assert any("Gr\u00fc\u00dfe aus \u041f\u0440\u0438\u0432\u0435\u0442 [x]" in (a["item"] or "") for a in actions), actions
    assert "Gr\u00fc\u00dfe" not in ok(pair.config.ctl("plan", "p")).out
    assert "Gr\u00fc\u00dfe" not in pair.config.log() and "=?UTF-8" not in pair.config.log()
    pair.close()


def test_the_journal_is_a_ring(make):
    """It keeps the newest 10,000 lines, and explain still finds what it lost."""
    pair = make.pair("local-imap")
    corpus.write_maildir(pair.left.root, some(12000), folders=None)
    pair.once()
    rows = ok(pair.config.ctl("journal", "p", "--json", "--all")).json()["rows"]
    assert 10000 <= len(rows) <= 11000
    assert len(ok(pair.config.ctl("journal", "p")).out.splitlines()) == 200
    newest = ok(pair.config.ctl("journal", "p", "--json")).json()["rows"]
    assert newest == rows[-200:]
    pair.left.flag("INBOX", rows[0]["messageId"], add=("\\Flagged",))
    pair.once()
    rows = ok(pair.config.ctl("journal", "p", "--json", "--all")).json()["rows"]
    assert len(rows) == 10001 and rows[-1]["action"] == "flags"
    pair.close()


def test_a_folder_that_is_refused_is_listed(make, servers):
    """The server refuses to make it: set aside with the reason, gone from the list when it works."""
    proxy = make.proxy(servers.dovecot("b"))
    pair = make.pair("local-imap", right={"tls": "none", "port": proxy.port})
    pair.left.put(corpus.one(1, size=300), corpus.one(2, folder="Refused", size=300))
    proxy.up_filter = lambda line: line.replace(b"Refused", b"a//b") if b" CREATE " in line else line
    pair.once()
    assert pair.status()["quarantined"] == 1
    rows = ok(pair.config.ctl("quarantine", "p", "--json")).json()["items"]
    assert [(r["state"], r["side"], r["folder"]) for r in rows] == [("folder", "right", "Refused")], rows
    assert rows[0]["reason"] and rows[0]["since"]
    text = ok(pair.config.ctl("quarantine", "p")).out
    assert text.startswith("folder on the right side: Refused") and "quarantine: p: 1 item" in text
    pair.once()
    again = ok(pair.config.ctl("quarantine", "p", "--json")).json()["items"]
    assert again == rows
    proxy.up_filter = None
    pair.settle()
    assert ok(pair.config.ctl("quarantine", "p", "--json")).json()["items"] == []
    pair.close()


def test_resume_after_imap_was_switched_off(make, servers):
    """A stop error waits for a person: not for the interval, not for sync, but for resume."""
    proxy = make.proxy(servers.dovecot("b"))
    pair = make.pair("local-imap", right={"tls": "none", "port": proxy.port})
    config = pair.config
    proxy.down_filter = lambda line: line.split(b" ")[0] + b" NO [ALERT] Your account is not enabled for IMAP use\r\n" \
        if b" OK " in line and b"Logged in" in line else line
    with config.daemon() as d:
        d.wait_ready()
        row = d.wait(lambda s: s["pairings"][0]["result"] == "stopped")["pairings"][0]
        assert row["codeName"] == "E_IMAP_DISABLED" and row["state"] == "Stopped" and row["status"] == "Failure"
        assert row["nextRun"] is None and "switch IMAP on" in row["remedy"]
        proxy.down_filter = None
        time.sleep(2)
        r = config.ctl("sync", "p")
        assert r.rc == 1 and "mailshadow resume p" in one_line(r), r
        r = config.ctl("start", "p")
        assert r.rc == 1 and "mailshadow resume p" in one_line(r), r
        assert pair.status()["result"] == "stopped"
        assert "due now" in ok(config.ctl("resume", "p")).out
        d.wait(success)
        assert pair.status()["state"] in ("Active", "Synchronizing")
        assert d.stop() == 0
    pair.close()
