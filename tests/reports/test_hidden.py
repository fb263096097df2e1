"""Files that a process has open where another mount lies over them, or whose mount was taken away: CRIU finds a file by its path. Known before the freeze, and every hint helps."""

import fcntl
import subprocess

import lab
import test_causes as causes
import test_network as net
from lab import case, check, same

SCP, ARCHIVE, PODMAN, DOCKER = lab.PATHS
OVER = "mount -t tmpfs none "
# What a process of the container does, in a directory D of its own, and what the finding says of it.
HIDDEN = {
    "file": (f"echo data >D/f; exec 3<D/f; {OVER}D", "has 'D/f' open"),
    "another": (f"echo data >D/f; exec 3<D/f; {OVER}D; echo else >D/f", "has 'D/f' open"),
    "linked": (f"echo data >D/f; ln D/f D/g; exec 3<D/f; rm D/f; {OVER}D", "has 'D/f (deleted)' open"),
    "covered": (f"{OVER}D; echo data >D/f; exec 3<D/f; {OVER}D", "has 'D/f' open"),
    "covered-deleted": (f"{OVER}D; echo data >D/f; exec 3<D/f; rm D/f; {OVER}D", "has 'D/f (deleted)' open"),
    "covered-by-itself": (f"{OVER}D; echo data >D/f; exec 3<D/f; mount --bind D D", "has 'D/f' open"),
    "over-the-file": ("echo data >D/f; echo else >D/g; exec 3<D/f; mount --bind D/g D/f", "has 'D/f' open"),
    "volume": (f"echo data >/vol/f; exec 3</vol/f; {OVER}/vol", "has '/vol/f' open"),
    "directory": (f"exec 3<D; {OVER}D", "has 'D' open"),
    "fifo": (f"mkfifo D/p; exec 3<>D/p; {OVER}D", "has 'D/p' open"),
    "device": (f"mknod D/null c 1 3; exec 3<D/null; {OVER}D", "has 'D/null' open"),
    "deleted": (f"echo data >D/f; exec 3<D/f; rm D/f; {OVER}D", "has 'D/f (deleted)' open"),
    "deleted-program": (f"cp /bin/busybox D; D/busybox sleep 9999 & sleep 1; rm D/busybox; {OVER}D", "runs 'D/busybox (deleted)'"),
    "deleted-works-in": (f"mkdir D/x; cd D/x; rmdir D/x; {OVER}D", "works in 'D/x (deleted)'"),
    "works-in": (f"cd D; {OVER}D", "works in 'D'"),
    "works-in-unmounted": (f"{OVER}D; cd D; umount -l .", "works in '/'"),
    "root": (f"cp /bin/busybox D; chroot D /busybox sleep 9999 & sleep 1; {OVER}D", "has its root at 'D'"),
    "program": (f"cp /bin/busybox D; D/busybox sleep 9999 & sleep 1; {OVER}D", "runs 'D/busybox'"),
}
OPEN = 'for p in /proc/[0-9]*; do case $(tr "\\0" " " <$p/cmdline) in "sleep 9999 ") cat $p/fd/3 ;; esac; done'
# These look much the same and move.
SEEN = {
    "bound-to-itself": "echo data >D/f; exec 3<D/f; mount --bind D D",
    "moved-mount": f"{OVER}D; echo data >D/f; exec 3<D/f; mkdir /n; mount --move D /n",
    "deleted": "echo data >D/f; exec 3<D/f; rm D/f",
    "deleted-program": "cp /bin/busybox D; D/busybox sleep 7777 & sleep 1; rm D/busybox; echo data >D/f; exec 3<D/f",
    "renamed": "echo data >D/f; exec 3<D/f; mv D /e; mkdir D; echo else >D/f",
    "space": f"mkdir 'D/a b'; {OVER}'D/a b'; echo data >'D/a b/f'; exec 3<'D/a b/f'",
    "proc": "cd /proc/1; exec 3</proc/1/stat 4</proc/1/ns 5</sys/kernel",
}


def start(t, name, table, *kinds):
    """A container with a process for each of these."""
    command = "".join(f"mkdir -p /d/{k}; ({(table[k] if table is SEEN else table[k][0]).replace('D', '/d/' + k)}; exec sleep 9999) & " for k in kinds)
    return net.start(t, "it-" + name, "--privileged", "--volume", "it-hidden:/vol", command=command + "sleep 2; " + net.COUNTER)


@case(PODMAN, DOCKER, timeout=900)
def found(t):
    """Each kind is refused by name, and what only looks like one is no finding."""
    t.src.cli("volume", "create", "it-hidden")
    kinds = list(HIDDEN)
    for i in range(0, len(kinds), 3):
        name = start(t, f"hidden{i}", HIDDEN, *kinds[i:i + 3])
        r = t.begin("check", name).wait().expect(3)
        message = net.finding(r, "hidden-file")["message"]
        for k in kinds[i:i + 3]:
            words = HIDDEN[k][1].replace("D", "/d/" + k)
            check(words in message and name in message, k, words, "is not in:", message)
    name = start(t, "seen", SEEN, *SEEN)
    for one in (name, causes.start(t, "jit")):  # shared memory, which /proc calls a deleted file of /dev
        check("hidden-file" not in t.begin("check", one).wait().codes, "a finding of nothing:", one)


