"""What the tests with real engines are made of: hosts, engines, tranship under test, a watcher.

The lab itself is tests/lab (hosts h1 to h4 on one switch). This file knows how to look into it from
outside and how to start tranship in it; what has to hold is in the test_*.py files, which register
their cases with @case and are run by tests/integration/run.
"""

import bisect
import ctypes
import fcntl
import http.client
import importlib
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import inspect_diff

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parents[1]
LAB = str(REPO / "tests/lab")
BINARY = os.environ.get("TRANSHIP", str(REPO / "build/dev/tranship"))
OWN = "-" + os.environ["TRANSHIP_LAB"] if os.environ.get("TRANSHIP_LAB") else ""
STATE = "/run/tranship-lab" + OWN
LAN_NETNS = "/run/netns/tranship-lan" + OWN
SOCKETS = {"podman": "/run/podman/podman.sock", "docker": "/run/docker.sock"}
FULL = bool(os.environ.get("TRANSHIP_TESTS_FULL"))  # every case on every path
PREFIX = "it-"  # of everything a test makes on an engine: what is left over is found by it
PATHS = {  # the ways a container travels: engine, options of tranship
    "podman-scp": ("podman", ("--transfer", "scp")),
    "podman-archive": ("podman", ("--strategy", "archive")),
    "podman": ("podman", ()),
    "docker": ("docker", ()),
}
NAME = re.compile("[a-zA-Z0-9][a-zA-Z0-9_.-]*")  # of a container
STRATEGIES = {"podman-scp": "archive", "podman-archive": "archive"}  # the others: in-place


class Skip(Exception):
    """The case cannot be run here; the reason is its text."""


class Failed(AssertionError):
    """What was promised did not hold."""


def check(condition, *what):
    if not condition:
        raise Failed(" ".join(str(w) for w in what))


def same(what, expected, found):
    if expected != found:
        raise Failed(f"{what}: expected {expected!r}, found {found!r}")


