"""What hosts and their users do to files, directories and logs: by the names of the reports, and what is next to each of them."""

import hashlib
import json
import os
import pathlib
import re
import signal
import time

import lab
from lab import case, check, same, until

SCP, ARCHIVE, PODMAN, DOCKER = lab.PATHS
COUNTER = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"


# ---- helpers


def numbers(text):
    return [int(line) for line in text.split() if line.isdigit()]


def start_counter(t, *options, name="it-counter", script=COUNTER, at_least=3):
    t.src.start(name, *options, cmd=("sh", "-c", script, t.marker))
    if at_least:
        until(lambda: len(numbers(t.src.logs(name))) >= at_least, 20, "the counter counts")
    return name


def check_moved(t, name, src=None, dst=None):
    src, dst = src or t.src, dst or t.dst
    same(f"{name} on {src}", "absent", src.state(name))
    same(f"{name} on {dst}", "running", dst.state(name))


def codes(t, *args, **kwargs):
    """What check says: its exit status and the codes of its findings."""
    r = t.begin("check", *args, **kwargs).wait(120)
    return r.status, r.codes


def paused(t, point, *args, **kwargs):
    """A move that stopped itself (SIGSTOP) at PHASE:POINT; on() lets it go on."""
    r = t.begin("move", *args, env={"TRANSHIP_FAULT": f"{point}:stop"}, **kwargs)
    until(lambda: not r.running or stopped(r), 90, f"tranship stops at {point}")
    check(r.status is None, f"tranship ended before {point}:", r.tail() if r.status is not None else "")
    return r


def stopped(r):
    try:
        with open(f"/proc/{r.process.pid}/stat", "rb") as f:
            return f.read().rpartition(b")")[2].split()[0] == b"T"
    except OSError:
        return False


def on(t, r, status=0):
    os.kill(r.process.pid, signal.SIGCONT)
    r.wait(150).expect(status)
    t.ids.append(r.report["id"])
    return r


def findings(r, code):
    return [f["message"] for f in (r.report or {}).get("findings") or [] if f["code"] == code]


# ---- directories of ours


def refused_staging(t, name, why, *args):
    """check and move say the same, in these words."""
    for command in ("check", "move"):
        r = t.begin(command, *args, name).wait(120).expect(3)
        said = findings(r, "unsafe-directory")
        check(said and any(why in s for s in said), command, "does not say", why, "but", said)
    check(t.src.running(name), "it runs on")


def ways(*paths, timeout):
    """A case for each way, as @case; but it changes what its hosts have together, so it has them to itself."""
    def register(function):
        name = "paths/" + function.__name__.replace("_", "-")
        for path in paths:
            def run(t, path=path):
                t.engine, t.options = lab.PATHS[path]
                t.strategy = lab.STRATEGIES.get(path, "in-place")
                t.src, t.dst = (h.engine(t.engine) for h in t.hosts[:2])
                function(t)
            lab.add_case(f"{name}/{path}", run, timeout=timeout)
        return function
    return register


@ways(PODMAN, ARCHIVE, SCP, DOCKER, timeout=240)
def staging_owner(t):
    """An ordinary user was there first."""
    name, host = start_counter(t), t.dst.host
    host.sh("install -d -o 1000 -m 0777 /var/tmp/tranship")
    t.at_end(host.sh, "rm -rf /var/tmp/tranship /srv/user /srv/link /srv/group")
    refused_staging(t, name, "'/var/tmp' is writable by everybody", "--staging", "/var/tmp/tranship")
    host.sh("mkdir -p /srv/user && chown 1000 /srv/user && ln -s /root /srv/link && mkdir -m 0775 /srv/group && chgrp 50 /srv/group")
    refused_staging(t, name, "'/srv/user' belongs to user 1000", "--staging", "/srv/user/deep")
    refused_staging(t, name, "'/srv/link' is a symbolic link", "--staging", "/srv/link/deep")
    refused_staging(t, name, "'/srv/group' is writable by group 50", "--staging", "/srv/group")
    t.move(name)  # what the user made is not touched
    check_moved(t, name)
    same("what the user made", "", host.sh("ls -A /var/tmp/tranship"))


