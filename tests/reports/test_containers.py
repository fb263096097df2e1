"""Options of containers, their mounts and their image: what was seen to fail on real engines, and its neighbours. The right outcome is in each case's first lines."""

import json
import subprocess
import sys
import time

import lab
from lab import case, check, same, until

COUNTER = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"


def numbers(text):
    return [int(line) for line in text.split() if line.isdigit()]


def counter(t, name, *options, image="counter", script=COUNTER, before=""):
    t.src.start(name, *options, image=image, cmd=("sh", "-c", before + script, t.marker))
    until(lambda: len(numbers(t.src.logs(name))) >= 2, 20, f"{name} counts")
    return name


def counts_on(engine, name):
    start = len(numbers(engine.logs(name)))
    until(lambda: len(numbers(engine.logs(name))) >= start + 3, 20, f"{name} on {engine} counts on")


def findings(r, code):
    """The findings of that code, as "message → hint"."""
    return [f"{f['message']} → {f.get('hint')}" for f in (r.report or {}).get("findings") or [] if f["code"] == code]


def refused(t, name, code, *words, args=(), counts=True):
    """check and move say the same, with these words in it; the container goes on."""
    for command in ("check", "move"):
        r = t.begin(command, *args, name).wait().expect(3)
        found = findings(r, code)
        check(found, command, "did not find", code, "but", r.codes, r.tail())
        for word in words:
            check(any(word in f for f in found), f"'{word}' is missing in", found)
    if counts:
        counts_on(t.src, name)
    same(f"{name} on {t.dst}", "absent", t.dst.state(name))


def moved(t, name, *args):
    r = t.begin("check", *args, name).wait().expect(0)
    t.move(*args, name)
    same(f"{name} on {t.src}", "absent", t.src.state(name))
    counts_on(t.dst, name)
    return r


# ---- name spaces


@case(engine="podman")
def uidmap(t):
    """Refused by name, live and cold: a restore fails on both sides, and a new container had its files under other owners."""
    for i, (options, words) in enumerate(((("--uidmap", "0:100000:65536"), "0:100000:65536"), (("--gidmap", "0:200000:65536", "--uidmap", "0:100000:65536"), "0:100000:65536"),
                                          (("--userns", "keep-id"), "user namespace"))):
        name = counter(t, f"it-userns-{i}", *options)
        refused(t, name, "userns", words)
        refused(t, name, "userns", words, args=("--cold",))
        t.src.remove(name)
    t.hosts[0].sh("cp /etc/subuid /tmp/it-subuid; cp /etc/subgid /tmp/it-subgid; echo containers:2147483647:2147483648 | tee -a /etc/subuid >> /etc/subgid")
    t.at_end(t.hosts[0].sh, "cp /tmp/it-subuid /etc/subuid; cp /tmp/it-subgid /etc/subgid")
    name = counter(t, "it-userns-auto", "--userns", "auto")
    refused(t, name, "userns", "user namespace")
    refused(t, name, "userns", "user namespace", args=("--cold",))
    # The hint leads to success
    moved(t, counter(t, "it-userns-host", "--userns", "host"))


def ipc_host(t):
    """Refused by name: a checkpoint takes the host's /dev/shm for the container's own, and a restore puts it back as it was. The hint's ways move."""
    name = counter(t, "it-ipc-host", "--ipc", "host")
    refused(t, name, "ipc-host", "--ipc host", "/dev/shm")
    locks = t.hosts[0].sh("ls -i /dev/shm")
    moved(t, name, "--cold")
    same("/dev/shm of the source", locks, t.hosts[0].sh("ls -i /dev/shm"))
    moved(t, counter(t, "it-ipc-private", "--ipc", "private"))
    moved(t, counter(t, "it-ipc-none", "--ipc", "none"))
    moved(t, counter(t, "it-ipc-shareable", "--ipc", "shareable"))
    other = counter(t, "it-ipc-other", "--ipc", "shareable")
    name = counter(t, "it-ipc-joined", "--ipc", f"container:{other}")
    refused(t, name, "dependency", "needs another container")
    refused(t, other, "dependents", name)


