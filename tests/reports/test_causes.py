"""What CRIU cannot take along: known before the freeze where it can be, named where not, and every hint helps."""

import hashlib
import pathlib
import re

import lab
import test_network as net
from lab import case, check, same, until

SCP, ARCHIVE, PODMAN, DOCKER = lab.PATHS
SOURCE = pathlib.Path(__file__).with_name("holder.c")


def start(t, what, *options, directory="/tmp", name=None):
    """A container whose process holds what holder.c is told to, and counts."""
    out = pathlib.Path(lab.BINARY).resolve().parent / f"holder-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}"
    if not out.exists():
        lab.run(["gcc", "-O1", "-static", "-no-pie", "-o", f"{out}.{t.marker}", str(SOURCE)])
        pathlib.Path(f"{out}.{t.marker}").rename(out)
    name = name or "it-" + what
    t.src.need_image("counter")
    t.src.cli("create", "--name", name, *options, "counter", "/holder", what, directory)
    t.src.cli("cp", "/tranship/" + str(out.relative_to(lab.REPO)), name + ":/holder")
    t.src.cli("start", name)
    until(lambda: len(t.src.logs(name).split()) > 2 or not t.src.running(name), 20, "it counts")
    if not t.src.running(name):
        raise lab.Skip(t.src.logs(name).strip())
    return name


def criu_options(t, *lines):
    """Adds lines to CRIU's configuration on both hosts, until the case is over."""
    for h in t.hosts:
        t.instead(h, "/etc/criu/runc.conf", "\n".join([h.sh("cat /etc/criu/runc.conf"), *lines, ""]))


def fails(t, name, *words):
    """A move that only the freeze could tell about: the container goes on, the cause is named, and the hint has these words. Its error."""
    r = t.move(name, expect=4)
    net.goes_on(t.src, name)
    error = r.report["error"]
    for word in words:
        check(word in f"{error['message']} {error.get('hint')}", word, "is not in:", error, r.tail())
    return error


@case(PODMAN, DOCKER, timeout=400)
def mptcp(t):
    """A listener as Go makes them: a finding with what to do, and with that it moves."""
    name = start(t, "mptcp")
    check("GODEBUG=multipathtcp=0" in net.refused(t, name, "mptcp")["hint"], "the hint")
    t.move("--cold", name)
    net.moved(t, name)


@case(PODMAN, DOCKER, timeout=400, hosts=True)
def hard_link(t):
    """An open file that was deleted under one of its names: a finding, and with link-remap as the hint says it moves."""
    t.src.cli("volume", "create", "it-links")
    name = start(t, "link", "--volume", "it-links:/links", directory="/links")
    f = net.refused(t, name, "hard-link")
    check("/links/one" in f["message"] and "link-remap" in f["hint"], f)
    criu_options(t, "link-remap")
    t.move(name)
    net.moved(t, name)
    net.goes_on(t.dst, name)
    same("the other name", "kept\n", t.dst.exec(name, "cat /links/two"))
    same("names in the volume", "two", t.dst.exec(name, "ls /links").strip())


@case(PODMAN, DOCKER, timeout=400, hosts=True)
def ghost_limit(t):
    """An open file of 3 MiB that was deleted: a finding, and with the limit as the hint says it moves, content and all. A small one, and a large hole, need nothing."""
    name = net.start(t, "it-ghost", command="exec 3<>/srv/ghost 4<>/srv/hole; rm /srv/ghost /srv/hole; " + net.COUNTER)
    t.src.exec(name, "head -c 1000000 /dev/urandom >/proc/1/fd/3; dd if=/dev/zero of=/proc/1/fd/4 bs=1 count=1 seek=100000000")
    same("findings on what is small", set(), t.begin("check", name).wait().expect(0).codes & {"ghost-limit"})
    total = t.src.exec(name, "head -c 3000000 /dev/urandom >/proc/1/fd/3; sha256sum </proc/1/fd/3")
    f = net.refused(t, name, "ghost-limit")
    check("'/srv/ghost' (3." in f["message"] and "hole" not in f["message"], f)
    criu_options(t, re.search("'(ghost-limit [^']*)'", f["hint"])[1])
    t.move(name)
    net.moved(t, name)
    net.goes_on(t.dst, name)
    same("the content", total, t.dst.exec(name, "sha256sum </proc/1/fd/3"))