@ways(PODMAN, ARCHIVE, DOCKER, timeout=240)
def staging_ways(t):
    """What the hint says works; the directories that have no option are looked at, too."""
    name, host = start_counter(t), t.dst.host
    t.at_end(host.sh, "chmod 0755 /var/lib/tranship /run/tranship; rm -rf '/srv/of tranship'")
    host.sh("mkdir -p /var/lib/tranship /run/tranship; chmod 0777 /var/lib/tranship")
    refused_staging(t, name, "'/var/lib/tranship' is writable by everybody")
    host.sh("chmod go-w /var/lib/tranship; chmod 0775 /run/tranship")
    refused_staging(t, name, "'/run/tranship' is writable by group 0")
    host.sh("chmod go-w /run/tranship")
    t.move("--staging", "/srv/of tranship/a/b", name)
    check_moved(t, name)
    same("mode of what was made", "700", host.sh("stat -c %a '/srv/of tranship/a'").strip())
    same("left", "", host.sh("ls -A '/srv/of tranship/a/b'"))


def killed_at(t, point, *args):
    """A move that was killed at PHASE:POINT; the directory of its state."""
    state = t.state_dir()
    same("how it ended", -9, t.begin("move", *args, env={"TRANSHIP_FAULT": f"{point}:kill"}, state=state).wait(150).status)
    return state


def recover(t, state, *statuses):
    r = lab.tranship("recover", "--json", state=state).expect(*(statuses or (0,)))
    t.ids.append(r.report["id"])
    return r


@ways(PODMAN, DOCKER, timeout=240)
def staging_owner_later(t):
    """Safe when it was made, a user's by the time of recover: nothing is removed through what he put in its place, and that is said."""
    name, host, top = start_counter(t), t.dst.host, f"/srv/{t.marker}"
    t.at_end(host.sh, 'rm -rf "$1"', top)
    state = killed_at(t, "arm:before", "--staging", f"{top}/staging", name)
    host.sh('cp -a "$1/staging" "$1/victim" && mv "$1/staging" "$1/away" && ln -s victim "$1/staging" && chown 1000 "$1"', top)
    made = host.sh('ls "$1/away"', top)
    check(made.strip(), "this move had no staging directory: this case shows nothing")
    r = recover(t, state, 4, 5)
    check(any(f"'{top}' belongs to user 1000" in x for x in r.report["leftovers"]), "named:", r.report["leftovers"])
    same("what is there by that name", made, host.sh('ls "$1/victim"', top))
    check(t.src.running(name), "it runs on")
    host.sh('chown root "$1" && rm "$1/staging" && mv "$1/away" "$1/staging"', top)
    recover(t, state)
    same("left", "", host.sh('ls "$1/staging"', top))


@ways(PODMAN, ARCHIVE, SCP, DOCKER, timeout=300)
def remove_agent(t):
    """A move that removes the agent's program, while another one has yet to connect to it again, or to start it."""
    for h in t.hosts:
        h.sh("rm -rf /var/lib/tranship/agent")  # of other versions
    first, second = start_counter(t), start_counter(t, name="it-second")
    r = paused(t, "pre-copy:after" if t.strategy == "in-place" else "prepare:after", first)
    other = t.move("--remove-agent", second)
    for h in t.hosts:
        check(h.sh("ls /var/lib/tranship/agent"), f"the program is gone from {h}")
    check(sum("another migration uses it" in w for w in other.report["warnings"]) == 2, other.report["warnings"])
    for h in t.hosts:  # every connection of the first one breaks
        h.sh("ss -K state established sport = :22 >/dev/null 2>&1 || :")
    on(t, r)
    check_moved(t, first)
    # agents whose connection broke wait for it for a while, and use the program
    until(lambda: not any("/tranship/agent/" in line for h in t.hosts for line in lab.processes(h).values()), 120, "no agent waits any more")
    third = start_counter(t, name="it-third")
    t.move("--remove-agent", third)
    for h in t.hosts:
        there = h.sh("ls /var/lib/tranship/agent 2>/dev/null || :")
        check(not there, f"on {h}:", there, "used by", [line for line in lab.processes(h).values() if "/tranship/agent/" in line])


