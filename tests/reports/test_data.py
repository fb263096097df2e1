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


# ---- attributes of chattr


def attributes(host, path):
    """What lsattr says of what is below, by this machine's program: a, d, i, A, S."""
    top = host.path(path)
    said = subprocess.run(["lsattr", "-R", "-a", top], capture_output=True, text=True, check=True).stdout
    found_ = {}
    for line in said.splitlines():
        flags, _, name = line.partition(" ")
        if name.startswith(top) and not name.endswith(("/.", "/..")) and set(flags) & set("iadAS"):
            found_[name[len(top):]] = "".join(sorted(set(flags) & set("iadAS")))
    return found_


def set_attributes(host, path):
    """Files and directories of every kind, some with them."""
    host.sh('cd "$1"; echo fixed >fixed; mkdir dir; echo in >dir/in; echo line >appended; echo x >plain; ln fixed again; ln -s fixed link; mkfifo fifo; touch -d 2001-02-03 fixed dir', path)
    top = host.path(path)
    for flags, name in (("+i", "fixed"), ("+a", "appended"), ("+dA", "plain"), ("+S", "dir/in"), ("+i", "dir")):
        subprocess.run(["chattr", flags, f"{top}/{name}"], check=True)
    return {"/fixed": "i", "/again": "i", "/appended": "a", "/plain": "Ad", "/dir/in": "S", "/dir": "i"}


def of_volume(engine, name):
    return engine.get(f"/v1.41/volumes/{name}")["Mountpoint"]


APPEND = "i=0; while :; do echo $i >>/data/log; echo $i >>/data/appended; echo $i; i=$((i+1)); sleep 0.2; done"


@case(ARCHIVE, PODMAN, DOCKER, timeout=400)
def attributes_volume(t):
    """They come along, change while the container runs, and keep nothing from being removed: on the source after the move, there and back."""
    v = t.marker + "-data"
    start(t, "--volume", f"{v}:/data")
    want = set_attributes(t.hosts[0], of_volume(t.src, v))
    for e in (t.src, t.dst):
        t.at_end(lambda e=e: unflag(e.host, of_volume(e, v)) if e.api("GET", f"/v1.41/volumes/{v}")[0] == 200 else None)
    for src, dst in ((t.src, t.dst), (t.dst, t.src)):
        t.move(t.marker, src=src, dst=dst)
        same("attributes", want, attributes(dst.host, of_volume(dst, v)))
        same("a time", "2001-02-03", dst.host.sh('date -d "@$(stat -c %Y "$1"/fixed)" +%F', of_volume(dst, v)).strip())
        same("the volume on the source", 404, src.api("GET", f"/v1.41/volumes/{v}")[0])
    t.move("--cold", t.marker)
    same("attributes", want, attributes(t.hosts[1], of_volume(t.dst, v)))
    same("the volume on the source", 404, t.src.api("GET", f"/v1.41/volumes/{v}")[0])


@case(ARCHIVE, PODMAN, DOCKER, timeout=400)
def attributes_undone(t):
    """They keep nothing from being taken back: a volume, one that was replaced and is put back, and a copied directory."""
    v, w, here = t.marker + "-data", t.marker + "-old", directory(t, t.hosts[0])
    start(t, "--volume", f"{v}:/data", "--volume", f"{w}:/w", "--volume", f"{here}:/here")
    t.dst.cli("volume", "create", w)
    t.hosts[1].sh('echo before >"$1"/before', of_volume(t.dst, w))
    for path in (of_volume(t.src, v), of_volume(t.src, w), here):
        set_attributes(t.hosts[0], path)
        t.at_end(unflag, t.hosts[0], path)
    options = ("--volume", f"{w}=replace", "--bind", f"{here}=copy")
    t.move(*options, "--verify", "exec:false", "--verify-timeout", "2s", "--on-verify-failure", "rollback", t.marker, expect=4)
    same("the volume on the target", 404, t.dst.api("GET", f"/v1.41/volumes/{v}")[0])
    same("what was replaced", "before", t.hosts[1].sh('ls "$1"', of_volume(t.dst, w)).strip())
    same("the copied directory", "", t.hosts[1].sh('ls -d "$1" 2>/dev/null || :', here).strip())
    subprocess.run(["chattr", "+i", t.hosts[1].path(of_volume(t.dst, w) + "/before")], check=True)
    t.move(*options, t.marker)  # what was replaced goes, too
    t.at_end(unflag, t.hosts[1], of_volume(t.dst, v))
    t.at_end(unflag, t.hosts[1], of_volume(t.dst, w))
    t.at_end(t.hosts[1].sh, 'rm -rf "$1"', here)
    t.at_end(unflag, t.hosts[1], here)
    check("/fixed" in attributes(t.hosts[1], of_volume(t.dst, w)) and "/fixed" in attributes(t.hosts[1], here), "attributes")


