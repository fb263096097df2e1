"""Options of `podman run` and `docker run`, one by one: what each does is a row here and a row in docs/compatibility.md.

A row is (name, engines, options, expected). Expected is "moves", "warning CODE" or "refused CODE [CODE…]"; a container that counts is started with the options, `check` must say what is expected, and so
must `move`. What moves is compared with what the engine said of it before, field by field, and counts on. Options without an effect on a running container (--pull, --rm and the like) share one container.
"""

import re

import lab
from lab import check, same, until

COUNTER = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"
BOTH, PODMAN, DOCKER = ("podman", "docker"), ("podman",), ("docker",)

HARMLESS = """--label a=b --label-file /tmp/it-labels --env A=B --env-file /tmp/it-env --hostname it-host --workdir /srv --ulimit nofile=200:300
--cap-add SYS_PTRACE --cap-drop NET_RAW --sysctl net.ipv4.ip_unprivileged_port_start=80 --tmpfs /scratch:size=1m --device /dev/null:/dev/nothing --dns 10.77.0.254 --dns-search example.test --dns-option ndots:2
--add-host other:10.77.0.9 --stop-signal SIGINT --stop-timeout 3 --group-add 7 --security-opt no-new-privileges --shm-size 8m --oom-score-adj 100
--expose 4444 --cidfile /tmp/it-cid --quiet --pull missing --detach-keys ctrl-x --read-only --interactive""".split()

ROWS = [
    # name, engines, options, what is expected
    ("harmless", BOTH, HARMLESS, "moves"),
]


def plain(value, path=""):
    """The leaves of an inspect answer: {path: value}."""
    if isinstance(value, dict):
        return {k: v for key, one in value.items() for k, v in plain(one, f"{path}.{key}" if path else key).items()}
    return {path: sorted(map(str, value)) if isinstance(value, list) else value}


# What must differ: paths of inspect, as regular expressions
EXPECTED = {
    "podman": r"Created|State\..*|GraphDriver\..*|.*(SandboxKey|SandboxID|NetworkID|EndpointID)|(Static|Conmon|Pid|OCIConfig|Resolv|Hosts|Hostname|Log|ShmDir|Attach).*Path|.*PidFile|StaticDir|"
              r"ExecIDs|SizeRw.*|HostConfig\.LogConfig\.Path|RestartCount",
    "docker": r"Id|Created|State\..*|GraphDriver\..*|.*(SandboxKey|SandboxID|NetworkID|EndpointID|DNSNames|Aliases)|(Resolv|Hosts|Hostname|Log).*Path|ExecIDs|SizeRw.*|HostConfig\.ContainerIDFile|"
              r"HostConfig\.(Binds|AutoRemove)|Mounts|Config\.Labels\.tranship.*",
}


def told(engine, name):
    return {k: v for k, v in plain(engine.native(name)).items() if v not in (None, "", [], 0, False) and not re.fullmatch(EXPECTED[engine.kind], k)}


def compare(before, after):
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
    return {f["code"] for f in r.report.get("findings") or [] if bool(f.get("warning")) == warnings}


def run_row(t, options, expected, words=()):
    name, word, *wanted = "it-option", *expected.split()
    options = [o.replace("@IP@", t.ip()).replace("@PORT@", str(t.port())) for o in options]
    t.src.host.sh("echo L=1 > /tmp/it-labels; echo E=1 > /tmp/it-env; rm -f /tmp/it-cid")
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
    same("codes of check and of move", checked.codes, r.codes)
    same(f"{name} on {t.src}", "absent", t.src.state(name))
    compare(before, told(t.dst, name))
    counts_on(t.dst, name, t)
    return r


def register(name, engine, options, expected, words=()):
    lab.add_case(f"options/{name}/{engine}", lambda t: run_row(t, options, expected, words), engine)


for name_, engines_, options_, expected_ in ROWS:
    for engine_ in engines_:
        register(name_, engine_, options_, expected_)