@ways(DOCKER, timeout=300)
def ctrd_fifo(t):
    """What users put where containerd has its temporary directories is neither read, nor followed, nor removed; what containerd left there of ours is."""
    name = start_counter(t)
    traps = ("mkdir /tmp/ctrd-checkpoint1 && mkfifo /tmp/ctrd-checkpoint1/inventory.img && chown -R 1000 /tmp/ctrd-checkpoint1;"
             "mkdir -p /root/of-root && mkfifo /root/of-root/inventory.img && ln -s /root/of-root /tmp/ctrd-checkpoint2;"
             "mkdir /tmp/ctrd-checkpoint3 && ln -s /dev/zero /tmp/ctrd-checkpoint3/inventory.img;"
             "mkfifo /tmp/ctrd-checkpoint4")
    for h in t.hosts:
        h.sh("rm -rf /tmp/ctrd-checkpoint*")  # of cases that failed
        h.sh(traps)
        t.at_end(h.sh, "rm -rf /tmp/ctrd-checkpoint[1-4] /root/of-root")
    r = t.begin("move", name, "--verify", "exec:/bin/false").wait(200).expect(4)  # back again: both sides are swept
    check(r.seconds < 100, "it took", r.seconds, "s")
    t.move(name)
    check_moved(t, name)
    for h in t.hosts:
        same(f"what is in /tmp of {h}", [f"/tmp/ctrd-checkpoint{n}" for n in range(1, 5)], h.sh("ls -d /tmp/ctrd-checkpoint*").split())
        check(h.sh("ls -A /root/of-root").strip() == "inventory.img", "a link was followed")
        h.sh("rm -rf /tmp/ctrd-checkpoint[1-4]")  # or they would be taken for ours that are left


# ---- holes


def agent_peaks(host):
    """Most memory that each agent of the host ever held, in KiB, and the processor time it took, in seconds."""
    found = host.sh('''for p in /proc/[0-9]*; do case $(readlink "$p/exe") in /var/lib/tranship/agent/*)
        awk -v t="$(awk '{ print $14 + $15 }' "$p/stat")" '/^VmHWM/ { print $2, t / 100 }' "$p/status";; esac; done''', check_status=False)
    return [tuple(map(float, line.split())) for line in found.splitlines()]


@case(PODMAN, DOCKER, timeout=240)
def sparse(t):
    """128 GiB with 8 KiB in them, holes made and filled between the rounds, and a file that shrinks: it costs what is in it."""
    t.src.cli("volume", "create", "it-sparse")
    start_counter(t, "--volume", "it-sparse:/s")
    src = lab.Host.path(t.src.host, t.src.get("/v1.41/volumes/it-sparse")["Mountpoint"])
    with open(src + "/big", "wb") as f:
        f.truncate(128 << 30)
        os.pwrite(f.fileno(), b"a" * 4096, 1 << 30)
        os.pwrite(f.fileno(), b"b" * 4096, 100 << 30)
    for name, size in (("punched", 1 << 20), ("shrinks", 1 << 20)):
        with open(src + "/" + name, "wb") as f:
            f.write(os.urandom(size))
            f.truncate(64 << 30)
    r = paused(t, "pre-copy:after", "it-counter")
    with open(src + "/big", "r+b") as f:
        os.pwrite(f.fileno(), b"c" * 4096, 64 << 30)
        f.truncate((128 << 30) + 5)
        os.pwrite(f.fileno(), b"end", (128 << 30) + 5)
    t.src.host.sh('fallocate -p -o 0 -l 524288 "$1/punched"; truncate -s 524289 "$1/shrinks"', t.src.get("/v1.41/volumes/it-sparse")["Mountpoint"])
    want = {name: sums(src + "/" + name) for name in ("big", "punched", "shrinks")}
    peaks = [p for h in t.hosts for p in agent_peaks(h)]
    check(peaks and all(kib < 60 << 10 and seconds < 10 for kib, seconds in peaks), "agents took (KiB, s)", peaks)
    on(t, r)
    check_moved(t, "it-counter")
    dst = t.dst.host.path(t.dst.get("/v1.41/volumes/it-sparse")["Mountpoint"])
    same("files", want, {name: sums(dst + "/" + name) for name in want})
    same("blocks of them", [True] * 3, [os.stat(dst + "/" + name).st_blocks < 8192 for name in want])
    check(r.report["bytes"]["volumes"] < 8 << 20, "bytes of volumes:", r.report["bytes"]["volumes"])