@case(PODMAN, DOCKER, timeout=300)
def attributes_inside(t):
    """Those that the container itself gave to files of its own layer, which the overlay keeps, and those of a single file that is mounted."""
    here = directory(t, t.hosts[0])
    t.hosts[0].sh('echo x >"$1"/file; echo y >"$1"/beside', here)
    subprocess.run(["chattr", "+i", t.hosts[0].path(here + "/file")], check=True)
    start(t, "--volume", f"{here}/file:/file:ro", script="echo x >/fixed; while :; do echo x; sleep 0.2; done")
    inside = "/proc/{}/root/fixed"
    subprocess.run(["chattr", "+i", inside.format(lab.process_of(t.marker))], check=True)
    t.hosts[1].sh('mkdir "$1"; echo beside >"$1"/beside', here)
    t.at_end(t.hosts[1].sh, 'rm -rf "$1"', here)
    t.at_end(unflag, t.hosts[1], here)
    t.move("--bind", f"{here}/file=copy", t.marker)
    said = subprocess.run(["lsattr", inside.format(lab.process_of(t.marker))], capture_output=True, text=True, check=True).stdout
    check("i" in said.split()[0], "its own layer:", said)
    same("the file", {"/file": "i"}, attributes(t.hosts[1], here))


# ---- where the target cannot write


@case(PODMAN, DOCKER, timeout=400)
def unwritable(t):
    """A volume to be replaced whose directory is immutable there, and a bind mount to be copied below a directory that is, or on a file system that is read-only: known beforehand; with that undone, as the hint says, it moves."""
    v, here, other = t.marker + "-data", directory(t, t.hosts[0], f"/srv/{t.marker}/dir"), directory(t, t.hosts[0], f"/mnt/{t.marker}/dir")
    start(t, "--volume", f"{v}:/data", "--volume", f"{here}:/here", "--volume", f"{other}:/other")
    t.dst.cli("volume", "create", v)
    top, readonly = directory(t, t.hosts[1], f"/srv/{t.marker}"), directory(t, t.hosts[1], f"/mnt/{t.marker}")
    t.hosts[1].sh('mount -t tmpfs -o ro none "$1"', readonly)
    t.at_end(t.hosts[1].sh, 'umount -l "$1" 2>/dev/null || :', readonly)
    where = of_volume(t.dst, v)
    t.at_end(unflag, t.hosts[1], where)
    subprocess.run(["chattr", "+i", t.hosts[1].path(where), t.hosts[1].path(top)], check=True)
    options = ("--volume", f"{v}=replace", "--bind", f"{here}=copy", "--bind", f"{other}=copy")
    for command in ("check", "move"):
        r = t.begin(command, *options, t.marker).wait(120).expect(3)
        said = " ".join(f["message"] for f in found(r, "target-unwritable"))
        same("named", [True] * 3, [f"'{path}' on the target" in said for path in (where, top, readonly)])
    same("source", "running", t.src.state(t.marker))
    subprocess.run(["chattr", "-i", t.hosts[1].path(where), t.hosts[1].path(top)], check=True)
    t.hosts[1].sh('mount -o remount,rw "$1"', readonly)
    t.move(*options, t.marker)
    same("source", "absent", t.src.state(t.marker))
