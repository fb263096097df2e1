"""What comes along: each case moves a container between two real engines and looks for what it had before."""

import collections
import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess
import threading
import time

import lab
from lab import case, check, same, until

SCP, ARCHIVE, PODMAN, DOCKER = lab.PATHS
ALL = tuple(lab.PATHS)
COUNTER = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"  # its log is the proof: no number missing, none twice


# ---- helpers


def numbers(text):
    return [int(line) for line in text.split() if line.isdigit()]


def check_sequence(text, what, at_least=1, first=0):
    """Every number from `first` on exactly once, in order; returns the last one."""
    found = numbers(text)
    check(len(found) >= at_least, what, "has only", len(found), "numbers, expected", at_least)
    for i, n in enumerate(found):
        if n != first + i:
            raise lab.Failed(f"{what}: {first + i} expected after {found[max(0, i - 3):i]}, found {found[i:i + 3]}")
    return found[-1]


def count_on(engine, name, more=5):
    """Waits until a counter's log is one sequence with `more` new numbers; returns the last one."""
    start = len(numbers(engine.logs(name)))
    until(lambda: len(numbers(engine.logs(name))) >= start + more, 15, f"{name} on {engine} does not count on")
    return check_sequence(engine.logs(name), f"log of {name} on {engine}")


def start_counter(t, name="it-counter", *options, engine=None, image="counter"):
    engine = engine or t.src
    engine.start(name, *options, image=image, cmd=("sh", "-c", COUNTER, t.marker))
    until(lambda: len(numbers(engine.logs(name))) >= 3, 15, "the counter counts")
    return name


def check_report(t, r, name, live=True):
    """The report against its schema, and whether the figures can be true of one another."""
    rep = r.report
    check(rep, "no report on standard output:", r.stdout[:200])
    same("schema", "tranship.report/1", rep["schema"])
    same("outcome", "moved", rep["outcome"])
    for key in ("id", "tool_version", "started_at", "strategy", "transfer"):
        check(isinstance(rep[key], str) and rep[key], "report:", key, repr(rep.get(key)))
    same("container", name, rep["container"]["name"])
    for key in ("image", "source_id", "target_id"):
        check(rep["container"][key], "report: container", key)
    for side in ("source", "target"):
        same(side, t.engine, rep[side]["engine"].lower())
        for key in ("version", "runtime", "criu", "kernel", "host"):
            check(rep[side].get(key), "report:", side, key)
    same("strategy", t.strategy if live else "cold", rep["strategy"])
    same("transfer", "scp" if "scp" in t.options and live else "stream", rep["transfer"])

    phases = rep["phases"]
    data = any(m["Type"] in ("volume", "bind") for m in t.dst.native(name).get("Mounts") or [])
    same("phases", ["connect", "preflight", "prepare", *(("pre-copy",) if data or rep["strategy"] != "archive" else ()), "arm", "checkpoint", "transfer", "restore", "verify", "cleanup"],
         [p["name"] for p in phases])
    for p, q in zip(phases, phases[1:]):
        check(p["start_us"] + p["duration_us"] <= q["start_us"] + 1000, p["name"], "ends after", q["name"], "begins")
    frozen = {p["name"] for p in phases if p["frozen"]}
    same("frozen phases", {"checkpoint", "transfer", "restore", "verify"}, frozen)
    spans = sum(p["duration_us"] for p in phases if p["frozen"])
    downtime, migration, total = rep["downtime_us"], rep["migration_time_us"], rep["total_us"]
    check(0 < downtime <= migration <= total, "downtime, migration time, total:", downtime, migration, total)
    check(downtime < spans + 20000, "downtime is", downtime, "but the frozen phases last", spans)
    if not rep["warnings"]:  # checkpoints that were refused count as frozen, but not into the downtime
        check(downtime > 0.8 * spans - 20000, "downtime is", downtime, "but the frozen phases last", spans)
    check(total >= sum(p["duration_us"] for p in phases), "phases last longer than the whole")
    check(total < 1e6 * r.seconds, "total", total, "is longer than tranship ran")
    bytes_ = rep["bytes"]
    check(all(isinstance(v, int) and v >= 0 for v in bytes_.values()), bytes_)
    check(bytes_["wire_sent"] > 0 and bytes_["wire_received"] > 0, bytes_)
    if live:
        check(bytes_["memory"] > 0, "no memory travelled:", bytes_)
    if live and t.engine == "podman":  # containerd removes what CRIU wrote about a dump
        dump = rep["criu"]["dump"]
        check(dump["frozen_us"] > 0 and dump["pages_written"] > 0, dump)
        check(dump["frozen_us"] <= downtime, "CRIU froze it longer than it was down")
        check(rep["pages"]["total"] >= rep["pages"]["sent"] > 0, rep["pages"])
    same("leftovers", [], rep["leftovers"])
    same("rollback", [], rep["rollback"])
    check("error" not in rep or not rep["error"], rep.get("error"))


def check_moved(t, name, src=None, dst=None):
    src, dst = src or t.src, dst or t.dst
    same(f"{name} on {src}", "absent", src.state(name))
    same(f"{name} on {dst}", "running", dst.state(name))


def volume_path(engine, name):
    """The volume's data, as a path of this machine."""
    return engine.host.path(engine.get(f"/v1.41/volumes/{name}")["Mountpoint"])


def without_ours(labels):
    return {k: v for k, v in (labels or {}).items() if not k.startswith("tranship.")}


# ---- the counter


@case(*ALL)
def counter(t):
    name = start_counter(t)
    with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
        before = len(numbers(t.src.logs(name)))
        r = t.move(name)
        check(numbers(t.dst.logs(name))[:before] == list(range(before)), "the log did not come along whole")
        count_on(t.dst, name)
    same("copies seen at most", 1, w.seen)
    check_moved(t, name)
    check_report(t, r, name)