def sums(path):
    """Size, and what is there that is not zeros, by position."""
    found = hashlib.sha256()
    with open(path, "rb") as f:
        end = pos = os.fstat(f.fileno()).st_size
        at = 0
        while at < end:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            stop = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            at -= at % 4096
            while at < stop:
                piece = os.pread(f.fileno(), 4096, at)
                if piece.strip(b"\0"):
                    found.update(at.to_bytes(8) + piece)
                at += 4096
    return pos, found.hexdigest()


# ---- several processes


CHILDREN = "n=0; while [ $n -lt 30 ]; do n=$((n+1)); tail -f /dev/null & done; while :; do sleep 1; done"


@case(DOCKER, PODMAN, timeout=600)
def docker_processes(t):
    """Thirty processes with a memory each: an archive that is unpacked has pages-10.img before pages-2.img."""
    name = start_counter(t, script=CHILDREN, at_least=0)
    src, dst = t.src, t.dst
    for _ in range(6):
        until(lambda: len(src.cli("top", name).strip().splitlines()) >= 32, 20, "all processes run")
        t.move(name, src=src, dst=dst)
        check_moved(t, name, src, dst)
        src, dst = dst, src
    check(len(src.cli("top", name).strip().splitlines()) >= 32, "processes are missing")


# ---- one file


@case(PODMAN, DOCKER, ARCHIVE, timeout=200)
def file_bind(t, *options):
    """A bind mount of one file, as the hint of bind-undecided says."""
    src, dst = t.src.host, t.dst.host
    top = f"/srv/{t.marker}"
    src.sh('mkdir -p "$1/in" && echo first >"$1/in/file" && echo other >"$1/in/other" && chown 7:8 "$1/in/file" && chmod 0640 "$1/in/file" && ln -s "$1/in/file" "$1/link"', top)
    for h in t.hosts:
        t.at_end(h.sh, 'rm -rf "$1"', top)
    dst.sh('mkdir -p "$1/in" && chmod 0711 "$1/in"', top)
    script = 'i=0; while :; do echo $i; echo $i >>/f; i=$((i+1)); sleep 0.1; done'
    name = start_counter(t, "--volume", f"{top}/in/file:/f", script=script)
    r = t.begin("check", name, *options).wait(120).expect(3)
    hint = next(f["hint"] for f in r.report["findings"] if f["code"] == "bind-undecided")
    check("=copy" in hint and f"{top}/in/file" in hint, hint)
    word = re.search(r"--bind (\S+=copy)", hint).group(1)
    t.begin("check", name, "--bind", word, *options).wait(120).expect(0)
    dst.sh('mkdir "$1/in/file"', top)
    r = t.begin("move", name, "--bind", word, *options).wait(120).expect(3)
    check("bind-exists" in r.codes, r.codes)
    dst.sh('rmdir "$1/in/file"', top)
    t.move(name, "--bind", word, *options)
    check_moved(t, name)
    same("attributes", "7 8 640", dst.sh('stat -c "%u %g %a" "$1/in/file"', top).strip())
    same("the directory that it is in", ("711", "file"), (dst.sh('stat -c %a "$1/in"', top).strip(), dst.sh('ls "$1/in"', top).strip()))
    before = len(dst.sh('cat "$1/in/file"', top).split())
    until(lambda: len(dst.sh('cat "$1/in/file"', top).split()) > before, 15, "the container writes to the file there")
    found = dst.sh('cat "$1/in/file"', top).split()
    same("first", "first", found[0])
    if not options:
        same("numbers", list(range(len(found) - 1)), [int(n) for n in found[1:]])


@case(PODMAN, DOCKER, timeout=200)
def file_bind_cold(t):
    file_bind(t, "--cold")


@case(PODMAN, DOCKER, timeout=200)
def file_bind_ways(t):
    """Through a link; a move that fails takes it away again; a socket is refused, and its hint is right."""
    src, dst = t.src.host, t.dst.host
    top = f"/srv/{t.marker}"
    src.sh('mkdir -p "$1/in" && echo first >"$1/in/file" && ln -s "$1/in/file" "$1/link"', top)
    for h in t.hosts:
        t.at_end(h.sh, 'rm -rf "$1"', top)
    name = start_counter(t, "--volume", f"{top}/link:/f")
    binds = [m["Source"] for m in t.src.inspect(name)["Mounts"] if m["Destination"] == "/f"]
    t.begin("move", "--cold", name, "--bind", f"{binds[0]}=copy", env={"TRANSHIP_FAULT": "checkpoint:before:error"}).wait(150).expect(4)
    same("left", "", dst.sh('[ ! -e "$1" ] || find "$1" ! -type d', top).strip())
    t.move("--cold", name, "--bind", f"{binds[0]}=copy")
    check_moved(t, name)
    same("content", "first", dst.sh('cat "$1"', binds[0]).strip())
    same("type", "regular file", dst.sh('stat -c %F "$1"', binds[0]).strip())


