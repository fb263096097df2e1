"""Options of `podman run` and `docker run`, one by one: what each does is a row here and a row in docs/compatibility.md.

A row is (name, engines, options, expected). Expected is "moves", "warning CODE" or "refused CODE [CODE…]"; a container that counts is started with the options, `check` must say what is expected, and so
must `move`. What moves is compared with what the engine said of it before, field by field, and counts on. Options without an effect on a running container (--pull, --rm and the like) share one container.
"""

import re

import lab
from lab import check, same, until

COUNTER = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"
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

ROWS = [
    # name, engines, options, what is expected
    ("harmless", BOTH, HARMLESS, "moves"),
    ("podman-only", PODMAN, PODMAN_ONLY, "moves"),
    ("docker-only", DOCKER, DOCKER_ONLY, "moves"),
    ("terminal", BOTH, ["--tty", "--interactive", "--user", "0:0", "--read-only"], "moves"),
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
]


def plain(value, path=""):
    """The leaves of an inspect answer: {path: value}."""
    if isinstance(value, dict):
        return {k: v for key, one in value.items() for k, v in plain(one, f"{path}.{key}" if path else key).items()}
    return {path: sorted(map(str, value)) if isinstance(value, list) else value}


# What must differ: paths of inspect, as regular expressions
EXPECTED = {
    "podman": r"Created|State\..*|GraphDriver\..*|.*(SandboxKey|SandboxID|NetworkID|EndpointID)|(Static|Conmon|Pid|OCIConfig|Resolv|Hosts|Hostname|Log|ShmDir|Attach).*Path|.*PidFile|StaticDir|"
              r"ExecIDs|SizeRw.*|HostConfig\.LogConfig\.Path|RestartCount|lockNumber",
    "docker": r"Id|Created|State\..*|GraphDriver\..*|.*(SandboxKey|SandboxID|NetworkID|EndpointID|DNSNames|Aliases)|(Resolv|Hosts|Hostname|Log).*Path|ExecIDs|SizeRw.*|HostConfig\.ContainerIDFile|"
              r"HostConfig\.(Binds|Mounts|AutoRemove|Isolation)|Config\.Labels\.tranship.*",
}


def told(engine, name):
    native = engine.native(name)
    # How they were asked for is another thing on Docker: by their names, and not to be filled from the image
    native["Mounts"] = [{k: m.get(k) for k in ("Type", "Name", "Destination", "RW", "Propagation")} for m in native.get("Mounts") or []]
    return {k: v for k, v in plain(native).items() if v not in (None, "", [], 0, False) and not re.fullmatch(EXPECTED[engine.kind], k)}


def compare(before, after):
    if re.fullmatch("[0-9a-f]{12}", before.get("Config.Hostname") or ""):  # Docker's own for --uts host: the short ID
        before["Config.Hostname"] = after.get("Config.Hostname")
    wrong = [f"{k}: {before.get(k)!r} → {after.get(k)!r}" for k in sorted(before.keys() | after.keys()) if before.get(k) != after.get(k)]
    check(not wrong, "inspect differs:\n ", "\n  ".join(wrong[:30]))


def numbers(text):
    return [int(line) for line in text.split() if line.isdigit()]


def counts_on(engine, name, t):
    start = len(numbers(engine.logs(name)))
    until(lambda: len(numbers(engine.logs(name))) >= start + 3, 20, f"{name} on {engine} counts on")
    found = numbers(engine.logs(name))
    same("the numbers", list(range(len(found))), found)


def codes(r, warnings):
    return {f["code"] for f in r.report.get("findings") or [] if (f["severity"] == "warning") == warnings}


def prepare(t, options):
    """What options name must be there."""
    t.src.host.sh("echo L=1 > /tmp/it-labels; echo E=1 > /tmp/it-env; rm -f /tmp/it-cid /tmp/it-pid /tmp/it-conmon; mkdir -p /srv/it-option")
    if "it-needed" in options:
        t.src.start("it-needed", "--volume", "/shared", cmd=("sleep", "10000"))
    if "it-net" in options:
        t.src.cli("network", "create", "--subnet", f"10.79.{t.number}.0/24", "it-net")
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
    t.src.start(name, *options, cmd=("sh", "-c", COUNTER, t.marker))
    until(lambda: len(numbers(t.src.logs(name))) >= 2, 20, "it counts")
    before = told(t.src, name)
    checked = t.begin("check", *words, name).wait()
    if word == "refused":
        same("exit status of check", 3, checked.status)
        check(set(wanted) <= codes(checked, False), "check found", checked.codes, checked.tail())
        r = t.move(*words, name, expect=3)
        same("codes of check and of move", codes(checked, False), codes(r, False))
        counts_on(t.src, name, t)
        same(f"{name} on {t.dst}", "absent", t.dst.state(name))
        return r
    same("exit status of check", 0, checked.status)
    check(set(wanted) <= codes(checked, True), "check warned of", codes(checked, True))
    r = t.move(*words, name)
    same(f"{name} on {t.src}", "absent", t.src.state(name))
    compare(before, told(t.dst, name))
    counts_on(t.dst, name, t)
    return r


def register(name, engine, options, expected, words=()):
    lab.add_case(f"options/{name}/{engine}", lambda t: run_row(t, options, expected, words), engine)


for name_, engines_, options_, expected_ in ROWS:
    for engine_ in engines_:
        register(name_, engine_, options_, expected_)