@case(*((PODMAN, DOCKER) if lab.FULL else (PODMAN,)), timeout=300)
def there_and_back_five_times(t):
    name = start_counter(t)
    here, there = t.src, t.dst
    with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
        for _ in range(10):
            t.move(name, src=here, dst=there)
            check_moved(t, name, here, there)
            here, there = there, here
        same("where it is", t.src, here)
        count_on(here, name)
    same("copies seen at most", 1, w.seen)


# ---- files

SET_UP_FILES = r"""
echo 'mode = changed' > /etc/app.conf; echo more >> /data.txt; echo more >> /srv/files/one; echo 'x:x:7:7::/:/bin/sh' >> /etc/passwd
rm /srv/files/two
chmod 0600 /srv/files/three; chmod 0710 /www; chown 123:456 /www/index.html
rm /srv/files/four; mkdir /srv/files/four; echo inside > /srv/files/four/file
rm -r /srv/files/directory; mkdir /srv/files/directory; echo new > /srv/files/directory/six
mkdir -m 02775 /new /new/empty; chown 1000:1001 /new /new/empty; echo hello > '/new/a name with blanks'; echo x > /new/-dash; echo y > /new/Grüße
echo z > "$(printf '/new/two\nlines')"; mkfifo -m 0640 /new/fifo; ln -s ../data.txt /new/link; ln -s /nowhere /new/dangling
echo one > /new/hard; ln /new/hard /new/hard2; mkdir /new/deep; ln /new/hard /new/deep/hard3; chmod 04755 /new/hard
touch -d '2001-02-03 04:05:06' /new/old; chown -h 77:88 /new/link
dd if=/dev/urandom of=/new/random bs=64k count=40 2>/dev/null; dd if=/dev/zero of=/new/sparse bs=1 count=1 seek=5000000 2>/dev/null
rm -r /tmp; ln -s /new /tmp; rm /bin/yes /bin/wc; mv /bin/tac /bin/tac2
"""


OF_THE_ENGINE = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv", "/.dockerenv")  # made anew at every start


def tree(root):
    """{path: what ls, sha256sum and getfattr would say} of one file system, without what is mounted below."""
    found, links = {}, collections.defaultdict(list)
    device = os.lstat(root + "/").st_dev
    todo = [""]
    while todo:
        relative = todo.pop()
        path = root + (relative or "/")
        st = os.lstat(path)
        kind = stat.S_IFMT(st.st_mode)
        if kind == stat.S_IFDIR and st.st_dev != device:  # of files, overlay tells the layer's
            continue
        entry = {"mode": oct(st.st_mode), "owner": (st.st_uid, st.st_gid),
                 "xattrs": {x: os.getxattr(path, x, follow_symlinks=False) for x in sorted(os.listxattr(path, follow_symlinks=False))}}
        if kind == stat.S_IFREG:
            with open(path, "rb") as f:
                entry["content"] = st.st_size, hashlib.sha256(f.read()).hexdigest()
            entry["mtime"] = int(st.st_mtime)
            if st.st_nlink > 1:
                links[st.st_dev, st.st_ino].append(relative)
        elif kind == stat.S_IFLNK:
            entry["content"] = os.readlink(path)
        elif kind == stat.S_IFDIR:
            todo += [relative + "/" + n for n in os.listdir(path)]
        found[relative or "/"] = entry
    for names in links.values():
        for name in names:
            found[name]["linked with"] = sorted(names)
    return found


def check_same_tree(before, after, ignore=()):
    wrong = []
    for path in sorted(before.keys() | after.keys()):
        if path not in ignore and before.get(path) != after.get(path):
            b, a = before.get(path, {}), after.get(path, {})
            wrong.append(f"{path}: " + ("is gone" if not a else "is new" if not b else
                                        "; ".join(f"{k} {b.get(k)} → {a.get(k)}" for k in sorted(b.keys() | a.keys()) if b.get(k) != a.get(k))))
    check(not wrong, "files differ:\n ", "\n  ".join(wrong[:30]))


