#!/usr/bin/python3
"""Do the programs that know vdirs read what MailShadow wrote?  vdir_read.py MAILBOX-DIRECTORY

Finds in it one event ("Standup") in Calendars/Team, one task ("Milk") in Tasks/Team and one contact ("Ada
Lovelace") in Contacts/Team. Exit status 1: one of them does not see its item. What is not installed is named.
"""
import os, shutil, subprocess, sys, tempfile

box = sys.argv[1]
failed = []


def run(name, argv, want, env=None):
    if shutil.which(argv[0]) is None:
        print(f"skipped: {name} is not installed")
        return
    done = subprocess.run(argv, capture_output=True, text=True, env=dict(os.environ, LC_ALL="C.UTF-8", **(env or {})))
    if want not in done.stdout:
        failed.append(f"{name}: no '{want}' in {done.stdout!r} {done.stderr!r}")
    else:
        print(f"{name}: ok")


def vobject():
    try:
        import vobject
    except ImportError:
        print("skipped: python3-vobject is not installed")
        return
    for folder, path in (("Calendars", "vevent.summary"), ("Tasks", "vtodo.summary"), ("Contacts", "fn")):
        names = [n for n in os.listdir(f"{box}/{folder}/Team") if n.endswith((".ics", ".vcf"))]
        for name in names:
            thing = vobject.readOne(open(f"{box}/{folder}/Team/{name}", newline="").read())
            for part in path.split("."):
                thing = getattr(thing, part)
            print(f"vobject: {thing.value}")
        if len(names) != 1:
            failed.append(f"vobject: {names} in {folder}")


def main():
    with tempfile.TemporaryDirectory() as tmp:
        env = {"HOME": tmp, "XDG_CONFIG_HOME": tmp, "XDG_CACHE_HOME": tmp, "XDG_DATA_HOME": tmp}
        vobject()
        with open(f"{tmp}/khal", "w") as f:
            f.write(f"[calendars]\n[[team]]\npath = {box}/Calendars/Team\n[sqlite]\npath = {tmp}/khal.db\n"
                    "[locale]\nlongdateformat = %Y-%m-%d\ndateformat = %Y-%m-%d\ntimeformat = %H:%M\n"
                    "longdatetimeformat = %Y-%m-%d %H:%M\ndatetimeformat = %Y-%m-%d %H:%M\n")
        run("khal", ["khal", "-c", f"{tmp}/khal", "list", "2024-01-01", "2024-01-31"], "Standup", env)
        with open(f"{tmp}/todo.py", "w") as f:
            f.write(f"path = '{box}/Tasks/*'\ncache_path = '{tmp}/todo.db'\n")
        todo = "todoman" if shutil.which("todoman") else "todo"     # Debian's name of it, and its own
        run("todoman", [todo, "--config", f"{tmp}/todo.py", "list"], "Milk", env)
        os.mkdir(f"{tmp}/copy")
        with open(f"{tmp}/sync", "w") as f:
            f.write(f'[general]\nstatus_path = "{tmp}/status"\n[pair p]\na = "a"\nb = "b"\ncollections = ["Team"]\n'
                    'metadata = ["displayname"]\n'
                    f'[storage a]\ntype = "filesystem"\npath = "{box}/Contacts"\nfileext = ".vcf"\n'
                    f'[storage b]\ntype = "filesystem"\npath = "{tmp}/copy"\nfileext = ".vcf"\n')
        if shutil.which("vdirsyncer"):
            for argv in (["discover"], ["sync"], ["metasync"]):
                subprocess.run(["vdirsyncer", "-c", f"{tmp}/sync"] + argv, input="y\n" * 9, text=True,
                               capture_output=True, env=dict(os.environ, LC_ALL="C.UTF-8", **env))
        run("vdirsyncer", ["sh", "-c", f"cat {tmp}/copy/Team/*.vcf"] if shutil.which("vdirsyncer") else ["vdirsyncer"],
            "Ada Lovelace", env)
    for line in failed:
        print(line)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
