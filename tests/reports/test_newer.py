"""Newer wins, and one decides: recover comes late, people stop, start and restore by hand, and two machines recover one migration.

SAFETY rules 24 and 25. What was written after the move's own look at the target is on no other side: nothing takes it back but a person, who is told both ways; each of them is followed here.
"""

import pathlib
import sys
import time

import lab

sys.path.insert(0, str(lab.REPO / "tests/fault"))
from fault import Fault  # noqa: E402

NO_WAY = "exec:false"
COUNT = "i=0; while :; do echo $i; echo $i >>/data/numbers; i=$((i+1)); sleep 0.1; done"


def on(*paths, cold=False, hosts=False, timeout=400):
    """Decorator: a case of function(Fault) on each of these paths. cold: and one of each engine with --cold. hosts: it takes whole hosts."""
    def register(function):
        name = f"newer/{function.__name__.replace('_', '-')}"
        for path in paths:
            lab.add_case(f"{name}/{path}", lambda t: function(Fault(t)), None if hosts else lab.PATHS[path][0], path, timeout)
        for path in ("podman", "docker") if cold else ():
            lab.add_case(f"{name}/cold-{path}", lambda t: function(cold_fault(t), "--cold"), lab.PATHS[path][0], path, timeout)
        return function
    return register


def cold_fault(t):
    t.strategy = "cold"  # nothing is rehearsed
    return Fault(t)


def volume(f):
    return f"{lab.PREFIX}{f.t.number}-data"


def start(f):
    f.src.start(f.name, "--volume", f"{volume(f)}:/data", cmd=("sh", "-c", COUNT, f.t.marker))
    f.count_on(f.src)


def written(engine, f):
    """The numbers in the volume."""
    if engine.kind == "podman":
        place = engine.get(f"/v5.0.0/libpod/volumes/{volume(f)}/json")["Mountpoint"]
    else:
        place = engine.get(f"/v1.41/volumes/{volume(f)}")["Mountpoint"]
    return pathlib.Path(engine.host.path(place), "numbers").read_text().split()


def stop(engine, name):
    engine.cli("stop", "--time", "0", name)


def killed(f, point, *args):
    r = f.move(f"{point}:kill", *args).wait(100)
    lab.same("how it ended", -9, r.status)
    return r


def words(r):
    return " ".join(r.stderr.split())


def recover_elsewhere(f, *args, faults=""):
    return f.begin("recover", "--from", f.src.uri, "--to", f.dst.uri, "--container", f.name, *args, state=f.elsewhere(), faults=faults).wait(100)


# ---- the target ran


def stopped_late(f, *args):
    """Killed after the restore; the target served for a while, and was stopped. What recover says."""
    start(f)
    killed(f, "restore:after", *args)
    f.count_on(f.dst, 20)
    stop(f.dst, f.name)
    numbers = written(f.dst, f)
    r = f.recover(expect=(6,))
    lab.same("state on the target", "exited", f.dst.state(f.name))
    lab.same("state on the source", "exited", f.src.state(f.name))
    lab.same("what the target wrote", numbers, written(f.dst, f))
    program = f.dst.kind
    for command in (f"{program} start ", f"{program} rm -f ", f"tranship recover {f.migration()}"):
        lab.check(command in words(r), f"'{command}' is not printed:", r.tail())
    seen = f"what was seen of '{f.name}' last: on the source it is stopped, as the move left it; on the target it ran, and does not any more"
    lab.check(seen in r.report["warnings"] and seen in words(r), "what is known of each side:", r.report["warnings"], r.tail())
    lab.check("restore --keep" not in words(r) and "start --checkpoint" not in words(r), "it says how to lose what the target wrote:", r.tail())
    return numbers


@on("podman", "podman-archive", "docker", cold=True)
def late_stopped(f, *args):
    """The target is to have it: started there again, recover verifies and commits."""
    numbers = stopped_late(f, *args)
    f.dst.cli("start", f.name)
    r = f.recover()
    lab.same("outcome", "moved", r.report["outcome"])
    lab.same("who runs it", "target", f.owner())
    lab.same("what the target wrote", numbers, written(f.dst, f)[:len(numbers)])
    lab.same("state on the source", "absent", f.src.state(f.name))
    f.rerun_counting("target")


