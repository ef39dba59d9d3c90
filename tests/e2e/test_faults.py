"""The network and the server at their worst: lost answers, cut lines, slow lines, refused mail."""

import itertools
import re

import pytest

import corpus
import model
import scenario
from scenario import mid, plain
from servers.scripted import ImapStub

pytestmark = pytest.mark.product


def until_done(pair, tries=4):
    """Runs passes until one succeeds; a failed one is allowed, a hanging one is not."""
    pair.close()
    codes = []
    for _ in range(tries):
        codes.append(pair.config.once().rc)
        assert codes[-1] in (0, 1)
        if codes[-1] == 0:
            return codes
    raise AssertionError("no pass succeeded: %s\n%s" % (codes, pair.config.log()[-3000:]))


def through_proxy(make, servers, name="b", left="local"):
    server = servers.dovecot(name)
    p = make.proxy(server)
    return p, make.pair(left + "-imap", right={"server": server, "tls": "none", "port": p.port})


ANSWERS = {"append": rb"^\S+ OK (\[APPENDUID|Append completed)", "fetch": rb"^\S+ OK .*Fetch completed",
           "select": rb"^\S+ OK \[READ-WRITE\]", "create": rb"^\S+ OK .*Create completed",
           "store": rb"^\S+ OK .*Store completed", "move": rb"^\S+ OK .*(Move|Copy) completed|^\* OK \[COPYUID",
           "expunge": rb"^\S+ OK .*Expunge completed", "login": rb"^\S+ OK .*Logged in",
           "list": rb"^\S+ OK .*List completed"}


@pytest.mark.parametrize("mask", ("", "uidplus", "multiappend", "condstore", "all"))
def test_lost_answer_of_a_committed_append(make, servers, mask):
    """The message is stored, the answer never comes: it is there once, not twice."""
    from test_extensions import MASKS
    name = "mask-" + mask if mask else "b"
    server = servers.dovecot(name, mask=MASKS[mask]) if mask else servers.dovecot("b")
    p = make.proxy(server)
    pair = make.pair("local-imap", right={"server": server, "tls": "none", "port": p.port})
    items = corpus.small(12, seed=8)
    pair.left.put(*items)
    for _ in range(3):
        p.drop_answer(ANSWERS["append"])
        pair.close()
        pair.config.once()
        if p.dropped == 0:
            break
    assert p.dropped >= 1
    p.calm()
    until_done(pair)
    pair.equal()
    assert pair.right.read().bodies() == model.expected(items).bodies()
    pair.verify()
    pair.idle()
    pair.close()


def test_lost_answer_and_equal_messages(make, servers):
    """The same with messages that look all alike: probing must count, not just find."""
    p, pair = through_proxy(make, servers)
    m = corpus.one(1, what="no-id", size=300, flags=())
    pair.left.put(m, m, m)
    p.drop_answer(ANSWERS["append"])
    until_done(pair)
    assert p.dropped == 1
    assert len(pair.right.read()["INBOX"]) == 3
    pair.settle()
    pair.close()


@pytest.mark.parametrize("answer", sorted(set(ANSWERS) - {"append"}))
def test_lost_answers(make, servers, answer):
    """Each kind of answer is lost once while everything is going on."""
    p, pair = through_proxy(make, servers)
    items = [plain(n, "INBOX" if n % 2 else "Work", flags=()) for n in range(12)]
    pair.left.put(*items)
    pair.right.put(plain(50))
    if answer in ("store", "move", "expunge"):
        pair.once()
        pair.left.flag("INBOX", mid(items[1]), ("\\Seen",))
        pair.left.move("INBOX", mid(items[3]), "Work")
        pair.left.remove("Work", mid(items[2]))
    p.drop_answer(ANSWERS[answer])
    until_done(pair)
    if answer not in ("expunge", "move", "select", "create", "store"):
        assert p.dropped == 1
    pair.equal()
    want = model.expected(items + [plain(50)]).bodies()
    if answer in ("store", "move", "expunge"):
        want -= model.expected([items[2]]).bodies()
        assert len(pair.right.read().where(mid(items[2]))) <= 1
    assert pair.left.read().bodies(without=("Trash",)) == want
    pair.verify()
    pair.idle()
    pair.close()


