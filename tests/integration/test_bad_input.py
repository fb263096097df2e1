"""Wrong words and containers that must not move: the documented exit status, a sentence, and nothing changed on either engine."""

import os
import pathlib
import subprocess

import lab
from lab import case, check, same, until

FAILED, USAGE, REFUSED = 1, 2, 3


def unchanged(t, function):
    """Runs it; afterwards both engines must look as before."""
    before = t.src.snapshot(), t.dst.snapshot()
    function()
    for side, was, now in zip(("source", "target"), before, (t.src.snapshot(), t.dst.snapshot())):
        same(f"the {side}", was, now)


def complains(run, status, *words):
    run.wait()
    same(f"exit status of {run.args}", status, run.status)
    check("error: " in run.stderr, "it said nothing:", repr(run.stderr))
    for word in words:
        check(word.lower() in run.stderr.lower(), f"'{word}' is missing in:", run.stderr)
    check("Traceback" not in run.stderr and len(run.stderr) < 10000, run.stderr[:1000])


def pause(t, name, *options):
    t.src.start(name, *options, cmd=("sleep", "10000"))
    return name


@case(engine="podman")
def addresses(t):
    """Malformed or missing ENGINE: exit 2, before anything is asked."""
    name = pause(t, "it-paused")

    def runs():
        for bad in ("ssh://", "ssh:///run/podman/podman.sock", "ssh://h1:0/x.sock", "ssh://h1:99999/x.sock", "ssh://h1:port/x.sock", "unix://", "unix://relative/path",
                    "ftp://h1/x", "http://h1", "ssh://h1/x.sock?a=b#c", "ssh://-oProxyCommand=x/x.sock", "ssh://h1 h2/x.sock", "ssh://h1/x\n.sock", "podman:", "docker:",
                    "no-such-connection", "podman:no-such-connection", "docker:no-such-context", "ssh://user:@@h1/x", "x" * 5000, "\xff\xfe"):
            for side in ("--from", "--to"):
                args = {"--from": t.src.uri, "--to": t.dst.uri, side: bad}
                complains(lab.Tranship("move", *[w for pair in args.items() for w in pair], name), USAGE)
        complains(lab.Tranship("move", "--from", t.src.uri, name), USAGE, "--to")
        complains(lab.Tranship("move", "--from", t.src.uri, "--to", t.dst.uri), USAGE, "container")
        complains(lab.Tranship("move", "--from", t.src.uri, "--to", t.dst.uri, "a", "b"), USAGE, "one container")
        complains(lab.Tranship("move", "--from", t.src.uri, "--to", t.dst.uri, "--no-such-option", name), USAGE, "no-such-option")
        complains(lab.Tranship("move", "--from", t.src.uri, "--to", t.dst.uri, "--transfer", "pigeon", name), USAGE, "pigeon")
        complains(lab.Tranship("mvoe"), USAGE, "did you mean 'move'")
        for option, value in (("--volume", "it-v"), ("--volume", "it-v=perhaps"), ("--volume", "it-nobodys=replace"), ("--bind", "relative=copy"), ("--bind", "/nobodys=copy"),
                              ("--skip", "no-such-code"), ("--skip", "same-engine"), ("--probe", "gopher://x"), ("--verify", "tcp://nowhere"),
                              ("--verify-timeout", "soon"), ("--report", "/no/such/directory/file")):
            complains(lab.Tranship("move", "--from", t.src.uri, "--to", t.dst.uri, option, value, name), USAGE)

    unchanged(t, runs)


@case(engine="podman")
def nobody_there(t):
    """Hosts and engines that do not answer: refused, in bounded time."""
    name = pause(t, "it-paused")

    def runs():
        for bad, words in ((f"ssh://{t.hosts[1].name}/run/no-such.sock", ["no-such.sock"]), ("ssh://10.77.0.250/run/podman/podman.sock", ["10.77.0.250"]),
                           (f"ssh://{t.hosts[1].name}:2/run/podman/podman.sock", [])):
            complains(lab.Tranship("move", "--connect-timeout", "3s", "--from", t.src.uri, "--to", bad, name), REFUSED, *words)
        complains(lab.Tranship("move", "--from", "unix:///no/such.sock", "--to", t.dst.uri, name), REFUSED, "/no/such.sock")
        complains(t.begin("move", name, dst=t.src), REFUSED, "same")
        complains(lab.Tranship("move", "--from", t.src.uri, "--to", t.hosts[1].engine("docker").uri, name), REFUSED)

    unchanged(t, runs)


