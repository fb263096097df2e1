"""Options of `podman run` and `docker run`, one by one: what each does is a row here and a row in docs/compatibility.md.

A row is (name, engines, options, expected). Expected is "moves", "warning CODE" or "refused CODE [CODE…]"; a container that counts is started with the options, `check` must say what is expected, and so
must `move`. What moves is what the engine said of it before, field by field (lab.Test.check_inspect), counts on, and can be stopped and started again there. Options without an effect on a running container (--pull, --rm and the like) share one container.
"""

import re

import lab
from lab import check, same, until

COUNTER = "trap 'exit 0' TERM INT; i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"
BOTH, PODMAN, DOCKER = ("podman", "docker"), ("podman",), ("docker",)

LOGS = "k8s-file or json-file"  # each engine's own
HARMLESS = """--label a=b --label-file /tmp/it-labels --env A=B --env-file /tmp/it-env --hostname it-host --workdir /srv --ulimit nofile=200:300 --ulimit core=0 --cap-add SYS_PTRACE --cap-drop NET_RAW
--sysctl net.ipv4.ip_unprivileged_port_start=80 --tmpfs /scratch:size=1m --dns 10.77.0.254 --dns-search example.test --dns-option ndots:2 --add-host other:10.77.0.9 --stop-signal SIGINT --stop-timeout 3
--group-add 7 --security-opt no-new-privileges --shm-size 8m --oom-score-adj 100 --expose 4444 --cidfile /tmp/it-cid --quiet --pull missing --detach-keys ctrl-x --sig-proxy=false --platform linux/amd64
--disable-content-trust --annotation a.b=c""".split()
PODMAN_ONLY = """--replace --tz UTC --umask 0027 --unsetenv FOO --env-merge E=${PATH}x --http-proxy=false --sdnotify ignore --conmon-pidfile /tmp/it-conmon --pidfile /tmp/it-pid --no-hosts
--passwd=false --tls-verify=false --retry 1 --retry-delay 1s --arch amd64 --os linux --image-volume ignore --systemd=false --rmi=false --read-only-tmpfs=false --label l=1 --no-hostname
--timeout 86400 --seccomp-policy default --health-cmd true --health-interval 1h --health-retries 4 --health-start-period 1h --health-timeout 9s --health-on-failure none
--health-startup-cmd true --health-startup-interval 1h --health-startup-retries 2 --health-startup-success 1 --health-startup-timeout 8s --health-log-destination local --health-max-log-count 3 --health-max-log-size 400
--security-opt mask=/proc/kcore --security-opt unmask=/proc/acpi --security-opt seccomp=unconfined""".split()
DOCKER_ONLY = """--domainname example.test --health-cmd true --health-interval 1h --health-retries 4 --health-start-period 1h --health-timeout 9s --isolation default --runtime runc --security-opt seccomp=unconfined
--cgroupns private --volume-driver local""".split()