@case(*ALL)
def files(t):
    """Everything done to the image's files, while one of them is held open and written to."""
    name = "it-files"
    t.src.start(name, cmd=("sh", "-c", "until [ -e /new/set-up ]; do sleep 0.1; done; exec 3>>/data.txt; i=0; while :; do echo $i; echo $i >&3; i=$((i+1)); sleep 0.1; done", t.marker))
    t.src.exec(name, SET_UP_FILES + "touch /new/set-up")
    count_on(t.src, name, 2)
    root = f"/proc/{lab.process_of(t.marker)}/root"
    os.setxattr(root + "/new/random", "user.colour", b"blue\0green")
    os.setxattr(root + "/new", "user.of-a-directory", b"1")
    os.setxattr(root + "/srv/files/one", "user.of-an-image-file", b"2")
    os.setxattr(root + "/bin/busybox", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    sparse = os.lstat(root + "/new/sparse").st_blocks
    before = tree(root)
    check(before["/new/random"]["xattrs"] and "linked with" in before["/new/deep/hard3"] and len(before) > 300, "the test itself sees too little")
    t.move(name)
    root = f"/proc/{lab.process_of(t.marker)}/root"
    check_same_tree(before, tree(root), ignore=("/data.txt", *OF_THE_ENGINE))
    if t.engine == "docker":  # Podman's own unpacking fills them
        check(os.lstat(root + "/new/sparse").st_blocks < sparse + 2000, "a sparse file was filled")
    last = count_on(t.dst, name)

    def held():
        written = pathlib.Path(root + "/data.txt").read_text()
        check(written.startswith("data of the image\nmore\n"), written[:100])
        return check_sequence(written.split("more\n")[1], "the open file")
    # It writes to the log first: the engine may have it before the file does
    until(lambda: held() >= last, 10, f"the open file reaches {last}, which the log had")
    # Nothing of it on the image: a new container is as it was
    same("image", "mode = image\n", t.dst.cli("run", "--rm", "counter", "cat", "/etc/app.conf"))


# ---- data

PIPES = r"""
( i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done ) | while read -r line; do echo "n$line"; done | while read -r line; do echo "${line#n}"; done >> /data/piped
"""


@case(*ALL)
def volumes_binds_shm_pipes(t):
    """A volume, bind mounts of both kinds, /dev/shm, and a tree of processes that talk through pipes into the volume."""
    name, here = "it-data", f"/srv/{lab.PREFIX}{t.engine}"
    shared = f"/shared/{lab.PREFIX}{t.number}"
    for h in t.hosts:
        h.sh('rm -rf "$1" "$2"', here, shared)
        t.at_end(h.sh, 'rm -rf "$1" "$2"', here, shared)
    t.hosts[0].sh('mkdir -p "$1/sub" "$2"; echo copied > "$1/sub/file"; chmod 0700 "$1/sub"; chown 5:6 "$1/sub/file"; echo read > "$2/file"', here, shared)
    t.src.start(name, "--volume", "it-volume:/data", "--volume", f"{here}:/copied", "--volume", f"{shared}:/shared",
                "--volume", f"{here}/sub:/readonly:ro", cmd=("sh", "-c", PIPES, t.marker))
    t.src.exec(name, "echo remember > /dev/shm/memory; mkdir /dev/shm/below; dd if=/dev/zero of=/dev/shm/below/big bs=1024k count=8 2>/dev/null; "
               "echo hello > /data/file; mkdir -m 0750 /data/dir; chown 11:12 /data/dir /data; chmod 01771 /data; ln -s file /data/link; "
               "echo both > /shared/new; echo mine > /copied/new; chmod 0640 /copied/new")
    until(lambda: t.src.exec(name, "tail -n 1 /data/piped").strip() > "3", 10, "the pipes flow")
    before = tree(volume_path(t.src, "it-volume"))
    copied = tree(t.hosts[0].path(here))
    count = "ls -d /proc/[0-9]* | wc -l"
    processes = {int(t.src.exec(name, count)) for _ in range(5)}  # sleep comes and goes

    r = t.move("--bind", f"{shared}=shared", "--bind", f"{here}=copy", "--bind", f"{here}/sub=copy", name)
    check_moved(t, name)
    check(r.report["bytes"]["volumes"] > 0, r.report["bytes"])
    check_same_tree(before, tree(volume_path(t.dst, "it-volume")), ignore=("/piped",))
    check_same_tree(copied, tree(t.hosts[1].path(here)))
    same("/dev/shm", "remember", t.dst.exec(name, "cat /dev/shm/memory; cmp -n 8388608 /dev/zero /dev/shm/below/big").strip())
    same("shared, copied", "read both copied mine", " ".join(t.dst.exec(name, "cat /shared/file /shared/new /readonly/file /copied/new").split()))
    until(lambda: int(t.dst.exec(name, count)) in processes, 10, f"there are {processes} processes again")
    check(t.dst.cli("exec", name, "touch", "/readonly/x", check_status=False) == "" and not os.path.exists(t.hosts[1].path(here + "/sub/x")),
          "the read-only mount became writable")
    last = check_sequence(t.dst.exec(name, "cat /data/piped"), "what came through the pipes")
    until(lambda: check_sequence(t.dst.exec(name, "cat /data/piped"), "what came through the pipes") > last + 3, 10, "the pipes flow on")
    same("volumes left on the source", [], [v for v in t.src.snapshot()["volumes"] if v.startswith("it-")])
    check(os.path.exists(t.hosts[0].path(here + "/sub/file")), "a bind mount's source was removed: it is not ours")


# ---- a service: everything that is configuration


def facts(engine, name):
    """What an engine says about a container that must be the same on both sides."""
    full = engine.inspect(name)
    config, host = dict(full["Config"]), dict(full["HostConfig"])
    config.pop("MacAddress", None)  # asked for on the target, so that it stays; it is among the networks
    for key in ("CgroupParent", "ContainerIDFile", "LogConfig", "Cgroup", "CgroupnsMode"):
        host.pop(key, None)
    # The image's files must not be copied into a volume that is about to be filled; "z" is Docker's own choice where nothing is said
    host["Binds"] = [re.sub("(:z)?[:,]nocopy$", "", b) for b in host.get("Binds") or []]
    # Short IDs are aliases that the engine makes up
    networks = {n: (v.get("IPAddress"), v.get("MacAddress"), sorted(a for a in set(v.get("Aliases") or []) if not re.fullmatch("[0-9a-f]{12}", a)))
                for n, v in full["NetworkSettings"]["Networks"].items()}
    if engine.kind == "podman":
        native = engine.native(name)
        host["own"] = {k: native["Config"].get(k) for k in ("Umask", "Timeout", "StopTimeout", "CreateCommand", "Annotations")}
        host["own"]["networks"] = sorted(native["NetworkSettings"]["Networks"])
    return {"image": full["Image"], "config": {**config, "Labels": without_ours(config["Labels"]), "Env": sorted(config["Env"])}, "host": host, "networks": networks,
            "path": (full["Path"], full["Args"]), "name": full["Name"]}


def check_same_facts(before, after, path=""):
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            check_same_facts(before.get(key), after.get(key), f"{path}.{key}")
    elif before != after and (before or after):
        raise lab.Failed(f"inspect{path}: {before!r} became {after!r}")


@case(*ALL)
def service(t):
    """Own image, bridge network with a fixed address, published port, policy `always`, labels, environment, limits, log."""
    name, image, net = "it-service", f"it-image{t.number}", "it-net"
    port, subnet = t.port(), f"10.91.{t.number}"
    t.src.need_image("counter")
    t.src.cli("create", "--name", "it-made", "counter", "true")
    t.src.cli("commit", "--change", "ENV OF_THE_IMAGE=1", "it-made", image)
    t.src.remove("it-made")
    t.src.cli("network", "create", "--subnet", f"{subnet}.0/24", "--label", "purpose=test", net)
    options = ["--network", net, "--ip", f"{subnet}.77", "--publish", f"{port}:80", "--publish", f"{port + 1}:81/udp", "--restart", "always",
               "--label", "com.example.a=1", "--label", "quote=it's \"quoted\" $HOME", "--env", "GREETING=hello, world", "--env", "EMPTY=",
               "--hostname", "its-name", "--workdir", "/srv/files", "--ulimit", "nofile=1234:2345", "--shm-size", "33m", "--cap-add", "NET_ADMIN",
               "--cap-drop", "MKNOD", "--oom-score-adj", "300", "--add-host", "other:10.1.2.3", "--dns", "10.1.2.4", "--stop-signal", "SIGUSR1",
               "--stop-timeout", "3", "--tmpfs", "/scratch:size=5m", "--sysctl", "net.ipv4.ip_default_ttl=77",
               "--health-cmd", "true", "--health-interval", "1h", "--health-retries", "7", "--init=false"]
    t.src.start(name, *options, image=image, cmd=("sh", "-c", "httpd -p 80 -h /www; " + COUNTER, t.marker))
    url = lambda h: http_get(h.address, port)
    until(lambda: url(t.hosts[0]) == "tranship lab\n", 10, "the service answers on the source")
    until(lambda: len(numbers(t.src.logs(name))) > 3, 10, "it counts")
    t.src.exec(name, "echo kept > /scratch/file")
    before = facts(t.src, name)
    inside = t.src.exec(name, "env | sort; hostname; pwd; ulimit -n; cat /proc/1/oom_score_adj /proc/sys/net/ipv4/ip_default_ttl; grep CapEff /proc/self/status; "
                        "cat /etc/resolv.conf; grep other /etc/hosts; df -k /dev/shm | tail -n 1 | awk '{print $2}'")
    check("OF_THE_IMAGE=1" in inside and "77" in inside and "1234" in inside, inside)
    with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
        r = t.move("--probe", f"http://{{host}}:{port}/index.html", "--verify", f"http://{{host}}:{port}/index.html", name)
        same("the service on the target", "tranship lab\n", url(t.hosts[1]))
        time.sleep(2)  # the policy of the source would have struck by now
        check_moved(t, name)
    same("copies seen at most", 1, w.seen)
    check_report(t, r, name)
    check(r.report["bytes"]["image"] > 0, "the image was absent on the target, and no bytes of it are in the report")
    probe = r.report["probe"]
    same("probe", "http", probe["kind"])
    check(probe["sent"] >= probe["answered"] > 10 and probe["sent"] >= probe["answered"] + probe["failed"] - 1, probe)
    check(0 < probe["longest_gap_us"] < r.report["total_us"], probe)
    check(0 < r.report["verify_us"] <= r.report["downtime_us"], r.report["verify_us"])
    count_on(t.dst, name)
    check_same_facts(before, facts(t.dst, name))
    same("inside", inside, t.dst.exec(name, "env | sort; hostname; pwd; ulimit -n; cat /proc/1/oom_score_adj /proc/sys/net/ipv4/ip_default_ttl; grep CapEff /proc/self/status; "
                                      "cat /etc/resolv.conf; grep other /etc/hosts; df -k /dev/shm | tail -n 1 | awk '{print $2}'"))
    same("tmpfs", "kept\n", t.dst.exec(name, "cat /scratch/file"))
    network = t.dst.get(f"/v1.41/networks/{net}")
    same("subnet", f"{subnet}.0/24", network["IPAM"]["Config"][0]["Subnet"])
    same("label of the network", {"purpose": "test"}, without_ours(network["Labels"]))
    check(refused(t.hosts[0].address, port), "the port is still served on the source")
    # The policy works where it is now: its end is followed by a start
    t.dst.host.sh('kill -9 "$1"', str(t.dst.inspect(name)["State"]["Pid"]))
    until(lambda: t.dst.running(name) and url(t.hosts[1]) == "tranship lab\n", 20, "policy `always` starts it again on the target")


def http_get(address, port, path="/index.html"):
    try:
        with lab.lan_socket((address, port), timeout=2) as s:
            s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            data = b""
            while chunk := s.recv(65536):
                data += chunk
    except OSError:
        return ""
    return data.decode(errors="replace").partition("\r\n\r\n")[2]


def refused(address, port):
    try:
        lab.lan_socket((address, port), timeout=2).close()
    except OSError:
        return True
    return False


# ---- a connection that stays open


def lan_network(t, engine):
    """A macvlan network on the hosts' wire: its addresses are neighbours of the hosts'."""
    engine.cli("network", "create", "--driver", "macvlan", "--opt", "parent=eth0", "--subnet", "10.77.0.0/24",
               "--gateway", "10.77.0.253", "it-lan")


class Echo:
    """A client of an echo service, in a thread: sends numbered lines on one connection and wants each of them back, in order."""

    def __init__(self, address):
        self.socket = lab.lan_socket(address, timeout=60)
        self.sent = self.received = 0
        self.error = None
        self._end = threading.Event()
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._send, self._receive)]
        for th in self._threads:
            th.start()

    def _send(self):
        try:
            while not self._end.is_set():
                self.socket.sendall(b"%d\n" % self.sent)
                self.sent += 1
                self._end.wait(0.01)
        except OSError as e:
            self.error = f"sending: {e}"

    def _receive(self):
        try:
            for line in self.socket.makefile("rb"):
                if int(line) != self.received:
                    self.error = f"{self.received} was expected, {line!r} came"
                    return
                self.received += 1
            self.error = self._end.is_set() or "the other side closed the connection"
        except OSError as e:
            self.error = f"receiving: {e}"

    def alive(self):
        """Waits until what is sent from now on has come back."""
        goal = self.sent + 10
        until(lambda: self.error or self.received >= goal, 60, f"sent {self.sent}, received {self.received}")
        check(not self.error, "the connection:", self.error)

    def close(self):
        self._end.set()
        self.socket.close()