@pytest.mark.parametrize("direction", ("up", "down"))
def test_cut_anywhere(make, servers, direction):
    """The line breaks after so many bytes, again and again, further on each time."""
    p, pair = through_proxy(make, servers)
    left = corpus.small(10, seed=11, each_oddity=False, folders=scenario.FOLDERS)
    right = [plain(n, "Rechts") for n in range(100, 106)]
    pair.left.put(*left)
    pair.right.put(*right)
    at, cuts = 40, 0
    for _ in range(14):
        p.cut_after(at, direction)
        pair.close()
        r = pair.config.once()
        assert r.rc in (0, 1), r
        cuts = p.cuts
        at = int(at * 1.7) + 11
    assert cuts >= 6
    p.calm()
    until_done(pair)
    pair.equal()
    want = model.expected(left + right).bodies()
    for box in pair.boxes:
        assert box.read().bodies(without=("Trash",)) == want
    pair.verify()
    pair.idle()
    pair.close()


def test_cut_while_changing(make, servers):
    """Flags, moves and deletions under a breaking line."""
    p, pair = through_proxy(make, servers)
    items = [plain(n, flags=(), keywords=()) for n in range(20)]
    pair.left.put(*items)
    pair.once()
    for n in range(4):
        pair.left.flag("INBOX", mid(items[n]), ("\\Seen", "k%d" % n))
        pair.left.move("INBOX", mid(items[4 + n]), "Neu%d" % n)
        pair.left.remove("INBOX", mid(items[8 + n]))
        pair.right.flag("INBOX", mid(items[12 + n]), ("\\Flagged",))
    for at in (250, 500, 800, 1100, 1400, 1800, 2300, 3000):
        p.cut_after(at, "up" if at % 200 else "down")
        pair.close()
        assert pair.config.once().rc in (0, 1)
    p.calm()
    until_done(pair)
    pair.equal()
    for box in pair.boxes:
        got = box.read()
        assert got.bodies(without=("Trash",)) == model.expected(items[:8] + items[12:]).bodies()
        for n in range(4):
            assert got.of("INBOX", mid(items[n]))[0].flags == {"\\Seen"}
            assert got.where(mid(items[4 + n])) == ["Neu%d" % n]
            assert got.of("INBOX", mid(items[12 + n]))[0].flags == {"\\Flagged"}
    # A deleted message lies in the bin once, however often the deletion was begun.
    trash = pair.right.read().get("Trash", [])
    assert sorted(i.mid for i in trash) == sorted(mid(m) for m in items[8:12])
    pair.verify()
    pair.idle()
    pair.close()


def test_refused_connection_is_a_failure_not_a_logon_failure(make, servers):
    p, pair = through_proxy(make, servers)
    pair.left.put(plain(1))
    p.refuse()
    pair.once(rc=1)
    row = pair.status()
    assert (row["result"], row["code"]) == ("failed", "0x81010011"), row
    assert row["status"] == "Failure" and row["reason"] and row["remedy"], row
    p.calm()
    pair.settle()
    assert pair.status()["status"] == "Success"
    pair.close()


def test_dripping_line(make, servers):
    """A few bytes at a time, in both directions: slow, and right."""
    p, pair = through_proxy(make, servers)
    pair.left.put(plain(1), plain(2, "Work"))
    pair.right.put(plain(3))
    p.drip(23, 0.0005)
    pair.once(timeout=60)
    p.calm()
    pair.settle()
    pair.close()


def test_pipelines_hide_the_distance(make, servers):
    """30 ms each way: 60 messages in 6 folders do not take 60 round trips."""
    server = servers.dovecot("b")
    p = make.proxy(server, delay_ms=30)
    pair = make.pair("local-imap", right={"server": server, "tls": "none", "port": p.port})
    pair.left.put(*[plain(n, "F%d" % (n % 6)) for n in range(60)])
    pair.once()
    assert p.turns < 40, p.turns
    p.delay = 0
    pair.settle()
    pair.close()


# --- what servers say ---------------------------------------------------------------------------------------

def stub_pair(make, stub):
    config = make.config()
    box, left = make.box(config, "left", "local")
    config.imap("right", stub.port, tls="none", login="svc", password="geheim-4711")
    config.pairing("p", left, config.mailbox("right", "u@right.example"))
    config.write()
    return config, box


BAIT = re.compile(r"hacked|^zz |Received:|Subject:|Message-ID|corpus\.example|^\)$|^\{5")