def until(predicate, seconds=10, what="", every=0.02):
    """Polls; returns the first true value of predicate()."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what or predicate}")
        time.sleep(every)


def lab(*args, timeout=120, **kwargs):
    """tests/lab ARGS; its output as text."""
    return run([LAB, *args], timeout=timeout, **kwargs)


def run(argv, timeout=60, check_status=True, **kwargs):
    kwargs.setdefault("stdin", subprocess.DEVNULL if "input" not in kwargs else None)
    if "input" in kwargs:
        del kwargs["stdin"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, errors="replace", **kwargs)
    if check_status and done.returncode:
        shown = " ".join(argv)
        raise Failed(f"{shown[:300]}: exit {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


# ---- hosts and engines


class Host:
    """A lab host: h1, h2, …"""

    def __init__(self, name):
        self.name = name
        self.address = "10.77.0." + name[1:]

    @property
    def pid(self):
        """Of the host's init, as this machine sees it: /proc/PID/root is the host's file system."""
        text = pathlib.Path(STATE, self.name, "pid").read_text().strip()
        return int(text)

    def path(self, inside):
        """A path of the host as a path of this machine. Absolute symbolic links would lead astray."""
        return f"/proc/{self.pid}/root{inside}"

    def argv(self, *argv, net=None):
        """The command line that runs argv in the host; net="lan": with the switch's network instead of its own."""
        if net is None:
            return [LAB, "sh", self.name, *argv]
        target = str(self.pid)
        return ["nsenter", "--target", target, "--mount", "--uts", "--ipc", "--root", "--wd",
                f"--net={LAN_NETNS}", "--", *argv]

    def sh(self, script, *args, timeout=60, check_status=True, net=None, **kwargs):
        """A shell script in the host, with $1… = args; its standard output."""
        return run(self.argv("sh", "-euc", script, "sh", *args, net=net), timeout=timeout,
                   check_status=check_status, **kwargs)

    def engine(self, kind):
        return Engine(self, kind)

    def __repr__(self):
        return self.name


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("engine", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    """One engine of one host. Observation goes over its API, set-up over its command line.

    The API is Docker's on both: Podman answers it on the same socket.
    """

    def __init__(self, host, kind):
        self.host, self.kind = host, kind

    def __repr__(self):
        return f"{self.kind} on {self.host}"

    # -- addresses

    @property
    def uri(self):
        """As tranship on the switch calls it."""
        return f"ssh://{self.host.name}{SOCKETS[self.kind]}"

    @property
    def local_uri(self):
        """As tranship on the host itself calls it."""
        return "unix://" + SOCKETS[self.kind]

    # -- API

    def api(self, method, path, body=None, timeout=30, **query):
        """(status, answer): decoded where it is JSON, text otherwise. OSError when the engine is not there.

        query: a trailing _ is not part of the name.
        """
        if query:
            path += "?" + urllib.parse.urlencode({k.rstrip("_"): json.dumps(v) if isinstance(v, (dict, bool)) else v
                                                  for k, v in query.items()})
        connection = UnixConnection(self.host.path(SOCKETS[self.kind]), timeout)
        try:
            headers = {"Content-Type": "application/json"}
            data = None if body is None else json.dumps(body)
            connection.request(method, path, body=data, headers=headers)
            answer = connection.getresponse()
            raw = answer.read()
            if "json" in (answer.getheader("Content-Type") or ""):
                return answer.status, json.loads(raw or b"null")
            return answer.status, raw.decode(errors="replace")
        finally:
            connection.close()

    def get(self, path, timeout=30, **query):
        """The answer of a GET that must succeed."""
        status, answer = self.api("GET", path, timeout=timeout, **query)
        if status >= 300:
            raise Failed(f"{self}: GET {path}: {status} {answer}")
        return answer

    def inspect(self, name, timeout=30):
        """Docker's inspect JSON, or None when there is no such container."""
        status, answer = self.api("GET", f"/v1.41/containers/{name}/json", timeout=timeout)
        if status == 404:
            return None
        if status != 200:
            raise Failed(f"{self}: inspect {name}: {status} {answer}")
        return answer

    def native(self, name):
        """The engine's own inspect JSON (libpod's for Podman), or None."""
        path = f"/v5.0.0/libpod/containers/{name}/json" if self.kind == "podman" else f"/v1.41/containers/{name}/json"
        status, answer = self.api("GET", path)
        return answer if status == 200 else None

    def state(self, name):
        """running, exited, created, … or "absent"."""
        found = self.inspect(name)
        return found["State"]["Status"] if found else "absent"

    def running(self, name):
        found = self.inspect(name)
        return bool(found and found["State"]["Running"] and not found["State"].get("Paused"))

    def logs(self, name):
        """What the container wrote to its standard output and error."""
        return self.cli("logs", name, merge=True)

    def snapshot(self):
        """Everything a check must not change: containers with their state, volumes, networks, images."""
        containers = {}
        for brief in self.get("/v1.41/containers/json", all=True):
            full = self.inspect(brief["Id"])
            if full:
                containers[full["Name"]] = (full["Id"], full["State"]["Status"], full["State"]["StartedAt"],
                                            full["State"]["Pid"], full["HostConfig"].get("RestartPolicy"))
        return {
            "containers": containers,
            "volumes": sorted(v["Name"] for v in self.get("/v1.41/volumes").get("Volumes") or []),
            "networks": sorted((n["Name"], n["Id"]) for n in self.get("/v1.41/networks")),
            "images": sorted(i["Id"] for i in self.get("/v1.41/images/json")),
        }

    # -- command line

    def cli(self, *args, timeout=60, check_status=True, merge=False, **kwargs):
        """podman ARGS or docker ARGS on the host; standard output. merge: with standard error in between."""
        if args[:1] and args[0] in ("build", "commit", "import", "load", "pull", "tag"):
            made_images.add(str(self))
        argv = self.host.argv(self.kind, *args)
        if merge:
            argv = self.host.argv("sh", "-c", 'exec "$@" 2>&1', "sh", self.kind, *args)
        return run(argv, timeout=timeout, check_status=check_status, **kwargs)

    def start(self, name, *options, image="counter", cmd=()):
        """Runs a container in the background; its ID. Both engines know the same options."""
        self.need_image(image)
        return self.cli("run", "--detach", "--name", name, *options, image, *cmd).strip()

    def exec(self, name, script, *args, timeout=60, **kwargs):
        """A shell script inside a container."""
        return self.cli("exec", name, "sh", "-euc", script, "sh", *args, timeout=timeout, **kwargs)

    def need_image(self, image):
        if image in ("counter", "mariadb", "ballast") and self.api("GET", f"/v1.41/images/{image}/json")[0] != 200:
            made_images.add(str(self))
            lab("image", image, self.host.name, self.kind, timeout=300)

    def remove(self, name):
        """At once, with its anonymous volumes."""
        if self.kind == "podman":  # by Docker's way it would be asked to stop, and waited for
            self.api("DELETE", f"/v5.0.0/libpod/containers/{name}", timeout=60, force=True, v=True, timeout_=0)
        else:
            self.api("DELETE", f"/v1.41/containers/{name}", timeout=60, force=True, v=True)

    def service(self, what):
        """start, stop, kill or restart: the engine itself."""
        lab("engine", self.host.name, self.kind, what)

    def clean(self):
        """Removes what tests made here: everything named PREFIX…"""
        for brief in self.get("/v1.41/containers/json", all=True):
            if any(n.lstrip("/").startswith(PREFIX) for n in brief["Names"] or []):
                self.remove(brief["Id"])
        for volume in self.get("/v1.41/volumes").get("Volumes") or []:
            if volume["Name"].startswith(PREFIX):
                self.api("DELETE", f"/v1.41/volumes/{volume['Name']}", force=True)
        for network in self.get("/v1.41/networks"):
            if network["Name"].startswith(PREFIX):
                self.api("DELETE", f"/v1.41/networks/{network['Name']}")
        for image in self.get("/v1.41/images/json"):
            if any("/" + PREFIX in "/" + tag for tag in image.get("RepoTags") or []):
                self.api("DELETE", f"/v1.41/images/{image['Id']}", force=True)


made_images = set()  # engines on which this case has made or named some itself


# ---- the switch's network, from this process

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def lan_socket(address=None, timeout=5, kind=socket.SOCK_STREAM, family=socket.AF_INET, protocol=0):
    """A socket on the lab's switch (10.77.0.254), connected if an address (host, port) is given."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    other = os.open(LAN_NETNS, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(other, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            s = socket.socket(family, kind, protocol)
        finally:
            if _libc.setns(own, _CLONE_NEWNET):
                os.abort()
    finally:
        os.close(own)
        os.close(other)
    s.settimeout(timeout)
    if address:
        try:
            s.connect(address)
        except OSError:
            s.close()
            raise
    return s


class Capture:
    """What is sent with a MAC address through one host's port of the switch: the times (monotonic) of its frames, while the block runs."""

    def __init__(self, host, mac):
        self.mac, self.times, self._end = bytes.fromhex(mac.replace(":", "")), [], threading.Event()
        self._socket = lan_socket(kind=socket.SOCK_RAW, family=socket.AF_PACKET, protocol=socket.htons(3), timeout=0.1)  # ETH_P_ALL
        self._socket.bind((host.name, 0))

    def __enter__(self):
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        self._socket.close()

    def _listen(self):
        while not self._end.is_set():
            try:
                frame, origin = self._socket.recvfrom(64)
            except TimeoutError:
                continue
            if frame[6:12] == self.mac and origin[2] != socket.PACKET_OUTGOING:
                self.times.append(time.monotonic())


# ---- tranship

for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a program that is started with one ignored (nohup, a job in the background) leaves it so
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)

