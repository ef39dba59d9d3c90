"""What DAV servers answer when something came between: a sync-token that is not known any more, a version that somebody
has changed (412), a collection that somebody has removed (409, 404), a listing in pieces (507), a full disk (507).

A proxy before the real server lets it happen at the right moment; the server's own answers go through.
"""

import os
import re
import shutil

import pytest

from record_pair import fill, make_pair
from records import calendar, event, with_property
from servers.httpproxy import Answer, HttpProxy

pytestmark = pytest.mark.product

SERVERS = ("radicale", "xandikos", "cyrus")


class Case:
    """A server on the left behind a proxy, disk on the right; three items of each kind, settled."""

    def __init__(self, pair, proxy):
        self.pair, self.proxy = pair, proxy
        self.server, self.disk = pair.left, pair.right
        fill(self.disk, pair)
        pair.settle()
        self.collection = self.server.collections()["events", "Team"]

    def once(self, rc=0):
        self.pair.once(rc)
        assert not self.proxy.failed, self.proxy.failed

    def uids(self, box, kind="events"):
        return sorted(box.read()[kind, "Team"])

    def set(self, box, uid, name, value):
        where, _ = box.find("events", "Team", uid)
        assert box.change(where, "events", lambda text: with_property(text, name, "%s:%s" % (name, value)))

    def value(self, box, uid, name):
        return box.read()["events", "Team"][uid][""].get(name)

    def at_first(self, method, do, has=lambda request: True):
        """Before the first such request goes on to the server."""
        def hook(request):
            if request.method == method and request.path.startswith(self.collection) and has(request):
                self.proxy.hook = None
                return do()
            return None
        self.proxy.hook = hook


@pytest.fixture
def build(servers, directory):
    made = []

    def build(server, **how):
        def through(port):
            made.append(HttpProxy(port).start())
            return made[-1].port
        pair = make_pair(servers, directory, server + "-local", through={"left": through}, **how)
        made.append(pair)
        return Case(pair, made[-2])
    yield build
    for x in made:
        x.stop()


@pytest.fixture(params=SERVERS)
def case(request, build):
    return build(request.param)


# --- tokens

TOKEN = re.compile(rb"(<(?:\w+:)?sync-token[^>]*>)([^<]+)(</)")


def forgotten(request):
    """Asks for the changes since a token that this server never gave."""
    if request.method == "REPORT" and b"sync-collection" in request.body:
        request.body = TOKEN.sub(lambda m: m[1] + m[2].translate(bytes.maketrans(b"0123456789abcdef", b"1032547698badcfe"))
                                 + m[3], request.body)


def test_a_forgotten_token_is_no_deletion(case):
    """All is listed again; what came, changed and went meanwhile is told apart from what was there."""
    case.set(case.server, "etwo", "SUMMARY", "Changed there")
    case.server.delete("events", "Team", "ethree-3")
    case.server.add("events", "Team", calendar(event("efour")))
    case.set(case.disk, "eone@example.org", "LOCATION", "Changed here")
    case.proxy.hook = forgotten
    before = case.proxy.count("REPORT")
    case.once()
    case.proxy.hook = None
    assert case.proxy.count("REPORT") > before
    assert case.uids(case.disk) == case.uids(case.server) == ["efour", "eone@example.org", "etwo"]
    assert case.uids(case.disk, "contacts") == case.uids(case.server, "contacts") and len(case.uids(case.disk, "contacts")) == 3
    assert case.value(case.disk, "etwo", "summary") == ["Changed there"]
    assert case.value(case.server, "eone@example.org", "location") == ["Changed here"]
    case.pair.settle()


def test_all_tokens_lost(build, servers):
    """As after a restore of the server without its caches."""
    case = build("radicale")
    lost = 0
    for at, dirs, _ in os.walk(os.path.join(servers.radicale("left").dir, "store")):
        if ".Radicale.cache" in dirs:
            shutil.rmtree(os.path.join(at, ".Radicale.cache"))
            lost += 1
    assert lost > 0
    case.set(case.server, "etwo", "SUMMARY", "Changed there")
    case.pair.settle()
    assert case.value(case.disk, "etwo", "summary") == ["Changed there"]
    assert len(case.uids(case.disk)) == len(case.uids(case.server)) == 3


# --- somebody was faster

def test_edited_between_reading_and_writing(case):
    """412: what somebody wrote meanwhile stays, and what was to be written comes to it."""
    case.set(case.disk, "etwo", "LOCATION", "From disk")
    case.at_first("PUT", lambda: case.set(case.server, "etwo", "DESCRIPTION", "Meanwhile"))
    case.once()
    assert case.proxy.count("PUT", 412) == 1, case.proxy.log
    assert case.value(case.server, "etwo", "description") == ["Meanwhile"]
    case.pair.settle()
    for box in (case.server, case.disk):
        assert case.value(box, "etwo", "description") == ["Meanwhile"]
        assert case.value(box, "etwo", "location") == ["From disk"]


def test_edited_before_it_is_deleted(case):
    """412: what somebody works on is not deleted."""
    case.disk.delete("events", "Team", "etwo")
    case.at_first("DELETE", lambda: case.set(case.server, "etwo", "DESCRIPTION", "Meanwhile"))
    case.once()
    assert case.proxy.count("DELETE", 412) == 1, case.proxy.log
    case.pair.settle()
    assert case.value(case.disk, "etwo", "description") == ["Meanwhile"]