def links(r):
    return [f["message"] for f in r.report["findings"] if f["code"] == "bind-link"]


@case(PODMAN, DOCKER, ARCHIVE, timeout=300)
def bind_link(t):
    """The path of a bind mount is a link, of a file or of a directory, on either host: neither could restore it. Both hints; links further up do not matter."""
    top = f"/srv/{t.marker}"
    for h in t.hosts:
        t.at_end(h.sh, 'rm -rf "$1"', top)
        h.sh('mkdir -p "$1/real/dir" && echo x >"$1/real/file" && ln -s "$1/real" "$1/up" && ln -s real/dir "$1/dir" && ln -s "$1/real/file" "$1/file"', top)
    for path in ("dir", "file"):
        name = start_counter(t, "--volume", f"{top}/{path}:/a:ro")
        said = links(t.begin("check", name).wait(120).expect(3))
        check(len(said) == 1 and f"'{top}/{path}'" in said[0] and "both hosts" in said[0], said)
        t.move(name, expect=3)
        check(t.src.running(name), "it does not run on")
        t.move("--cold", name)
        t.dst.remove(name)
    name = start_counter(t, "--volume", f"{top}/up/dir:/a:ro", "--volume", f"{top}/up/file:/b:ro")
    t.move(name)
    check_moved(t, name)
    t.dst.remove(name)
    t.src.host.sh('mkdir "$1/later"', top)
    t.dst.host.sh('ln -s real "$1/later"', top)
    name = start_counter(t, "--volume", f"{top}/later:/a:ro")
    said = links(t.begin("check", name).wait(120).expect(3))
    check(len(said) == 1 and "the target" in said[0], said)


# ---- a bind mount that is swapped


@case(PODMAN, DOCKER, ARCHIVE, timeout=240)
def bind_swap(t):
    """The target's users put a link, or a directory of theirs, in the place of one that is being filled: nothing is written there, and it is not what the container gets."""
    src, dst = t.src.host, t.dst.host
    top = f"/srv/{t.marker}"
    src.sh('mkdir -p "$1/data" && echo one >"$1/data/one"', top)
    for h in t.hosts:
        t.at_end(h.sh, 'rm -rf "$1"', top)
    dst.sh('mkdir -p "$1" "$1/precious" && chown 1000 "$1" && echo mine >"$1/precious/one" && ln -s precious "$1/data"', top)
    script = 'i=0; while :; do echo $i; echo $i >/d/two; i=$((i+1)); sleep 0.1; done'
    name = start_counter(t, "--volume", f"{top}/data:/d", script=script)
    bind = ("--bind", f"{top}/data=copy")
    for command in ("check", "move"):
        r = t.begin(command, name, *bind).wait(120).expect(3)
        check(any("symbolic link" in m for m in findings(r, "bind-exists")), r.report["findings"])
    dst.sh('rm "$1/data"', top)
    for swap in ('ln -s precious "$1/data"', 'cp -a "$1/precious" "$1/data"'):
        r = paused(t, "pre-copy:after", name, *bind)
        dst.sh('mv "$1/data" "$1/away" && ' + swap, top)
        on(t, r, 4)
        check("replaced" in r.report["error"]["message"], r.report["error"])
        same("what was there", "mine", dst.sh('cat "$1/precious/one"; ls "$1/precious" | grep -v one || :', top).strip())
        until(lambda: t.src.running(name), 20, "it runs on")
        dst.sh('rm -rf "$1/data" "$1/away"', top)
    t.move(name, *bind)
    check_moved(t, name)


