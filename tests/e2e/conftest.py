"""Fixtures: servers that live as long as the session, pairings that live as long as a test.

Each test gets users of its own on shared servers, so mailboxes are fresh and nothing is restarted.
`--part I/N` runs every N-th test only, so that two halves can share two cores.
"""

import itertools
import os
import shutil
import signal
import tempfile

import pytest

import davservers
import model
import product
from box import ImapBox, MaildirBox
from servers import certs as certs_module
from servers import cyrus as cyrus_module
from servers import dovecot as dovecot_module
from servers.proxy import Proxy

_serial = itertools.count(1)


_figures = []


def figure(text):
    """A line that the run's summary shows, passed or not: what was counted."""
    _figures.append(text)
    print(text)


def pytest_terminal_summary(terminalreporter):
    for text in _figures:
        terminalreporter.write_line(text)


def pytest_addoption(parser):
    parser.addoption("--part", default="1/1", help="I/N: run the I-th of N parts")
    parser.addoption("--full", action="store_true", help="run also what is marked full")
    parser.addoption("--harness-only", action="store_true", help="only the tests of the harness itself")
    parser.addoption("--keep", action="store_true", help="leave the directories of failed tests")


def pytest_configure(config):
    # A terminated run stops its servers as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--harness-only"):
        items[:] = [x for x in items if not x.get_closest_marker("product")]
    elif not product.present() and any(x.get_closest_marker("product") for x in items):
        # Never skipped in silence: a suite that tested nothing must not look green.
        raise pytest.UsageError("no programs in %s: run make, or set MS_BUILD" % product.BUILD)
    mine, of = (int(x) for x in config.getoption("--part").split("/"))
    if of > 1:
        out = [x for n, x in enumerate(items) if n % of != mine - 1]
        config.hook.pytest_deselected(items=out)
        items[:] = [x for n, x in enumerate(items) if n % of == mine - 1]
    for x in items:
        if "full" in x.keywords and not config.getoption("--full") and "full" not in (config.getoption("-m") or ""):
            x.add_marker(pytest.mark.skip(reason="runs with --full"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "rep_" + call.when, outcome.get_result())


def _roomy():
    try:
        st = os.statvfs("/dev/shm")
        return "/dev/shm" if st.f_bavail * st.f_frsize > 2 << 30 and os.access("/dev/shm", os.W_OK) else None
    except OSError:
        return None


@pytest.fixture(scope="session")
def base():
    """One short directory for the whole session: paths of sockets have 107 bytes at most.

    In memory where there is room, since servers and product flush a lot; MS_E2E_DIR says otherwise.
    """
    path = tempfile.mkdtemp(prefix="mse2e-", dir=os.environ.get("MS_E2E_DIR") or _roomy())
    os.chmod(path, 0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def certs(base):
    return certs_module.make(os.path.join(base, "certs"))


class Servers:
    """Starts each server when it is first asked for."""

    def __init__(self, base, certs):
        self.base, self.certs, self.running = base, certs, {}

    def dovecot(self, name="a", **how):
        key = ("dovecot", name)
        if key not in self.running:
            self.running[key] = dovecot_module.Dovecot(
                os.path.join(self.base, "dovecot-" + name), self.certs.good, master="svc-" + name,
                **how).start()
        return self.running[key]

    def cyrus(self, name="c", **how):
        key = ("cyrus", name)
        if key not in self.running:
            self.running[key] = cyrus_module.Cyrus(
                os.path.join(self.base, "cyrus-" + name), self.certs.good, master="svc-" + name,
                **how).start()
        return self.running[key]

    def radicale(self, name="left"):
        key = ("radicale", name)
        if key not in self.running:
            self.running[key] = davservers.Radicale(os.path.join(self.base, "radicale-" + name)).start()
        return self.running[key]

    def stop(self):
        for s in self.running.values():
            s.stop()


@pytest.fixture(scope="session")
def servers(base, certs):
    s = Servers(base, certs)
    yield s
    s.stop()


@pytest.fixture
def directory(base, request):
    path = os.path.join(base, "t%03d" % next(_serial))
    os.mkdir(path, 0o755)
    yield path
    failed = getattr(request.node, "rep_call", None) and request.node.rep_call.failed
    if failed and request.config.getoption("--keep"):
        kept = tempfile.mkdtemp(prefix="mse2e-kept-")
        shutil.copytree(path, os.path.join(kept, "t"), ignore=shutil.ignore_patterns("socket"),
                        dirs_exist_ok=True, symlinks=True)
        print("kept in", kept)
    shutil.rmtree(path, ignore_errors=True)


class Pair:
    """A pairing "p" of two boxes with its configuration."""

    name = "p"

    def __init__(self, config, left, right):
        self.config, self.left, self.right = config, left, right
        self.kind = ""

    @property
    def boxes(self):
        return (self.left, self.right)

    def side(self, which):
        return self.left if which == "left" else self.right

    def other(self, which):
        return self.right if which == "left" else self.left

    def close(self):
        self.left.close()
        self.right.close()

    def once(self, rc=0, timeout=60, env=None):
        self.close()
        r = self.config.once(timeout, env)
        assert r.rc == rc, "%s\n%s" % (r, self.config.log()[-4000:])
        return r

    def plan(self):
        self.close()
        r = self.config.plan(self.name)
        assert r.rc == 0, r
        answer = r.json()
        assert answer["version"] == 1 and answer["pairing"] == self.name, answer
        return answer["actions"]

    def verify(self, rc=0):
        self.close()
        r = self.config.verify(self.name)
        assert r.rc == rc, "%s\n%s" % (r, self.config.log()[-4000:])
        answer = r.json()
        assert answer["version"] == 1 and answer["pairing"] == self.name, answer
        assert answer["verdict"] == {0: "equal", 1: "differs", 2: "incomplete"}[rc], answer
        return answer

    def status(self):
        return self.config.pairing_status(self.name)

    def differences(self, **how):
        return model.compare(self.left.read(), self.right.read(), **how)

    def equal(self, **how):
        d = self.differences(**how)
        assert not d, "\n".join(d)

    def idle(self):
        """A further pass does nothing: the plan is empty and no side is written to."""
        assert self.plan() == []
        before = [b.stamp() for b in self.boxes]
        self.once()
        after = [b.stamp() for b in self.boxes]
        assert before == after

    def settle(self, **how):
        """One pass makes the sides equal, in the product's eyes and in ours; then nothing is left."""
        self.once()
        if "cyrus" in self.kind:
            # Cyrus makes the missing parents of a new folder; the other side gets them next time.
            self.once()
        self.equal(**how)
        self.verify()
        self.idle()


class Maker:
    def __init__(self, servers, directory):
        self.servers, self.directory = servers, directory
        self.proxies = []
        self.n = 0

    def config(self, **gateway):
        return product.Config(self.directory, **gateway)

    def box(self, config, side, kind, login="service", tls="implicit", port=None, server=None,
            endpoint=None, **how):
        """Adds an endpoint and gives (box, mailbox element).

        kind   local, imap (Dovecot a on the left, b on the right), cyrus
        login  "service": the service account with authzid; "own": the mailbox's own password
        port   another port, e.g. a proxy's
        """
        self.n += 1
        endpoint = endpoint or side
        user = "u%d-%d-%s@%s.example" % (os.getpid(), next(_serial), side[0], side)
        if kind == "local":
            path = os.path.join(self.directory, "mail-" + side)
            os.makedirs(path, exist_ok=True)
            config.local(endpoint, path)
            box = MaildirBox(os.path.join(path, user, "Mail"))
            box.ensure()
            return box, config.mailbox(endpoint, user)
        if server is None:
            server = (self.servers.cyrus("c" if side == "left" else "d") if kind == "cyrus" else
                      self.servers.dovecot("a" if side == "left" else "b"))
        box = ImapBox(server, user, dovecot_module.PASSWORD)
        use = port or (server.tls_port if tls == "implicit" else server.plain_port)
        service = {"login": server.master, "password": dovecot_module.MASTER_PASSWORD} \
            if login == "service" else {}
        config.imap(endpoint, use, ca=None if tls == "none" else self.servers.certs.ca, tls=tls,
                    **service, **how)
        own = {} if login == "service" else {"login": user, "password": dovecot_module.PASSWORD}
        return box, config.mailbox(endpoint, user, **own)

    def pair(self, kind="local-imap", left=None, right=None, gateway=None, folders="", inner="",
             **attributes):
        """kind is "LEFT-RIGHT"; `left` and `right` are keyword arguments for box()."""
        config = self.config(**(gateway or {}))
        kinds = kind.split("-")
        a, left_xml = self.box(config, "left", kinds[0], **(left or {}))
        b, right_xml = self.box(config, "right", kinds[1], **(right or {}))
        config.pairing(Pair.name, left_xml, right_xml, folders, inner, **attributes)
        config.write()
        pair = Pair(config, a, b)
        pair.kind = kind
        return pair

    def proxy(self, server, **how):
        """A recording proxy before a server's plain port."""
        p = Proxy(server.plain_port, **how).start()
        self.proxies.append(p)
        return p

    def stop(self):
        for p in self.proxies:
            p.stop()


@pytest.fixture
def make(servers, directory):
    m = Maker(servers, directory)
    yield m
    m.stop()


KINDS = ("local-imap", "imap-imap")


@pytest.fixture(params=KINDS)
def pair(request, make):
    p = make.pair(request.param)
    yield p
    p.close()


@pytest.fixture(params=("left", "right"))
def side(request):
    return request.param