@on("podman", "podman-archive", "docker", cold=True)
def late_stopped_back(f, *args):
    """The source is to have it: the target's container removed by hand, recover rolls back."""
    stopped_late(f, *args)
    f.dst.cli("rm", "-f", f.name)
    r = f.recover()
    lab.same("outcome", "rolled-back", r.report["outcome"])
    lab.same("who runs it", "source", f.owner())
    f.rerun_counting("source")


@on("podman", "podman-archive", "docker", cold=True)
def late_running(f, *args):
    """The target served since, and is well: it is verified and committed."""
    start(f)
    killed(f, "restore:after", "--verify", "exec:true", *args)
    f.count_on(f.dst, 20)
    r = f.recover()
    lab.same("outcome", "moved", r.report["outcome"])
    f.count_on(f.dst)
    lab.same("who runs it", "target", f.owner())


@on("podman", "docker", cold=True)
def late_denied(f, *args):
    """The target served since, and the probe says no: it is left running, a person decides; kept as it is, if that is the word."""
    start(f)
    killed(f, "restore:after", "--verify", NO_WAY, "--verify-timeout", "1s", *args)
    f.count_on(f.dst)
    r = f.recover("--verify-timeout", "1s", expect=(6,))
    lab.same("who runs it", "target", f.owner())
    keep = f"tranship recover {f.migration()} --on-verify-failure keep"
    lab.check(keep in words(r), f"'{keep}' is not printed:", r.tail())
    f.recover("--verify-timeout", "1s", expect=(6,))  # asked once more, and no again
    f.count_on(f.dst)
    r = f.recover("--on-verify-failure", "keep", "--verify-timeout", "1s")
    lab.same("outcome", "moved", r.report["outcome"])
    lab.same("who runs it", "target", f.owner())


@on("podman", "docker")
def denied_then_well(f):
    """The move's own verification failed, and it was killed before it took the target back: that ran on, and is well by now."""
    start(f)
    well = pathlib.Path(f.state, "well")
    killed(f, "settle:fence", "--verify", f"exec:test -e {well}", "--verify-timeout", "1s")
    lab.same("stage", "verify-failed", f.stage())
    f.count_on(f.dst)
    well.touch()
    r = f.recover()
    lab.same("outcome", "moved", r.report["outcome"])
    lab.same("who runs it", "target", f.owner())


@on("podman", "podman-archive", "docker")
def stopped_in_the_window(f):
    """The move itself sees the target for a moment only: what stops there at once is taken back, as it was told."""
    start(f)
    with f.watch():
        r = f.paused_move("restore:after")
        stop(f.dst, f.name)
        f.wait(f.resume(r), 4)
        f.recover_and_rerun(r, "source")


@on("podman", "docker")
def stopped_after_the_window(f):
    """The same, but the target had served for longer than a move takes to verify it, since tranship was stopped meanwhile."""
    start(f)
    r = f.paused_move("restore:after", "--verify-timeout", "1s")
    time.sleep(12)
    stop(f.dst, f.name)
    numbers = written(f.dst, f)
    f.resume(r).wait(100)
    lab.same("exit", 6, r.status)
    lab.same("what the target wrote", numbers, written(f.dst, f))
    lab.same("state on the source", "exited", f.src.state(f.name))
    f.dst.cli("start", f.name)
    f.recover()
    lab.same("who runs it", "target", f.owner())


# ---- a probe that cannot be run


@on("podman", "docker", cold=True)
def late_probe(f, *args):
    """The probe's program is not there where recover runs: that says nothing about the target."""
    start(f)
    probe = pathlib.Path(f.state, "probe")
    probe.write_text("#!/bin/sh\n")
    probe.chmod(0o755)
    killed(f, "restore:after", "--verify", f"exec:{probe}", *args)
    f.count_on(f.dst)
    probe.unlink()
    stage = f.stage()
    r = f.recover(expect=(6,))
    lab.same("stage", stage, f.stage())
    lab.same("who runs it", "target", f.owner())
    lab.same("state on the source", "exited", f.src.state(f.name))
    for command in (f"tranship recover {f.migration()} --verify PROBE", f"tranship recover {f.migration()} --verify none"):
        lab.check(command in words(r), f"'{command}' is not printed:", r.tail())
    r = f.recover("--verify", "none" if args else "exec:true")
    lab.same("outcome", "moved", r.report["outcome"])
    lab.same("who runs it", "target", f.owner())


