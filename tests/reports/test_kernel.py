"""Kernel objects that a checkpoint loses, or that CRIU cannot dump: known beforehand, by name (kernel.c holds them)."""

import pathlib

import lab
from lab import check, until

SOURCE = pathlib.Path(__file__).with_name("kernel.c")
LOST = {"affinity": "processor affinity of process", "slack": "timer slack of process", "ioprio": "I/O priority of process",
        "semaphore": "undo values (SEM_UNDO) of 1 System V", "datagram": "datagrams that wait in 1 UDP"}
STUCK = {"packet": "a pipe in packet mode (O_DIRECT) of process", "mqueue": "a POSIX message queue of process",
         "backlog": "connections to 1 Unix sockets that were not accepted"}


def start(t, what):
    program = pathlib.Path(t.state_dir(), "holds")
    lab.run(["gcc", "-static", "-O1", "-o", str(program), str(SOURCE), "-lrt"])
    t.src.start("it-kernel", cmd=("sh", "-c", 'until [ -e /ready ]; do sleep 0.1; done; exec /holds "$1"', t.marker, what))
    inside = t.hosts[0].path(f"/proc/{t.src.inspect('it-kernel')['State']['Pid']}/root")
    for name, data in (("holds", program.read_bytes()), ("ready", b"")):
        file = pathlib.Path(inside, name)
        file.write_bytes(data)
        file.chmod(0o755)
    until(lambda: "ready" in t.src.logs("it-kernel"), 20, f"{what} is there")


def findings(r, code):
    return [f["message"] for f in r.report["findings"] if f["code"] == code]


def lost(t, what):
    start(t, what)
    found = findings(t.begin("check", "it-kernel").wait().expect(0), "kernel-state")
    check(len(found) == 1 and LOST[what] in found[0], found)
    t.move("it-kernel")


def stuck(t, what):
    start(t, what)
    for command in ("check", "move"):
        found = findings(t.begin(command, "it-kernel").wait().expect(3), "kernel-objects")
        check(len(found) == 1 and STUCK[what] in found[0], found)
    t.move("--cold", "it-kernel")  # the hint


for engine_ in lab.SOCKETS:
    for function_, table in ((lost, LOST), (stuck, STUCK)):
        for what_ in table:
            lab.add_case(f"kernel/{function_.__name__}/{what_}/{engine_}", lambda t, f=function_, w=what_: f(t, w), engine_, None, 180)