@case(*ALL)
def open_connection(t):
    """macvlan with a fixed address and MAC: one connection, opened before the first move, lives through a move there and back."""
    name, mac = "it-echo", f"02:77:00:00:00:{t.number:02x}"
    lan_network(t, t.src)
    t.src.start(name, "--network", "it-lan", "--ip", t.ip(), "--mac-address", mac,
                cmd=("sh", "-c", "nc -ll -p 7000 -e cat & " + COUNTER, t.marker))
    until(lambda: not refused(t.ip(), 7000), 10, "it listens")
    client = Echo((t.ip(), 7000))
    t.at_end(client.close)
    client.alive()
    for src, dst in ((t.src, t.dst), (t.dst, t.src)):
        before = facts(src, name)["networks"]
        with lab.Capture(dst.host, mac) as capture:
            r = t.move(name, src=src, dst=dst)
            client.alive()
        restore = next(p for p in r.report["phases"] if p["name"] == "restore")
        check(capture.times, "no frame of the container came from the target")
        check(capture.times[0] >= r.started + restore["start_us"] / 1e6, "the target announced the container", r.started + restore["start_us"] / 1e6 - capture.times[0], "s before its restore began")
        same("address and MAC", before, facts(dst, name)["networks"])
        check(mac in dst.exec(name, "ip link"), "another MAC inside")
        check_moved(t, name, src, dst)
    check(not refused(t.ip(), 7000), "a new connection is refused")
    count_on(t.src, name)