class Tranship:
    """One run of tranship. Started at once; wait() ends it. The report is there when --json was asked for.

    on=None: on the switch, with the lab's SSH configuration. on=Host: on that host, as root, without SSH set-up. binary: another program than the one that is tested, where it runs.
    status: exit status, negative: the signal that ended it. peak_kib: most memory it (or a child) ever held.
    """

    def __init__(self, *args, on=None, state=None, env=None, ssh_config=True, binary=None):
        self.args = [str(a) for a in args]
        self.on = on
        self.own_state = state is None
        self.on_success = None  # called when it has ended as expected, with 0
        self.state = state or tempfile.mkdtemp(prefix="tranship-test-")
        self.status = self.report = self.seconds = self.peak_kib = None
        environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
                   "HOME": self.state, "NO_COLOR": "1", **(env or {})}
        if OWN:
            environ["TRANSHIP_LAB"] = OWN[1:]  # which lab's switch it runs on
        if on is None:
            argv = [LAB, "sh", "lan", binary or BINARY, *self.args]
            environ["TRANSHIP_STATE_DIR"] = self.state
            if ssh_config and self.args and self.args[0] in ("move", "check", "recover", "bench"):
                argv += ["--ssh-config", STATE + "/ssh/config"]
        else:
            state_there = "/tmp/" + os.path.basename(self.state)  # each host has a /tmp of its own
            settings = [f"{k}={v}" for k, v in {**environ, "HOME": "/root", "TRANSHIP_STATE_DIR": state_there}.items()]
            argv = [LAB, "sh", on.name, "env", *settings, binary or binary_in_host(), *self.args]
        self.out = tempfile.TemporaryFile("w+", errors="replace")
        self.err = tempfile.TemporaryFile("w+", errors="replace")
        self.started = time.monotonic()
        self._reaping = threading.Lock()
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err, env=environ,
                                        start_new_session=True)
        runs.append(self)

    @property
    def pid(self):
        """Of tranship itself, not of what brought it into a host."""
        if self.on is None:
            return self.process.pid
        return until(lambda: next((p for p in descendants(self.process.pid)
                                   if os.path.basename(exe(p)) == "tranship"), None), 5, "tranship's pid")

    def signal(self, number):
        os.kill(self.pid, number)

    @property
    def running(self):
        return self.status is None and not self._reap(os.WNOHANG)

    def _reap(self, flags):
        with self._reaping:  # a thread that breaks something may look whether it still runs
            if self.status is not None:
                return True
            return self._reap_now(flags)

    def _reap_now(self, flags):
        pid, status, usage = os.wait4(self.process.pid, flags)
        if not pid:
            return False
        self.status = self.process.returncode = os.waitstatus_to_exitcode(status)
        self.peak_kib = usage.ru_maxrss
        self.seconds = time.monotonic() - self.started
        self._finish()
        return True

    def _finish(self):
        for name, f in (("stdout", self.out), ("stderr", self.err)):
            f.seek(0)
            setattr(self, name, f.read())
            f.close()
        if "--json" in self.args:
            try:
                self.report = json.loads(self.stdout)
            except ValueError:
                pass
        if self.own_state:
            shutil.rmtree(self.state, ignore_errors=True)

    def wait(self, timeout=120):
        """Until it ends; killed and Failed after the time-out. Returns self."""
        end = self.started + timeout
        while self.status is None and not self._reap(os.WNOHANG):
            if time.monotonic() > end:
                os.killpg(self.process.pid, signal.SIGKILL)
                self._reap(0)
                raise Failed(f"tranship {' '.join(self.args)}: not done within {timeout} s; {self.tail()}")
            time.sleep(0.005)
        return self

    def expect(self, *statuses):
        """Ends it; Failed unless its exit status is one of these. Returns self."""
        self.wait()
        if self.status not in (statuses or (0,)):
            raise Failed(f"tranship {' '.join(self.args)}: exit {self.status}, expected {statuses or (0,)}; {self.tail()}")
        if self.on_success and self.status == 0:
            self.on_success()
        return self

    def tail(self, lines=25):
        text = self.stderr.strip().splitlines()[-lines:]
        return "standard error:\n    " + "\n    ".join(text)

    @property
    def codes(self):
        """Codes of the findings a preflight reported."""
        return {f["code"] for f in (self.report or {}).get("findings") or []}


