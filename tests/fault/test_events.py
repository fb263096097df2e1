"""What happens from outside in mid-move: cut connections, dying engines, full disks, other people, other machines.

Most cases let the move stop itself at a point (Fault.paused_move), do their worst, and let it go on. Whatever happens: never two copies (watched from outside all the time), the
exit status tells the truth, `recover` and a rerun succeed, one sequence.
"""

import signal
import threading
import time

import lab
from fault import ALL, event, kill

SCP, ARCHIVE, IN_PLACE, DOCKER = ALL
PODMAN = (SCP, ARCHIVE, IN_PLACE)
NO_WAY = "exec:false"  # a verification that never succeeds


# ---- connections


@event(IN_PLACE, DOCKER)
def target_cut_in_transfer(f):
    """Connected anew at once: the container is frozen, and comes back on the target. An archive that is one stream may be lost with its connection, and the source goes on."""
    f.start()
    with f.watch():
        r = f.paused_move("transfer:half")
        f.cut(r, f.dst.host)
        f.wait(f.resume(r), *((0, 4) if f.t.strategy == "archive" else (0,)))
        f.recover_and_rerun(r)


@event(IN_PLACE, DOCKER, possible=(IN_PLACE, DOCKER), hosts=True)
def cut_with_tls(f):
    """TLS breaks, then SSH as well: each takes over from the other, and comes back by itself; the container is frozen, and comes back on the target."""
    f.start()
    with f.watch():
        r = f.paused_move("pre-copy:files", "--transfer", "tls")
        f.cut_tls(f.dst.host)
        f.cut(r, f.dst.host)
        f.wait(f.resume(r), 0)
        lab.same("transfer", "tls", r.report["transfer"])
        f.recover_and_rerun(r, "target")


@event(IN_PLACE, possible=(IN_PLACE, DOCKER), hosts=True)
def silent_with_tls(f):
    """No answer by TLS and none by SSH: back to the source."""
    f.start()
    with f.watch():
        r = f.paused_move("transfer:half", "--transfer", "tls")
        f.cable(f.dst.host, False)
        f.wait(f.resume(r), 4)
        f.cable(f.dst.host, True)
        f.recover_and_rerun(r, "source")


def cut_before_the_freeze(point):
    def _run(f):
        size = 48 << 20
        f.start("--volume", f"{lab.PREFIX}{f.t.number}-big:/big")
        f.src.exec(f.name, f"head -c {size} /dev/urandom >/big/file")
        digest = f.src.exec(f.name, "sha256sum </big/file")
        with f.watch():
            r = f.paused_move(point)
            for e in (f.src, f.dst):
                f.cut(r, e.host)
            f.wait(f.resume(r), 0)
            lab.check("made anew" in r.stderr or "was lost" in r.stderr, "it does not say that a connection was lost:", r.tail())
            # A window a directory may be sent again; the volume is the only one that fills its own
            lab.check(r.report["bytes"]["wire_sent"] < size + (24 << 20), "the volume travelled more than once:", r.report["bytes"])
            lab.same("the file", digest, f.dst.exec(f.name, "sha256sum </big/file"))
            f.recover_and_rerun(r, "target")
    return _run


for _point, _paths in (("pre-copy:files", (IN_PLACE,)), ("pre-copy:rehearsal", (IN_PLACE, DOCKER)), ("pre-copy:after", (DOCKER,))):
    _run = cut_before_the_freeze(_point)
    _run.__module__, _run.__name__, _run.__doc__ = __name__, f"cut_at_{_point.replace(':', '_')}", "Both hosts' connections break: it goes on where it was."
    event(*_paths, possible=(IN_PLACE, DOCKER))(_run)


@event(SCP)
def source_cut_in_transfer(f):
    f.start()
    with f.watch():
        r = f.paused_move("transfer:half")
        f.cut(r, f.src.host)
        f.wait(f.resume(r), 0, 4)
        f.recover_and_rerun(r)