SECURITY = "--security-opt apparmor=unconfined --security-opt label=disable --security-opt seccomp=/tmp/it-seccomp.json".split()
HEALTH = "--health-cmd true --health-interval 1s".split()
CGROUPS = "--memory-swappiness 10 --cgroup-parent /it-parent --kernel-memory 64m --oom-kill-disable".split()
PODMAN_CGROUPS = "--cgroups no-conmon --cgroup-conf hugetlb.2MB.max=1073741824 --cpu-rt-period 1000000 --cpu-rt-runtime 1000 --rdt-class it --blkio-weight-device /dev/null:300".split()
# Where the kernel has no such controller, Docker takes all of them and tells itself that it set none (tests/integration/test_limits.py has them with one)
DOCKER_CGROUPS = """--memory 64m --memory-swap 128m --memory-reservation 32m --cpu-shares 512 --cpuset-cpus 0 --cpuset-mems 0 --cpu-period 50000 --cpu-quota 25000 --blkio-weight 300 --pids-limit 100
--blkio-weight-device /dev/null:300 --device-read-bps /dev/null:1mb --device-write-bps /dev/null:1mb --device-read-iops /dev/null:100 --device-write-iops /dev/null:100""".split()
PODMAN_MOUNTS = """--volume /etc:/i:ro,idmap=uids=0-1-10#10-11-10;gids=0-3-10 --volume it-im:/j:idmap=uids=0-1-10#10-11-10;gids=0-3-10 --mount type=glob,src=/etc/host*,dst=/g,ro
--mount type=tmpfs,dst=/t,noswap --mount type=tmpfs,dst=/u,notmpcopyup --mount type=bind,src=/etc,dst=/y,readonly,bind-propagation=rprivate --image-volume tmpfs --hosts-file none""".split()
DOCKER_MOUNTS = """--volume-driver local --volume it-vd:/vd --mount type=bind,src=/etc,dst=/y,readonly,bind-propagation=rprivate
--mount type=bind,src=/etc,dst=/z,readonly,bind-recursive=readonly,bind-propagation=rprivate""".split()
PODMAN_NETWORKS = "--network it-net:ip6=fd00:79:@N@::9 --network it-net2 --publish-all --expose 8080 --publish 127.0.0.1::80".split()
DOCKER_NETWORKS = "--network name=it-net,ip6=fd00:79:@N@::9,link-local-ip=169.254.7.7 --network it-net2 --publish-all --expose 8080 --publish 127.0.0.1::80".split()
NAMESPACES = "--uts ns:/proc/1/ns/uts --pid private --cgroupns private --ipc private --network private".split()

# A test machine's root may lack what a real host's has: CRIU cannot read the limits of another user's process then
LIMITS = "limits-hidden"
HIDDEN = not re.search("^CapEff:.*[13579bdf]......$", open("/proc/self/status").read(), re.M)