@case(PODMAN, DOCKER, ARCHIVE, timeout=240)
def bind_swap_source(t):
    """The same on the source: what is there by now does not travel."""
    src = t.src.host
    top = f"/srv/{t.marker}"
    src.sh('mkdir -p "$1/data" "$1/secret" && echo one >"$1/data/one" && echo secret >"$1/secret/key"', top)
    for h in t.hosts:
        t.at_end(h.sh, 'rm -rf "$1"', top)
    name = start_counter(t, "--volume", f"{top}/data:/d")
    r = paused(t, "prepare:after", name, "--bind", f"{top}/data=copy")
    src.sh('mv "$1/data" "$1/away" && ln -s secret "$1/data"', top)
    on(t, r, 4)
    check("replaced" in r.report["error"]["message"], r.report["error"])
    check(t.src.running(name), "it runs on")
    same("what came", "", t.dst.host.sh('find "$1" -name key', top, check_status=False).strip())


# ---- logs


def log_numbers(engine, name):
    """The counter's numbers in the log; what a rotation cut off is not there."""
    found = numbers(engine.logs(name))
    check(found and found == list(range(found[0], found[-1] + 1)), "log of", name, "on", engine, "has a gap:", found[:3], "…", found[-3:])
    return found


FAST = "i=0; while [ $i -lt 150 ]; do echo $i; i=$((i+1)); done; while :; do sleep 1; done"


def rotated(t, *options, live=True):
    name = start_counter(t, "--log-opt", "max-size=2k", *options, script=FAST, at_least=0)
    until(lambda: 149 in numbers(t.src.logs(name)), 20, "it has written")
    time.sleep(2)  # what is packed is packed by then
    before = log_numbers(t.src, name)
    t.move(*(() if live else ("--cold",)), name)
    check_moved(t, name)
    after = numbers(t.dst.logs(name))
    check(after[:len(before)] == before, "before the move:", before[:1], before[-1:], "after it:", after[:1], after[-1:])
    return len(before)


@case(DOCKER, timeout=240)
def docker_logs(t):
    lines = rotated(t, "--log-opt", "max-file=5")
    check(lines > 100, "only", lines, "lines were there: nothing was rotated")


@case(DOCKER, timeout=240)
def docker_logs_packed(t):
    rotated(t, "--log-opt", "max-file=5", "--log-opt", "compress=true")


@case(DOCKER, timeout=240)
def docker_logs_cold(t):
    rotated(t, "--log-opt", "max-file=12", live=False)


@case(DOCKER, timeout=240)
def docker_logs_local(t):
    """The local driver: a format of its own, in a directory of its own."""
    rotated(t, "--log-driver", "local", "--log-opt", "max-file=5")


@case(PODMAN, ARCHIVE, timeout=240)
def podman_logs(t):
    rotated(t)


# ---- Podman's log elsewhere


def log_elsewhere_runs(t, path, live=True):
    """There and back, the log at the same path, nothing of it missing and nothing left of it where it was."""
    for h in t.hosts:
        h.sh('mkdir -p "$(dirname "$1")"', path)
        t.at_end(h.sh, 'rm -rf "$(dirname "$1")"', path)
    name = start_counter(t, "--log-opt", f"path={path}")
    src, dst = t.src, t.dst
    for _ in range(2):
        before = log_numbers(src, name) if live else numbers(src.logs(name))  # a cold one begins anew each time
        t.move(*(() if live else ("--cold",)), name, src=src, dst=dst)
        check_moved(t, name, src, dst)
        until(lambda: len(numbers(dst.logs(name))) > len(before), 20, "it counts on")
        same("the log so far", before, numbers(dst.logs(name))[:len(before)])
        text = dst.host.sh('cat "$1"', path)
        check(len(text.splitlines()) > len(before), "the file at the path has", len(text.splitlines()), "lines")
        same("mode", "600", dst.host.sh('stat -c %a "$1"', path).strip())
        same("what is beside it", os.path.basename(path), dst.host.sh('ls "$(dirname "$1")"', path).strip())
        same("left on the source", "", src.host.sh('ls "$(dirname "$1")"', path).strip())
        src, dst = dst, src


@case(PODMAN, ARCHIVE, SCP, timeout=240)
def log_elsewhere(t):
    log_elsewhere_runs(t, f"/srv/{t.marker}/app.log")


