"""Pre-dumps: where the kernel tells what was written since a dump. The lab's usual machines have none: tests/vm/run makes one."""

import os
import signal

import lab
from lab import case, check, same, until

NAME = "it-predump"
SLOW = ("--connect-timeout", "60s", "--peer-timeout", "60s")  # an emulated machine is
VM = os.environ.get("TRANSHIP_TESTS_VM") == "1"


def start(t):
    """Memory that knows what should be in it, a sixth of which is written all the time: however long a round takes, the rest stays as it was."""
    t.src.need_image("ballast")
    t.dst.need_image("ballast")
    t.src.cli("run", "--detach", "--name", NAME, "--env", "BALLAST_MIB=48", "--env", "BALLAST_RATE=1", "--env", "BALLAST_HOT_MIB=8", "ballast", timeout=120)
    until(lambda: "all right" in t.src.logs(NAME), 120, "the memory is filled", every=0.5)


def check_memory(engine):
    said = engine.logs(NAME).count("checked")
    engine.cli("kill", "--signal", "USR1", NAME)
    until(lambda: engine.logs(NAME).count("checked") > said or "BAD" in engine.logs(NAME), 120, "it checks its memory", every=0.5)
    check("BAD" not in engine.logs(NAME) and engine.running(NAME), "the memory is wrong:", engine.logs(NAME)[-500:])


def check_clean(t):
    """Nothing of a pre-dump is left: it would be in the way of the next one, and is the container's memory."""
    for h in t.hosts:
        left = h.sh("find /var/lib/containers/storage/overlay-containers -name '*checkpoint*'; find /dev/shm -name 'tranship-*'")
        check(not left, f"left on {h}:", left)


def written_pages(r):
    """By the last dump. All of them were restored."""
    check(r.report["criu"]["restore"]["pages_restored"] > 48 * 256, "pages are missing:", r.report["criu"])
    return r.report["criu"]["dump"]["pages_written"]


def moves(t):
    """There by a pre-dump, back by a rehearsal, there with images on a disk, back within a limit."""
    start(t)
    r = t.move(*SLOW, NAME, timeout=600)
    check(written_pages(r) < 40 * 256, "the dump wrote everything anew:", r.report["criu"])
    check(r.report["precopy_frozen_us"], "the pre-dump's freeze is not in the report")
    check_memory(t.dst)
    check_clean(t)
    r = t.move(*SLOW, "--precopy", "rehearsal", NAME, src=t.dst, dst=t.src, timeout=600)
    check(written_pages(r) > 48 * 256, "a rehearsal tracks nothing:", r.report["criu"])
    check_memory(t.src)
    r = t.move(*SLOW, "--dump", "disk", NAME, timeout=600)
    check(written_pages(r) < 40 * 256, "the dump wrote everything anew:", r.report["criu"])
    check_memory(t.dst)
    check_clean(t)
    r = t.move(*SLOW, "--max-downtime", "10m", NAME, src=t.dst, dst=t.src, timeout=600)
    check_memory(t.src)
    r = t.move(*SLOW, "--max-downtime", "100ms", NAME, expect=3, timeout=600)
    check_memory(t.src)
    check_clean(t)


def rolled_back(t):
    """The target's copy is not taken: the source goes on from its own images, both of them."""
    start(t)
    t.move(*SLOW, "--verify", "tcp://{host}:9", "--verify-timeout", "2s", "--skip", "probe-fails", NAME, expect=4, timeout=600)
    check_memory(t.src)
    check_clean(t)
    t.move(*SLOW, NAME, timeout=600)
    check_memory(t.dst)


def paused(t, point, state):
    r = t.begin("move", *SLOW, NAME, state=state, env={"TRANSHIP_FAULT": f"{point}:stop"})
    until(lambda: not r.running or open(f"/proc/{r.process.pid}/stat").read().rpartition(")")[2].split()[0] == "T", 600, f"it stops at {point}", every=0.2)
    check(r.running, "it ended before", point)
    return r


def killed(t):
    """tranship dies when the pre-dump is there, and when the last dump was made: what recovers finds it, and nothing stays."""
    for point in ("pre-copy:after", "checkpoint:stopped"):
        state = t.state_dir()
        if not t.src.inspect(NAME):
            start(t)
        r = paused(t, point, state)
        os.kill(r.process.pid, signal.SIGKILL)
        r.wait(600)
        again = lab.Tranship("recover", "--json", *SLOW, state=state).wait(600)
        same(f"exit of recover after {point}", 0, again.status)
        check_memory(t.src)
        check_clean(t)


def with_another_predump(t, point, status):
    """Somebody makes a pre-dump of his own after ours, when the move has come to that point."""
    start(t)
    r = paused(t, point, t.state_dir())
    t.src.cli("container", "checkpoint", "--pre-checkpoint", "--leave-running", NAME, timeout=120)
    os.kill(r.process.pid, signal.SIGCONT)
    return r.wait(600).expect(status)


def somebody_tracks(t):
    """Too late to be seen before the freeze: the last dump goes on from that one, and is not taken."""
    r = with_another_predump(t, "checkpoint:sent", 4)
    check("earlier dump" in r.stderr, "it does not say why:", r.tail())
    check_memory(t.src)


def somebody_tracked(t):
    """It is seen, and the last dump goes on from none."""
    r = with_another_predump(t, "pre-copy:after", 0)
    check("somebody else has made a checkpoint" in r.stderr, "it does not say so:", r.tail())
    check(written_pages(r) > 48 * 256, "it went on from another's:", r.report["criu"])
    check_memory(t.dst)


if VM:
    for function in (moves, rolled_back, killed, somebody_tracks, somebody_tracked):
        case(engine="podman", timeout=3000)(function)
