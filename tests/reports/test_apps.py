"""Programs that know their files by inode numbers, which a copy does not have: SQLite with a write-ahead log above all. And the hook that lets them prepare.

The server inside is wal_server.py; rows that it acknowledged are counted from outside, in the end with a connection of their own, after the container has gone.
"""

import os
import pathlib
import time

import lab
from lab import case, check, same, until

IMAGE = "apps-ci"
SERVER = (pathlib.Path(__file__).parent / "wal_server.py").read_text()
PODMAN, DOCKER, ARCHIVE = "podman", "docker", "podman-archive"


class Wal:
    """The server in a container, and how many rows it has acknowledged."""

    def __init__(self, t, *options, mode="WAL", data="it-wal:/data"):
        self.t, self.name, self.rows, self.at = t, "it-wal", 0, t.src
        for e in (t.src, t.dst):
            if e.api("GET", f"/v1.41/images/{IMAGE}/json")[0] != 200:
                lab.lab("image", IMAGE, e.host.name, e.kind, timeout=900)
        t.src.cli("run", "--detach", "--name", self.name, "--volume", data, *options, *self.image(t), "python3", "-c", SERVER, mode)
        until(lambda: self.asks("n", may_fail=True) == "0", 120, "the server answers")

    @staticmethod
    def image(t):
        return ("docker.io/library/" + IMAGE if t.engine == "podman" else IMAGE,)

    def asks(self, *words, may_fail=False):
        """The last answer; over a connection from inside, so that no address matters."""
        client = "import socket, sys\ns = socket.create_connection(('127.0.0.1', 7000), 20)\nf = s.makefile()\n" \
                 "for w in sys.argv[1:]:\n    s.sendall(w.encode() + b'\\n')\n    print(f.readline().strip())\n"
        answers = self.at.cli("exec", self.name, "python3", "-c", client, *words, check_status=not may_fail, timeout=60).split("\n")[:-1]
        return answers[-1] if answers else ""

    def writes(self, *words):
        for word in words * 5:
            same("answer", "ok", self.asks(word))
            self.rows += word in "ab"

    def moved(self):
        self.at = self.t.dst if self.at == self.t.src else self.t.src

    def found_in_the_end(self):
        """How many rows the database has once its server was stopped and started again."""
        self.at.cli("stop", "--time", "5", self.name)
        self.at.cli("start", self.name)
        return int(until(lambda: self.asks("n", may_fail=True), 120, "the server answers again"))


def the_finding(r, code):
    found = [f for f in r.report["findings"] if f["code"].startswith("sqlite")]
    same("findings", [code], [f["code"] for f in found])
    check("'/data/db'" in found[0]["message"] and "python3" in found[0]["message"], found[0])
    return found[0]


def closer(t, w):
    """A program that makes the server close its database."""
    close = pathlib.Path(t.state_dir(), "close")
    close.write_text(f"#!/bin/sh\nexec {lab.LAB} sh {t.hosts[0].name} {t.engine} exec {w.name} python3 -c \"import socket; s = socket.create_connection(('127.0.0.1', 7000)); "
                     "s.sendall(b'close\\n'); s.recv(9)\"\n")
    close.chmod(0o755)
    return f"exec:{close}"


@case(PODMAN, DOCKER, ARCHIVE, timeout=300)
def sqlite_wal(t):
    """An open database with a write-ahead log is refused by check and move alike, with file and program. Following the hint, word by word, nothing is lost."""
    w = Wal(t)
    w.writes("a", "b")
    r = t.begin("check", w.name).wait().expect(3)
    hint = the_finding(r, "sqlite-wal")["hint"]
    the_finding(t.move(w.name, expect=3), "sqlite-wal")
    check("--cold" in hint and "--before-freeze exec:" in hint and "--skip sqlite-wal" in hint, hint)
    t.move("--skip", "sqlite-wal", "--before-freeze", closer(t, w), w.name)
    w.moved()
    w.writes("a", "b", "b")
    same("rows", str(w.rows), w.asks("n"))
    same("rows in the end", w.rows, w.found_in_the_end())


@case(PODMAN, DOCKER, timeout=300)
def sqlite_wal_cold(t):
    """The other half of the hint."""
    w = Wal(t)
    w.writes("a", "b")
    t.move("--cold", w.name)
    w.moved()
    until(lambda: w.asks("n", may_fail=True), 120, "the server answers")
    w.writes("a", "b")
    same("rows in the end", w.rows, w.found_in_the_end())