@event(IN_PLACE, hosts=True)
def target_cable_out_in_transfer(f):
    """Before restore-sent the way back needs nothing from the target; what stays there is said, and removed by recover."""
    f.start()
    with f.watch():
        r = f.paused_move("transfer:half")
        f.cable(f.dst.host, False)
        f.wait(f.resume(r), 4)
        lab.check(r.report["leftovers"], "nothing is said of what is left on the target")
        f.cable(f.dst.host, True)
        f.recover_and_rerun(r, "source")


@event(SCP, hosts=True)
def source_cable_out_in_transfer(f):
    """The source is stopped and cannot be reached: nobody can say more than that."""
    f.start()
    with f.watch():
        r = f.paused_move("transfer:half")
        f.cable(f.src.host, False)
        f.wait(f.resume(r), 6)
        lab.check(f"tranship recover {f.migration()}" in r.stderr, "the command is not printed:", r.tail())
        f.cable(f.src.host, True)
        f.recover_and_rerun(r, "source")


@event(DOCKER, hosts=True)
def source_cable_out_after_restore(f):
    """The target has it: the move is finished, the source is cleaned up later."""
    f.start()
    with f.watch():
        r = f.paused_move("restore:after")
        f.cable(f.src.host, False)
        f.wait(f.resume(r), 5)
        lab.check(r.report["leftovers"], "nothing is said of what is left on the source")
        f.cable(f.src.host, True)
        f.recover_and_rerun(r, "target")
        lab.check(f.src.state(f.name) in ("absent", "running"), "the source's container is still there:", f.src.state(f.name))


@event(IN_PLACE, DOCKER, possible=(SCP, IN_PLACE, DOCKER))
def target_cut_after_last_chunk(f):
    f.start()
    with f.watch():
        r = f.paused_move("restore:gone")
        f.cut(r, f.dst.host)
        f.wait(f.resume(r), 0, 4, 5)
        f.recover_and_rerun(r)


@event(IN_PLACE, DOCKER)
def answer_lost(f):
    """The restore went on to its end, its answer did not come: forward."""
    f.start()
    with f.watch():
        r = f.paused_move("restore:gone")
        lab.until(lambda: f.dst.running(f.name), 20, "the target runs it")
        f.cut(r, f.dst.host)
        f.wait(f.resume(r), 0, 5)
        f.recover_and_rerun(r, "target")


@event(SCP, hosts=True)
def target_unreachable(f):
    """After the restore was sent: nothing goes back without a fence, a person is told what to do; recover knows when both are there again."""
    f.start()
    with f.watch():
        r = f.paused_move("restore:gone")
        f.cable(f.dst.host, False)
        f.resume(r).wait(100)
        lab.same("exit", 6, r.status)
        for command in (f"tranship recover {f.migration()}", f"tranship recover {f.migration()} --target-is-dead"):
            lab.check(command in " ".join(r.stderr.split()), f"'{command}' is not printed:", r.tail())
        lab.check(not f.src.running(f.name), "the source runs without a fence")
        f.recover(expect=(6,))
        f.cable(f.dst.host, True)
        f.recover_and_rerun(r)


@event(IN_PLACE, hosts=True)
def target_is_dead(f):
    """The same, and the target never comes back (here: it does later, with nothing running): a person's word is needed, and enough."""
    f.start()
    with f.watch():
        r = f.paused_move("restore:journalled")
        f.cable(f.dst.host, False)
        f.resume(r).wait(100)
        lab.same("exit", 6, r.status)
        again = f.recover(f.migration(), "--target-is-dead", expect=(0, 4, 5))
        lab.same("who runs it", "source", f.owner())
        lab.check(again.report["leftovers"], "nothing is said of what is left on the target")
        f.check_sequence(f.src)
        f.cable(f.dst.host, True)
        f.recover_and_rerun(again, "source")


@event(IN_PLACE, DOCKER)
def late_dump(f):
    """The connections freeze with the checkpoint's request in them and come to life after tranship has given up: the source still runs in the end."""
    f.start()
    with f.watch():
        r = f.paused_move("checkpoint:sent")
        frozen = f.signal_sessions(r, f.src.host, signal.SIGSTOP)
        f.resume(r).wait(100)
        status = r.status
        for pid in frozen:
            kill(pid, signal.SIGCONT)
        f.count_on(f.src, 10)
        lab.same("exit", 4, status)
        f.recover_and_rerun(r, "source")


