"""One run through everything that a mailbox goes through in its life, for any two sides."""

import corpus
import model


def mid(m):
    return model.message_id(m.body)


def plain(n, folder="INBOX", **how):
    return corpus.one(n, folder=folder, size=how.pop("size", 500), **how)


FOLDERS = [("INBOX", 5), ("Sent", 2), ("Projekte/Größe & Maß", 2), ("R&D", 1)]


def life(pair, seed=1):
    """Fills, changes on both sides, renames, moves, deletes; settles after each step.

    Returns the messages that must be there in the end.
    """
    left = corpus.small(18, seed=seed, folders=FOLDERS)
    right = [plain(n, f, flags=(), keywords=()) for n, f in
             enumerate(("INBOX", "INBOX", "INBOX", "Rechts/日本", "Rechts/日本"), 500)]
    own = [plain(n, f, flags=(), keywords=()) for n, f in
           enumerate(("INBOX", "INBOX", "Links", "Links", "Links"), 600)]
    pair.left.put(*left, *own)
    pair.right.put(*right)
    pair.settle()
    alive = left + right + own

    pair.left.flag("INBOX", mid(right[0]), ("\\Seen", "\\Flagged", "$Label1"))
    pair.right.flag("INBOX", mid(own[0]), ("\\Answered", "wichtig"))
    pair.left.move("INBOX", mid(right[1]), "Links")
    pair.right.move("Links", mid(own[2]), "Rechts/日本")
    pair.left.remove("Links", mid(own[3]))
    pair.right.remove("INBOX", mid(right[2]))
    more = [plain(700, "INBOX"), plain(701, "Neu/Tief")]
    pair.left.put(more[0])
    pair.right.put(more[1])
    pair.settle()
    alive += more
    for m in (own[3], right[2]):
        alive.remove(m)

    pair.left.flag("INBOX", mid(right[0]), (), ("\\Flagged",))
    pair.right.rename("Rechts/日本", "Umbenannt & Co")
    pair.left.rename("Links", "Links2")
    pair.left.create("Leer 🎉")
    pair.settle()

    pair.right.delete_folder("Neu/Tief")
    pair.settle()
    alive.remove(more[1])

    for box in pair.boxes:
        got = box.read()
        want = model.expected(alive).bodies()
        assert got.bodies(without=("Trash",)) == want
        assert got.where(mid(right[1])) == ["Links2"]
        assert got.where(mid(own[2])) == ["Umbenannt & Co"]
        assert "Leer 🎉" in got and not {"Links", "Rechts/日本", "Neu/Tief"} & set(got)
        i = got.of("INBOX", mid(right[0]))[0]
        assert i.flags == {"\\Seen"} and i.keywords == {"$label1"}
        i = got.of("INBOX", mid(own[0]))[0]
        assert i.flags == {"\\Answered"} and i.keywords == {"wichtig"}
    return alive
