"""What only the in-place strategy has: agents, rehearsals, a base of pages on the target, a container there before the restore."""

import os
import pathlib
import signal
import threading

import lab
from fault import ALL, event, kill

SCP, ARCHIVE, IN_PLACE, DOCKER = ALL
BOTH = (IN_PLACE, DOCKER)


def agents(f, r, host):
    """Those of this run on the host."""
    found = {p for session in f.sessions(r, host) for p in lab.descendants(session)}
    return [p for p in found if lab.exe(p).startswith("/var/lib/tranship/agent/")]


def agent_killed(side, point):
    def _run(f):
        f.start()
        host = (f.src if side == "source" else f.dst).host
        with f.watch():
            r = f.paused_move(point)
            found = agents(f, r, host)
            lab.check(found, "no agent on", host)
            for pid in found:
                kill(pid, signal.SIGKILL)
            lab.until(lambda: not agents(f, r, host), 10, "the agents are gone")
            f.wait(f.resume(r), 4)
            lab.check("agent" in r.stderr, "it does not say that an agent ended:", r.tail())
            f.recover_and_rerun(r, "source")
    return _run


for _side in ("source", "target"):
    for _point in ("prepare:after", "pre-copy:rehearsal", "pre-copy:after", "checkpoint:sent", "checkpoint:stopped"):
        _run = agent_killed(_side, _point)
        _run.__module__, _run.__name__ = __name__, f"{_side}_agent_killed_at_{_point.replace(':', '_')}"
        event(*(BOTH if _point in ("pre-copy:rehearsal", "checkpoint:stopped") else (IN_PLACE,)), possible=BOTH)(_run)


def parts(f):
    """The pages that lie on the target before the freeze."""
    found = f.dst.native(f.name) if not f.docker else f.dst.inspect(f.name)
    top = pathlib.Path(f.dst.host.path(found["StaticDir"] if not f.docker else f"/var/lib/docker/containers/{found['Id']}"))
    return list(top.glob("**/pages-*.img.part")) + list(top.glob("pre-checkpoint/pages-*.img"))


@event(DOCKER, possible=(DOCKER,))
def containerd_keeps_a_checkpoint(f):
    """A dump beside what containerd has of an earlier one would kill the container and then fail: it waits until that is collected, or does not begin."""
    f.start()
    held = pathlib.Path(f.src.host.path("/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256"), f"{lab.PREFIX}held")
    f.t.at_end(lambda: held.unlink(missing_ok=True))
    held.write_text("{" + f.src.inspect(f.name)["Id"] + "}")
    with f.watch():
        r = f.wait(f.move(), 3)
        lab.check("containerd" in r.stderr, r.tail())
        again = f.paused_move("prepare:after")
        threading.Timer(2, held.unlink).start()
        f.resume(again)
        f.wait(again, 0)
        f.recover_and_rerun(again, "target")


@event(*BOTH, possible=BOTH)
def base_damaged(f):
    """A page that the target holds is another one by the time of the freeze: the sum tells, and nothing is restored from it."""
    f.start()
    with f.watch():
        r = f.paused_move("pre-copy:after")
        found = parts(f)
        lab.check(found, "no pages on the target before the freeze")
        for path in found:
            with open(path, "r+b") as file:
                for at in range(0, os.fstat(file.fileno()).st_size, 4096):
                    file.seek(at)
                    old = file.read(1)
                    file.seek(at)
                    file.write(bytes([old[0] ^ 1]))
        f.wait(f.resume(r), 4)
        lab.check("sum differs" in r.stderr, "it does not say what was wrong:", r.tail())
        f.recover_and_rerun(r)


@event(IN_PLACE, possible=BOTH, hosts=True)
def rehearsal_fails(f):
    """CRIU is not there any more when the rehearsal is to be made: the container never stops."""
    f.start()
    host = f.src.host
    with f.watch():
        r = f.paused_move("pre-copy:before")
        put_back = f.t.instead(host, host.sh("command -v criu").strip())
        before = f.src.inspect(f.name)["State"]["Pid"]
        f.wait(f.resume(r), 4)
        lab.same("pid", before, f.src.inspect(f.name)["State"]["Pid"])
        put_back()
        f.recover_and_rerun(r)


CHANGES = {
    "restarted": (lambda e, name: e.cli("restart", "--time", "0", name), "source"),
    "stopped": (lambda e, name: e.cli("stop", "--time", "0", name), "neither"),
    "renamed": (lambda e, name: e.cli("rename", name, name + "-other"), None),
    "removed": (lambda e, name: e.remove(name), "neither"),
}


def changed(what, point):
    def _run(f):
        change, owner = CHANGES[what]
        f.start()
        r = f.paused_move(point)
        change(f.src, f.name)
        f.resume(r).wait(100)
        lab.check(r.status in ((4, 6) if what == "removed" else (4,)), "exit", r.status, r.tail())
        lab.check("somebody" in r.stderr or "not running" in r.stderr or "renamed" in r.stderr, "it does not say what happened:", r.tail())
        lab.check(not f.dst.inspect(f.name), "something is left on the target")
        if what == "renamed":
            lab.check(f.src.running(f.name + "-other"), "it does not run any more")
            f.src.cli("rename", f.name + "-other", f.name)
            owner = "source"
        lab.same("who runs it", owner, f.owner())
        if what == "renamed":
            f.recover_and_rerun(r, "source")
    return _run


for _what in CHANGES:
    for _point in ("pre-copy:before", "pre-copy:after"):
        _run = changed(_what, _point)
        _run.__module__, _run.__name__ = __name__, f"{_what}_at_{_point.replace(':', '_')}"
        event(*(BOTH if _point == "pre-copy:after" else (IN_PLACE,)), possible=BOTH)(_run)


@event(*BOTH, possible=BOTH)
def downtime_too_long(f):
    """A limit that cannot be held: refused, and the container never noticed more than a rehearsal."""
    f.start()
    with f.watch():
        r = f.t.begin("move", "--max-downtime", "10ms", f.name, state=f.state).wait(100)
        lab.same("exit", 3, r.status)
        lab.check("max-downtime" in r.stderr, r.tail())
        f.check_promise(r, (3,))
        f.recover_and_rerun(r, "source")