ROWS = [
    # name, engines, options, what is expected
    ("harmless", BOTH, HARMLESS, "moves"),
    ("podman-only", PODMAN, PODMAN_ONLY, "moves"),
    ("docker-only", DOCKER, DOCKER_ONLY, "moves"),
    ("terminal", BOTH, ["--tty", "--interactive", "--user", "0:0", "--read-only"], "moves"),
    ("user", BOTH, ["--user", "7:8"], f"refused {LIMITS}" if HIDDEN else "moves"),
    ("entrypoint", BOTH, ["--entrypoint", "", "--no-healthcheck", "--log-driver", LOGS, "--log-opt", "max-size=1m"], "moves"),
    ("uts-cgroup-host", BOTH, ["--uts", "host", "--cgroupns", "host"], "moves"),
    ("network-host", BOTH, ["--network", "host"], "moves"),
    ("userns-host", BOTH, ["--userns", "host"], "moves"),
    ("pid-host", BOTH, ["--pid", "host"], "refused pid-host"),
    ("privileged", BOTH, ["--privileged"], "warning privileged"),
    ("device", BOTH, ["--device", "/dev/null:/dev/nothing", "--device-cgroup-rule", "c 1:3 rw"], "warning devices"),
    ("rm", BOTH, ["--rm"], "refused auto-remove"),
    ("restart", BOTH, ["--restart", "always"], "moves"),
    ("restart-count", BOTH, ["--restart", "on-failure:3"], "moves"),
    ("pod", PODMAN, ["--pod", "it-pod"], "refused pod"),
    ("requires", PODMAN, ["--requires", "it-needed"], "refused dependency"),
    ("volumes-from", DOCKER, ["--volumes-from", "it-needed"], "refused dependency"),
    ("volumes-from", PODMAN, ["--volumes-from", "it-needed"], "refused volume-busy"),  # it forgets where they came from
    ("network-container", BOTH, ["--network", "container:it-needed"], "refused dependency"),
    ("link", DOCKER, ["--link", "it-needed:other"], "refused dependency"),
    ("mounts", BOTH, ["--mount", "type=volume,src=it-a,dst=/a", "--mount", "type=tmpfs,dst=/b,tmpfs-size=1m", "--volume", "it-c:/c:ro", "--volume", "/d", "--volume", "/etc/hosts:/e:ro"], "moves"),
    ("bind", BOTH, ["--volume", "/srv/it-option:/d"], "refused bind-undecided"),
    ("volume-options", PODMAN, ["--volume", "it-u:/u:U,noexec,nosuid,Z", "--mount", "type=volume,dst=/v", "--shm-size-systemd", "1m"], "moves"),
    ("subpath", DOCKER, ["--mount", "type=volume,src=it-sub,dst=/d,volume-subpath=sub"], "moves"),
    ("addresses", BOTH, ["--network", "it-net", "--ip", "10.79.@N@.9", "--mac-address", "02:00:00:00:79:09", "--network-alias", "other", "--publish", "@PORT@:80"], "moves"),
    ("supervisor", BOTH, ["--label", "com.docker.compose.project=it"], "refused supervisor"),
    ("env-host", PODMAN, ["--env-host", "--group-entry", "it:x:77:", "--passwd-entry", "it:x:77:77::/:/bin/sh", "--hostuser", "root", "--chrootdirs", "/etc", "--preserve-fds", "0"], "moves"),
    ("personality", PODMAN, ["--personality", "LINUX"], "moves"),
    ("security", BOTH, SECURITY, "moves"),
    ("security-podman", PODMAN, ["--security-opt", "label=type:x_t", "--security-opt", "proc-opts=hidepid=2", "--security-opt", "unmask=ALL"], "moves"),
    ("security-docker", DOCKER, ["--security-opt", "label=type:x_t", "--security-opt", "systempaths=unconfined"], "moves"),
    ("health", PODMAN, [*HEALTH, "--health-on-failure", "kill"], "moves"),
    ("health", DOCKER, [*HEALTH, "--health-start-interval", "1h"], "moves"),
    ("cgroups", PODMAN, [*CGROUPS, *PODMAN_CGROUPS], "moves"),
    ("cgroups", DOCKER, [*CGROUPS, *DOCKER_CGROUPS], "moves"),
    ("cgroups-split", PODMAN, ["--cgroups=split"], "moves"),
    ("podman-mounts", PODMAN, PODMAN_MOUNTS, "moves"),
    ("docker-mounts", DOCKER, DOCKER_MOUNTS, "moves"),
    ("networks", PODMAN, PODMAN_NETWORKS, "moves"),
    ("networks", DOCKER, DOCKER_NETWORKS, "moves"),
    ("namespaces", PODMAN, NAMESPACES, "moves"),
    ("join-uts", PODMAN, ["--uts", "container:it-needed"], "refused dependency"),
    ("join-pid", BOTH, ["--pid", "container:it-needed"], "refused dependency"),
    ("join-cgroup", PODMAN, ["--cgroupns", "container:it-needed"], "refused dependency"),
    ("join-user", PODMAN, ["--userns", "container:it-needed"], "refused dependency"),
    ("log-none", BOTH, ["--log-driver", "none"], "moves"),
    ("log-local", DOCKER, ["--log-driver", "local"], "moves"),
    ("log-journald", PODMAN, ["--log-driver", "journald"], "warning log-driver"),
    ("log-passthrough", PODMAN, ["--log-driver", "passthrough"], "warning log-driver"),
    ("sdnotify", PODMAN, ["--sdnotify", "container", "--systemd", "always", "--stop-timeout", "1", "--group-add", "keep-groups", "--decryption-key", "/tmp/it-env", "--attach", "stdout"], "moves"),
    ("sdnotify-conmon", PODMAN, ["--sdnotify", "conmon"], "moves"),
    ("runtime", DOCKER, ["--runtime", "io.containerd.runc.v2"], "moves"),
    ("pids-unlimited", DOCKER, ["--pids-limit", "-1"], "moves"),
    ("attach", BOTH, ["--attach", "stdout"], "moves"),
    ("device-directory", BOTH, ["--device", "/dev/net"], "warning devices"),
    ("idmap", PODMAN, ["--uidmap", "0:100000:1000", "--volume", "/etc:/d:ro,idmap"], "refused userns"),
]
COLD = ("harmless", "podman-only", "docker-only", "mounts", "addresses", "restart", "security", "security-podman", "security-docker", "health", "cgroups", "cgroups-split", "podman-mounts",
        "docker-mounts", "networks", "namespaces", "log-none", "sdnotify", "uts-cgroup-host", "entrypoint", "terminal", "env-host", "personality", "volume-options")