@event(IN_PLACE)
def late_restore(f):
    """The same with the restore's: the target stays as it is."""
    f.start()
    with f.watch():
        r = f.paused_move("restore:journalled")
        frozen = f.signal_sessions(r, f.dst.host, signal.SIGSTOP)
        f.wait(f.resume(r), 4)
        for pid in frozen:
            kill(pid, signal.SIGCONT)
        f.count_on(f.src, 10)
        lab.check(not f.dst.running(f.name), "the target runs it")
        f.recover_and_rerun(r, "source")


# ---- engines


@event(ARCHIVE, IN_PLACE, possible=PODMAN)
def private_service_killed_in_restore(f):
    f.start()
    with f.watch():
        r = f.paused_move("restore:gone")
        f.end_private_services(f.dst.host, signal.SIGKILL)
        f.wait(f.resume(r), 0, 4, 5)
        f.recover()
        free_addresses(f.dst)
        f.recover_and_rerun(r)


# The runtime's, not one that an engine asks for its version.
STOP_CRIU = "for i in $(seq 3000); do for p in $(pgrep -x criu); do pp=$(ps -o ppid= -p $p) && grep -qx runc /proc/$((pp))/comm && kill -STOP $p && exit 0; done; sleep 0.01; done; exit 1"


def stuck_restore(f, *options):
    """CRIU on the target stops in the middle of the restore. Whoever gives up first, tranship or the engine: it is ended before the source comes back."""
    f.start()
    with f.watch():
        r = f.paused_move("restore:journalled", *options)
        stopper = threading.Thread(target=f.dst.host.sh, args=(STOP_CRIU,))
        stopper.start()
        f.resume(r).wait(360)
        stopper.join()
        f.check_promise(r, (4,))
        lab.same("CRIU on the target", "", f.dst.host.sh("pgrep -x criu || true"))
        free_addresses(f.dst)
        f.recover_and_rerun(r, "source")


@event(IN_PLACE, hosts=True)
def tranship_gives_up_on_a_restore(f):
    stuck_restore(f, "--restore-timeout", "5s")


@event(possible=(IN_PLACE,), hosts=True, timeout=420)
def engine_gives_up_on_a_restore(f):
    """After four minutes Podman says no, removes what it knows, and leaves monitor, runtime and CRIU at work."""
    stuck_restore(f)


def free_addresses(engine):
    """A Podman killed while it sets a network up never frees the address it had given: here it is freed by hand."""
    if engine.kind == "podman" and not engine.get("/v1.41/containers/json"):
        engine.host.sh("rm -f /run/containers/networks/ipam.db")


@event(IN_PLACE, DOCKER)
def target_engine_killed_in_restore(f):
    """The private service as well as the engine's own."""
    f.start()
    with f.watch():
        r = f.paused_move("restore:gone")
        f.dst.service("kill")
        if not f.docker:
            f.end_private_services(f.dst.host, signal.SIGKILL)
        f.resume(r).wait(100)
        f.dst.service("start")
        f.check_promise(r, (0, 4, 5, 6))
        lab.check(not f.src.running(f.name) or r.status == 4, "the source runs without a fence")
        f.recover()
        free_addresses(f.dst)
        f.recover_and_rerun(r)


@event(IN_PLACE, possible=PODMAN)
def services_idle_out(f):
    """Tranship was stopped so long that both private services ended by themselves."""
    f.start()
    with f.watch():
        r = f.paused_move("transfer:before")
        for engine in (f.src, f.dst):
            f.end_private_services(engine.host, signal.SIGKILL)
        f.wait(f.resume(r), 0, 4, 5)
        f.recover_and_rerun(r)


@event(SCP, possible=PODMAN)
def source_service_idles_out_in_transfer(f):
    """What is copied beside the archive may take long: that the source's service ended meanwhile is no trouble."""
    f.start()
    with f.watch():
        r = f.paused_move("transfer:after")
        f.end_private_services(f.src.host, signal.SIGKILL)
        f.wait(f.resume(r), 0)
        f.recover_and_rerun(r, "target")