@case(PODMAN, ARCHIVE, timeout=240)
def log_elsewhere_recovered(t):
    """recover, too, takes the source's log away once the move is finished."""
    path = f"/srv/{t.marker}/app.log"
    for h in t.hosts:
        h.sh('mkdir -p "$(dirname "$1")"', path)
        t.at_end(h.sh, 'rm -rf "$(dirname "$1")"', path)
    name = start_counter(t, "--log-opt", f"path={path}")
    recover(t, killed_at(t, "cleanup:before", name))
    check_moved(t, name)
    check(log_numbers(t.dst, name), "no log on the target")
    same("what is beside it", os.path.basename(path), t.dst.host.sh('ls "$(dirname "$1")"', path).strip())
    same("left on the source", "", t.src.host.sh('ls "$(dirname "$1")"', path).strip())


@case(PODMAN, timeout=240)
def log_elsewhere_cold(t):
    log_elsewhere_runs(t, f"/srv/{t.marker}/app.log", live=False)


@case(ARCHIVE, timeout=240)
def log_elsewhere_long(t):
    """A path that has no room in a header of tar."""
    log_elsewhere_runs(t, f"/srv/{t.marker}/" + "a" * 60 + "/" + "b" * 60 + "/app.log")


@case(PODMAN, ARCHIVE, timeout=300)
def log_path(t):
    """What stands in the way of the log on the target is never followed, overwritten or waited for; each hint leads to success."""
    src, dst = t.src.host, t.dst.host
    top = f"/srv/{t.marker}"
    path = top + "/logs/app.log"
    src.sh('mkdir -p "$1/logs"', top)
    for h in t.hosts:
        t.at_end(h.sh, 'rm -rf "$1"', top)
    name = start_counter(t, "--log-opt", f"path={path}")
    for make, why in (
            ('mkdir -p "$1"', "has no directory"),
            ('mkdir -p "$1/logs" && chown 1000 "$1/logs" && echo precious >"$1/precious" && ln -s "$1/precious" "$1/logs/app.log"', "belongs to user 1000"),
            ('chown root "$1/logs"', "is on the target already"),
            ('rm "$1/logs/app.log" && mkfifo "$1/logs/app.log"', "is on the target already"),
            ('rm "$1/logs/app.log" && chmod 0777 "$1/logs"', "is writable by everybody"),
    ):
        dst.sh(make, top)
        for command in ("check", "move"):
            r = t.begin(command, name).wait(120).expect(3)
            check(any(why in m for m in findings(r, "log-path")), why, "expected:", r.report["findings"])
    same("precious", "precious", dst.sh('cat "$1/precious"', top).strip())
    dst.sh('chmod go-w "$1/logs"', top)
    r = t.begin("move", name, env={"TRANSHIP_FAULT": "checkpoint:before:error"}).wait(150).expect(4)
    same("left by a move that failed", "", dst.sh('ls "$1/logs"', top).strip())
    before = log_numbers(t.src, name)
    t.move(name)
    check_moved(t, name)
    same("the log so far", before, log_numbers(t.dst, name)[:len(before)])


@case(PODMAN, ARCHIVE, timeout=240)
def log_path_skip(t):
    """With the user's word the log goes to Podman's own place, or stays, and that is said."""
    path = f"/srv/{t.marker}/app.log"
    t.src.host.sh('mkdir -p "$(dirname "$1")"', path)
    t.at_end(t.src.host.sh, 'rm -rf "$(dirname "$1")"', path)
    name = start_counter(t, "--log-opt", f"path={path}")
    before = log_numbers(t.src, name)
    r = t.move("--skip", "log-path", name)
    check_moved(t, name)
    after = log_numbers(t.dst, name)
    if t.strategy == "in-place":
        same("the log so far", before, after[:len(before)])
    else:
        check(any("stays on the source" in w for w in r.report["warnings"]), r.report["warnings"])
    same("at the path", "", t.dst.host.sh('ls "$1" 2>/dev/null || :', path).strip())


@case(PODMAN, timeout=200)
def log_path_fifo(t):
    """The log is no file any more on the source: nothing waits for it while the container is frozen."""
    path = f"/srv/{t.marker}/app.log"
    for h in t.hosts:
        h.sh('mkdir -p "$(dirname "$1")"', path)
        t.at_end(h.sh, 'rm -rf "$(dirname "$1")"', path)
    name = start_counter(t, "--log-opt", f"path={path}")
    r = paused(t, "pre-copy:after", name)
    t.src.host.sh('rm "$1" && mkfifo "$1"', path)
    on(t, r)
    check_moved(t, name)
    check(r.report["downtime_us"] < 60e6, "down for", r.report["downtime_us"])