@case(*ALL)
def network_modes(t):
    """No network, and the host's own: nothing has to be there for them."""
    for mode in ("none", "host"):
        name = start_counter(t, "it-net-" + mode, "--network", mode)
        with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
            t.move(name)
            check_moved(t, name)
            count_on(t.dst, name)
        same("copies seen at most", 1, w.seen)
        same("network mode", mode, t.dst.inspect(name)["HostConfig"]["NetworkMode"])
        t.dst.remove(name)


# ---- a database


class Writer:
    """Inserts numbers one by one over one connection, from outside; `acknowledged` is the last one the server has confirmed."""

    def __init__(self, host, address):
        argv = host.argv("mariadb", "--host", address, "--user", "root", "--batch", "--skip-column-names", "--unbuffered",
                         "--skip-reconnect", "test", net="lan")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.acknowledged, self.connection, self.error = 0, self._ask("SELECT CONNECTION_ID();"), None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _ask(self, sql):
        self.process.stdin.write(sql + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def _write(self):
        try:
            while not self._end.is_set():
                n = self.acknowledged + 1
                if self._ask(f"INSERT INTO writes (id) VALUES ({n}); SELECT {n};") != str(n):
                    self.process.kill()
                    self.error = self.process.stderr.read()
                    return
                self.acknowledged = n
                self._end.wait(0.005)
        except OSError as e:
            self.error = str(e)

    def goes_on(self, more=20):
        goal = self.acknowledged + more
        until(lambda: self.error is not None or self.acknowledged >= goal, 60, f"writes stopped at {self.acknowledged}")
        check(self.error is None, "the writer:", self.error)

    def close(self):
        self._end.set()
        self._thread.join(10)
        self.process.kill()
        self.process.wait()


@case(SCP, PODMAN, DOCKER, timeout=240)
def mariadb(t):
    """10,000 rows and a client that writes all the time on one open connection: rows, checksum, every acknowledged write."""
    name = "it-mariadb"
    lan_network(t, t.src)
    for e in (t.src, t.dst):
        e.need_image("mariadb")
    t.src.start(name, "--network", "it-lan", "--ip", t.ip(1), "--volume", "it-db:/var/lib/mysql", image="mariadb", cmd=("/start", "--report-host=" + t.marker))
    outside = t.hosts[1]
    ask = lambda sql: run_sql(outside, t.ip(1), sql)
    until(lambda: not refused(t.ip(1), 3306), 60, "the database listens", every=0.2)
    ask("CREATE DATABASE test; USE test; CREATE TABLE items ENGINE=InnoDB AS SELECT seq AS id, MD5(seq) AS hash, REPEAT('x', seq % 97) AS filler FROM seq_1_to_10000; "
        "CREATE TABLE writes (id INT PRIMARY KEY, at TIMESTAMP DEFAULT CURRENT_TIMESTAMP) ENGINE=InnoDB")
    rows, checksum = (ask(f"{q} test.items") for q in ("SELECT COUNT(*) FROM", "CHECKSUM TABLE"))
    same("rows before", "10000", rows)
    writer = Writer(outside, t.ip(1))
    t.at_end(writer.close)
    writer.goes_on()
    with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
        r = t.move("--probe", f"tcp://{t.ip(1)}:3306", "--verify", f"tcp://{t.ip(1)}:3306", name)
    writer.goes_on()
    acknowledged = writer.acknowledged
    same("copies seen at most", 1, w.seen)
    check_moved(t, name)
    check_report(t, r, name)
    same("rows after", rows, ask("SELECT COUNT(*) FROM test.items"))
    same("checksum after", checksum, ask("CHECKSUM TABLE test.items"))
    writer.close()
    same("writes 1 to n", f"{acknowledged}\t{acknowledged}\t1", ask(f"SELECT COUNT(*), MAX(id), MIN(id) FROM test.writes WHERE id <= {acknowledged}"))
    check("status\tOK" in ask("CHECK TABLE test.items, test.writes"), "CHECK TABLE")
    # After a crash on the target the files alone must be good as well
    t.dst.cli("kill", name)
    until(lambda: not t.dst.running(name), 10, "it is dead")
    t.dst.cli("start", name)
    until(lambda: not refused(t.ip(1), 3306), 60, "it listens again", every=0.2)
    same("checksum after a restart", checksum, ask("CHECKSUM TABLE test.items"))


def run_sql(host, address, sql):
    return lab.run(host.argv("mariadb", "--host", address, "--user", "root", "--batch", "--skip-column-names", "--execute", sql, net="lan")).strip()


# ---- choices of the user


@case(PODMAN, DOCKER)
def shared_directory(t):
    """The dump in a directory that both hosts have; one that only looks the same is refused, and nothing was changed."""
    shared, own = f"/shared/it-dumps-{t.number}", f"/var/tmp/it-dumps-{t.number}"
    for h in t.hosts[:2]:
        h.sh('mkdir -p "$1" "$2"', shared, own)
        t.at_end(h.sh, 'rm -rf "$1" "$2"', shared, own)
    name = start_counter(t, "it-shared", "--volume", "it-shared-v:/data")
    r = t.move("--transfer", f"shared:{own}", name, expect=3)
    check("not the directory" in r.stderr, r.tail())
    count_on(t.src, name)
    with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
        r = t.move("--transfer", f"shared:{shared}", name)
        check_moved(t, name)
        count_on(t.dst, name)
    same("copies seen at most", 1, w.seen)
    same("memory that travelled", 0, r.report["bytes"]["memory"])
    same("transfer", "shared", r.report["transfer"])
    same("what is left in the directory", "", t.hosts[0].sh('ls -A "$1"', shared).strip())


@case(PODMAN)
def tls(t):
    """Data by TLS there, by SSH where no port is to be had; nothing listens afterwards."""
    listening = lambda: t.hosts[1].sh("ss -Htln sport ge :49300 and sport le :49309").strip()
    name = start_counter(t, "it-tls", "--volume", "it-tls-v:/data")
    t.src.exec(name, "head -c 20000000 /dev/urandom >/data/file")
    digest = t.src.exec(name, "sha256sum </data/file")
    with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
        r = t.move("--transfer", "tls", "--tls-ports", "49300-49309", name)
        check_moved(t, name)
        count_on(t.dst, name)
    same("copies seen at most", 1, w.seen)
    same("transfer", "tls", r.report["transfer"])
    check(r.report["bytes"]["wire_sent"] > 20000000, "what went by TLS is not counted:", r.report["bytes"])
    same("the file", digest, t.dst.exec(name, "sha256sum </data/file"))
    lab.until(lambda: not listening(), 10, "nobody listens any more")
    r = t.move("--transfer", "tls", "--tls-ports", "22", name, src=t.dst, dst=t.src)
    check("no TLS to" in r.stderr and "data goes by SSH" in r.stderr, r.tail())
    same("transfer", "stream", r.report["transfer"])
    same("the file", digest, t.src.exec(name, "sha256sum </data/file"))
    count_on(t.src, name)


@case(PODMAN, DOCKER)
def volume_on_the_target(t):
    """Refused; then with =replace; with =shared where both hosts really see the same files."""
    name = "it-volumes"
    shared = f"/shared/{lab.PREFIX}{t.number}-volume"
    t.hosts[0].sh('rm -rf "$1"; mkdir "$1"', shared)
    t.at_end(t.hosts[0].sh, 'rm -rf "$1"', shared)
    for e in (t.src, t.dst):
        e.cli("volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", f"device={shared}", "it-s")
    start_counter(t, name, "--volume", "it-v:/data", "--volume", "it-s:/same")
    t.src.exec(name, "echo new > /data/file; echo same > /same/file")
    t.dst.cli("volume", "create", "it-v")
    other = pathlib.Path(volume_path(t.dst, "it-v"))
    (other / "file").write_text("old\n")
    (other / "older").write_text("older\n")

    states = t.src.snapshot(), t.dst.snapshot()
    r = t.move(name, expect=3)
    check("volume-exists" in r.codes, r.codes)
    r = t.move("--volume", "it-v=replace", name, expect=3)
    check("volume-exists" in r.codes, "the other volume was not decided:", r.codes)
    r = t.move("--volume", "it-v=replace", "--volume", "it-s=replace", name, expect=3)
    check("volume-driver" in r.codes, "it is mounted only while a container uses it:", r.codes)
    same("after the refusals", states, (t.src.snapshot(), t.dst.snapshot()))
    same("old file", "old\n", (other / "file").read_text())

    t.move("--volume", "it-v=replace", "--volume", "it-s=shared", name)
    check_moved(t, name)
    same("replaced", "new\n", t.dst.exec(name, "cat /data/*"))
    same("shared", "same\n", t.dst.exec(name, "cat /same/file"))
    same("volumes on the target", ["it-s", "it-v"], [v for v in t.dst.snapshot()["volumes"] if v.startswith("it-")])
    check(not list(other.parent.parent.glob("*tranship*")) and not list(other.parent.glob("*tranship*")), "the former content is still there")
    check(os.path.exists(t.hosts[0].path(shared + "/file")), "shared files were removed with the source")
    count_on(t.dst, name)


@case(SCP, ARCHIVE)
def archive_unpacked(t):
    """What is packed by default comes to the same; and it is packed."""
    name = start_counter(t, "it-unpacked", "--volume", "it-v:/data")
    t.src.exec(name, "head -c 3000000 /dev/zero > /srv/zeros; echo kept > /data/file")
    plain = t.move("--compress", "off", name).report
    check_moved(t, name)
    packed = t.move(name, src=t.dst, dst=t.src).report
    same("zeros", "3000000\n", t.src.exec(name, "wc -c </srv/zeros"))
    same("volume", "kept\n", t.src.exec(name, "cat /data/file"))
    for way in ("wire_sent", "wire_received"):
        check(packed["bytes"][way] < plain["bytes"][way], "packed:", packed["bytes"], "not:", plain["bytes"])
    count_on(t.src, name)


@case(*ALL)
def dump_refused(t):
    """CRIU does not dump a large file that was removed while open: the container runs on, and the reason is told, with what to do about it. Once it is small, it moves."""
    name = "it-refused"
    t.src.start(name, "--volume", "it-v:/data", image="counter",
                cmd=("sh", "-c", "exec 3>/srv/large; head -c 2000000 /dev/zero >&3; rm /srv/large; " + COUNTER, t.marker))
    count_on(t.src, name)
    pid = lab.process_of(t.marker)
    with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
        r = t.move("--skip", "ghost-limit", name, expect=4)
        same("outcome", "rolled-back", r.report["outcome"])
        same("the error", "criu cannot dump the container: a process keeps a deleted file open that is larger than criu's limit", r.report["error"]["message"])
        check("ghost-limit" in r.report["error"]["hint"], "what to do is missing:", r.report["error"])
        check("?(" not in r.stderr, "lines are run together:", r.stderr)
        same("process", pid, lab.process_of(t.marker))
        same("on the target", "absent", t.dst.state(name))
        check("it-v" not in t.dst.snapshot()["volumes"], "the target still has the volume")
        count_on(t.src, name)
        t.src.exec(name, ": >/proc/1/fd/3")
        t.move(name)
    check_moved(t, name)
    same("copies seen at most", 1, w.seen)
    count_on(t.dst, name)


@case(PODMAN, DOCKER)
def keep_source(t):
    name = start_counter(t, "it-keep", "--restart", "always", "--volume", "it-v:/data")
    t.src.exec(name, "echo kept > /data/file; echo also > /srv/own")
    with lab.Watcher(t.marker) as w:
        r = t.move("--keep-source", name)
        same("on the target", "running", t.dst.state(name))
        time.sleep(2)
    same("copies seen at most", 1, w.seen)
    source = r.report["container"]["source_id"]
    kept = t.src.inspect(source)
    check(kept, "the source is gone")
    same("state of the source", "exited", kept["State"]["Status"])
    same("policy of the source", "no", kept["HostConfig"]["RestartPolicy"]["Name"] or "no")
    check(kept["Name"] != "/" + name and name in kept["Name"], "the source is still called", kept["Name"])
    same("policy of the target", "always", t.dst.inspect(name)["HostConfig"]["RestartPolicy"]["Name"])
    same("volume of the source", "kept\n", pathlib.Path(volume_path(t.src, "it-v"), "file").read_text())
    same("volume of the target", "kept\n", t.dst.exec(name, "cat /data/file"))
    count_on(t.dst, name)


@case(PODMAN, DOCKER)
def cold(t):
    """Files, volume and configuration move; the process starts afresh."""
    name = start_counter(t, "it-cold", "--hostname", "cold", "--stop-timeout", "1", "--restart", "unless-stopped", "--volume", "it-v:/data", "--publish", f"{t.port()}:80", "--env", "A=b")
    t.src.exec(name, SET_UP_FILES + "echo kept > /data/file")
    root = f"/proc/{lab.process_of(t.marker)}/root"
    before, settings = tree(root), facts(t.src, name)
    with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
        r = t.move("--cold", name)
        check_moved(t, name)
        until(lambda: len(numbers(t.dst.logs(name))) > 3, 10, "it counts")
    same("copies seen at most", 1, w.seen)
    check(0 < r.report["downtime_us"] <= r.report["migration_time_us"] <= r.report["total_us"], r.report)
    check_same_tree(before, tree(f"/proc/{lab.process_of(t.marker)}/root"), ignore=OF_THE_ENGINE)
    check_same_facts({**settings, "networks": {}}, {**facts(t.dst, name), "networks": {}})  # no address was asked for
    same("volume", "kept\n", t.dst.exec(name, "cat /data/file"))
    # What it says now begins at nought; what it said before may stand in front of it
    now = numbers(t.dst.logs(name))
    check(now[0] == 0 and 0 in now, now[:20])


@case(*ALL)
def verify_decides(t):
    """--verify that fails: back on the source, which counts on; with --on-verify-failure keep: the target stays."""
    name = start_counter(t, "it-verify", "--volume", "it-v:/data")
    nobody = f"tcp://{{host}}:{t.port(9)}"
    target = t.dst.snapshot()
    with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
        r = t.move("--verify", nobody, "--verify-timeout", "500ms", "--skip", "probe-fails", name, expect=4)
        same("outcome", "rolled-back", r.report["outcome"])
        check(r.report["error"]["phase"] == "verify" and r.report["error"]["message"], r.report["error"])
        check(r.report["rollback"], "no rollback in the report")
        same("on the source", "running", t.src.state(name))
        count_on(t.src, name)
        same("target", target, t.dst.snapshot())
        r = t.move("--verify", nobody, "--verify-timeout", "500ms", "--on-verify-failure", "keep", name, expect=(0, 5))
        check(r.report["warnings"] or r.report["leftovers"], "nobody was told that --verify failed")
        check_moved(t, name)
        count_on(t.dst, name)
    same("copies seen at most", 1, w.seen)
    # And one that succeeds, by a program
    t.move("--verify", "exec:true", name, src=t.dst, dst=t.src)
    count_on(t.src, name)


@case(PODMAN, DOCKER)
def check_tells_everything(t):
    """Several problems at once, and nothing is changed, nor by --dry-run."""
    name, here = "it-problems", f"/srv/{lab.PREFIX}problems-{t.engine}"
    for h in t.hosts:
        h.sh('mkdir -p "$1"', here)
        t.at_end(h.sh, 'rm -rf "$1"', here)
    t.dst.start(name, "--publish", f"{t.port()}:80", cmd=("sleep", "1000"))
    t.dst.cli("volume", "create", "it-v")
    start_counter(t, name, "--rm", "--volume", "it-v:/data", "--volume", f"{here}:/here", "--publish", f"{t.port()}:80")
    states = t.src.snapshot(), t.dst.snapshot()
    expected = {"auto-remove", "volume-exists", "bind-undecided", "name-taken", "port-taken"}
    for r in (t.begin("check", name).wait(), t.begin("move", "--dry-run", name).wait(), t.begin("move", name).wait()):
        same("exit status of " + r.args[0], 3, r.status)
        check(expected <= r.codes, "not found:", expected - r.codes, r.tail())
        for f in r.report["findings"]:
            check(f["message"], f)
        same("snapshots", states, (t.src.snapshot(), t.dst.snapshot()))
    t.src.remove(name)
    t.dst.remove(name)
    t.dst.cli("volume", "rm", "it-v")
    start_counter(t, name)
    states = t.src.snapshot(), t.dst.snapshot()
    r = t.begin("check", name).wait().expect(0)
    same("outcome", "checked", r.report["outcome"])
    t.begin("move", "--dry-run", name).wait().expect(0)
    same("snapshots", states, (t.src.snapshot(), t.dst.snapshot()))


# ---- tranship on one of the hosts


def ssh_in_host(host):
    """Lets root on that host reach the others; the configuration file's path there."""
    there = "/tmp/it-ssh"
    directory = pathlib.Path(host.path(there))
    directory.mkdir(mode=0o700, exist_ok=True)
    for file in ("id_ed25519", "known_hosts", "config"):
        text = pathlib.Path(lab.STATE, "ssh", file).read_text().replace(lab.STATE + "/ssh", there)
        (directory / file).write_text(text)
        (directory / file).chmod(0o600)
    return f"{there}/config"


@case(*ALL)
def local_engines(t):
    """tranship on the source host itself, then on the target host: one side is unix://, both ways."""
    config = [ssh_in_host(h) for h in t.hosts]
    name = start_counter(t, "it-local", "--volume", "it-v:/data")
    t.src.exec(name, "echo kept > /data/file")
    with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
        r = lab.tranship("move", "--json", "--ssh-config", config[0], "--from", t.src.local_uri, "--to", t.dst.uri, *t.options, name, on=t.hosts[0]).expect(0)
        check_moved(t, name)
        check_report(t, r, name)
        r = lab.tranship("move", "--json", "--ssh-config", config[0], "--from", t.dst.uri, "--to", t.src.local_uri, *t.options, name, on=t.hosts[0]).expect(0)
        check_moved(t, name, t.dst, t.src)
        count_on(t.src, name)
    same("copies seen at most", 1, w.seen)
    same("volume", "kept\n", t.src.exec(name, "cat /data/file"))


@case(*((PODMAN, DOCKER) if lab.FULL else (DOCKER,)), timeout=660)
def direct_streamlocal(t):
    """Built where libssh2 forwards sockets (Debian 13): both engines are reached without a helper process."""
    host = t.hosts[0]
    host.sh("cmake -S /tranship -B /tmp/it-build -G Ninja -DCMAKE_BUILD_TYPE=Release -DTS_WERROR=ON -DTS_TESTS=OFF && cmake --build /tmp/it-build", timeout=600)
    t.at_end(host.sh, "rm -rf /tmp/it-build")
    config, name = ssh_in_host(host), start_counter(t)
    with lab.Watcher(t.marker, [(t.src, name), (t.dst, name)]) as w:
        r = lab.tranship("move", "--json", "-vv", "--ssh-config", config, "--from", t.src.uri, "--to", t.dst.uri, *t.options, name, on=host,
                         binary="/tmp/it-build/tranship").expect(0)
        check_moved(t, name)
        check_report(t, r, name)
        count_on(t.dst, name)
    same("copies seen at most", 1, w.seen)
    for h in t.hosts:
        check(f"{h.name}: a direct channel to" in r.stderr, "no direct channel to", h, r.tail())
    check("no direct channel" not in r.stderr, "a helper was needed:", r.tail())


# ---- what it says


@case(*ALL)
def samples(t):
    """--sample: what both hosts do, from the beginning to the end, on the axis of the phases; nothing of it stays on them."""
    name = start_counter(t, "it-samples")
    r = t.move("--sample", "100ms", name)
    rep = r.report
    check_report(t, r, name)
    same("warnings about samples", [], [w for w in rep["warnings"] if "samples" in w])
    spans = {p["name"]: (p["start_us"], p["start_us"] + p["duration_us"]) for p in rep["phases"]}
    check(rep["resources"] == sorted(rep["resources"], key=lambda s: s["t_us"]), "samples go back in time")
    for side in ("source", "target"):
        of = [s for s in rep["resources"] if s["side"] == side]
        times = [s["t_us"] for s in of]
        check(len(of) >= 5 and all(a < b for a, b in zip(times, times[1:])), side, times)
        check(times[0] < spans["prepare"][1] and times[-1] > spans["restore"][1] - 500000, "samples of the", side, "from", times[0], "to", times[-1], spans)
        check(times[-1] <= rep["total_us"] + 500000, times[-1], "is after the end")
        check(all(s["mem_used_bytes"] > 0 and 0 <= s["cpu_pct"] <= 100 and s["load1"] >= 0 for s in of), of[:3])
        check(any(s["cpu_pct"] > 0 for s in of), "nothing ran on the", side)
    check("checkpoint" in {s["phase"] for s in rep["resources"]}, {s["phase"] for s in rep["resources"]})
    for s in rep["resources"]:
        check(not s["phase"] or spans[s["phase"]][0] <= s["t_us"] <= spans[s["phase"]][1], s, spans)
    received = sum(s["net_received_bytes"] for s in rep["resources"] if s["side"] == "target")
    check(received > 10000, "the target received only", received, rep["bytes"])
    for h in t.hosts:
        until(lambda: not h.sh("pgrep -f '^/var/lib/tranship/agent/[0-9a-f]* sample 100$' || :"), 15, f"an agent samples {h} still")
    count_on(t.dst, name)


@case(PODMAN, DOCKER)
def output(t):
    """The phase table, --report, --report-dir, --events, `tranship report`, `tranship status`."""
    name = start_counter(t, "it-output")
    state = t.state_dir()
    file, events = state + "/report.json", state + "/events"
    r = lab.Tranship("move", "--from", t.src.uri, "--to", t.dst.uri, *t.options, "--report", file, "--report-dir", state + "/reports",
                     "--events=" + events, name, state=state).expect(0)
    for word in ("checkpoint", "transfer", "restore", "downtime", "migration time"):
        check(word in r.stdout.lower(), f"the table does not speak of {word}:", r.stdout)
    report = json.loads(pathlib.Path(file).read_text())
    same("reports", [report], [json.loads(p.read_text()) for p in pathlib.Path(state, "reports").iterdir()])
    lines = [json.loads(line) for line in pathlib.Path(events).read_text().splitlines()]
    check(len(lines) > 10 and all(isinstance(e, dict) for e in lines), lines[:3])
    times = [e["t_us"] for e in lines]
    check(times == sorted(times), "events go back in time")
    for form, mark in (("text", "checkpoint"), ("json", "tranship.report/1"), ("csv", "checkpoint")):
        said = lab.tranship("report", "--format", form, file, state=state).expect(0)
        check(mark in said.stdout, form, said.stdout[:300])
    said = lab.tranship("status", "--json", state=state).expect(0)
    same("what is under way", [], [m for m in json.loads(said.stdout) if not m["final"]])
    count_on(t.dst, name)