@pytest.mark.parametrize("capabilities", ("LITERAL+ UIDPLUS", "LITERAL+ MULTIAPPEND UIDPLUS", "LITERAL-", ""))
def test_refused_mail_is_never_executed(make, capabilities):
    """A server answers BAD to APPEND and goes on reading lines: no mail text may arrive as a command."""
    with ImapStub(append="bad", capabilities=capabilities) as stub:
        config, box = stub_pair(make, stub)
        box.put(*[corpus.one(n, what="imap-bait", size=900) for n in range(6)])
        for _ in range(2):
            r = config.once()
            assert r.rc in (0, 1), r
        assert stub.appends >= 1
        assert stub.created == [] and stub.executed == []
        assert [x for x in stub.lines if BAIT.search(x)] == []
        assert box.read().count() == 6


def test_refused_mail_is_never_executed_by_dovecot(make, servers):
    """The same with the real thing: the proxy spoils every APPEND on its way, so Dovecot says BAD."""
    p, pair = through_proxy(make, servers)
    p.up_filter = lambda line: re.sub(rb'^(\S+ APPEND \S+ ).*(\{\d+\+?\}\r\n)$', rb'\1"nonsense" \2', line)
    items = [corpus.one(n, what="imap-bait", size=900) for n in range(6)]
    pair.left.put(*items)
    pair.close()
    pair.config.once()
    assert any('"nonsense"' in c for c in p.text("up").decode("latin-1").splitlines()) or \
        b"BAD" in p.text("down")
    p.calm()
    assert "hacked" not in pair.right.folders()
    assert "Archive" in pair.right.folders()
    pair.left.remove("INBOX", mid(items[0]))
    pair.close()


def test_bait_passes_untouched_when_nothing_is_wrong(make):
    pair = make.pair("imap-imap")
    items = [corpus.one(n, what="imap-bait", size=600) for n in range(5)]
    pair.left.put(*items)
    pair.settle()
    assert "hacked" not in pair.right.folders() + pair.left.folders()
    pair.close()


def test_throttled(make):
    """[THROTTLED] is a wait, not a bad message and not a refused logon."""
    with ImapStub(append="throttled") as stub:
        config, box = stub_pair(make, stub)
        box.put(plain(1), plain(2))
        assert config.once().rc == 1
        row = config.pairing_status("p")
        assert row["result"] == "throttled" and row["quarantined"] == 0, row
        assert stub.appends <= 3


def test_over_quota(make):
    """[OVERQUOTA] is the mailbox's trouble: messages are not set aside one by one."""
    with ImapStub(append="overquota") as stub:
        config, box = stub_pair(make, stub)
        box.put(*[plain(n) for n in range(8)])
        assert config.once().rc == 1
        row = config.pairing_status("p")
        assert (row["result"], row["code"]) == ("failed", "0x81010016"), row
        assert row["quarantined"] == 0
        assert box.read().count() == 8


def test_alert_is_shown_escaped(make):
    """A server's text is data: control characters do not reach the log."""
    with ImapStub(append="no", login="NO [ALERT] look\x1b[31m here\x07") as stub:
        config, _ = stub_pair(make, stub)
        assert config.once().rc == 1
        text = config.log()
        assert "\x1b" not in text and "\x07" not in text


def test_bye_at_the_door(make):
    with ImapStub(greeting="* BYE too many connections") as stub:
        config, _ = stub_pair(make, stub)
        assert config.once().rc == 1
        row = config.pairing_status("p")
        assert row["result"] in ("failed", "throttled") and row["code"] != "0x80040111", row


def test_unsolicited_data(make, servers):
    """EXISTS, FETCH, EXPUNGE of others and unknown answers may come at any time."""
    p, pair = through_proxy(make, servers)
    noise = itertools.cycle((b"* OK still here\r\n", b'* XAPPLEPUSHSERVICE aps-version "2"\r\n',
                             b"* FLAGS (\\Seen)\r\n", b"* 1 RECENT\r\n"))

    def add(line):
        # Only before tagged answers: there no literal can be going on.
        return next(noise) + line if re.match(rb"[A-Za-z0-9.]{1,12} OK ", line) else line
    p.down_filter = add
    items = [corpus.one(n, size=400) for n in range(10)]
    pair.left.put(*items[:6])
    pair.right.put(*items[6:])
    pair.once()
    p.calm()
    pair.settle()
    assert pair.left.read().bodies() == model.expected(items).bodies()
    pair.close()
