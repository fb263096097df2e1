"""What would be lost of files, or be another directory, without a word: directories that are not shared, attributes of chattr, holes and times."""

import subprocess

import lab
from lab import case, check, same, until

SCP, ARCHIVE, PODMAN, DOCKER = lab.PATHS
COUNT = "i=0; while :; do echo $i >>/data/log; echo $i; i=$((i+1)); sleep 0.2; done"


def start(t, *options, script=COUNT):
    t.src.start(t.marker, *options, cmd=("sh", "-c", script, t.marker))
    until(lambda: t.src.logs(t.marker).split()[1:], 20, "it runs")
    return t.marker


def directory(t, host, path=None):
    path = path or f"/srv/{t.marker}"
    host.sh('mkdir -p "$1"', path)
    t.at_end(host.sh, 'rm -rf "$1"', path)
    t.at_end(unflag, host, path)
    return path


def unflag(host, path):
    """By this machine's program: the hosts have none."""
    subprocess.run(["chattr", "-R", "-i", "-a", host.path(path)], stderr=subprocess.DEVNULL, check=False)


def found(r, code):
    return [f for f in (r.report or {}).get("findings") or [] if f["code"] == code]


def refused(t, code, *args):
    """check and move say the same, once, and nothing happened."""
    for command in ("check", "move"):
        r = t.begin(command, *args, t.marker).wait(120).expect(3)
        same(f"{command}: {code}", 1, len(found(r, code)))
    same("source", "running", t.src.state(t.marker))
    return found(r, code)[0]


# ---- not-shared


@case(ARCHIVE, PODMAN, DOCKER, timeout=240)
def not_shared(t):
    """Two directories of one name: the container would go on with the other one. Each part of the hint leads to a move."""
    here = directory(t, t.hosts[0])
    directory(t, t.hosts[1])
    t.hosts[1].sh('echo other >"$1"/theirs', here)
    start(t, "--volume", f"{here}:/data")
    f = refused(t, "not-shared", "--bind", f"{here}=shared")
    check(here in f["message"] and f"--bind {here}=copy" in f["hint"] and f["skippable"], f)
    refused(t, "not-shared", "--cold", "--bind", f"{here}=shared")
    t.hosts[1].sh('mv "$1" "$1.away"', here)
    t.at_end(t.hosts[1].sh, 'rm -rf "$1.away"', here)
    t.move("--bind", f"{here}=copy", t.marker)
    check(t.dst.exec(t.marker, "cat /data/log").split()[:2] == ["0", "1"], "its data")
    r = t.begin("check", "--bind", f"{here}=shared", t.marker, src=t.dst, dst=t.src).wait(120)
    check(len(found(r, "not-shared")) == 1, "the way back:", r.codes)


@case(PODMAN, DOCKER, timeout=240)
def not_shared_skipped(t):
    """The other part of the hint: the target's own is meant."""
    here = directory(t, t.hosts[0])
    directory(t, t.hosts[1])
    start(t, "--volume", f"{here}:/data", script="while :; do date >/data/now; echo x; sleep 0.2; done")
    t.move("--bind", f"{here}=shared", "--skip", "not-shared", t.marker)
    until(lambda: t.hosts[1].sh('cat "$1"/now 2>/dev/null || :', here), 20, "it writes to the target's own")


@case(PODMAN, DOCKER, timeout=240)
def not_shared_file(t):
    """A single file, that both hosts have, with the same content."""
    here = directory(t, t.hosts[0])
    directory(t, t.hosts[1])
    for h in t.hosts:
        h.sh('echo same >"$1"/file', here)
    start(t, "--volume", f"{here}/file:/data/log")
    f = refused(t, "not-shared", "--bind", f"{here}/file=shared")
    check(f"{here}/file" in f["message"], f)


@case(PODMAN, DOCKER, timeout=240)
def not_shared_volume(t):
    """A volume of that name on the target, on a disk of its own."""
    v = t.marker + "-data"
    start(t, "--volume", f"{v}:/data")
    t.dst.cli("volume", "create", v)
    f = refused(t, "not-shared", "--volume", f"{v}=shared")
    check(v in f["message"] and f"--volume {v}=replace" in f["hint"], f)
    t.move("--volume", f"{v}=replace", t.marker)
    check(t.dst.exec(t.marker, "cat /data/log").split()[:2] == ["0", "1"], "its data")


@case(PODMAN, DOCKER, timeout=240)
def really_shared(t):
    """Directories, files and volumes that are the same are no finding, however they change; nor is what lies in the host's own file systems, and what is only read and says the same."""
    here = f"/shared/{t.marker}"
    directory(t, t.hosts[0], here)
    t.hosts[0].sh('echo x >"$1"/file; mkdir "$1/-sub dir"; echo y >"$1/-f"; ln -s / "$1"/link', here)
    only = directory(t, t.hosts[0], f"/srv/{t.marker}-read")
    directory(t, t.hosts[1], only)
    for h in t.hosts:
        h.sh('echo same >"$1"/file', only)
    for e in (t.src, t.dst):
        e.cli("volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", f"device={here}", "it-s")
        t.at_end(lambda e=e: e.cli("volume", "rm", "-f", "it-s", check_status=False))
    start(t, "--volume", f"{here}:/data", "--volume", f"{here}/file:/file", "--volume", f"{only}:/only:ro", "--volume", "it-s:/s",
          script="i=0; while :; do echo $i >>/data/log; >/data/$i; rm -f /data/$((i-1)); echo $i; i=$((i+1)); sleep 0.1; done")
    options = ("--bind", f"{here}=shared", "--bind", f"{here}/file=shared", "--volume", "it-s=shared")
    for _ in range(3):
        r = t.begin("check", *options, t.marker).wait(120).expect(0)
        same("findings", set(), r.codes & {"not-shared"})
    t.move(*options, t.marker)
    r = t.begin("check", *options, t.marker, src=t.dst, dst=t.src).wait(120).expect(0)
    same("the way back", set(), r.codes & {"not-shared"})


@case(PODMAN, DOCKER, timeout=240)
def only_read(t):
    """What is only read, and says something else on the target: told, and it moves."""
    here = directory(t, t.hosts[0])
    directory(t, t.hosts[1])
    for i, h in enumerate(t.hosts):
        h.sh('printf %s "$2" >"$1"/conf', here, "x" * (5 + i))
    start(t, "--volume", f"{here}:/conf:ro", script="while :; do echo x; sleep 0.2; done")
    r = t.begin("check", t.marker).wait(120).expect(0)
    f = found(r, "not-shared")
    check(len(f) == 1 and here in f[0]["message"] and "conf" in f[0]["message"] and f[0]["severity"] == "warning", f)
    t.move(t.marker)


@case(PODMAN, DOCKER, timeout=240)
def hostile_names(t):
    """Names of every kind, and very many of them, on the target: told in one line, and in time."""
    here = directory(t, t.hosts[0])
    directory(t, t.hosts[1])
    t.hosts[1].sh('cd "$1" && printf "" >"$(printf "a\\nb.0=5")" && ln -s /dev/zero "a.1=dir" && mkfifo fifo && i=0 && while [ $i -lt 3000 ]; do :>"%s-$i"; i=$((i+1)); done && rm -f -- "-n"', here)
    start(t, "--volume", f"{here}:/data")
    f = refused(t, "not-shared", "--bind", f"{here}=shared")
    check("\n" not in f["message"] and len(f["message"]) < 600, f)