for engine_ in lab.SOCKETS:
    lab.add_case(f"containers/ipc-host/{engine_}", ipc_host, engine_, None, 240)


# ---- mounts


@case(engine="podman", timeout=240)
def subpath(t):
    """Podman: refused by name, the source's data as it was. Docker's volume-subpath moves (options/volume-subpath)."""
    t.src.cli("volume", "create", "it-base")
    t.hosts[0].sh('mkdir "$1/sub"; echo kept > "$1/sub/file"', t.src.get("/v1.41/volumes/it-base")["Mountpoint"])
    name = counter(t, "it-subpath", "--mount", "type=volume,src=it-base,dst=/data,subpath=sub")
    refused(t, name, "mount-unsupported", "'/data'", "it-base", "subpath")
    refused(t, name, "mount-unsupported", "'/data'", args=("--cold",))
    same("the file", "kept", t.src.exec(name, "cat /data/file").strip())
    t.src.remove(name)
    name = counter(t, "it-whole", "--volume", "it-base:/data")
    moved(t, name)
    same("the file", "kept", t.dst.exec(name, "cat /data/sub/file").strip())


@case(engine="podman")
def overlay_volume(t):
    """-v VOLUME:/wk:O and -v /DIR:/wk:O are refused by name, and no hint of ours leads there; what was written stays."""
    t.src.cli("volume", "create", "it-lower")
    t.hosts[0].sh("mkdir -p /srv/it-lower")
    t.at_end(t.hosts[0].sh, "rm -rf /srv/it-lower")
    for i, source in enumerate(("it-lower", "/srv/it-lower")):
        name = counter(t, f"it-overlay-{i}", "--volume", f"{source}:/wk:O")
        t.src.exec(name, "echo mine > /wk/file")
        refused(t, name, "mount-unsupported", "'/wk'", ":O")
        refused(t, name, "mount-unsupported", "'/wk'", args=("--cold",))
        r = t.begin("check", name).wait()
        check(not findings(r, "bind-undecided"), r.tail())
        same("what it wrote", "mine", t.src.exec(name, "cat /wk/file").strip())
    moved(t, counter(t, "it-plain", "--volume", "it-plain:/wk"))


@case(engine="podman", timeout=180)
def image_mount(t):
    """A container with an image mounted, on either host, running or not, keeps no other one from moving; it is itself refused by name."""
    name = counter(t, "it-mounted", "--mount", "type=image,src=counter,dst=/other")
    t.src.cli("create", "--name", "it-created", "--mount", "type=image,src=counter,dst=/other", "counter", "sleep", "1")
    t.dst.need_image("counter")
    t.dst.cli("create", "--name", "it-there", "--mount", "type=image,src=counter,dst=/other", "counter", "sleep", "1")
    refused(t, name, "mount-unsupported", "'/other'", "image")
    moved(t, counter(t, "it-other"))
    moved(t, counter(t, "it-kernel", "--mount", "type=devpts,dst=/terminals"))
    refused(t, counter(t, "it-ramfs", "--mount", "type=ramfs,dst=/ram"), "mount-unsupported", "'/ram'", "ramfs")


def nul_inspect(t):
    """A container whose inspect answer has a NUL (a runtime's error text, a variable) keeps no other one from moving."""
    for e in (t.src, t.dst):
        e.need_image("counter")
        e.api("POST", "/v1.41/containers/create", {"Image": "counter", "Cmd": ["/bin/no\0such"], "Labels": {"a": "b\0c"}}, name="it-nul")
        e.cli("start", "it-nul", check_status=False)
    check("\\u0000" in json.dumps(t.src.inspect("it-nul")), "the test itself: no NUL in", t.src.inspect("it-nul"))
    moved(t, counter(t, "it-other"))


for engine_ in lab.SOCKETS:
    lab.add_case(f"containers/nul-inspect/{engine_}", nul_inspect, engine_)