def test_created_between_reading_and_writing(case):
    """412: another program brought the same item there, under the name that we would have given it."""
    text = calendar(event("efive", more="LOCATION:From disk\n"))
    case.disk.add("events", "Team", text)

    def bring():
        case.server.put(("events", "Team"), case.collection + "efive.ics", with_property(
            text, "DESCRIPTION", "DESCRIPTION:Meanwhile"))
    case.at_first("PUT", bring)
    case.once()
    assert case.proxy.count("PUT", 412) == 1, case.proxy.log
    case.pair.settle()
    assert case.uids(case.server).count("efive") == case.uids(case.disk).count("efive") == 1
    for box in (case.server, case.disk):
        assert case.value(box, "efive", "description") == ["Meanwhile"]
        assert case.value(box, "efive", "location") == ["From disk"]


def test_moved_away_before_it_is_changed(case):
    """404 or 412: the change finds it where it is now."""
    case.disk.make("events", "Other")
    case.pair.settle()
    case.set(case.disk, "etwo", "LOCATION", "From disk")

    def move():
        where, _ = case.server.find("events", "Team", "etwo")
        assert case.server.move(where, case.server.place(case.server.collections()["events", "Other"], "events", "etwo"),
                                "events")
    case.at_first("PUT", move)
    case.once()
    assert case.proxy.count("PUT", 412) + case.proxy.count("PUT", 404) >= 1, case.proxy.log
    case.pair.settle()
    for box in (case.server, case.disk):
        assert "etwo" not in case.uids(box)
        assert box.read()["events", "Other"]["etwo"][""]["location"] == ["From disk"]


def test_collection_removed_before_something_comes_into_it(case):
    """409, or 403 of Cyrus. What is new keeps the collection alive, as it does where nobody is in a hurry."""
    case.disk.add("events", "Team", calendar(event("efive")))
    case.at_first("PUT", lambda: case.server.client.delete(case.collection))
    case.once(None)
    assert sum(case.proxy.count("PUT", status) for status in (403, 404, 409)) == 1, case.proxy.log
    assert case.pair.config.pairing_status("p")["quarantined"] == 0
    case.once()
    case.pair.settle()
    assert case.uids(case.server) == case.uids(case.disk) == ["efive"]


# --- too much

def test_a_listing_in_pieces(build):
    """507 for the collection, and a token to go on with: RFC 6578 3.6, as Cyrus does it."""
    case = build("cyrus")
    for i in range(25):
        case.server.add("events", "Team", calendar(event("many%02d" % i)))
    pieces = []

    def small(request):
        request.body = re.sub(rb"nresults>\d+<", b"nresults>7<", request.body)

    def count(request, answer):
        if request.method == "REPORT" and b"nresults>7<" in request.body and b"507" in answer.body:
            pieces.append(request.path)
        return answer
    case.proxy.hook, case.proxy.after = small, count
    case.once()
    assert len(pieces) >= 3, case.proxy.log
    pieces.clear()
    assert len(case.uids(case.disk)) == 28
    case.pair.config.forget("p")                        # all of it once more, from no token at all
    case.once()
    assert len(pieces) >= 3, case.proxy.log
    case.proxy.calm()
    case.pair.settle()
    assert len(case.uids(case.disk)) == len(case.uids(case.server)) == 28


@pytest.mark.parametrize("server", ("radicale", "xandikos"))
def test_a_limit_that_is_too_much(build, server):
    """507 for the whole request that asks for a limit: it is asked without."""
    case = build(server)
    case.server.add("events", "Team", calendar(event("efive")))
    case.proxy.hook = lambda r: Answer(507) if b"nresults" in r.body else None
    case.once()
    assert case.proxy.count("REPORT", 507) >= 1
    assert "efive" in case.uids(case.disk) and len(case.uids(case.server)) == 4
    case.proxy.calm()
    case.pair.settle()


def test_no_room_for_one_more(case):
    """507 for an item: the pass says so, nothing is lost or doubled, and it goes on once there is room."""
    case.disk.add("events", "Team", calendar(event("efive")))
    case.disk.delete("events", "Team", "etwo")
    case.proxy.hook = lambda r: Answer(507) if r.method == "PUT" else None
    case.once(1)
    row = case.pair.config.pairing_status("p")
    assert row["code"] == "0x81010016" and "quota" in row["reason"] + row["remedy"], row
    case.proxy.calm()
    case.pair.settle()
    assert case.uids(case.server) == case.uids(case.disk) == ["efive", "eone@example.org", "ethree-3"]


def test_a_client_that_writes_what_it_read_before(case):
    """No condition, an old text: what came from the other side meanwhile is undone there, as its user did it."""
    where, old = case.server.find("events", "Team", "etwo")
    case.set(case.disk, "etwo", "LOCATION", "From disk")
    case.pair.settle()
    case.server.put(("events", "Team"), where, with_property(old, "SUMMARY", "SUMMARY:From an old copy"))
    case.pair.settle()
    for box in (case.server, case.disk):
        assert case.value(box, "etwo", "summary") == ["From an old copy"]
        assert case.value(box, "etwo", "location") is None