@case(PODMAN, ARCHIVE, DOCKER, timeout=600)
def refused(t):
    """check and move say the same and nothing is frozen; unmounted, as the hint says, it moves with the file open."""
    t.src.cli("volume", "create", "it-hidden")
    name = start(t, "file", HIDDEN, "file")
    hint = net.refused(t, name, "hidden-file")["hint"]
    check("unmount" in hint and "--cold" in hint, hint)
    t.src.exec(name, "umount /d/file")
    t.move(name)
    net.moved(t, name)
    net.goes_on(t.dst, name)
    same("its open file", "data\n", t.dst.exec(name, OPEN))


@case(PODMAN, DOCKER, timeout=600)
def cold(t):
    """The other way of the hint."""
    t.src.cli("volume", "create", "it-hidden")
    name = start(t, "works-in", HIDDEN, "works-in")
    net.refused(t, name, "hidden-file")
    t.move("--cold", name)
    net.moved(t, name)
    net.goes_on(t.dst, name)


@case(PODMAN, DOCKER, timeout=900)
def seen(t):
    """What only looks like one moves: in a directory bound to itself or renamed, in a mount that was moved, with a space in its path, deleted."""
    t.src.cli("volume", "create", "it-hidden")
    name = start(t, "seen", SEEN, *(k for k in SEEN if k not in ("proc", "deleted-program")))  # beyond CRIU's limit, the last one
    t.move(name)
    net.moved(t, name)
    net.goes_on(t.dst, name)
    same("what they hold", ["data"] * 5, t.dst.exec(name, OPEN).split())


@case(PODMAN, DOCKER, timeout=600)
def log(t):
    """Skipped, CRIU refuses with the words of a hard link: the true cause is named."""
    t.src.cli("volume", "create", "it-hidden")
    name = start(t, "file", HIDDEN, "file")
    r = t.move("--skip", "hidden-file", name, expect=4)
    net.goes_on(t.src, name)
    error = r.report["error"]
    check("hidden by another mount" in f"{error['message']} {error.get('hint')}", error, r.tail())


# ---- immutable since


WRITES = "echo a >/vol/w; echo a >/vol/add; echo a >/own; echo a >/vol/r; exec 3<>/vol/w 4>>/vol/add 5>>/own 6</vol/r; "


def chattr(t, flag, *paths):
    """Of files in the container, by this machine's program: the hosts have none."""
    subprocess.run(["chattr", flag, *(f"/proc/{lab.process_of(t.marker)}/root{p}" for p in paths)], check=True)


def lift(t):
    for e in (t.src, t.dst):
        if e.api("GET", "/v1.41/volumes/it-hidden")[0] == 200:
            where = e.get("/v1.41/volumes/it-hidden")["Mountpoint"]
            subprocess.run(["chattr", "-R", "-i", e.host.path(where)], stderr=subprocess.DEVNULL, check=False)


def written(t, command=WRITES):
    t.src.cli("volume", "create", "it-hidden")
    t.at_end(lift, t)
    return net.start(t, "it-immutable", "--volume", "it-hidden:/vol", command=command + net.COUNTER)


@case(PODMAN, ARCHIVE, DOCKER, timeout=600)
def immutable(t):
    """Three of four files, in a volume and in its own layer: check names those that are written to; with the attribute off, as the hint says, and with --cold, it moves."""
    name = written(t)
    chattr(t, "+i", "/vol/w", "/vol/add", "/own", "/vol/r")
    found_ = net.refused(t, name, "immutable-file")
    check("chattr -i" in found_["hint"], found_)
    same("named", [True, True, True, False], [f"writes to '{f}'" in found_["message"] for f in ("/vol/w", "/vol/add", "/own", "/vol/r")])
    chattr(t, "-i", "/vol/w", "/vol/add", "/own")
    t.move(name)
    net.moved(t, name)
    net.goes_on(t.dst, name)
    chattr(t, "-i", "/vol/r")
    same("what was read", "a\n", t.dst.exec(name, "cat /vol/r"))


@case(PODMAN, DOCKER, timeout=600)
def immutable_cold(t):
    """The other way of the hint; a process that only reads it is no finding."""
    name = written(t, f"if [ ! -e /vol/w ]; then {WRITES} fi; ")  # started afresh it could not open them, either
    chattr(t, "+i", "/vol/r")
    check("immutable-file" not in t.begin("check", name).wait().codes, "a finding of nothing")
    chattr(t, "+i", "/vol/add")
    net.refused(t, name, "immutable-file")
    t.move("--cold", name)
    net.moved(t, name)
    net.goes_on(t.dst, name)
    chattr(t, "-i", "/vol/r", "/vol/add")


@case(PODMAN, DOCKER, timeout=600)
def immutable_log(t):
    """Skipped, the restore fails on both sides, and the report names why; with the attribute off recover brings it back."""
    name = written(t)
    chattr(t, "+i", "/own")
    own = f"/proc/{lab.process_of(t.marker)}/root/own"
    with open(own) as held:
        r = t.move("--skip", "immutable-file", name, expect=6, state=t.state_dir())
        error = r.report["error"]
        check("immutable" in f"{error['message']} {error.get('hint')} {r.stderr}", error, r.tail())
        lab.tranship("recover", "--json", state=r.state).expect(6)
        fcntl.ioctl(held, 0x40086602, bytes(8))  # FS_IOC_SETFLAGS: none
    lab.tranship("recover", "--json", state=r.state).expect(0)
    same("on the source", "running", t.src.state(name))
    net.goes_on(t.src, name)