@on("podman")
def late_probe_name(f):
    """Nor does a name that cannot be looked up."""
    start(f)
    killed(f, "restore:after", "--verify", "tcp://nowhere.invalid:80", "--verify-timeout", "1s")
    f.count_on(f.dst)
    f.recover("--verify-timeout", "1s", expect=(6,))
    lab.same("who runs it", "target", f.owner())
    f.recover("--verify", "none")
    lab.same("who runs it", "target", f.owner())


@on("podman", "docker")
def probe_program(f):
    """Nor is a container frozen for it: check and move say so before, and the hint is the way out."""
    start(f)
    there = pathlib.Path(f.state, "probe")
    for probe in (f"exec:{there}", "exec:no-such-program"):
        for option in ("--verify", "--probe"):
            for command in ("check", "move"):
                r = f.t.begin(command, option, probe, f.name, state=f.state).wait(100)
                lab.same("exit", 3, r.status)
                lab.check("probe-program" in r.codes, "findings:", r.codes)
                lab.check(option in r.stderr and probe[len("exec:"):] in r.stderr, "it does not name the option and the program:", r.tail())
    there.write_text("#!/bin/sh\n")
    there.chmod(0o644)
    r = f.t.begin("check", "--verify", f"exec:{there}", f.name, state=f.state).wait(100)
    lab.same("exit", 3, r.status)
    there.chmod(0o755)
    f.t.move("--verify", f"exec:{there}", f.name, state=f.state)
    f.count_on(f.dst)


@on("podman", "docker")
def probe_vanishes(f):
    """The move itself was told not to commit what does not answer: its target, seen for a moment only, is taken back."""
    start(f)
    probe = pathlib.Path(f.state, "probe")
    probe.write_text("#!/bin/sh\n")
    probe.chmod(0o755)
    with f.watch():
        r = f.paused_move("restore:after", "--verify", f"exec:{probe}")
        probe.unlink()
        f.wait(f.resume(r), 4)
        lab.check("could not be run" in words(r), "it does not say why:", r.tail())
        f.recover_and_rerun(r, "source")


# ---- the source ran again


@on("podman", "podman-archive", "docker")
def restored_by_hand(f):
    """Restored with the command that we print; it ran, and was stopped: its old memory does not come back over that."""
    start(f)
    killed(f, "checkpoint:gone")
    lab.until(lambda: f.src.state(f.name) == "exited", 20, "the dump ends")
    time.sleep(4 if f.docker else 1)
    if f.docker:
        f.src.cli("start", "--checkpoint", f"tranship-{f.migration()}", f.name)
    else:
        f.src.cli("container", "restore", "--keep", "--tcp-established", "--file-locks", f.name)
    f.count_on(f.src, 20)
    stop(f.src, f.name)
    numbers = written(f.src, f)
    f.recover(expect=(0,))
    lab.same("state on the source", "exited", f.src.state(f.name))
    lab.same("what the source wrote", numbers, written(f.src, f))
    lab.same("numbers that are there twice", len(numbers), len(set(numbers)))
    lab.same("state on the target", "absent", f.dst.state(f.name))
    f.src.cli("start", f.name)
    f.rerun_counting("source")


@on("podman", "docker")
def started_by_hand(f):
    """Cold, and started by a person, who stopped it again: left as it is."""
    f.t.strategy = "cold"
    start(f)
    killed(f, "transfer:before", "--cold")
    f.src.cli("start", f.name)
    f.count_on(f.src, 5)
    stop(f.src, f.name)
    numbers = written(f.src, f)
    f.recover()
    lab.same("state on the source", "exited", f.src.state(f.name))
    lab.same("what the source wrote", numbers, written(f.src, f))


