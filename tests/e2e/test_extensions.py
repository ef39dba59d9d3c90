"""Every IMAP extension is used only where it is announced, and nothing depends on one."""

import re

import pytest

import scenario
from servers import cyrus
from servers import dovecot

pytestmark = pytest.mark.product

# What must not be said to a server that does not announce it.
FORBIDDEN = {
    "CONDSTORE": r"CHANGEDSINCE|UNCHANGEDSINCE|MODSEQ|\(CONDSTORE\)|ENABLE .*CONDSTORE",
    "QRESYNC": r"QRESYNC|VANISHED",
    "LIST-STATUS": r" LIST .*RETURN .*STATUS",
    "LIST-EXTENDED": r" LIST .*RETURN| LIST \(",
    "SPECIAL-USE": r" LIST .*SPECIAL-USE",
    "UIDPLUS": r"UID EXPUNGE",
    "MULTIAPPEND": r" APPEND .*\{\d+\+?\}.*\{\d+\+?\}",
    "LITERAL+": r"\{\d+\+\}",
    "MOVE": r"UID MOVE|^\S+ MOVE ",
    "ESEARCH": r"SEARCH RETURN",
    "NAMESPACE": r"^\S+ NAMESPACE",
    "ENABLE": r"^\S+ ENABLE",
    "UNSELECT": r"^\S+ UNSELECT",
    "BINARY": r"BINARY|~\{",
    "IDLE": r"^\S+ IDLE",
    "NOTIFY": r"^\S+ NOTIFY",
}

MASKS = {
    "condstore": ("CONDSTORE", "QRESYNC"), "qresync": ("QRESYNC",), "list-status": ("LIST-STATUS",),
    "list-extended": ("LIST-EXTENDED", "LIST-STATUS"), "special-use": ("SPECIAL-USE",),
    "uidplus": ("UIDPLUS",), "multiappend": ("MULTIAPPEND",), "literal": ("LITERAL+",),
    "move": ("MOVE",), "esearch": ("ESEARCH",), "namespace": ("NAMESPACE",), "enable": ("ENABLE", "QRESYNC"),
    "all": tuple(c for c in dovecot.FULL if c != "IMAP4rev1"),
}


def spoken(commands, masked):
    out = []
    for extension in masked:
        pattern = FORBIDDEN.get(extension)
        if pattern:
            out += ["%s: %s" % (extension, c) for c in commands if re.search(pattern, c)]
    return out


def masked_server(servers, name):
    return servers.dovecot("mask-" + name, mask=MASKS[name])


@pytest.mark.parametrize("name", sorted(MASKS))
def test_without(make, servers, name):
    server = masked_server(servers, name)
    p = make.proxy(server)
    pair = make.pair("local-imap", right={"server": server, "tls": "none", "port": p.port})
    scenario.life(pair)
    commands = p.commands()
    assert any(" APPEND " in c for c in commands) and any(" FETCH " in c for c in commands)
    assert spoken(commands, MASKS[name]) == []
    pair.close()


def test_without_any_on_both_sides(make, servers):
    a, b = masked_server(servers, "all"), servers.dovecot("mask-all2", mask=MASKS["all"])
    p, q = make.proxy(a), make.proxy(b)
    pair = make.pair("imap-imap", left={"server": a, "tls": "none", "port": p.port},
                     right={"server": b, "tls": "none", "port": q.port})
    scenario.life(pair)
    assert spoken(p.commands() + q.commands(), MASKS["all"]) == []
    pair.close()


def test_with_all_they_are_used(make, servers):
    """The other way round: what is announced and makes a pass fast is used."""
    server = servers.dovecot("b")
    p = make.proxy(server)
    pair = make.pair("local-imap", right={"server": server, "tls": "none", "port": p.port})
    scenario.life(pair)
    commands = p.commands()
    for extension in ("LIST-STATUS", "MULTIAPPEND", "LITERAL+", "MOVE", "QRESYNC"):
        assert spoken(commands, (extension,)), extension + " is announced and never used"
    pair.close()


