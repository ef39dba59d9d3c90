"""Runs a program under the system call rules of a systemd unit, without systemd as process 1.

    unit_filter.py UNIT -- PROGRAM [ARGUMENT ...]

Reads SystemCallFilter=, SystemCallErrorNumber=, RestrictAddressFamilies=, MemoryDenyWriteExecute=,
RestrictRealtime=, RestrictNamespaces= and the Limit...= lines as systemd.exec(5) describes them,
loads one seccomp filter made of them by libseccomp, and executes the program. Groups of system
calls are asked from `systemd-analyze syscall-filter`, so they are those of this systemd.
"""

import ctypes
import errno
import os
import resource
import socket
import subprocess
import sys

ALLOW = 0x7FFF0000
NE, LT, LE, EQ, GE, GT, MASKED = 1, 2, 3, 4, 5, 6, 7


class Arg(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def settings(path, section="Service"):
    """The unit's lines of one section as a list of (key, value)."""
    out, here = [], None
    with open(path) as f:
        for line in f:
            line = line.strip()
            if line.startswith("["):
                here = line.strip("[]")
            elif here == section and "=" in line and line[0] not in "#;":
                out.append(tuple(x.strip() for x in line.split("=", 1)))
    return out


def groups():
    """Name of each group -> the names that stand in it (some are groups themselves)."""
    out, name = {}, None
    text = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter"], capture_output=True, text=True,
                          check=True).stdout
    for line in text.splitlines():
        if line.startswith("@"):
            name = line.strip()
            out[name] = []
        elif line.startswith("#"):
            name = None
        elif line.strip() and name and not line.strip().startswith("#"):
            out[name].append(line.strip())
    assert "@system-service" in out and "@default" in out
    return out


def expand(names, known):
    out = set()
    for name in names:
        out |= expand(known[name], known) if name.startswith("@") else {name}
    return out


def allowed_calls(unit, without=()):
    """The names that the unit's SystemCallFilter= lines leave, in their order."""
    known = groups()
    calls = None
    for key, value in unit:
        if key != "SystemCallFilter":
            continue
        names = expand([n for n in value.lstrip("~").split() if n not in without], known)
        if calls is None:
            assert not value.startswith("~"), "this reader knows allow lists only"
            calls = expand(["@default"], known)
        calls = calls - names if value.startswith("~") else calls | names
    return calls


class Filter:
    def __init__(self, refusal):
        self.lib = ctypes.CDLL("libseccomp.so.2")
        self.lib.seccomp_init.restype = ctypes.c_void_p
        self.lib.seccomp_init.argtypes = [ctypes.c_uint32]
        self.lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int,
                                                    ctypes.c_uint, ctypes.POINTER(Arg)]
        self.lib.seccomp_load.argtypes = [ctypes.c_void_p]
        self.refuse = 0x00050000 | refusal
        self.ctx = self.lib.seccomp_init(self.refuse)

    def number(self, name):
        return self.lib.seccomp_syscall_resolve_name(name.encode())

    def add(self, name, *args, action=ALLOW):
        number = self.number(name)
        if number < 0:
            return          # not of this machine
        rc = self.lib.seccomp_rule_add_array(self.ctx, action, number, len(args), (Arg * len(args))(*args))
        assert rc == 0, (name, rc)

    def load(self):
        assert self.lib.seccomp_load(self.ctx) == 0


PROT_EXEC, PROT_WRITE = 4, 2
NAMESPACES = 0x02000000 | 0x00020000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x80


def narrow(f, unit, calls):
    """The directives that look at arguments: their system calls are allowed with conditions only."""
    on = {k for k, v in unit if v == "yes"}
    families = next((v.split() for k, v in unit if k == "RestrictAddressFamilies"), None)
    if families is not None:
        calls.discard("socket")
        for name in families:
            f.add("socket", Arg(0, EQ, getattr(socket, name), 0))
    if "MemoryDenyWriteExecute" in on:
        calls -= {"mmap", "mprotect", "pkey_mprotect"}
        f.add("mmap", Arg(2, MASKED, PROT_EXEC, 0))
        f.add("mmap", Arg(2, MASKED, PROT_EXEC | PROT_WRITE, PROT_EXEC))
        f.add("mprotect", Arg(2, MASKED, PROT_EXEC, 0))
        f.add("pkey_mprotect", Arg(2, MASKED, PROT_EXEC, 0))
    if "RestrictRealtime" in on:
        for name in {"sched_setscheduler"} & calls:
            calls.discard(name)
            for policy in (0, 3, 5):           # OTHER, BATCH, IDLE
                f.add(name, Arg(1, EQ, policy, 0))
    if "RestrictNamespaces" in on:
        calls -= {"unshare", "setns", "clone", "clone3"}
        f.add("clone", Arg(0, MASKED, NAMESPACES, 0))
        f.add("clone3", action=0x00050000 | errno.ENOSYS)


def limits(unit):
    for key, value in unit:
        if key.startswith("Limit"):
            n = int(value)
            resource.setrlimit(getattr(resource, "RLIMIT_" + key[5:]), (n, n))


def main(argv):
    unit = settings(argv[1])
    without = set(os.environ.get("UNIT_FILTER_WITHOUT", "").split())
    number = next((v for k, v in unit if k == "SystemCallErrorNumber"), "EPERM")
    calls = allowed_calls(unit, without)
    f = Filter(getattr(errno, number))
    limits(unit)
    narrow(f, unit, calls)
    for name in sorted(calls):
        f.add(name)
    program = argv[argv.index("--") + 1:]
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)    # PR_SET_NO_NEW_PRIVS
    f.load()
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv)