@on("podman", "docker", cold=True)
def both_ran(f, *args):
    """The target served, and somebody started the source, too: neither is stopped, neither removed. Each way out is told, and works."""
    start(f)
    killed(f, "restore:after", *args)
    f.count_on(f.dst)
    f.src.cli("start", f.name)
    f.count_on(f.src)
    r = f.recover(expect=(6,))
    lab.same("who runs it", "both", f.owner())
    stop(f.src, f.name)
    r = f.recover(expect=(6,))
    lab.same("who runs it", "target", f.owner())
    for command in (f"on the source: {f.src.kind} rm -f ", f"on the target: {f.dst.kind} rm -f "):
        lab.check(command in words(r), f"'{command}' is not printed:", r.tail())
    if f.docker:
        f.src.cli("rm", "-f", f.name)
        f.recover(expect=(0, 5))  # its volume may hold what nobody else has: kept there, and named
        lab.same("who runs it", "target", f.owner())
    else:
        f.dst.cli("rm", "-f", f.name)
        f.recover()
        lab.same("state on the source", "exited", f.src.state(f.name))
        lab.same("state on the target", "absent", f.dst.state(f.name))


# ---- two that decide


def decided_twice(f, point, *args, takes, owner):
    """One machine's tranship is suspended after it decided; another machine recovers to the end. The first one goes on: it finds that it decides no more, and touches nothing."""
    start(f)
    first = f.paused_move(point, *args)
    other = recover_elsewhere(f, *takes)
    lab.same("exit of the other machine's recover", 0, other.status)
    lab.same("who runs it", owner, f.owner())
    f.count_on(f.engine_of(owner))
    f.resume(first).wait(100)
    lab.same("exit of the first", 6, first.status)
    lab.check("has taken migration" in words(first), "it does not say why it stopped:", first.tail())
    lab.same("who runs it now", owner, f.owner())
    f.count_on(f.engine_of(owner))
    f.recover(*takes)  # closes the first one's journal, and does nothing else
    lab.same("who runs it in the end", owner, f.owner())
    f.rerun_counting(owner)


@on("podman", "podman-archive", "docker")
def two_deciders(f):
    """Suspended between deciding to fence and fencing: the other one's probe passes, and it commits."""
    decided_twice(f, "settle:fence", "--verify", NO_WAY, "--verify-timeout", "1s", takes=("--verify", "none"), owner="target")


@on("podman", "docker")
def two_deciders_back(f):
    """Suspended between deciding to restore the source and restoring it: the other one does so."""
    decided_twice(f, "settle:restore-source", "--verify", NO_WAY, "--verify-timeout", "1s", takes=(), owner="source")


@on("podman", "docker")
def two_deciders_commit(f):
    """Suspended before its verification, whose success would commit: the other one has committed and finished."""
    decided_twice(f, "verify:before", takes=(), owner="target")


@on("podman", "docker")
def two_deciders_finish(f):
    """Suspended after the commit, before it removes the source: the other one has finished."""
    decided_twice(f, "cleanup:before", takes=(), owner="target")


# ---- an old journal


@on("podman-archive", "podman", hosts=True)
def old_archive_journal(f):
    """Cut off from the target, taken back on a person's word; moved again with the source kept: recover of the first journal leaves alone what the second move brought."""
    start(f)
    r = f.paused_move("restore:journalled")
    f.cable(f.dst.host, False)
    f.resume(r).wait(100)
    lab.same("exit", 6, r.status)
    first = f.migration()
    f.recover(first, "--target-is-dead", expect=(0, 4, 5))
    lab.same("who runs it", "source", f.owner())
    f.cable(f.dst.host, True)
    clean(f, first)
    second = f.elsewhere()
    f.wait(f.begin("move", "--keep-source", "--volume", f"{volume(f)}=replace", state=second), 0)
    f.count_on(f.dst)
    lab.check(f.recover(first, expect=(0, 4, 5, 6)), "nothing of the first migration is open: this case shows nothing")
    f.count_on(f.dst)
    lab.check(f.dst.running(f.name), "recover of the old journal stopped what the new move brought")


def clean(f, first):
    """What is in the way of the second move on the target, gone by hand; the journal of the first one does not know. Who waited for the first one's words goes before: they may be under way since the cable was out."""
    f.dst.host.sh("pkill -x sshd-session; while pgrep -x sshd-session >/dev/null; do sleep 0.1; done")
    f.dst.host.sh("podman rm -f --time 0 $1 2>/dev/null || :", f.name)
    lab.check(f.migration() == first, "another migration")


