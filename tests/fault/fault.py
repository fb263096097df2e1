"""What the fault cases share: a counter under watch, a move with a fault, and what must hold afterwards."""

import json
import os
import pathlib
import re
import signal
import zlib

import lab

COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"
STATES = {0: "target", 5: "target", 1: "source", 2: "source", 3: "source", 4: "source"}  # who has it, by exit status
FULL = lab.FULL
ALL = tuple(lab.PATHS)


def event(*default, possible=ALL, hosts=False, timeout=150):
    """Decorator: a case of function(Fault) on one of these paths, always the same one; with --full on all possible ones. hosts: it takes whole hosts (a cable), not only an engine of them."""
    def register(function):
        one = default[zlib.crc32(function.__name__.encode()) % len(default)] if default else None
        for path in possible if FULL else [one] if one else []:
            name = f"{function.__module__.replace('test_', '')}/{function.__name__.replace('_', '-')}/{path}"
            lab.add_case(name, lambda t: function(Fault(t)), None if hosts else lab.PATHS[path][0], path, timeout + 60 * hosts)
        return function
    return register


class Fault:
    def __init__(self, test):
        self.t = test
        self.src, self.dst = test.src, test.dst
        self.name = test.marker
        self.state = test.state_dir()
        self.others = []  # state directories of other machines
        self.docker = test.engine == "docker"
        for engine in (self.src, self.dst):  # what a case breaks is whole again, however it ends
            test.at_end(self._mend, engine)

    @staticmethod
    def _mend(engine):
        engine.service("start")

    # -- the workload

    def start(self, *options):
        self.src.start(self.name, *options, cmd=("sh", "-c", COUNT, self.t.marker))
        self.count_on(self.src)

    def watch(self):
        return lab.Watcher(self.t.marker, [(self.src, self.name), (self.dst, self.name)])

    def owner(self):
        """source, target, both or neither: by the engines."""
        source, target = self.src.running(self.name), self.dst.running(self.name)
        return {(1, 0): "source", (0, 1): "target", (1, 1): "both", (0, 0): "neither"}[(int(source), int(target))]

    def engine_of(self, owner):
        return self.src if owner == "source" else self.dst

    def numbers(self, engine):
        """What the counter wrote so far: from the log's file, a command each time would be slow."""
        found = engine.native(self.name)
        path = found and (found.get("LogPath") or found["HostConfig"]["LogConfig"].get("Path"))
        if not path:
            return []
        try:
            text = pathlib.Path(engine.host.path(path)).read_text(errors="replace")
        except OSError:
            return []
        lines = text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
        if self.docker:
            return [int(json.loads(line)["log"]) for line in lines]
        return [int(m.group(1)) for m in (re.search(r" (?:stdout|stderr) F (\d+)$", line) for line in lines) if m]

    def count_on(self, engine, more=3):
        before = len(self.numbers(engine))
        lab.until(lambda: len(self.numbers(engine)) >= before + more, 10, f"the counter goes on on {engine}", every=0.05)

    def check_sequence(self, engine):
        """It counts on, and no number is missing or there twice."""
        self.count_on(engine)
        numbers = self.numbers(engine)
        for i, n in enumerate(numbers):
            lab.check(i == n, f"the counter on {engine}: {i} expected after {numbers[max(0, i - 3):i]}, found {numbers[i:i + 3]}")

    # -- runs

    def begin(self, command, *args, faults="", state=None, **kwargs):
        """Starts a move with short time-outs, or a recover."""
        environment = {"TRANSHIP_FAULT": faults} if faults else None
        timeouts = ("--fence-timeout", "5s", "--peer-timeout", "5s", "--connect-timeout", "3s")
        if command == "move":
            if self.t.strategy == "in-place":  # so that even a small container is rehearsed
                timeouts += ("--max-downtime", "60s")
            return self.t.begin("move", *timeouts, *args, self.name, state=state or self.state, env=environment, **kwargs)
        return lab.Tranship(command, "--json", *timeouts, *args, state=state or self.state, env=environment, **kwargs)

    def move(self, faults="", *args):
        return self.begin("move", *args, faults=faults)

    def paused_move(self, point, *args, state=None):
        """A move that stopped itself (SIGSTOP) at PHASE:POINT; resume() lets it go on."""
        r = self.begin("move", *args, faults=f"{point}:stop", state=state)
        try:
            lab.until(lambda: not r.running or self._stopped(r), 60, f"tranship stops at {point}")
        except lab.Failed:
            os.kill(r.process.pid, signal.SIGKILL)
            raise
        lab.check(r.status is None, f"tranship ended with {r.status} before {point}:", r.tail() if r.status is not None else "")
        return r

    @staticmethod
    def _stopped(r):
        try:
            with open(f"/proc/{r.process.pid}/stat", "rb") as f:
                return f.read().rpartition(b")")[2].split()[0] == b"T"
        except OSError:
            return False

    @staticmethod
    def resume(r):
        os.kill(r.process.pid, signal.SIGCONT)
        return r

    def wait(self, r, *allowed):
        """Its end, with one of these statuses, and what the status promises."""
        r.wait(100)
        self.check_promise(r, allowed)
        return r

    def elsewhere(self):
        """The state directory of another machine."""
        self.others.append(self.t.state_dir())
        return self.others[-1]

    # -- what a fault is made of

    def sessions(self, r, host):
        """Processes of the host's sshd that serve this tranship."""
        wanted = f"{int.from_bytes(bytes(map(int, host.address.split('.'))), 'little'):08X}"
        own = sockets_of(r.process.pid)
        ports = {row.local_port for row in tcp(r.process.pid) if row.inode in own and row.remote == wanted}
        inodes = {row.inode for row in tcp(host.pid) if row.local_port == 22 and row.remote_port in ports}
        return [int(p) for p in os.listdir("/proc") if p.isdigit() and sockets_of(p) & inodes]

    def signal_sessions(self, r, host, number):
        found = self.sessions(r, host)
        lab.check(found, "no SSH session of tranship on", host)
        for pid in found:
            kill(pid, number)
        return found

    def cut(self, r, host):
        """Its SSH connections to the host break; new ones can be made."""
        self.signal_sessions(r, host, signal.SIGKILL)

    def cut_tls(self, host):
        """So do those by TLS; needs CONFIG_INET_DIAG_DESTROY."""
        self._alone()
        lab.check(host.sh("ss -HKtn state established sport ge :49152 and sport le :49215").strip(), "no TLS connection to", host)

    def _alone(self):
        """What ends all connections of a host ends those of a case with its other engine, too."""
        lab.check(self.t.case.engine is None, "this case has to take whole hosts")

    def cable(self, host, up):
        self._alone()
        lab.lab("link", host.name, "up" if up else "down")
        if not up:
            self.t.at_end(lab.lab, "link", host.name, "up")

    def ids(self):
        """Of the migrations of this case."""
        return {p.stem for state in {self.state, *self.others} for p in pathlib.Path(state, "journal").glob("*.jsonl")} | set(self.t.ids)

    def private_services(self, host):
        """Pids of this case's `podman system service` under /run/tranship on the host."""
        space, ours = os.readlink(f"/proc/{host.pid}/ns/pid"), [f"/run/tranship/{i}-" for i in self.ids()]
        found = [(p, cmdline(p)) for p in pids()]
        return [p for p, line in found if "system service" in line and any(i in line for i in ours) and link(p, "ns/pid") == space]

    def end_private_services(self, host, number):
        found = self.private_services(host)
        lab.check(found, "no private service on", host)
        for pid in found:
            kill(pid, number)
        lab.until(lambda: not self.private_services(host), 10, "the private service ends")

    def migration(self, state=None):
        """The last one's ID, from the journal."""
        return sorted(p.stem for p in pathlib.Path(state or self.state, "journal").glob("*.jsonl"))[-1]

    def stage(self, state=None):
        return self.status(state)[-1]["stage"]

    def status(self, state=None):
        r = lab.tranship("status", "--json", state=state or self.state)
        lab.same("exit of status", 0, r.status)
        return r.report

    # -- what must hold

    def check_promise(self, r, allowed=(0, 1, 3, 4, 5)):
        """The exit status is one of these and says who has the container."""
        lab.check(r.status in allowed, f"exit {r.status}, expected one of {allowed};", r.tail())
        if r.status in STATES:
            owner = self.owner()
            lab.check(owner == STATES[r.status], f"after exit {r.status} it runs on {owner};", r.tail())
            self.check_sequence(self.engine_of(owner))

    def recover(self, *args, expect=(0,), state=None, faults=""):
        """Recovers what is open, if anything is: the finished run, or None."""
        if all(m["final"] for m in self.status(state)):
            return None
        r = self.begin("recover", *args, state=state, faults=faults).wait(100)
        lab.check(r.status in expect, f"recover: exit {r.status}, expected {expect};", r.tail())
        if r.status == 0 and not args:
            lab.check(all(m["final"] for m in self.status(state)), "recover says 0, but its journal is open:", self.status(state), r.tail())
        return r

    def recover_and_rerun(self, r=None, expect=None, options=()):
        """The last words of every case: nothing is open, one side has it, one sequence, it can be moved, and nothing of ours is left."""
        again = self.recover()
        owner = self.owner()
        last = again or r
        lab.check(owner in ((expect,) if expect else ("source", "target")), f"after recover it runs on {owner};", last.tail() if last and last.status is not None else "")
        self.check_sequence(self.engine_of(owner))
        self.rerun(owner, *options)

    def rerun(self, owner, *options):
        other = "target" if owner == "source" else "source"
        again = self.t.move(self.name, *options, src=self.engine_of(owner), dst=self.engine_of(other), state=self.state)
        lab.same("outcome of the rerun", "moved", again.report["outcome"])
        self.check_sequence(self.engine_of(other))
        self.check_nothing_left()

    def rerun_counting(self, owner):
        """For a counter that somebody began anew: it has more than one sequence."""
        other = "target" if owner == "source" else "source"
        self.t.move(self.name, src=self.engine_of(owner), dst=self.engine_of(other), state=self.state)
        self.count_on(self.engine_of(other))
        self.check_nothing_left()

    @staticmethod
    def dumps(engine, identity):
        """Directories with a dump of the container that hold pages of its memory."""
        top = {"podman": "/var/lib/containers/storage/overlay-containers", "docker": "/var/lib/docker/containers"}[engine.kind]
        return [str(p) for p in pathlib.Path(engine.host.path(top), identity).rglob("pages-*.img")]

    def check_nothing_left(self):
        """No lock, service, staging, copy of the journal or dump of any migration of this case."""
        ids = self.ids()
        for engine in (self.src, self.dst):
            host = engine.host
            left = [str(p) for top in ("/var/lib/tranship", "/run/tranship") for p in pathlib.Path(host.path(top)).rglob("*")
                    if any(i in str(p) for i in ids)]
            lab.check(not left, f"left on {host}:", left)
            found = engine.inspect(self.name)
            if found:
                held = pathlib.Path(host.path("/var/lib/tranship/locks"), found["Id"])
                lab.check(not held.exists(), f"left on {host}: the lock", held)
                memory = self.dumps(engine, found["Id"])
                lab.check(not memory, f"left on {host}: what was in the container's memory:", memory)
        if not self.docker:
            for engine in (self.src, self.dst):
                lab.check(not self.private_services(engine.host), f"a private service is left on {engine.host}")


# ---- looking into /proc


class Row:
    def __init__(self, line):
        words = line.split()
        self.local, self.remote = words[1].split(":")[0], words[2].split(":")[0]
        self.local_port, self.remote_port = (int(w.split(":")[1], 16) for w in words[1:3])
        self.inode = words[9]


def tcp(pid):
    return [Row(line) for line in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]


def sockets_of(pid):
    found = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = link(pid, f"fd/{fd}")
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        pass
    return found


def pids():
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


def link(pid, name):
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def cmdline(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
