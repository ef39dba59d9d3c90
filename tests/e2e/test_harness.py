"""The harness judged by itself: if these fail, no other result means anything."""

import imaplib
import os
import re
import socket
import ssl
import time

import pytest

import corpus
import model
import mutf7
from box import ImapBox, MaildirBox
from servers import dovecot as dovecot_module
from servers.oauth import Introspection
from servers.proxy import Proxy, split_commands
from servers.scripted import ImapStub, TlsWitness

PASSWORD = dovecot_module.PASSWORD


@pytest.fixture(params=("imap", "cyrus", "local"))
def box(request, servers, directory):
    if request.param == "local":
        b = MaildirBox(os.path.join(directory, "Mail"))
        b.ensure()
    else:
        server = servers.dovecot("a") if request.param == "imap" else servers.cyrus("c")
        b = ImapBox(server, "h%d@left.example" % time.monotonic_ns(), PASSWORD)
    yield b
    b.close()


@pytest.mark.parametrize("text, wire", [
    ("INBOX", "INBOX"), ("R&D", "R&-D"), ("日本語", "&ZeVnLIqe-"), ("Größe & Maß", "Gr&APYA3w-e &- Ma&AN8-"),
    ("🎉", "&2DzfiQ-"), ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-")])
def test_mutf7(text, wire):
    assert mutf7.encode(text) == wire
    assert mutf7.decode(wire) == text


def test_names_on_disk():
    for name in ("v1.2", "per%cent", "%2F", "a%2Eb.c", "R&D/Ä.ö", "%%25"):
        text = "." + ".".join(model.escape_part(p) for p in name.split("/"))
        assert model.unescape(text) == name
    assert model.escape_part("v1.2 %2F") == "v1%2E2 %252F"


def test_corpus_is_the_same_for_the_same_seed():
    a, b, c = (list(corpus.messages(300, s)) for s in (5, 5, 6))
    assert a == b and a != c
    assert {m.what for m in corpus.messages(3000, 1)} >= set(corpus.ODDITIES)
    for m in a:
        assert b"\0" not in m.body and not re.search(rb"(?<!\r)\n", m.body)


def test_corpus_size():
    sizes = sorted(len(m.body) for m in corpus.messages(2000, 3))
    assert 6 << 10 < sizes[1000] < 11 << 10
    assert 15 << 10 < sum(sizes) / len(sizes) < 32 << 10


def test_corpus_through_maildir(directory):
    items = list(corpus.messages(400, 9))
    for eol in ("lf", "crlf"):
        root = os.path.join(directory, eol)
        assert corpus.write_maildir(root, items, eol) == 400
        assert model.compare(model.read_maildir(root),
                             model.expected(items, [f for f, _ in corpus.FOLDERS])) == []


def test_corpus_through_a_server(box):
    """What a server gives back is what it was given, oddities included."""
    items = corpus.small(40)
    box.put(*items)
    got = box.read()
    want = model.expected(items, got.keys())
    assert model.compare(got, want) == []


def test_dovecot_serves_a_written_maildir(servers):
    server = servers.dovecot("a")
    user = "written%d@left.example" % time.monotonic_ns()
    items = list(corpus.messages(150, 4))
    for eol in ("lf", "crlf"):
        server.fresh(user)
        root = server.maildir(user)
        corpus.write_maildir(root, items, eol)
        server.adopt(os.path.dirname(root))
        got = model.read_imap(server.plain_port, user, PASSWORD)
        assert model.compare(got, model.expected(items, got.keys()), ignore=()) == []
        assert corpus.EMPTY in got and not set(corpus.NOSELECT) & set(got)


def test_model_sees_every_kind_of_difference():
    m = corpus.one(1, folder="A", flags=("\\Seen",), keywords=("k",))
    base = model.expected([m])
    changed = [
        corpus.Message("A", m.body + b"x", m.flags, m.keywords, m.received),
        corpus.Message("A", m.body, frozenset(), m.keywords, m.received),
        corpus.Message("A", m.body, m.flags, frozenset(), m.received),
        corpus.Message("A", m.body, m.flags, m.keywords, m.received + 1),
        m.on("B")]
    assert model.compare(base, model.expected([m])) == []
    for c in changed:
        assert model.compare(base, model.expected([c])) != []
    assert model.compare(base, model.expected([m, m])) != []
    assert model.compare(base, model.expected([])) != []
    assert model.compare(base, model.expected([m], ["Empty"])) != []
    assert model.compare(base, model.expected([m, m.on("Trash")])) == []


def test_box_verbs(box):
    a, b = corpus.one(1, size=300), corpus.one(2, size=300)
    mid_a, mid_b = (model.message_id(m.body) for m in (a, b))
    box.put(a, b)
    before = box.stamp()
    assert box.stamp() == before
    box.create("Work/Ä & Ö")
    box.move("INBOX", mid_a, "Work/Ä & Ö")
    box.flag("INBOX", mid_b, add=("\\Flagged", "$Label1"), remove=("\\Seen",))
    assert box.stamp() != before
    got = box.read()
    assert got.where(mid_a) == ["Work/Ä & Ö"]
    i = got.of("INBOX", mid_b)[0]
    assert "\\Flagged" in i.flags and "\\Seen" not in i.flags and "$label1" in i.keywords
    box.copy("INBOX", mid_b, "Work/Ä & Ö")
    assert box.read().where(mid_b) == ["INBOX", "Work/Ä & Ö"]
    i, j = box.read().of("INBOX", mid_b)[0], box.read().of("Work/Ä & Ö", mid_b)[0]
    assert i.key() == j.key()
    box.rename("Work/Ä & Ö", "Elsewhere")
    box.remove("INBOX", mid_b)
    assert box.read().where(mid_b) == ["Elsewhere"]
    box.delete_folder("Elsewhere")
    assert "Elsewhere" not in box.folders() and "INBOX" in box.folders()


@pytest.mark.parametrize("kind", ("dovecot", "cyrus"))
def test_logons(servers, kind):
    server = servers.dovecot("a") if kind == "dovecot" else servers.cyrus("c")
    context = ssl.create_default_context(cafile=servers.certs.ca)
    user = "logon%d@left.example" % time.monotonic_ns()
    m = imaplib.IMAP4_SSL("127.0.0.1", server.tls_port, ssl_context=context)
    m.authenticate("PLAIN", lambda _: b"\0".join(
        x.encode() for x in (user, server.master, dovecot_module.MASTER_PASSWORD)))
    m.append("INBOX", None, None, b"Subject: a\r\n\r\nb\r\n")
    m.logout()
    m = imaplib.IMAP4("127.0.0.1", server.plain_port)
    m.starttls(context)
    m.login(user, PASSWORD)
    assert m.select("INBOX")[1] == [b"1"]
    assert b"\\drafts" in b" ".join(m.list()[1]).lower()
    m.logout()
    m = imaplib.IMAP4("127.0.0.1", server.plain_port)
    t = time.monotonic()
    with pytest.raises(imaplib.IMAP4.error):
        m.login(user, "wrong")
    t = time.monotonic() - t
    model.connect(server.plain_port, user, PASSWORD).logout()
    assert t < 1.5


def test_dovecot_offers_what_the_mask_leaves(base, certs):
    with dovecot_module.Dovecot(os.path.join(base, "masked"), certs.good, mask=("CONDSTORE", "QRESYNC")) as d:
        m = model.connect(d.plain_port, "m@x.example", PASSWORD)
        assert "UIDPLUS" in m.capabilities and "CONDSTORE" not in m.capabilities
        m.logout()


def test_full_list_of_capabilities_is_dovecots_own(base, certs):
    """A capability that Dovecot has and FULL lacks would be masked in every test."""
    d = dovecot_module.Dovecot(os.path.join(base, "own"), certs.good)
    with open(d.conf) as f:
        text = f.read()
    with open(d.conf, "w") as f:
        f.write(re.sub(r"(?m)^imap_capability.*\n", "", text))
    with d:
        m = model.connect(d.plain_port, "m@x.example", PASSWORD)
        m._get_capabilities()
        own = {c for c in m.capabilities if not c.startswith("AUTH=")}
        m.logout()
    assert own - {"SPECIAL-USE"} == {c.upper() for c in d.capabilities} - {"SPECIAL-USE"}


def test_uidvalidity_can_be_changed(servers):
    server = servers.dovecot("a")
    b = ImapBox(server, "uv%d@left.example" % time.monotonic_ns(), PASSWORD)
    items = corpus.small(6, folders=[("INBOX", 1)], each_oddity=False)
    b.put(*items)
    b.remove("INBOX", model.message_id(items[0].body))
    want, before = b.read(), b.stamp()["INBOX"]
    b.close()
    server.change_uidvalidity(b.user, "INBOX")
    after = b.stamp()["INBOX"]
    number = lambda s: int(re.search(r"UIDVALIDITY (\d+)", s).group(1))
    assert number(after) == number(before) + 1000
    assert model.compare(b.read(), want) == []


def test_size_limit(base, certs):
    with dovecot_module.Dovecot(os.path.join(base, "limit"), certs.good, max_mail=10_000) as d:
        m = model.connect(d.plain_port, "m@x.example", PASSWORD)
        assert m.append("INBOX", None, None, b"Subject: a\r\n\r\n" + b"x" * 5000)[0] == "OK"
        assert m.append("INBOX", None, None, b"Subject: a\r\n\r\n" + b"x" * 20_000)[0] == "NO"
        m.logout()


def test_oauth(base, certs):
    with Introspection() as tokens:
        with dovecot_module.Dovecot(os.path.join(base, "oauth"), certs.good, oauth_url=tokens.url) as d:
            tokens.tokens["good"] = "o@x.example"
            text = lambda token: b"user=o@x.example\1auth=Bearer " + token + b"\1\1"
            m = imaplib.IMAP4("127.0.0.1", d.plain_port)
            m.authenticate("XOAUTH2", lambda _: text(b"good"))
            assert m.select("INBOX")[0] == "OK"
            m.logout()
            m = imaplib.IMAP4("127.0.0.1", d.plain_port)
            with pytest.raises(imaplib.IMAP4.error):
                m.authenticate("XOAUTH2", lambda _: text(b"bad"))
            assert "good" in tokens.asked


# --- proxy ----------------------------------------------------------------------------------------------

def test_proxy_delays_also_tls(servers):
    server = servers.dovecot("a")
    context = ssl.create_default_context(cafile=servers.certs.ca)
    with Proxy(server.tls_port, delay_ms=20) as p:
        m = imaplib.IMAP4_SSL("127.0.0.1", p.port, ssl_context=context)
        m.login("d@x.example", PASSWORD)
        t = time.monotonic()
        for _ in range(5):
            m.noop()
        spent = time.monotonic() - t
        m.logout()
    assert 0.2 <= spent < 0.5


def test_proxy_loses_an_answer_but_not_the_message(servers):
    server = servers.dovecot("a")
    b = ImapBox(server, "lost%d@x.example" % time.monotonic_ns(), PASSWORD)
    with Proxy(server.plain_port) as p:
        p.drop_answer(rb"OK \[APPENDUID")
        m = model.connect(p.port, b.user, PASSWORD)
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            m.append("INBOX", None, None, b"Subject: a\r\n\r\nb\r\n")
        assert p.dropped == 1
        m = model.connect(p.port, b.user, PASSWORD)      # once only
        m.append("INBOX", None, None, b"Subject: c\r\n\r\nd\r\n")
        m.logout()
        assert len(b.read()["INBOX"]) == 2
        commands = p.commands()
        assert sum(" APPEND " in c for c in commands) == 2
        assert not any("Subject" in c for c in commands)


def test_proxy_cuts_drips_and_filters(servers):
    server = servers.dovecot("a")
    with Proxy(server.plain_port) as p:
        p.cut_after(400)
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            m = model.connect(p.port, "cut@x.example", PASSWORD)
            for _ in range(20):
                m.noop()
        assert p.cuts == 1
        p.calm()
        p.drip(7, 0.001)
        m = model.connect(p.port, "drip@x.example", PASSWORD)
        assert m.append("INBOX", None, None, b"Subject: a\r\n\r\n" + b"x" * 700)[0] == "OK"
        m.logout()
        p.calm()
        p.down_filter = lambda line: None if line.startswith(b"* LIST") else line
        m = model.connect(p.port, "list@x.example", PASSWORD)
        assert m.list()[1] == [None]
        m.logout()
        p.refuse()
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            model.connect(p.port, "x@x.example", PASSWORD)


def test_split_commands():
    assert split_commands(b"a APPEND x {3}\r\nabc {2+}\r\nxy\r\nb NOOP\r\n") == [
        "a APPEND x {3} {2+}", "b NOOP"]


# --- scripted servers -------------------------------------------------------------------------------------

def test_witness_sees_what_a_careless_client_says(certs):
    careless = ssl._create_unverified_context()
    with TlsWitness(certs.expired) as w:
        s = careless.wrap_socket(socket.create_connection(("127.0.0.1", w.port)))
        s.sendall(b"a LOGIN me secret\r\n")
        s.close()
        deadline = time.monotonic() + 5
        while b"secret" not in w.inside and time.monotonic() < deadline:
            time.sleep(0.01)
        assert b"secret" in w.inside and w.handshakes == 1


@pytest.mark.parametrize("which", ("expired", "notyet", "wrongname", "selfsigned", "stranger"))
def test_bad_certificates_are_bad(certs, which):
    context = ssl.create_default_context(cafile=certs.ca)
    with TlsWitness(getattr(certs, which)) as w:
        with pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(socket.create_connection(("127.0.0.1", w.port)), server_hostname="127.0.0.1")
    with TlsWitness(certs.good) as w:
        context.wrap_socket(socket.create_connection(("127.0.0.1", w.port)), server_hostname="127.0.0.1").close()


def test_stub_executes_the_text_of_a_refused_mail():
    """The trap is real: a client that sends the literal without waiting has its mail executed."""
    with ImapStub(append="bad") as s:
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(b"a LOGIN u p\r\nb APPEND INBOX {20+}\r\nzz CREATE hacked\r\nx\r\n\r\nc LOGOUT\r\n")
            while c.recv(4096):
                pass
        assert s.created == ["hacked"] and s.appends == 1


def test_dovecot_executes_the_text_of_a_refused_mail(servers):
    """Dovecot 2.3.19 really does: should that change, the test of the product loses its teeth."""
    server = servers.dovecot("a")
    b = ImapBox(server, "trap%d@x.example" % time.monotonic_ns(), PASSWORD)
    with socket.create_connection(("127.0.0.1", server.plain_port)) as c:
        c.sendall(b"a LOGIN %s %s\r\n" % (b.user.encode(), PASSWORD.encode()))
        while b"a OK" not in c.recv(4096):
            pass
        c.sendall(b'b APPEND INBOX "nonsense" {20+}\r\nzz CREATE hacked\r\nx\r\n\r\nc LOGOUT\r\n')
        while c.recv(4096):
            pass
    assert "hacked" in b.folders()