runs = []  # every Tranship of this process: the runner shows the end of the last one's standard error


def tranship(*args, timeout=120, **kwargs):
    """Runs tranship to its end."""
    return Tranship(*args, **kwargs).wait(timeout)


def binary_in_host():
    """The same binary, by the path the hosts see the repository at."""
    path = pathlib.Path(BINARY).resolve()
    check(path.is_relative_to(REPO), f"{path} is not in {REPO}: hosts cannot see it")
    return "/tranship/" + str(path.relative_to(REPO))


def exe(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def descendants(pid):
    """Processes below pid, as this machine sees them."""
    found, todo = [], [pid]
    while todo:
        at = todo.pop()
        try:
            children = pathlib.Path(f"/proc/{at}/task/{at}/children").read_text().split()
        except OSError:
            continue
        found += map(int, children)
        todo += map(int, children)
    return found


# ---- never both


class Watcher:
    """Watches from outside that never two copies of a container run; a context manager.

    Two witnesses, each in a thread of its own:
    - processes: every ~10 ms, the PID namespaces in which some process has `marker` in its command line and
      is neither a zombie nor stopped. A container has a PID namespace of its own, so a namespace is a copy; what
      runs on the hosts themselves (an engine's client, conmon) is not counted.
    - engines: each engine is asked as often as it answers. A side runs for certain between two answers that both
      say so with the same pid; two sides that do so at one time are a violation.
    violations: texts. seen: how many copies were ever seen at once. gaps(): times with no live copy, in seconds.
    """

    def __init__(self, marker, containers=(), interval=0.04):
        """containers: (Engine, name or ID) of each side; may be empty."""
        self.marker = marker.encode()
        self.containers = list(containers)
        self.interval = interval
        self.violations = []
        self.seen = 0
        self.samples = []  # (time, number of copies), one for every change
        self._ended = threading.Event()
        self._known = {}  # pid -> its PID namespace; that never changes
        self._certain = [[] for _ in self.containers]  # per side: (from, to) in which it ran for certain
        self._hosts = {os.readlink("/proc/self/ns/pid")}  # PID namespaces that are no container's
        for directory in pathlib.Path(STATE).glob("h[0-9]*"):
            try:
                self._hosts.add(os.readlink(f"/proc/{(directory / 'pid').read_text().strip()}/ns/pid"))
            except OSError:
                pass

    def __enter__(self):
        self._threads = [threading.Thread(target=self._scan_all, daemon=True)]
        self._threads += [threading.Thread(target=self._ask_all, args=(i,), daemon=True)
                          for i in range(len(self.containers))]
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, kind, value, traceback):
        self._ended.set()
        for t in self._threads:
            t.join()
        self._compare()
        if kind is None:
            self.check()

    def check(self):
        """Failed if anything was ever violated."""
        check(not self.violations, "two copies at one time:", "; ".join(self.violations[:5]))

    # -- processes

    def copies(self):
        """The live copies now: {PID namespace: one of its processes, as this machine sees it}."""
        now = {int(p) for p in os.listdir("/proc") if p.isdigit()}
        for pid in self._known.keys() - now:
            del self._known[pid]
        alive = {}
        for pid in sorted(now):
            space = self._known.get(pid)
            if space is None:
                try:
                    space = self._known[pid] = os.readlink(f"/proc/{pid}/ns/pid")
                except OSError:
                    continue
            if space not in self._hosts and space not in alive and self._is_copy(pid):
                alive[space] = pid
        return alive

    def _is_copy(self, pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if self.marker not in f.read():
                    return False
            with open(f"/proc/{pid}/stat", "rb") as f:
                return f.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X", b"T", b"t")
        except OSError:
            return False

    def _scan_all(self):
        last = None
        while not self._ended.is_set():
            n = len(self.copies())
            if n != last:
                self.samples.append((time.monotonic(), n))
                last = n
            if n > 1:
                # Not one look after the other: the first may have ended while the second began
                again = self.copies().keys() & self.copies().keys()
                if len(again) > 1:
                    self.seen = max(self.seen, len(again))
                    self.violations.append(f"processes of {self.marker.decode()} in {len(again)} containers")
            else:
                self.seen = max(self.seen, n)
            self._ended.wait(self.interval)

    # -- engines

    def _ask_all(self, i):
        engine, name = self.containers[i]
        before, since = None, 0
        while not self._ended.is_set():
            asked = time.monotonic()
            try:
                found = engine.inspect(name, timeout=20)
                state = found and found["State"]
                now = (found["Id"], state["Pid"], state["StartedAt"]) if state and state["Running"] else None
            except (OSError, ValueError, Failed, http.client.HTTPException):
                now = None
            if now and now == before and asked > since:
                self._certain[i].append((since, asked))
            before, since = now, time.monotonic()
            self._ended.wait(max(self.interval, 0.03))

    def _compare(self):
        for i, spans in enumerate(self._certain):
            for j in range(i):
                for a, b in spans:
                    others = self._certain[j]
                    at = bisect.bisect_left(others, (a, a))
                    for c, d in others[max(0, at - 1):at + 2]:
                        if max(a, c) < min(b, d):
                            self.violations.append(f"{self.containers[i][0]} and {self.containers[j][0]} both say running")
                            return

    def gaps(self):
        """Lengths of the times without a live copy, in seconds."""
        found = []
        for (t, n), (t2, _) in zip(self.samples, self.samples[1:]):
            if n == 0:
                found.append(t2 - t)
        return found


def process_of(marker):
    """A live process of a container by the marker in its command line; /proc/PID/root has the container's files."""
    found = until(lambda: Watcher(marker).copies(), 5, f"no container's process has {marker}")
    check(len(found) == 1, len(found), "containers have", marker)
    return next(iter(found.values()))


# ---- cases

OWN_FILES = {"podman": "/etc/containers/", "docker": "/etc/docker/"}  # which the other engine does not read


class Case:
    """A test: name, function of one Test, engine it needs (None: both of each of its hosts), time-out in seconds."""

    def __init__(self, name, function, engine, path, timeout):
        self.name, self.function, self.engine, self.path, self.timeout = name, function, engine, path, timeout


cases = []


def add_case(name, function, engine=None, path=None, timeout=120):
    """For generated cases. function(test)."""
    check(all(c.name != name for c in cases), "two cases called", name)
    cases.append(Case(name, function, engine, path, timeout))


def case(*paths, engine=None, timeout=120, hosts=False):
    """Decorator. With paths (keys of PATHS): one case for each, on that path's engine; without: one case. hosts: it takes whole hosts, not only an engine of them."""
    def register(function):
        name = function.__module__.replace("test_", "") + "/" + function.__name__.replace("_", "-")
        for path in paths:
            add_case(f"{name}/{path}", function, None if hosts else PATHS[path][0], path, timeout)
        if not paths:
            add_case(name, function, engine, None, timeout)
        return function
    return register


def discover(directory=HERE):
    sys.path[:0] = [str(HERE), str(directory)]
    sys.modules.setdefault("lab", sys.modules[__name__])
    for file in sorted(pathlib.Path(directory).glob("test_*.py")):
        importlib.import_module(file.stem)
    return cases


class Test:
    """What a case is given: two hosts with an engine each, names that are its own, and the moves between them."""

    def __init__(self, case_, hosts):
        self.case = case_
        self.hosts = [Host(h) for h in hosts]
        self.engine = case_.engine or (PATHS[case_.path][0] if case_.path else "podman")
        self.src, self.dst = (h.engine(self.engine) for h in self.hosts[:2])
        self.options = PATHS[case_.path][1] if case_.path else ()
        self.strategy = STRATEGIES.get(case_.path, "in-place")
        self.number = 1 + int(hosts[0][1:]) // 2 + (10 if self.engine == "docker" else 0)  # no other slot has it
        self.marker = f"{PREFIX}{os.getpid()}"  # for command lines: no other case of this machine has it
        self.ids = []  # of migrations whose traces must be gone in the end
        self.may_differ = []  # fields of inspect that this case's moves mean to change (inspect_diff.py)
        self._at_end = []
        self.before, self.images = {}, {}
        self.targets = {}  # migration: URI
        self.outcomes = {}  # of migrations

    def state_dir(self):
        """An empty directory, removed in the end: for several runs that share their state."""
        made = tempfile.mkdtemp(prefix="tranship-test-")
        self.at_end(shutil.rmtree, made, True)
        return made

    def engines(self):
        kinds = [self.case.engine] if self.case.engine else list(SOCKETS)
        return [h.engine(k) for h in self.hosts for k in kinds]

    def clean(self):
        for e in self.engines():
            e.clean()

    def at_end(self, function, *args):
        """Called when the case is over, last first."""
        self._at_end.append((function, args))

    def end(self):
        while self._at_end:
            function, args = self._at_end.pop()
            function(*args)

    def instead(self, host, path, text=None):
        """A file of the host has another text, or is away (None), until the case ends or what is returned is called.

        What others of the host read, too, belongs to cases that take whole hosts.
        """
        check(not self.case.engine or path.startswith(OWN_FILES[self.case.engine]), f"{path} is not this case's alone: hosts=True")
        kept, there = f"{path}.kept{len(self._at_end)}", []
        host.sh('mkdir -p "${1%/*}"; [ ! -e "$1" ] || mv "$1" "$2"; [ $# = 2 ] || { printf %s "$3" >"$1"; [ ! -e "$2" ] || chmod --reference="$2" "$1"; }',
                path, kept, *([] if text is None else [text]))

        def put_back():
            if not there:
                there.append(host.sh('rm -f "$1"; [ ! -e "$2" ] || mv "$2" "$1"', path, kept))
        self.at_end(put_back)
        return put_back

    def ip(self, last=0):
        """An address on the switch that no other case uses at the time; last: 0 to 4."""
        return f"10.77.0.{100 + 5 * self.number + last}"

    def port(self, last=0):
        return 18000 + 10 * self.number + last

    def begin(self, command, *args, src=None, dst=None, options=None, **kwargs):
        """Starts `tranship move|check --from SRC --to DST --json`."""
        src, dst = src or self.src, dst or self.dst
        before = [src.native(a) for a in args if command == "move" and NAME.fullmatch(a)] if src else []
        r = Tranship(command, "--json", "--from", src.uri if src else "", "--to", dst.uri,
                     *(self.options if options is None else options), *args, **kwargs)
        if before and "--dry-run" not in args:
            r.on_success = lambda: self.check_inspect(r, dst, [b for b in before if b])
        return r

    def check_inspect(self, r, dst, before):
        """What the target's engine says of the moved container is what the source's said of it."""
        moved = (r.report or {}).get("container") or {}
        for b in before:
            if b["Name"].lstrip("/") == moved.get("name"):
                after = dst.native(moved["target_id"])
                if after:  # a case may have removed it already
                    wrong = inspect_diff.unexpected(dst.kind, r.report["strategy"], b, after, self.may_differ)
                    check(not wrong, "inspect differs after the move:\n ", "\n  ".join(wrong))

    def move(self, *args, expect=0, timeout=120, **kwargs):
        """Moves to the end; Failed unless the exit status is `expect`. The finished Tranship."""
        statuses = expect if isinstance(expect, tuple) else (expect,)
        r = self.begin("move", *args, **kwargs).wait(timeout).expect(*statuses)
        if r.report and r.report.get("id") and r.status in (0, 3, 4):
            self.ids.append(r.report["id"])
        return r

    def look_for_traces(self):
        """What there was before the case is not its trace."""
        self.before = {h.name: traces(h) for h in self.hosts}
        self.images = {str(e): images(e) for e in self.engines()}

    def settled(self):
        """IDs of this case's migrations whose last run has ended them, and what the reports name as left over."""
        last, named = {}, []
        for r in runs:
            if r.status is None or r.args[:1] == ["status"]:
                continue
            if isinstance(r.report, dict):
                named += r.report.get("leftovers") or []
                self.outcomes[r.report.get("id")] = r.report.get("outcome")
            for i in {*ID.findall(r.stderr), *ID.findall(r.stdout)}:
                last[i] = r.status
                if r.args[0] == "move" and "--to" in r.args:
                    self.targets.setdefault(i, r.args[r.args.index("--to") + 1])
        return {i for i, status in last.items() if status in (0, 3, 4, 5)} | set(self.ids), \
            {i for i, status in last.items() if status not in (0, 3, 4, 5)}, " ".join(named)

    def images_left(self, engine, ended):
        """Images and names of images that a migration brought there and should have taken away again, and names that are ours whatever became of it."""
        new = images(engine) - self.images.get(str(engine), set())
        outcomes = {self.outcomes.get(i) if i in ended else None for i, to in self.targets.items() if to in (engine.uri, engine.local_uri)}
        only_failed = outcomes and outcomes <= {"rolled-back", "refused"} and str(engine) not in made_images
        return [f"{name} ({image[:19]})" for image, name in sorted(new) if only_failed or ID.search(name) or "tranship" in name]

    def check_no_traces(self):
        """Nothing of this case's migrations that have ended is left on the hosts but what their reports name."""
        ended, open_, named = self.settled()
        ended -= open_

        def left():
            found = {}
            for h in self.hosts:
                for what, where in sorted(traces(h) - self.before.get(h.name, set())):
                    ids = set(ID.findall(where))
                    if ids & open_ or where in named or (not ids and open_):
                        continue
                    if ids & ended or (not ids and ENGINE_OF.get(what) in (self.engine, None)):
                        found.setdefault(h.name, []).append(f"{what} {where}")
            for e in self.engines():
                for what in self.images_left(e, ended):
                    if what not in named:
                        found.setdefault(str(e), []).append("image " + what)
                for what, name, migration in labelled(e):
                    if self.outcomes.get(migration) == "rolled-back" and migration in ended and name not in named:
                        found.setdefault(str(e), []).append(f"{what} {name} of {migration}")
            return found
        end = time.monotonic() + 100  # an agent waits 90 s for who may make its connection anew; agents of another case come and go
        first = now = left()
        while now and time.monotonic() < end:
            time.sleep(0.5)
            now = {h: [x for x in there if x in first.get(h, ())] for h, there in left().items()}
            now = {h: there for h, there in now.items() if there}
        check(not now, "left:", now)


ID = re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{6}\b")
ENGINE_OF = {"unpacked images": "docker", "link of Docker": "docker", "link of Podman": "podman", "images of Docker": "docker", "images of Podman": "podman"}  # one case at a time has it
STORES = {"Podman": "/var/lib/containers/storage/overlay-containers", "Docker": "/var/lib/docker/containers"}


def processes(host):
    """Command lines of the host's own processes, not of its containers' (they have their own PID namespaces)."""
    space, found = os.readlink(f"/proc/{host.pid}/ns/pid"), {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") == space:
                found[int(pid)] = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            pass
    return found


def images(engine):
    """{(ID, name)} of all, and {(ID, "")}."""
    return {(i["Id"], name) for i in engine.get("/v1.41/images/json") for name in ["", *(i.get("RepoTags") or [])]}


def labelled(engine):
    """What carries tranship's label: (what, name, migration)."""
    everything = [("container", c["Names"][0].lstrip("/"), c) for c in engine.get("/v1.41/containers/json", all=True) if c.get("Names")]
    everything += [("volume", v["Name"], v) for v in engine.get("/v1.41/volumes").get("Volumes") or []]
    everything += [("network", n["Name"], n) for n in engine.get("/v1.41/networks")]
    return [(what, name, x["Labels"]["tranship.migration"]) for what, name, x in everything if "tranship.migration" in (x.get("Labels") or {})]


def below(top):
    """All that is in a directory, and in its own; others may remove some of it meanwhile."""
    for directory, *names in os.walk(top):
        for name in itertools.chain(*names):
            yield pathlib.Path(directory, name)


def traces(host):
    """Anything of tranship on a host: {(what, where)}."""
    found = set()
    for pid, line in processes(host).items():
        if ("/run/tranship/" in line or "/tranship/agent/" in line) and ID.search(line):  # the others end with those
            found.add(("process", f"{pid} {line[:200]}"))
    for top in ("/var/lib/tranship", "/run/tranship", "/dev/shm", "/var/tmp/tranship"):
        for path in below(host.path(top)):
            where = "/" + str(path).split("/root/", 1)[1]
            if ID.search(where):
                found.add(("file", where))
    for path in pathlib.Path(host.path("/tmp")).glob("ctrd-checkpoint*"):
        found.add(("unpacked images", "/tmp/" + path.name))
    for kind, top in STORES.items():
        for directory in pathlib.Path(host.path(top)).glob("*"):
            there = directory / "userdata" if kind == "Podman" else directory
            for name in ("checkpoint", "checkpoints", "pre-checkpoint"):
                if (there / name).is_symlink():
                    found.add((f"link of {kind}", f"{directory.name}/{name}"))
                elif any(path.match("pages-*.img") for path in below(there / name)):
                    found.add((f"images of {kind}", f"{directory.name}/{name}"))
    for kind, top in (("Podman", "/var/lib/containers/storage/volumes"), ("Docker", "/var/lib/docker/volumes")):
        for path in pathlib.Path(host.path(top)).glob("*/*.tranship-*"):
            found.add(("what a volume held", top + "/" + str(path).split("/volumes/", 1)[1]))
    for line in host.sh("nft list tables 2>/dev/null || :").splitlines():
        if "tranship" in line:
            found.add(("packet filter", line))
    mounts = pathlib.Path(f"/proc/{host.pid}/mountinfo").read_text(errors="replace")
    found |= {("mount", line.split()[4]) for line in mounts.splitlines() if "criu-root" in line or ID.search(line.split()[4])}
    return found


def claim(hosts, engine):
    """Descriptors that lock the engines of these hosts against other test processes; None when one is taken."""
    held = []
    for host in hosts:
        for kind in [engine] if engine else sorted(SOCKETS):
            fd = os.open(f"{STATE}/claim-{host}-{kind}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            held.append(fd)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                release(held)
                return None
    return held


def release(held):
    for fd in held:
        os.close(fd)