@event(SCP, possible=PODMAN)
def source_engine_restarted(f):
    """Podman: the move has a service of its own."""
    f.start()
    with f.watch():
        r = f.paused_move("transfer:before")
        f.src.service("restart")
        f.wait(f.resume(r), 0)
        f.recover_and_rerun(r, "target")


@event(DOCKER, possible=(DOCKER,))
def source_engine_restarted_before_the_freeze(f):
    """Without live-restore Docker stops its containers itself, and starts them again where their policy says so."""
    f.start("--restart", "always")
    r = f.paused_move("arm:before")
    f.src.service("restart")
    f.resume(r).wait(100)
    lab.same("exit", 4, r.status)
    lab.same("who runs it", "source", f.owner())
    lab.same("restart policy", "always", policy(f.src, f.name))
    f.count_on(f.src)
    f.recover()
    f.rerun_counting("source")


@event(DOCKER, possible=(DOCKER,))
def source_engine_restarted_after_the_freeze(f):
    f.start("--restart", "always")
    with f.watch():
        r = f.paused_move("transfer:before")
        f.src.service("restart")
        f.wait(f.resume(r), 0, 4)
        f.recover_and_rerun(r)
        lab.check("always" in (policy(f.src, f.name), policy(f.dst, f.name)), "the restart policy is gone")


# ---- the target cannot


@event(IN_PLACE, possible=(IN_PLACE, DOCKER))
def image_missing(f):
    """It travels; and goes again with a move that does not succeed."""
    f.start()
    remove_image(f.dst)
    with f.watch():
        r = f.move("transfer:before:error").wait(100)
        f.check_promise(r, (4,))
        lab.check(not has_image(f.dst), "the image stayed on the target")
        f.recover_and_rerun(r, "source")
        lab.check(has_image(f.dst), "the image did not travel")


@event(IN_PLACE, possible=PODMAN)
def image_unloadable(f):
    """The target's policy takes no images."""
    f.start()
    remove_image(f.dst)
    put_back = f.t.instead(f.dst.host, "/etc/containers/policy.json", '{"default": [{"type": "reject"}]}\n')
    with f.watch():
        r = f.move().wait(100)
        f.check_promise(r, (4,))
        lab.check("image" in r.stderr, "it does not say that it is the image:", r.tail())
        put_back()
        f.recover_and_rerun(r, "source")


@event(DOCKER, possible=(DOCKER,))
def image_does_not_fit(f):
    """No room where the target's engine unpacks it."""
    f.start()
    remove_image(f.dst)
    small_disk(f, "/var/lib/docker/tmp")
    with f.watch():
        r = f.move("", "--skip", "free-space").wait(100)
        f.check_promise(r, (3, 4))
        big_disk(f, "/var/lib/docker/tmp")
        f.recover_and_rerun(r, "source")


@event(IN_PLACE, possible=(IN_PLACE, DOCKER))
def port_taken(f):
    port = f.t.port()
    f.start("--publish", f"{port}:80")
    with f.watch():
        r = f.paused_move("arm:before")
        blocker = lab.PREFIX + "blocker"
        f.dst.start(blocker, "--publish", f"{port}:80", cmd=("sleep", "1000"))
        f.wait(f.resume(r), 4)
        f.dst.remove(blocker)
        f.recover_and_rerun(r, "source")


@event(ARCHIVE, possible=(SCP, ARCHIVE))
def staging_full(f):
    f.start()
    with f.watch():
        r = f.paused_move("prepare:after")
        staging = f"/var/lib/tranship/staging/{f.migration()}-target"
        small_disk(f, staging)
        f.wait(f.resume(r), 4)
        big_disk(f, staging)
        f.recover_and_rerun(r, "source")


@event(IN_PLACE, DOCKER, possible=(IN_PLACE, DOCKER))
def storage_full(f):
    """No room for the dump in the target engine's own storage."""
    f.start()
    with f.watch():
        r = f.paused_move("prepare:places")
        place = f"/var/lib/docker/containers/{f.dst.inspect(f.name)['Id']}/checkpoints" if f.docker else f.dst.native(f.name)["StaticDir"] + "/checkpoint"
        small_disk(f, place)
        f.wait(f.resume(r), 4)
        lab.check("space" in r.stderr, "it does not say why:", r.tail())
        big_disk(f, place)
        f.recover_and_rerun(r, "source")