@case(PODMAN, DOCKER, timeout=300)
def sqlite_wal_once(t):
    """The third part: a program that opens it once and never again can be moved as it is."""
    w = Wal(t)
    w.writes("a")
    t.move("--skip", "sqlite-wal", w.name)
    w.moved()
    w.writes("a")
    same("rows in the end", w.rows, w.found_in_the_end())


@case(PODMAN, DOCKER, timeout=300)
def sqlite_wal_shared(t):
    """A directory that both hosts have: the numbers stay the same, nothing is to be said, and nothing is lost."""
    here = f"/shared/it-wal-{t.engine}"
    t.hosts[0].sh('mkdir -p "$1"', here)
    t.at_end(t.hosts[0].sh, 'rm -rf "$1"', here)
    w = Wal(t, data=here + ":/data")
    w.writes("a", "b")
    r = t.begin("check", "--bind", here + "=shared", w.name).wait().expect(3)
    same("findings", {"mapped-lock"}, r.codes)
    t.move("--bind", here + "=shared", "--skip", "mapped-lock", w.name)
    w.moved()
    w.writes("a", "b")
    same("rows in the end", w.rows, w.found_in_the_end())


@case(PODMAN, DOCKER, timeout=300)
def sqlite_wal_not_shared(t):
    """Said to be shared, but it has another device or inode number there (as NFS may): found all the same."""
    here = f"/var/tmp/it-wal-{t.engine}"
    for host in t.hosts:
        host.sh('mkdir -p "$1"', here)
        t.at_end(host.sh, 'rm -rf "$1"', here)
    w = Wal(t, data=here + ":/data")
    for verb in ("check", "move"):
        the_finding(t.begin(verb, "--bind", here + "=shared", w.name).wait().expect(3), "sqlite-wal")
    w.writes("a", "b")
    same("rows", str(w.rows), w.asks("n"))


DEATH = "import ctypes, signal, sys, time\nsignal.signal(15, lambda *a: sys.exit(7))\nctypes.CDLL(None).prctl(1, 15)\nprint('ready', flush=True)\nwhile True:\n    time.sleep(10)"  # PR_SET_PDEATHSIG, SIGTERM


@case(PODMAN, DOCKER, timeout=300)
def parent_death(t):
    """A container's first process that wants a signal at its parent's end gets none at the end of what restored it, there nor back at the source. Another process, whose parent came along, goes on wanting it."""
    for name, argv, status, options in (("it-first", ["python3", "-c", DEATH], 0, ()), ("it-back", ["python3", "-c", DEATH], 4, ("--verify", "exec:false", "--verify-timeout", "2s", "--on-verify-failure", "rollback")),
                                        ("it-below", ["sh", "-c", "python3 -c \"$0\" & wait", DEATH], 0, ())):
        for e in (t.src, t.dst):
            if e.api("GET", f"/v1.41/images/{IMAGE}/json")[0] != 200:
                lab.lab("image", IMAGE, e.host.name, e.kind, timeout=900)
        t.src.cli("run", "--detach", "--name", name, *Wal.image(t), *argv)
        until(lambda n=name: "ready" in t.src.logs(n), 60, "it runs")
        t.move(*options, name, expect=status)
        time.sleep(3)
        check((t.src if status else t.dst).running(name), name, "does not run")


LOCK = """import fcntl, mmap, struct, sys, time
f = open("/data/file", "r+b" if sys.argv[1] == "try" else "w+b", buffering=0)
if sys.argv[1] == "try":
    try:
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sys.exit("free")
    except BlockingIOError:
        sys.exit(0)
f.write(bytes(4096))
m = mmap.mmap(f.fileno(), 4096) if "map" in sys.argv[1] else None
if "flock" in sys.argv[1]:
    fcntl.flock(f, fcntl.LOCK_EX)
elif "ofd" in sys.argv[1]:
    fcntl.fcntl(f, 37, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))
else:
    fcntl.lockf(f, fcntl.LOCK_EX)
print("ready", flush=True)
while True:
    time.sleep(10)
"""