@pytest.mark.parametrize("name", ("", "qresync", "condstore", "esearch", "all", "cyrus"))
def test_changes_right_after_our_own_write(make, servers, name):
    """What a pass wrote is known to be there: if it is gone or flagged before the next pass begins,
    the next pass sees that, by whichever way the server tells it."""
    if name == "cyrus" and not cyrus.wanted():
        pytest.skip("MS_NO_CYRUS is set")
    server = (servers.cyrus("d") if name == "cyrus" else
              masked_server(servers, name) if name else servers.dovecot("b"))
    pair = make.pair("local-" + ("cyrus" if name == "cyrus" else "imap"), right={"server": server})
    items = [scenario.plain(n, flags=(), keywords=()) for n in range(6)]
    pair.left.put(*items)
    pair.once()
    pair.right.remove("INBOX", scenario.mid(items[1]))
    pair.right.flag("INBOX", scenario.mid(items[2]), ("\\Flagged",))
    pair.right.move("INBOX", scenario.mid(items[3]), "Work")
    pair.right.put(scenario.plain(50))
    pair.settle()
    left = pair.left.read()
    assert left.of("INBOX", scenario.mid(items[1])) == []
    assert left.of("INBOX", scenario.mid(items[2]))[0].flags == {"\\Flagged"}
    assert left.where(scenario.mid(items[3])) == ["Work"]
    pair.close()


def test_idle_pass_costs_few_round_trips(make, servers):
    """Nothing changed: a constant number of round trips, however many folders and messages."""
    server = servers.dovecot("b")
    turns = []
    for folders in (2, 12):
        p = make.proxy(server)
        pair = make.pair("local-imap", right={"server": server, "tls": "none", "port": p.port})
        pair.left.put(*[scenario.plain(n, "F%d" % (n % folders)) for n in range(4 * folders)])
        pair.settle()
        p.clear()
        pair.once()
        turns.append(p.turns)
        pair.close()
    assert turns[0] == turns[1] and turns[0] <= 5, turns


@pytest.mark.parametrize("kind", ("local-cyrus", "cyrus-imap", "imap-cyrus", "cyrus-cyrus"))
def test_cyrus(make, kind):
    if not cyrus.wanted():
        pytest.skip("MS_NO_CYRUS is set")
    pair = make.pair(kind)
    scenario.life(pair)
    pair.close()


@pytest.mark.parametrize("kind", ("local-imap", "imap-imap", "local-local", "imap-local"))
def test_life(make, kind):
    pair = make.pair(kind)
    scenario.life(pair)
    pair.close()


def test_cyrus_with_dots_and_prefix(make, servers):
    """altnamespace off, '.' for a separator: names come as INBOX.A.B."""
    if not cyrus.wanted():
        pytest.skip("MS_NO_CYRUS is set")
    server = servers.cyrus("dots", altnamespace=False, unixsep=False)
    pair = make.pair("local-cyrus", right={"server": server})
    pair.left.put(scenario.plain(1, "Alpha/Beta"), scenario.plain(2))
    pair.right.put(scenario.plain(3, "Gamma"))
    pair.settle()
    assert pair.left.read().where(scenario.mid(scenario.plain(3))) == ["Gamma"]
    pair.close()


def test_folder_names_with_the_other_sides_separator(make, servers):
    """'v1.2' on Cyrus (separator '/'): reversible on disk and back, and not a folder 'v1' with a child."""
    if not cyrus.wanted():
        pytest.skip("MS_NO_CYRUS is set")
    pair = make.pair("cyrus-local")
    m = scenario.plain(1, "v1.2")
    pair.left.put(m)
    pair.once()
    pair.verify()
    pair.idle()
    assert pair.left.folders().count("v1.2") == 1 and "v1" not in pair.left.folders()
    assert pair.right.read().bodies() == pair.left.read().bodies()
    pair.left.flag("v1.2", scenario.mid(m), ("\\Flagged",))
    pair.once()
    items = [i for inside in pair.right.read().values() for i in inside]
    assert len(items) == 1 and "\\Flagged" in items[0].flags
    pair.close()