def small_disk(f, path):
    f.t.at_end(big_disk, f, path)
    f.dst.host.sh('mkdir -p "$1"; mount -t tmpfs -o size=16k full "$1"', path)


def big_disk(f, path):
    f.dst.host.sh('umount "$1" 2>/dev/null || :', path)


def has_image(engine):
    return engine.api("GET", "/v1.41/images/counter/json")[0] == 200


def remove_image(engine):
    status, found = engine.api("GET", "/v1.41/images/counter/json")
    if status == 200:
        engine.cli("rmi", "--force", found["Id"])  # with every name it has
    lab.check(not has_image(engine), "the image is still there")


# ---- other people


def stop(engine, name):
    engine.cli("stop", "--time", "0", name)


@event(SCP, DOCKER)
def stopped_before_the_freeze(f):
    """Somebody stopped it: that is left as it is."""
    f.start()
    with f.watch():
        r = f.paused_move("arm:before")
        stop(f.src, f.name)
        f.resume(r).wait(100)
        lab.same("exit", 4, r.status)
        lab.same("who runs it", "neither", f.owner())
        f.recover()
        lab.same("state on the target", "absent", f.dst.state(f.name))
        f.src.cli("start", f.name)
        f.rerun_counting("source")


@event(IN_PLACE, DOCKER)
def restarted_before_the_freeze(f):
    f.start()
    with f.watch():
        r = f.paused_move("arm:before")
        stop(f.src, f.name)
        f.src.cli("start", f.name)
        f.resume(r).wait(100)
        lab.same("exit", 4, r.status)
        lab.same("who runs it", "source", f.owner())
        f.recover()
        f.rerun_counting("source")


@event(IN_PLACE, DOCKER)
def removed_before_the_freeze(f):
    f.start()
    with f.watch():
        r = f.paused_move("arm:before")
        f.src.remove(f.name)
        f.resume(r).wait(100)
        lab.check(r.status in (4, 6, 7), "exit", r.status, r.tail())
        lab.same("who runs it", "neither", f.owner())
        f.recover()
        lab.check(all(m["final"] for m in f.status()), "a journal is open for ever")
        f.check_nothing_left()


@event(SCP, DOCKER)
def started_after_the_freeze(f):
    """Its checkpoint is out of date: the source wins."""
    f.start()
    with f.watch():
        r = f.paused_move("transfer:before")
        f.src.cli("start", f.name)
        f.resume(r).wait(100)
        lab.same("exit", 4, r.status)
        lab.same("who runs it", "source", f.owner())
        f.recover()
        f.rerun_counting("source")


@event(IN_PLACE, DOCKER)
def started_after_restore_sent(f):
    """Both run then, by somebody's hand: before the commit the source wins and the target is fenced."""
    f.start()
    r = f.paused_move("restore:after")
    lab.same("who runs it", "target", f.owner())
    f.src.cli("start", f.name)
    f.resume(r).wait(100)
    lab.same("exit", 4, r.status)
    lab.same("who runs it", "source", f.owner())
    f.recover()
    f.rerun_counting("source")


@event(SCP, DOCKER)
def started_after_the_commit(f):
    """Neither is killed, and a person is told."""
    f.start()
    r = f.paused_move("cleanup:before")
    f.src.cli("start", f.name)
    f.resume(r).wait(100)
    lab.same("exit", 6, r.status)
    lab.same("who runs it", "both", f.owner())
    f.recover(expect=(6,))
    lab.same("who runs it", "both", f.owner())
    stop(f.src, f.name)
    f.recover(expect=(0, 5))
    f.src.remove(f.name)  # what somebody used is not ours to remove
    f.recover()
    f.check_sequence(f.dst)
    f.rerun("target")