@case(PODMAN, DOCKER, timeout=400)
def mapped_lock(t):
    """A POSIX lock on a file that is mapped as well does not outlive a restore: known before, and with --cold the program has one. Others are kept. Skipped, it is gone, as was said."""
    for e in (t.src, t.dst):
        if e.api("GET", f"/v1.41/images/{IMAGE}/json")[0] != 200:
            lab.lab("image", IMAGE, e.host.name, e.kind, timeout=900)
    for kind, options, kept in (("posix", (), True), ("flock-map", (), True), ("ofd-map", (), True), ("posix-map", ("--skip", "mapped-lock"), False), ("posix-map-cold", ("--cold",), True)):
        name = "it-" + kind
        t.src.cli("run", "--detach", "--name", name, "--volume", f"{name}:/data", *Wal.image(t), "python3", "-c", LOCK, kind)
        until(lambda n=name: "ready" in t.src.logs(n), 60, "it runs")
        r = t.begin("check", *options[2 if "skip" in str(options) else 0:], name).wait()
        same(kind, {"mapped-lock"} if not kept else set(), r.codes & {"mapped-lock"})
        if not kept:
            said = [f for f in t.move(name, expect=3).report["findings"] if f["code"] == "mapped-lock"]
            check(len(said) == 1 and "'python3'" in said[0]["message"] and "'/data/file'" in said[0]["message"], said)
        t.move(*options, name)
        until(lambda n=name: "ready" in t.dst.logs(n), 60, "it runs there")
        done = t.dst.cli("exec", name, "python3", "-c", LOCK, "try", check_status=False, merge=True)
        same(f"{kind}: free", not kept, "free" in done)


POLL = "import ctypes, sys\nc = ctypes.CDLL(None)\nprint('ready', flush=True)\nwhile True:\n    if c.poll(None, 0, int(sys.argv[1])) < 0:\n        sys.exit('interrupted')"


@case(PODMAN, DOCKER, timeout=300)
def interrupted_poll(t):
    """poll() that the freeze interrupts goes on, whether with a time limit or none: no signal came, and programs as tail -f end at EINTR. There and back; the file is followed on."""
    for e in (t.src, t.dst):
        if e.api("GET", f"/v1.41/images/{IMAGE}/json")[0] != 200:
            lab.lab("image", IMAGE, e.host.name, e.kind, timeout=900)
    write = "touch /log; i=0; while i=$((i + 1)); do echo line $i >>/log; sleep 0.2; done & "
    t.src.cli("run", "--detach", "--name", "it-tail", *Wal.image(t), "sh", "-c", write + "exec tail -n +1 -f /log")
    t.src.cli("run", "--detach", "--name", "it-poll", *Wal.image(t), "sh", "-c", 'python3 -c "$0" 100000 & python3 -c "$0" -1', POLL)
    until(lambda: t.src.logs("it-poll").count("ready") == 2 and "line 3" in t.src.logs("it-tail"), 60, "they run")
    for src, dst in ((t.src, t.dst), (t.dst, t.src)):
        for name in ("it-tail", "it-poll"):
            t.move(name, src=src, dst=dst)
        seen = dst.logs("it-tail").count("\n")
        until(lambda e=dst, n=seen: e.logs("it-tail").count("\n") >= n + 5, 60, "the file is followed on")
        check("nterrupted" not in dst.logs("it-tail") + dst.logs("it-poll"), dst.logs("it-tail")[-200:], dst.logs("it-poll"))
        same("python3", 2, dst.exec("it-poll", "cat /proc/[0-9]*/comm").split().count("python3"))
    lines = [line for line in t.src.logs("it-tail").split("\n") if line.startswith("line ")]
    same("lines", [f"line {i + 1}" for i in range(len(lines))], lines)


@case(PODMAN, DOCKER, ARCHIVE, timeout=300)
def interrupted_sleep(t):
    """A container that sleeps, and one whose shell waits for a sleep, go on sleeping there, back, and after a rollback; one that ended on the source after all is not said to be as it was."""
    loop = "while :; do echo tick; sleep 3000; done"
    t.src.need_image("counter")
    t.src.cli("run", "--detach", "--name", "it-sleep", "counter", "sleep", "100000")
    t.src.cli("run", "--detach", "--name", "it-tick", "counter", "sh", "-c", loop)
    until(lambda: t.src.logs("it-tick") == "tick\n", 20, "it ticks")
    for src, dst in ((t.src, t.dst), (t.dst, t.src)):
        for name in ("it-sleep", "it-tick"):
            t.move(name, src=src, dst=dst)
        time.sleep(2)
        check(dst.running("it-sleep"), "it-sleep ended")
        same("ticks", "tick\n", dst.logs("it-tick"))
    r = t.move("--verify", "exec:false", "--verify-timeout", "2s", "--on-verify-failure", "rollback", "it-sleep", expect=4)
    time.sleep(1)
    check(t.src.running("it-sleep") or r.report.get("source_not_running"), "it ended, and is said to be as it was", r.tail())
    if t.strategy == "in-place":
        check(t.src.running("it-sleep"), "it ended")


