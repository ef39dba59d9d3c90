"""Pairings of two places for events, tasks and contacts: DAV servers and disk."""

import os

import davservers
import product
import records
from records import calendar, card, event, todo


class Pair:
    """A pairing "p" of two boxes of records."""

    name = "p"

    def __init__(self, config, boxes, kind):
        self.config, self.left, self.right, self.kind = config, boxes[0], boxes[1], kind

    @property
    def boxes(self):
        return (self.left, self.right)

    def close(self):
        pass

    def stop(self):
        """The servers that are this pair's alone."""
        for box in self.boxes:
            if isinstance(getattr(box, "server", None), davservers.Xandikos):
                box.server.stop()

    def once(self, rc=0):
        """rc None: however it ends."""
        r = self.config.once()
        assert rc in (None, r.rc), "%s\n%s" % (r, self.config.log()[-4000:])

    def equal(self):
        d = records.differences(self.left.read(), self.right.read())
        assert not d, "\n".join(d) + "\n" + self.config.log()[-6000:]

    def verify(self):
        r = self.config.verify("p")
        assert r.rc == 0 and r.json()["verdict"] == "equal", "%s\n%s" % (r, self.config.log()[-4000:])

    def idle(self):
        """A further pass does nothing: the plan is empty and no side is written to."""
        plan = self.config.plan("p")
        assert plan.rc == 0 and plan.json()["actions"] == [], plan
        before = (self.left.stamp(), self.right.stamp())
        self.once()
        assert before == (self.left.stamp(), self.right.stamp())

    def settle(self):
        """One pass makes both sides equal, in the product's eyes and in ours; then nothing is left to do."""
        self.once()
        self.equal()
        self.verify()
        self.idle()


def dav_endpoint(config, name, server, user, port=None):
    """An imap endpoint without mail; port: another one, of a proxy."""
    urls = {k: v.replace(":%d/" % server.port, ":%d/" % (port or server.port)) for k, v in server.urls(user).items()}
    config.endpoints[name] = "<endpoint name=\"%s\" type=\"imap\">%s</endpoint>" % (
        name, "".join("<%s>%s</%s>" % (k, v, k) for k, v in urls.items()))


def make_side(config, servers, directory, side, what, through=None, serial=[0]):
    serial[0] += 1
    user = "r%d-%d-%s" % (os.getpid(), serial[0], side)
    if what == "local":
        path = os.path.join(directory, "disk-" + side)
        config.local(side, path)
        return records.VdirBox(os.path.join(path, user)), config.mailbox(side, user)
    if what == "cyrus":
        server, user = davservers.Cyrus(servers.cyrus("c" if side == "left" else "d")), user + "@cyrus.example"
    elif what == "radicale":
        server = servers.radicale(side)
    else:
        server = davservers.Xandikos(os.path.join(directory, "xandikos-" + side)).start(user)
    dav_endpoint(config, side, server, user, through(server.port) if through else None)
    box = records.DavBox(server.user(user))
    box.server = server
    return box, config.mailbox(side, user + "@example.org", login=user, password=server.password)


def make_pair(servers, directory, kind, inner="", gateway=None, through=None, **attributes):
    """through: side -> function from a server's port to that of a proxy before it."""
    config = product.Config(directory, **(gateway or {}))
    made = [make_side(config, servers, directory, side, what, (through or {}).get(side))
            for side, what in zip(("left", "right"), kind.split("-"))]
    config.pairing("p", made[0][1], made[1][1], inner=inner, **{"kinds": "events contacts tasks", **attributes})
    config.write()
    return Pair(config, (made[0][0], made[1][0]), kind)


def kinds_of(pair):
    """Xandikos makes no collection for tasks."""
    return ("events", "contacts") if "xandikos" in pair.kind else ("events", "contacts", "tasks")


TEXTS = {"events": lambda uid: calendar(event(uid)), "tasks": todo, "contacts": card}


def fill(box, pair, name="Team"):
    for kind in kinds_of(pair):
        box.make(kind, name)
        for uid in ("one@example.org", "two", "three-3"):
            box.add(kind, name, TEXTS[kind](kind[0] + uid))