@event(IN_PLACE, DOCKER)
def started_in_the_clean_up(f):
    """While attributes are taken off what is to be removed, which may take long: as after the commit."""
    f.start()
    r = f.paused_move("cleanup:unflagged")
    f.src.cli("start", f.name)
    f.resume(r).wait(100)
    lab.same("exit", 6, r.status)
    lab.same("who runs it", "both", f.owner())
    stop(f.src, f.name)
    f.recover(expect=(0, 5))
    f.src.remove(f.name)
    f.recover()
    f.check_sequence(f.dst)
    f.rerun("target")


@event(IN_PLACE, DOCKER)
def served_in_the_clean_up(f):
    """The same, and it was stopped again: what it wrote is not removed in silence."""
    f.start()
    r = f.paused_move("cleanup:unflagged")
    f.src.cli("start", f.name)
    time.sleep(1)
    stop(f.src, f.name)
    f.resume(r).wait(100)
    lab.same("exit", 5, r.status)
    lab.same("the source's", "exited", f.src.state(f.name))
    f.src.remove(f.name)
    f.recover()
    f.check_sequence(f.dst)
    f.rerun("target")


@event(IN_PLACE, DOCKER)
def removed_after_the_freeze(f):
    """Somebody removed the source's container while its memory was on its way."""
    f.start()
    with f.watch():
        r = f.paused_move("restore:before")
        f.src.remove(f.name)
        f.resume(r).wait(100)
        lab.check(r.status in (0, 4, 6, 7), "exit", r.status, r.tail())
        f.recover(expect=(0, 4, 6, 7))
        lab.check(f.owner() in ("target", "neither"), "who runs it:", f.owner())


@event(IN_PLACE, DOCKER, possible=(IN_PLACE, DOCKER))
def memory_lost(f):
    """The images are damaged while nobody looks: recover says so, and starts afresh only when asked to. While it does, nobody else begins to move the container."""
    f.start()
    lab.same("how it ended", -9, f.move("checkpoint:after:kill").wait(100).status)
    top = {"podman": "/var/lib/containers/storage/overlay-containers", "docker": "/var/lib/docker/containers"}[f.src.kind]
    f.src.host.sh('find -L "$1" "/dev/shm/tranship-$2" -name inventory.img -delete 2>/dev/null || :', f"{top}/{f.src.inspect(f.name)['Id']}", f.migration())
    r = f.recover(expect=(7,))
    lab.check("tranship recover" in r.stderr and "--cold" in r.stderr, "the way on is not told:", r.tail())
    lab.same("who runs it", "neither", f.owner())
    migration = f.migration()
    r = f.begin("recover", migration, "--cold", faults="cold:before:stop")
    lab.until(lambda: not r.running or f._stopped(r), 60, "recover stops before it starts the container")
    other = f.t.begin("move", "--cold", f.name, state=f.elsewhere()).wait(100)
    lab.check(other.status == 3 and migration in other.stderr, "the container's lock is not held:", other.tail())
    f.resume(r).wait(100)
    lab.same("exit of recover --cold", 0, r.status)
    f.count_on(f.src)
    f.rerun_counting("source")


def restored_nowhere(way):
    def _run(f):
        f.start()
        r = f.paused_move("checkpoint:after")
        put_back = [f.t.instead(h, h.sh("command -v criu").strip()) for h in f.t.hosts]
        f.resume(r).wait(140)
        lab.same("how it ended", 6, r.status)
        words, ways = " ".join(r.stderr.split()), f"tranship recover {f.migration()}"
        lab.check(words.count(ways) == 2 and f"{ways} --cold" in words, "both ways are not told:", r.tail())
        if way == "mended":
            for p in put_back:
                p()
            f.recover_and_rerun(expect="source")
            return
        f.recover(expect=(6,))
        lab.same("who runs it", "neither", f.owner())
        f.recover("--cold")
        f.count_on(f.src)
        for p in put_back:
            p()
        f.rerun_counting("source")
    return _run


for _way in ("mended", "memory-given-up"):
    _run = restored_nowhere(_way)
    _run.__module__, _run.__name__, _run.__doc__ = __name__, f"restored_nowhere_{_way.replace('-', '_')}", "Neither side can restore it: a person is told two ways, and each leads to the end."
    event(IN_PLACE, DOCKER, hosts=True, timeout=300)(_run)