@case(engine="podman")
def host_keys(t):
    """A wrong host key and an unknown host: refused, whatever is asked for with --accept-new for the wrong one."""
    name = pause(t, "it-paused")
    state = t.state_dir()
    known = pathlib.Path(lab.STATE, "ssh/known_hosts").read_text().splitlines()
    target = t.hosts[1]
    other = [line for line in known if not line.startswith(target.address + ",")]
    wrong = [line.replace(t.hosts[0].address + "," + t.hosts[0].name, target.address + "," + target.name)
             for line in known if line.startswith(t.hosts[0].address + ",")]
    config = pathlib.Path(lab.STATE, "ssh/config").read_text().replace(lab.STATE + "/ssh/known_hosts", state + "/known")
    pathlib.Path(state, "config").write_text(config)
    args = ("move", "--ssh-config", state + "/config", "--from", t.src.uri, "--to", t.dst.uri)

    def runs():
        pathlib.Path(state, "known").write_text("\n".join(other + wrong) + "\n")
        for extra in ((), ("--accept-new",)):
            complains(lab.Tranship(*args, *extra, name, ssh_config=False), REFUSED, "key", target.name)
        same("known hosts", other + wrong, pathlib.Path(state, "known").read_text().splitlines())
        pathlib.Path(state, "known").write_text("\n".join(other) + "\n")
        complains(lab.Tranship(*args, name, ssh_config=False), REFUSED, "key", target.name)
        same("known hosts", other, pathlib.Path(state, "known").read_text().splitlines())

    unchanged(t, runs)


@case("podman", "docker")
def containers(t):
    """Unknown, not running, --rm, needed by others, paused, needing another: refused, each with its code."""
    t.src.need_image("counter")
    t.src.cli("create", "--name", "it-never-started", "counter")
    pause(t, "it-rm", "--rm")
    pause(t, "it-needed")
    pause(t, "it-dependent", "--network", "container:it-needed")
    pause(t, "it-stopped", "--stop-timeout", "0", "--init=false")
    t.src.cli("kill", "it-stopped")
    until(lambda: t.src.state("it-stopped") == "exited", 10, "it is stopped")
    pause(t, "it-frozen")
    frozen = t.src.cli("pause", "it-frozen", check_status=False)

    def runs():
        complains(t.begin("move", "it-unknown"), REFUSED, "it-unknown")
        complains(t.begin("move", "../../etc"), USAGE)
        for name, code in (("it-never-started", "not-running"), ("it-stopped", "not-running"), ("it-rm", "auto-remove"), ("it-needed", "dependents"),
                           ("it-dependent", "dependency")):
            r = t.begin("move", name)
            complains(r, REFUSED, name)
            check(code in r.codes, code, "is not among", r.codes)
            same("outcome", "refused", r.report["outcome"])
        if frozen:
            r = t.begin("move", "it-frozen")
            complains(r, REFUSED)
            check("paused" in r.codes, r.codes)

    unchanged(t, runs)
    if frozen:
        t.src.cli("unpause", "it-frozen")


@case("podman")
def supervised(t):
    """Containers that somebody else would start again."""
    for label, value in (("PODMAN_SYSTEMD_UNIT", "it.service"), ("com.docker.compose.project", "it"), ("io.podman.compose.project", "it")):
        pause(t, "it-supervised", "--label", f"{label}={value}")
        r = t.begin("move", "it-supervised")
        complains(r, REFUSED)
        check("supervisor" in r.codes, label, r.codes)
        t.src.remove("it-supervised")


@case("podman")
def two_experiments(t):
    """A second one with an engine is refused, and removes nothing of the first one's; after that one's end there may be another."""
    pause(t, "it-of-the-first", "--label", "tranship.bench=yes")
    lock = "/run/tranship-bench-run-podman-podman.sock.lock"
    # begun on either side: the lock of the first one found is given back
    for held in (t.hosts[0], t.hosts[1]):
        first = subprocess.Popen(held.argv("flock", lock, "sh", "-c", "echo held; exec cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            same("the first one", "held\n", first.stdout.readline())
            words = ("bench", "counter-size", "--quick", "--set", "image=counter", "--from", t.src.uri, "--to", t.dst.uri, "--output", f"/tmp/it-bench-{os.getpid()}.json")
            unchanged(t, lambda: complains(lab.Tranship(*words), FAILED, "another experiment"))
        finally:
            first.stdin.close()
            first.wait(10)
    for host in t.hosts[:2]:
        until(lambda: host.sh(f"flock --nonblock {lock} echo free", check_status=False), 10, "the lock is free")