def numbers(text):
    return [int(line) for line in text.split() if line.isdigit()]


def silent(options):
    """The engine has no log to read: what it counts is in a file of its own."""
    return any(o in ("none", "journald", "passthrough") for o in options)


class Counter:
    """A container that counts, in its log or, where it has none, in a file."""

    def __init__(self, name, options):
        self.name, self.silent = name, silent(options)
        self.command = COUNTER if not self.silent else "trap 'exit 0' TERM INT; i=0; while :; do echo $i >> /n; i=$((i+1)); sleep 0.1; done"

    def numbers(self, engine):
        return numbers(engine.exec(self.name, "cat /n") if self.silent else engine.logs(self.name))

    def start(self, t, options):
        last = ("sh", "-c", self.command, t.marker)
        if "--attach" in options:  # which cannot be had in the background
            t.src.need_image("counter")
            t.src.cli("create", "--name", self.name, *options, "counter", *last)
            t.src.cli("start", self.name)
        elif "passthrough" in options:  # it keeps what it was given
            t.src.need_image("counter")
            t.src.host.sh('exec "$@" </dev/null >/dev/null 2>&1', "podman", "run", "--detach", "--name", self.name, *options, "counter", *last)
        else:
            t.src.start(self.name, *options, cmd=last)
        until(lambda: len(self.numbers(t.src)) >= 2, 20, "it counts")

    def counts_on(self, engine, gapless=True):
        start = len(self.numbers(engine))
        until(lambda: len(self.numbers(engine)) >= start + 3, 20, f"{self.name} on {engine} counts on")
        found = self.numbers(engine)
        if gapless:
            same("the numbers", list(range(len(found))), found)


def codes(r, warnings):
    return {f["code"] for f in r.report.get("findings") or [] if (f["severity"] == "warning") == warnings}


def prepare(t, options):
    """What options name must be there."""
    for host in t.hosts:
        host.sh("""echo L=1 > /tmp/it-labels; echo E=1 > /tmp/it-env; rm -f /tmp/it-cid /tmp/it-pid /tmp/it-conmon; mkdir -p /srv/it-option; echo '{"defaultAction": "SCMP_ACT_ALLOW"}' > /tmp/it-seccomp.json""")
    if "it-needed" in options:
        t.src.start("it-needed", "--volume", "/shared", *(["--uidmap", "0:100000:1000"] if "--userns" in options else []), cmd=("sleep", "10000"))
    if "it-net" in options:
        t.src.cli("network", "create", "--subnet", f"10.79.{t.number}.0/24", *(["--ipv6", "--subnet", f"fd00:79:{t.number}::/64"] if "fd00:79" in options else []), "it-net")
    if "it-net2" in options:
        t.src.cli("network", "create", "--subnet", f"10.78.{t.number}.0/24", "it-net2")
    if "it-pod" in options:
        t.src.cli("pod", "create", "--infra=false", "--name", "it-pod")
        t.at_end(t.src.cli, "pod", "rm", "--force", "--time", "0", "it-pod")
    if "it-sub" in options:
        t.src.cli("volume", "create", "it-sub")
        t.hosts[0].sh('mkdir -p "$1/sub"', t.src.get("/v1.41/volumes/it-sub")["Mountpoint"])