@event(IN_PLACE, DOCKER)
def two_at_once(f):
    """The second one is told who has the container."""
    f.start()
    other = f.elsewhere()
    with f.watch():
        r = f.paused_move("transfer:before")
        second = f.begin("move", state=other).wait(100)
        lab.same("exit of the second", 3, second.status)
        f.wait(f.resume(r), 0)
        lab.check(all(m["final"] for m in f.status(other)), "the second left something open")
        f.recover_and_rerun(r, "target")


@event(IN_PLACE, possible=(IN_PLACE, DOCKER))
def second_finds_it_taken(f):
    """Both have passed their preflight; the first has the lock."""
    f.start()
    other = f.elsewhere()
    with f.watch():
        second = f.paused_move("prepare:before", state=other)
        r = f.paused_move("transfer:before")
        f.resume(second).wait(100)
        lab.same("exit of the second", 3, second.status)
        lab.check(f.migration() in second.stderr, "it does not say who has it:", second.tail())
        f.wait(f.resume(r), 0)
        lab.check(all(m["final"] for m in f.status(other)), "the second left something open")
        f.recover_and_rerun(r, "target")


@event(IN_PLACE, DOCKER, possible=(SCP, IN_PLACE, DOCKER))
def second_comes_too_late(f):
    """It has passed its preflight, and then the first one moves the container from beginning to end."""
    f.start()
    other = f.elsewhere()
    with f.watch():
        second = f.paused_move("prepare:before", state=other)
        r = f.wait(f.move(), 0)
        f.resume(second).wait(100)
        lab.same("exit of the second", 3, second.status)
        lab.same("who runs it", "target", f.owner())
        lab.check(all(m["final"] for m in f.status(other)), "the second left something open")
        f.recover_and_rerun(r, "target")


# ---- verification


@event(IN_PLACE, DOCKER, possible=(SCP, IN_PLACE, DOCKER))
def verify_fails(f):
    f.start()
    with f.watch():
        r = f.wait(f.move("", "--verify", NO_WAY, "--verify-timeout", "1s"), 4)
        f.recover_and_rerun(r, "source")


@event(IN_PLACE, DOCKER)
def verify_fails_and_it_is_kept(f):
    f.start()
    with f.watch():
        r = f.wait(f.move("", "--verify", NO_WAY, "--verify-timeout", "1s", "--on-verify-failure", "keep"), 0)
        f.recover_and_rerun(r, "target")


# ---- crashes


def policy(engine, name):
    found = engine.inspect(name)
    return found and found["HostConfig"]["RestartPolicy"]["Name"]


def restart_policy(*points):
    def run(f):
        """The restart policy is back after recover."""
        f.start("--restart", "always")
        with f.watch():
            for point in points:
                r = f.move(f"{point}:kill").wait(100)
                lab.same("how it ended", -9, r.status)
                f.recover()
                owner = f.owner()
                lab.check(owner in ("source", "target"), f"killed at {point}, then recovered: it runs on {owner}")
                lab.same(f"restart policy after {point}", "always", policy(f.engine_of(owner), f.name))
                f.check_sequence(f.engine_of(owner))
            f.recover_and_rerun(r)
    return run


for _name, _points in {"restart-policy-back": ("arm:after", "transfer:before"), "restart-policy-forth": ("cleanup:before",)}.items():
    _run = restart_policy(*_points)
    _run.__name__, _run.__module__ = _name, __name__
    event(DOCKER if "forth" in _name else IN_PLACE)(_run)


@event(IN_PLACE)
def killed_again_and_again_on_the_way_back(f):
    f.start()
    with f.watch():
        r = f.move("settled:fence:kill", "--verify", NO_WAY, "--verify-timeout", "1s").wait(100)  # before that only a person takes the target back
        lab.same("how it ended", -9, r.status)
        for point in ("settle:restore-source", "settled:restore-source", "settle:undo"):
            f.recover(faults=f"{point}:kill", expect=(-9,))
        f.recover_and_rerun(r, "source")


