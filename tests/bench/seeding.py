"""A settled mailbox of 100,000 messages for everybody, in minutes and not in a quarter of an hour.

The product, interimap and the wire limit make their own first copy (its time is noted). mbsync needs
five minutes for that, so it is given another's finished pair of mailboxes and a state file in its
own format that pairs the UIDs. Its settling run and the check after it prove that this is a state
as it would have written it; what is measured afterwards is mbsync alone.
"""

import collections
import os

import mailtree
from rig import SIDES, Failed, say, wire_name

LETTER = {flag: letter for letter, flag in mailtree.LETTERS.items()}


def settle_large(bench, mails):
    """{contestant: [answer of the first copy]}; leaves those settled that can be."""
    out, donor = {}, None
    for who in mails.rig.contestants:
        if who.name == "mbsync":
            continue
        answer = bench.attempt("d0", who, lambda: mails.first_copy(who))
        if not answer:
            continue
        out[who.name] = [answer]
        say("d0 first copy of %d by %s: %.1f s, cpu %.1f s, %.0f MiB" %
            (mails.messages, who.name, answer["wall"], answer["cpu"], answer["rss"] / 1024))
        if bench.attempt("d", who, lambda: mails.finish_settling(who) or True):
            donor = who
    for who in mails.rig.contestants:
        if who.name == "mbsync":
            bench.attempt("d", who, lambda: give(mails, donor, who))
    return out


def give(mails, donor, who):
    if donor is None:
        raise Failed("nobody made a first copy that it could be given")
    seat, other = mails.seat(who), mails.seat(donor)
    seat.forget()
    for s in SIDES:
        mailtree.clone(mails.rig.home(s, other.users[0]), mails.rig.home(s, seat.users[0]))
    write_state(mails, seat)
    mails.finish_settling(who)


def uidvalidity(path):
    with open(os.path.join(path, "dovecot-uidlist"), encoding="utf-8") as f:
        return next(x[1:] for x in f.readline().split() if x.startswith("V"))


def write_state(mails, seat):
    """mbsync's text state: the left side is its far one."""
    dirs = {s: mailtree.folders(mails.rig.maildir(s, seat.users[0])) for s in SIDES}
    boxes = collections.defaultdict(lambda: {s: [] for s in SIDES})
    for s in SIDES:
        for i in mailtree.items(mails.rig.maildir(s, seat.users[0])):
            boxes[i.folder][s].append(i)
    same = lambda i: (i.digest, sorted(i.flags), i.received, i.uid)
    for folder, path in dirs["left"].items():
        far, near = (sorted(boxes[folder][s], key=same) for s in SIDES)
        pairs = sorted((a.uid, b.uid, "".join(sorted(LETTER[f] for f in a.flags)))
                       for a, b in zip(far, near))
        with open(os.path.join(seat.state, "0-" + wire_name(folder).replace("/", "!")), "w") as f:
            f.write("FarUidValidity %s\nNearUidValidity %s\nMaxPulledUid %d\nMaxPushedUid %d\n\n" %
                    (uidvalidity(path), uidvalidity(dirs["right"][folder]),
                     max((p[0] for p in pairs), default=0), max((p[1] for p in pairs), default=0)))
            f.writelines("%d %d %s\n" % p for p in pairs)
