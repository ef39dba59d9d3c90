"""Lays out the two mailboxes of scripts/demo: demo_mail.py DIRECTORY."""

import os
import sys

import corpus


def main(root):
    here = os.path.join(root, "here", "alice@here.example", "Mail")
    there = os.path.join(root, "there", "alice@there.example", "Mail")
    items = list(corpus.small(420, seed=7))
    # some only here, some only there, and some that are on both sides from the start
    corpus.write_maildir(here, items[:300])
    corpus.write_maildir(there, items[220:], eol="crlf")
    os.chmod(root, 0o700)


if __name__ == "__main__":
    main(sys.argv[1])