@case(PODMAN, DOCKER, timeout=300)
def poll_rehearsed(t):
    """A dump that lets the container run on interrupts its poll() where nothing can be done: a program that ends at that is told of, with what to do, and with that it moves."""
    for e in (t.src, t.dst):
        if e.api("GET", f"/v1.41/images/{IMAGE}/json")[0] != 200:
            lab.lab("image", IMAGE, e.host.name, e.kind, timeout=900)
    t.src.cli("run", "--detach", "--name", "it-poll", *Wal.image(t), "python3", "-c", "b = bytearray(range(256)) * (80 << 12)\n" + POLL, "-1")
    until(lambda: "ready" in t.src.logs("it-poll"), 60, "it runs")
    r = t.move("it-poll", expect=4)
    check("--precopy files" in r.report["error"]["hint"] and "it ended by itself" in r.stderr, r.report["error"], r.tail())
    t.src.cli("start", "it-poll")
    until(lambda: t.src.logs("it-poll").count("ready") == 2, 60, "it runs again")
    t.move("--precopy", "files", "it-poll")
    time.sleep(2)
    check(t.dst.running("it-poll"), t.dst.logs("it-poll"))


@case(PODMAN, DOCKER, timeout=300)
def ended_after(t):
    """A container that ended after the commit, before the move's last look: moved, and said."""
    t.src.start("it-ended")
    r = t.begin("move", "it-ended", env={"TRANSHIP_FAULT": "cleanup:before:stop"}, state=t.state_dir())
    until(lambda: "(stopped)" in pathlib.Path(f"/proc/{r.process.pid}/status").read_text(), 120, "it stands still")
    r.on_success = None  # of a container that runs
    t.dst.cli("kill", "it-ended")
    r.signal(18)
    r.wait(120).expect(0)
    t.ids.append(r.report["id"])
    said = [w for w in r.report["warnings"] if "does not run any more" in w]
    check(len(said) == 1 and "'it-ended'" in said[0] and "status 137" in said[0], r.report["warnings"])


@case(PODMAN, DOCKER, timeout=300)
def sqlite_moved(t):
    """With a rollback journal SQLite refuses to write to a file whose number has changed: refused, and with the hint everything is written."""
    w = Wal(t, mode="DELETE")
    w.writes("a", "b")
    hint = the_finding(t.begin("check", w.name).wait().expect(3), "sqlite-moved")["hint"]
    check("--cold" in hint and "--before-freeze exec:" in hint and "--skip sqlite-moved" in hint, hint)
    t.move("--skip", "sqlite-moved", "--before-freeze", closer(t, w), w.name)
    w.moved()
    w.writes("a", "b")
    same("rows in the end", w.rows, w.found_in_the_end())


@case(PODMAN, timeout=300)
def sqlite_moved_why(t):
    """What the finding says is so: it would be in the way for nothing otherwise."""
    w = Wal(t, mode="DELETE")
    w.writes("a", "b")
    t.move("--skip", "sqlite-moved", w.name)
    w.moved()
    check("readonly" in w.asks("a"), "it can write: the finding is not true any more")
    w.writes("b")


@case(PODMAN, DOCKER, timeout=300)
def before_freeze(t):
    """Run once, on this machine, while the container still runs; what fails or does not end gives the move up, and the source runs on."""
    name, state = "it-hook", t.state_dir()
    t.src.start(name, cmd=("sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done", t.marker))
    pid = lab.process_of(t.marker)
    hook = pathlib.Path(state, "hook")
    hook.write_text(f"#!/bin/sh\necho ran \"$1\" >>{state}/ran\nkill -0 {pid}\n")
    hook.chmod(0o755)
    r = t.move("--before-freeze", "exec:false", name, expect=4)
    check("--before-freeze: command 'false' ended with status 1" in r.report["error"]["message"], r.report["error"])
    same("outcome", "rolled-back", r.report["outcome"])
    same("process", pid, lab.process_of(t.marker))
    r = t.move("--before-freeze", "exec:/nowhere/program", name, expect=3)
    same("codes", {"probe-program"}, r.codes)
    t.begin("check", "--before-freeze", f"exec:{hook} x", name).wait().expect(0)
    check(not os.path.exists(state + "/ran"), "check ran it")
    t.move("--before-freeze", f"exec:{hook} x", name)
    same("runs", "ran x\n", pathlib.Path(state, "ran").read_text())
    same("on the target", "running", t.dst.state(name))
    time.sleep(0.3)