# ---- processes


@case(engine="docker")
def docker_init(t):
    """docker run --init: said beforehand, for Docker cannot restore it on either side. Cold it moves."""
    name = counter(t, "it-init", "--init")
    refused(t, name, "docker-init", "--init")
    moved(t, name, "--cold")
    moved(t, counter(t, "it-no-init", "--init=false"))


@case(engine="podman")
def podman_init(t):
    """podman run --init moves: catatonit lies in the engine's directory on both sides, which is translated."""
    made = "test -e /usr/local/bin/catatonit || install -m 0755 \"$(command -v tini-static || command -v docker-init)\" /usr/local/bin/catatonit"
    for h in t.hosts:
        h.sh(made)
        t.at_end(h.sh, "rm -f /usr/local/bin/catatonit")
    moved(t, counter(t, "it-init", "--init", "--init-path", "/usr/local/bin/catatonit"))


def stop_timeout(t):
    """--cold gives the container the time for its end that it was created with."""
    clean = 'trap "sleep 14; echo done > /data/clean; exit 0" TERM; [ -e /data/clean ] && echo 1000; ' + COUNTER
    name = counter(t, "it-slow-stop", "--stop-timeout", "40", "--volume", "it-slow:/data", script=clean)
    moved(t, name, "--cold")
    same("what it does at its end", "done", t.dst.exec(name, "cat /data/clean").strip())
    began = time.monotonic()
    name = counter(t, "it-fast-stop", "--stop-timeout", "1", before="trap '' TERM; ")
    moved(t, name, "--cold")
    check(time.monotonic() - began < 40, "it was waited for longer than its own second")


TRACER = """
import ctypes, os, sys
libc, pid = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
assert libc.ptrace(0x4206, pid, None, None) == 0, os.strerror(ctypes.get_errno())  # PTRACE_SEIZE: it runs on; our end detaches
print("traces", flush=True)
sys.stdin.read()
"""