@event(DOCKER)
def killed_again_and_again_on_the_way_forth(f):
    f.start()
    with f.watch():
        r = f.move("restore:gone:kill").wait(100)
        lab.same("how it ended", -9, r.status)
        lab.until(lambda: f.dst.running(f.name), 20, "the target runs it")
        for point in ("settle:verify", "settled:verify", "settle:finish"):
            f.recover(faults=f"{point}:kill", expect=(-9,))
        f.recover_and_rerun(r, "target")


@event(IN_PLACE, DOCKER)
def killed_in_the_dump(f):
    """The engine dumps to the end without tranship."""
    f.start()
    with f.watch():
        r = f.move("checkpoint:gone:kill").wait(100)
        lab.same("how it ended", -9, r.status)
        f.recover_and_rerun(r, "source")


# ---- other machines


def recover_elsewhere(f, state):
    return f.begin("recover", "--from", f.src.uri, "--to", f.dst.uri, "--container", f.name, state=state).wait(100)


def elsewhere(*points):
    def run(f):
        """Recovered from another machine, with nothing but the copies of the journal on the hosts."""
        f.start()
        with f.watch():
            for point in points:
                r = f.move(f"{point}:kill").wait(100)
                lab.same("how it ended", -9, r.status)
                other = recover_elsewhere(f, f.elsewhere())
                lab.check(other.status in (0, 5), "exit of recover elsewhere:", other.status, other.tail())
                owner = f.owner()
                lab.check(owner in ("source", "target"), f"killed at {point}, then recovered elsewhere: it runs on {owner}")
                f.check_sequence(f.engine_of(owner))
                f.recover()  # the first machine comes back: it finds everything done
                lab.same("who runs it after the first machine's recover", owner, f.owner())
            f.recover_and_rerun(r)
    return run


for _name, _points in {"recovered-elsewhere-back": ("prepare:after", "transfer:before", "restore:before"), "recovered-elsewhere-forth": ("restore:after",)}.items():
    _run = elsewhere(*_points)
    _run.__name__, _run.__module__ = _name, __name__
    event(*((IN_PLACE, DOCKER) if "forth" in _name else (IN_PLACE,)))(_run)


def overtaken(point, cut):
    def run(f):
        """The first machine was only slow: it goes on after another one has recovered."""
        f.start()
        with f.watch():
            r = f.paused_move(point)
            for e in (f.src, f.dst) if cut else ():
                f.cut(r, e.host)
            other = recover_elsewhere(f, f.elsewhere())
            lab.check(other.status in (0, 4, 5), "exit of recover elsewhere:", other.status, other.tail())
            owner = f.owner()
            f.resume(r).wait(100)
            lab.check(r.status in (0, 4, 5, 6), "exit", r.status, r.tail())
            lab.same("who runs it", owner, f.owner())
            f.recover_and_rerun(r, owner)
    return run


for _point, _cut, _paths in (("transfer:before", False, (IN_PLACE,)), ("restore:journalled", False, (DOCKER,)), ("restore:after", False, (IN_PLACE, DOCKER)),
                             ("checkpoint:before", True, (IN_PLACE, DOCKER)), ("transfer:half", True, (IN_PLACE, DOCKER))):
    _run = overtaken(_point, _cut)
    _run.__name__, _run.__module__ = "overtaken-" + _point.replace(":", "-") + ("-and-cut" if _cut else ""), __name__
    event(*_paths)(_run)


@event(IN_PLACE, DOCKER)
def old_journal(f):
    """A journal that stayed open: the container has been moved to and fro since, and is just being moved again. Its recover touches nothing."""
    f.start()
    with f.watch():
        r = f.move("transfer:before:kill").wait(100)
        lab.same("how it ended", -9, r.status)
        other = recover_elsewhere(f, f.elsewhere())
        lab.same("exit of recover elsewhere", 0, other.status)
        new = f.elsewhere()
        second = f.paused_move("restore:after", state=new)
        late = f.recover(expect=(3,))
        lab.check(late, "nothing to recover?")
        f.wait(f.resume(second), 0)
        f.recover(expect=(6,))  # the source is gone, as far as this journal knows: a person looks, nothing is touched
        f.recover_and_rerun(second, "target")