def run_row(t, options, expected, words=()):
    name, word, *wanted = "it-option", *expected.split()
    logs = "k8s-file" if t.engine == "podman" else "json-file"
    options = [logs if o == LOGS else o.replace("@PORT@", str(t.port())).replace("@N@", str(t.number)) for o in options]
    prepare(t, " ".join(options))
    counter, cold = Counter(name, options), "--cold" in words
    if "--cgroups=split" in options:
        t.may_differ = [r"\.State\.CgroupPath"]  # below the group of whoever starts it
    counter.start(t, options)
    checked = t.begin("check", *words, name).wait()
    if word == "refused":
        same("exit status of check", 3, checked.status)
        check(set(wanted) <= codes(checked, False), "check found", checked.codes, checked.tail())
        r = t.move(*words, name, expect=3)
        same("codes of check and of move", codes(checked, False), codes(r, False))
        for f in r.report["findings"]:  # as the user wrote it, which is never an ID
            check(not re.search("[0-9a-f]{64}", f["message"] + (f["hint"] or "")), f["message"], f["hint"])
            check("it-needed" not in " ".join(options) or "it-needed" in f["message"] or f["code"] not in wanted, "the other one is not named:", f["message"])
        counter.counts_on(t.src)
        same(f"{name} on {t.dst}", "absent", t.dst.state(name))
        return r
    same("exit status of check", 0, checked.status)
    check(set(wanted) <= codes(checked, True), "check warned of", codes(checked, True))
    r = t.move(*words, name)
    told(r, wanted, skipped=False)
    same(f"{name} on {t.src}", "absent", t.src.state(name))
    counter.counts_on(t.dst, not cold)
    t.dst.host.sh('exec "$@" </dev/null >/dev/null 2>&1', t.engine, "restart", "--time", "0", name)  # it is the container it was, not only its processes
    counter.counts_on(t.dst, False)
    return r


def told(r, wanted, skipped):
    """Who moves hears it, and can read it afterwards."""
    found = {f["code"]: f for f in r.report.get("findings") or []}
    for code in wanted:
        same(f"{code} in the report is skipped", skipped, found.get(code, {}).get("skipped"))
        check(code + (" (skipped, as asked): " if skipped else ": ") in r.stderr, code, "is not told:", r.tail())


def skipped(t):
    """What the user skips is not silent."""
    counter = Counter("it-option", [])
    counter.start(t, ["--label", "com.docker.compose.project=it"])
    told(t.move("--skip", "supervisor", "it-option"), ["supervisor"], skipped=True)
    counter.counts_on(t.dst)


for engine_ in BOTH:
    lab.add_case(f"options/skipped/{engine_}", skipped, engine_, timeout=240)


def preserve_fds(t):
    """A file of the host that Podman passes in."""
    t.src.need_image("counter")
    t.src.host.sh('exec 3</etc/hosts; exec "$@" </dev/null', "podman", "run", "--detach", "--name", "it-option", "--preserve-fds", "1", "counter", "sh", "-c", COUNTER, t.marker)
    for command in ("check", "move"):
        said = {f["code"]: f["message"] for f in t.begin(command, "it-option").wait().expect(3).report["findings"]}
        check("'/etc/hosts' open" in said.get("outside-file", ""), command, "says", said)
    r = t.move("--cold", "it-option")
    check(any("--preserve-fds" in w for w in r.report["warnings"]), r.report["warnings"])
    same("state there", "running", t.dst.state("it-option"))


lab.add_case("options/preserve-fds/podman", preserve_fds, "podman", timeout=300)


def register(name, engine, options, expected, words=()):
    lab.add_case(f"options/{name}/{engine}", lambda t: run_row(t, options, expected, words), engine, timeout=240)


for engine_ in BOTH:
    register("user-cold", engine_, ["--user", "7:8"], "moves", ("--cold",))
for name_, engines_, options_, expected_ in ROWS:
    for engine_ in engines_:
        register(name_, engine_, options_, expected_)
        if name_ in COLD:
            register(name_ + "-cold", engine_, options_, expected_, ("--cold",))