def traced(t):
    """A process with a tracer: a finding that names both; without it, it moves."""
    name = counter(t, "it-traced")
    process = t.src.inspect(name)["State"]["Pid"]
    tracer = subprocess.Popen(["nsenter", f"--target={t.hosts[0].pid}", "--pid", "--", sys.executable, "-c", TRACER, str(process)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        same("the tracer", b"traces\n", tracer.stdout.readline())
        refused(t, name, "traced", f"process {process} (sh) is traced by process", "python3", counts=False)  # it stops at its next signal
    finally:
        tracer.communicate()
    moved(t, name)


def exec_sessions(t):
    """What came in by exec is gone after the move: a warning with their number and commands."""
    name = counter(t, "it-exec")
    check(not findings(t.begin("check", name).wait().expect(0), "exec-sessions"), "a warning without a reason")
    t.src.cli("exec", "--detach", name, "sleep", "7001")
    t.src.cli("exec", "--detach", name, "sh", "-c", "sleep 7002 & wait")
    t.src.cli("exec", "--detach", "--interactive", "--tty", name, "sleep", "7003")
    until(lambda: "7003" in t.src.exec(name, "ps"), 10, "they run")
    found = findings(moved(t, name), "exec-sessions")
    same("warnings", 1, len(found))
    for word in ("3 processes", "sleep 7001", "sh -c sleep 7002 & wait", "sleep 7003"):
        check(word in found[0], f"'{word}' is missing in", found)


for function_ in (stop_timeout, traced, exec_sessions):
    for engine_ in lab.SOCKETS:
        lab.add_case(f"containers/{function_.__name__.replace('_', '-')}/{engine_}", function_, engine_, None, 180)


# ---- images and storage


@case(engine="podman")
def rootfs(t):
    """podman run --rootfs: refused by name; with an image of it, as the hint says, it moves."""
    t.src.need_image("counter")
    t.hosts[0].sh("mkdir -p /srv/it-root; podman create --name it-template counter >/dev/null; podman export it-template | tar -x -C /srv/it-root; podman rm it-template >/dev/null")
    t.at_end(t.hosts[0].sh, "rm -rf /srv/it-root")
    t.src.cli("run", "--detach", "--name", "it-rootfs", "--rootfs", "/srv/it-root", "sh", "-c", COUNTER, t.marker)
    until(lambda: len(numbers(t.src.logs("it-rootfs"))) >= 2, 20, "it counts")
    refused(t, "it-rootfs", "rootfs", "--rootfs", "/srv/it-root")
    refused(t, "it-rootfs", "rootfs", args=("--cold",))
    moved(t, counter(t, "it-neighbour"))
    t.hosts[0].sh("tar -C /srv/it-root -c . | podman import - it-rooted:1 >/dev/null")
    moved(t, counter(t, "it-rooted", image="it-rooted:1"))


def by_digest(t):
    """NAME@sha256:… moves, though the target does not know the digest; so do an image's ID, one without a name, and NAME:TAG@sha256:…."""
    t.src.need_image("counter")
    name = f"docker.io/library/it-digest-{t.number}"
    t.hosts[0].sh('rm -rf /tmp/it-oci; podman push -q counter "oci:/tmp/it-oci:${1##*/}"; podman pull -q "oci:/tmp/it-oci:${1##*/}"; rm -rf /tmp/it-oci', name)
    image = t.src.get(f"/v1.41/images/{name}/json")
    digest = next(d for d in image["RepoDigests"] if d.startswith(name))
    id_ = image["Id"].removeprefix("sha256:")
    forms = {"digest": digest, "both": digest.replace("@", ":latest@"), "id": id_[:12]}
    t.may_differ = [r"\.(Config\.Image|ImageName)"]  # there is no name with a digest but for what was pulled there
    for form in forms if t.strategy == "in-place" else ("digest",):
        moved(t, counter(t, f"it-by-{form}", image=forms[form]))
        same("image", id_, t.dst.inspect(f"it-by-{form}")["Image"].removeprefix("sha256:"))
        t.dst.cli("stop", "--time", "0", f"it-by-{form}")
        t.dst.cli("start", f"it-by-{form}")
        counts_on(t.dst, f"it-by-{form}")
        t.dst.remove(f"it-by-{form}")
        t.dst.cli("rmi", "--force", id_, check_status=False)
    if t.strategy == "in-place":
        t.src.cli("untag", name)
        moved(t, counter(t, "it-unnamed", image=id_))
        t.dst.remove("it-unnamed")
    for e in (t.src, t.dst):
        e.cli("rmi", "--force", id_, check_status=False)


for path_ in ("podman", "podman-archive"):
    lab.add_case(f"containers/by-digest/{path_}", by_digest, "podman", path_, 300)


def secrets(t):
    """Secrets that the target has, too, move in place; one that is missing there is named. By archive only those of the environment move; mounted ones are refused by name, and the hint is right."""
    for e in (t.src, t.dst):
        e.cli("secret", "rm", "it-secret", check_status=False)
        t.at_end(lambda e=e: e.cli("secret", "rm", "it-secret", check_status=False))
    t.src.cli("secret", "create", "it-secret", "-", input="word")
    name = counter(t, "it-secretive", "--secret", "it-secret", "--secret", "source=it-secret,type=env,target=WORD")
    refused(t, name, "secrets", "it-secret")
    t.dst.cli("secret", "create", "it-secret", "-", input="word")
    if t.strategy == "archive":
        refused(t, name, "secrets-archive", "it-secret")
        only = counter(t, "it-environment", "--secret", "source=it-secret,type=env,target=WORD")
        moved(t, only)
        t.options = ()
    moved(t, name)
    same("the secret", "word", t.dst.exec(name, "cat /run/secrets/it-secret"))


for path_ in ("podman", "podman-archive"):
    lab.add_case(f"containers/secrets-{path_.replace('podman-', '').replace('podman', 'in-place')}", secrets, "podman", path_, 180)


STORAGE_CONF = "/etc/containers/storage.conf"
ROOTS = '[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n'


@case(engine="podman", timeout=300)
def metacopy(t):
    """Storage with metacopy=on: a file of the image that got another mode has no content of its own. Refused with its name; the hint, followed, moves it whole. What was renamed (redirect_dir) comes along."""
    t.instead(t.hosts[0], STORAGE_CONF, ROOTS + '[storage.options.overlay]\nmountopt = "nodev,metacopy=on"\n')
    name = counter(t, "it-metacopy")
    check("metacopy=on" in t.src.exec(name, "grep ' / ' /proc/self/mountinfo"), "the test itself: no metacopy")
    moved_dir = "mv /srv/files /srv/renamed; cat /srv/renamed/one"
    content = t.src.exec(name, moved_dir)
    t.src.exec(name, "chmod 0640 /data.txt; chown 7:8 /etc/app.conf")
    before = t.src.exec(name, "cat /data.txt /etc/app.conf")
    refused(t, name, "metacopy", "2 files", "metacopy=on", "/")
    refused(t, name, "metacopy", args=("--cold",))
    refused(t, name, "metacopy", args=("--strategy", "archive"))
    t.src.exec(name, ": >> /data.txt; : >> /etc/app.conf")
    moved(t, name)
    same("what the files hold", before, t.dst.exec(name, "cat /data.txt /etc/app.conf"))
    same("what was renamed", content, t.dst.exec(name, "cat /srv/renamed/one"))
    same("its old name", "", t.dst.exec(name, "ls -d /srv/files 2>/dev/null || :").strip())


@case(engine="podman", timeout=300)
def metacopy_on_the_target(t):
    """The other way round it moves."""
    t.instead(t.hosts[1], STORAGE_CONF, ROOTS + '[storage.options.overlay]\nmountopt = "nodev,metacopy=on"\n')
    name = counter(t, "it-metacopy")
    t.src.exec(name, "chmod 0640 /data.txt; mv /srv/files/one /srv/uno; echo new > /srv/new")
    show = "cat /data.txt /srv/uno /srv/new; stat -c '%a %n' /data.txt"
    before = t.src.exec(name, show)
    moved(t, name)
    same("the files", before, t.dst.exec(name, show))


@case(engine="podman", timeout=300)
def storage_podman(t):
    """Another storage driver than overlay, on either side: named."""
    t.at_end(t.dst.service, "restart")
    t.at_end(t.hosts[1].sh, "rm -rf /var/lib/containers/it-vfs")
    t.instead(t.hosts[1], STORAGE_CONF, '[storage]\ndriver = "vfs"\ngraphroot = "/var/lib/containers/it-vfs"\nrunroot = "/run/it-vfs"\n')
    t.dst.service("restart")
    name = counter(t, "it-storage")
    refused(t, name, "storage-driver", "'vfs'", str(t.dst.host))
    refused(t, name, "storage-driver", "'vfs'", args=("--cold",))
    lab.lab("image", "counter", str(t.dst.host), "podman", timeout=300)
    t.dst.cli("run", "--detach", "--name", "it-vfs", "counter", "sleep", "10000")
    r = t.begin("check", "it-vfs", src=t.dst, dst=t.src).wait().expect(3)
    check(any("'vfs'" in f for f in findings(r, "storage-driver")), r.codes, r.tail())
    t.dst.remove("it-vfs")


@case(engine="docker", timeout=300)
def storage_docker(t):
    """Docker's containerd image store, on either side: named."""
    file = "/etc/docker/daemon.json"
    t.at_end(t.dst.service, "restart")
    t.instead(t.hosts[1], file, t.hosts[1].sh('sed "s/{/{ \\"features\\": { \\"containerd-snapshotter\\": true },/; /storage-driver/d" "$1"', file))
    t.dst.service("restart")
    name = counter(t, "it-storage")
    refused(t, name, "storage-driver", "'overlayfs'", str(t.dst.host))
    refused(t, name, "storage-driver", "'overlayfs'", args=("--cold",))