@case(PODMAN, DOCKER, timeout=400)
def php_jit(t):
    """Shared, executable memory that may not be written comes first: the cause and the work-around are named."""
    fails(t, start(t, "jit"), "compiler at run time", "opcache.jit_buffer_size=0")


@case(PODMAN, timeout=400)
def udp_corked(t):
    """A datagram that is being put together: one of the causes that only CRIU's sources tell of."""
    fails(t, start(t, "cork"), "UDP_CORK", "try again")


@case(PODMAN, DOCKER, timeout=400, hosts=True)
def irmap(t):
    """A watched directory whose name CRIU cannot find: the hint has both options, and with them it moves."""
    name = start(t, "watch", directory="/srv/files")
    fails(t, name, "force-irmap", "irmap-scan-path")
    criu_options(t, "force-irmap", "irmap-scan-path /srv")
    t.move(name)
    net.moved(t, name)
    net.goes_on(t.dst, name)


@case(PODMAN, DOCKER, ARCHIVE, timeout=400)
def none_connected(t):
    """--network none with a connection to itself: it lives on. Podman's import leaves nobody the time to bring the interface up: refused by name."""
    name = start(t, "loop", "--network", "none")
    if t.strategy == "archive":
        check("--strategy in-place" in net.refused(t, name, "none-connected")["hint"], "the hint")
        t.options = ()
    t.move(name)
    net.moved(t, name)
    net.goes_on(t.dst, name)
    check("UP" in t.dst.exec(name, "ip link show lo"), "lo is down")


@case(PODMAN, DOCKER, ARCHIVE, timeout=400)
def none_lo(t):
    """--network none: lo is up after the move; live and cold."""
    name = net.start(t, "it-none", "--network", "none")
    for src, dst, options in ((t.src, t.dst, ()), (t.dst, t.src, ("--cold",))):
        t.move(*options, name, src=src, dst=dst)
        net.moved(t, name, src, dst)
        check("UP" in dst.exec(name, "ip link show lo"), "lo is down")
        dst.exec(name, "nc -ll -p 7000 -e cat & sleep 0.2; echo hello | timeout 5 nc 127.0.0.1 7000 | head -1 | grep hello")


@case(DOCKER, timeout=400, hosts=True)
def restore_log(t):
    """A restore that fails: the words of its log, which containerd deletes, are in the report."""
    name = net.start(t, "it-log")
    for program in ("iptables-restore", "nft"):
        t.instead(t.dst.host, f"/usr/sbin/{program}")
    r = t.move(name, expect=4)
    net.goes_on(t.src, name)
    said = [w for w in r.report["warnings"] if "restore.log says: " in w and "Error (criu/" in w]
    check(said, "nothing of the log in:", r.report["warnings"])


@case(engine="podman", timeout=400)
def crun_libcriu(t):
    """crun without CRIU's library: known beforehand, and what to install."""
    name = "it-crun"
    t.src.need_image("counter")
    t.src.cli("--runtime", "crun", "run", "--detach", "--name", name, "counter", "sh", "-c", net.COUNTER, t.marker)
    check("runtime-no-criu" not in t.begin("check", name).wait().codes, "with the library it is no finding")
    t.src.host.sh('mkdir /run/it-away; mv /usr/lib/*-linux-gnu/libcriu.so.2* /run/it-away; ldconfig')
    t.at_end(t.src.host.sh, "mv /run/it-away/* /usr/lib/*-linux-gnu/; rmdir /run/it-away; ldconfig")
    r = t.begin("check", name).wait().expect(3)
    f = net.finding(r, "runtime-no-criu")
    check("libcriu2" in f["hint"] and "libcriu.so.2" in f["message"], f)
