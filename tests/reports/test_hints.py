"""Each hint of preflight, followed: `check` and `move` name the code before anything is touched; what the hint says is done; then the container moves. Codes whose hint another
file follows are not here."""

import functools
import json
import os
import pathlib
import re
import shlex
import subprocess

import lab
from lab import check, same, until
from test_causes import start as hold

SCP, ARCHIVE, PODMAN, DOCKER = lab.PATHS
case = functools.partial(lab.case, timeout=400)
CHOSEN = r"\.(Config\.Labels\.tranship\.chosen\..*|NetworkSettings\.Networks\.[^.]+\.IPAMConfig)"  # an address that Docker chose is asked for there
COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"


def start(t, *options, script=COUNT, podman=()):
    """podman: options of the program, before its command."""
    t.src.need_image("counter")
    t.src.cli(*podman, "run", "--detach", "--name", t.marker, *options, "counter", "sh", "-c", script, t.marker)
    until(lambda: t.src.logs(t.marker).split()[2:], 15, "the counter counts")
    return t.marker


def said(t, code, *args, exits=3, commands=("check", "move"), **kwargs):
    """The finding, the same in both, with the container as it was."""
    before = t.src.inspect(t.marker)["State"]
    found = []
    for command in commands:
        r = t.begin(command, *args, t.marker, **kwargs).wait()
        same(f"exit of {command}", exits, r.status)
        found.append([f for f in (r.report or {}).get("findings") or [] if f["code"] == code])
        check(found[-1], f"{command}: no finding {code}:", r.codes, r.tail())
    check(all(f == found[0] for f in found), "check and move differ:", found)
    after = t.src.inspect(t.marker)["State"]
    same("the source", (before["Status"], before["StartedAt"]), (after["Status"], after["StartedAt"]))
    return found[0][0]


def moves(t, *args, **kwargs):
    r = t.begin("check", *args, t.marker, **kwargs).wait()
    check(r.status == 0, "check, after the hint:", r.codes, r.tail())
    r = t.move(*args, t.marker, **kwargs)
    lines = len(t.dst.logs(t.marker).split())
    until(lambda: len(t.dst.logs(t.marker).split()) > lines, 15, "it counts on, on the target")
    return r


def told(text, *words, last=False):
    """The rest of a command that begins with those words in a hint, as a shell reads it."""
    at = (text.rindex if last else text.index)(" ".join(words))
    lexer = shlex.shlex(text[at:], posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    for _ in " ".join(words).split():
        next(lexer)
    return next(lexer)


def follow(engine, hint, after):
    """Runs the commands that stand in a hint behind those words."""
    commands = hint[hint.index(after) + len(after):].split("·")[0].strip().strip("`")
    check(commands.startswith(engine.kind + " "), "commands:", hint)
    engine.host.sh(commands)


# ---- what is printed


@case(PODMAN)
def stdout_broken(t):
    """The move is done whoever reads the table: nobody, or a full disk. The exit status says so, and stderr what could not be written."""
    start(t)
    for n, (out, args) in enumerate((("| head -0", ()), (">/dev/full", ()), (">/dev/full", ("--json",)), ("| head -0", ("--events=-",)))):
        src, dst = (t.src, t.dst) if n % 2 == 0 else (t.dst, t.src)
        words = [lab.LAB, "sh", "lan", lab.BINARY, "move", *args, "--from", src.uri, "--to", dst.uri, "--ssh-config", lab.STATE + "/ssh/config", t.marker]
        env = {**os.environ, "TRANSHIP_STATE_DIR": t.state_dir(), "TRANSHIP_LAB": lab.OWN[1:]}
        run = subprocess.run(["bash", "-c", f"{{ {shlex.join(map(str, words))}; echo status $? >&2; }} {out}"], env=env, capture_output=True, text=True, timeout=200, check=False)
        same(f"status with {out} {args}", ["status 0"], [w for w in run.stderr.splitlines() if w.startswith("status")])
        check("could not be written" in run.stderr, "stderr says it:", run.stderr)
        same("states", ("absent", "running"), (src.state(t.marker), dst.state(t.marker)))


# ---- the container


@case(PODMAN, DOCKER)
def paused(t):
    start(t)
    t.src.cli("pause", t.marker)
    said(t, "paused")
    follow(t.src, said(t, "paused")["hint"], "on the source: ")
    moves(t)


@case(PODMAN, DOCKER)
def not_running(t):
    start(t)
    t.src.cli("stop", "--time", "0", t.marker)
    check("does not run" in said(t, "not-running")["message"], "what it is")
    f = said(t, "not-running", "--cold")
    check(f["hint"].startswith("start it: --cold, too, moves a container that runs"), f)
    t.src.cli("start", t.marker)
    moves(t, *(("--cold",) if t.engine == "docker" else ()))


@case(PODMAN)
def not_running_checkpointed(t):
    """By somebody's own checkpoint."""
    start(t)
    t.src.cli("container", "checkpoint", t.marker)
    check("checkpointed" in said(t, "not-running")["message"], "what it is")
    t.src.cli("container", "restore", t.marker)
    moves(t)


@case(PODMAN, DOCKER)
def lock_held(t):
    """Its process died: status shows the migration, recover ends it."""
    start(t)
    state = t.state_dir()
    r = t.begin("move", t.marker, state=state, env={"TRANSHIP_FAULT": "arm:before:kill"}).wait()
    same("how it ended", -9, r.status)
    f = said(t, "lock-held", state=state)
    migration = re.search(r"'(\d{8}-\d{6}-[0-9a-f]{6})'", f["message"]).group(1)
    shown = lab.Tranship("status", state=state).wait().expect(0)
    check(migration in shown.stdout, "status shows it:", shown.stdout)
    lab.Tranship("recover", migration, state=state).wait().expect(0)
    # Restored, and not committed: the container stands on the target under its name, and is stopped here. No hint may lead to a second one, or to none
    r = t.begin("move", t.marker, state=state, env={"TRANSHIP_FAULT": "restore:after:kill"}).wait()
    same("how it ended", -9, r.status)
    r = t.begin("check", t.marker, state=state).wait().expect(3)
    same("findings", {"lock-held"}, r.codes)
    migration = re.search(r"'(\d{8}-\d{6}-[0-9a-f]{6})'", r.report["findings"][0]["message"]).group(1)
    check(f"tranship recover {migration} --from" in r.report["findings"][0]["hint"], r.report["findings"])
    lab.Tranship("recover", migration, "--from", t.src.uri, "--to", t.dst.uri, state=t.state_dir()).wait(120).expect(0)
    same("states", ("absent", "running"), (t.src.state(t.marker), t.dst.state(t.marker)))
    t.dst.remove(t.marker)
    start(t)
    moves(t)


@case(PODMAN, DOCKER)
def name_taken(t):
    start(t)
    t.dst.start(t.marker, "--network", "none", cmd=("sleep", "600"))
    said(t, "name-taken")
    t.dst.cli("rename", t.marker, t.marker + "-other")
    moves(t)


@case(PODMAN, DOCKER)
def name_taken_removed(t):
    """By one that runs, and then by one that is paused: `rm` alone refuses both."""
    start(t)
    for paused_ in (False, True):
        t.dst.start(t.marker, "--network", "none", cmd=("sleep", "600"))
        if paused_:
            t.dst.cli("pause", t.marker)
        follow(t.dst, said(t, "name-taken")["hint"], "remove it there: ")
    moves(t)


@case(PODMAN, DOCKER)
def volume_used_there(t):
    """By a container of the target that runs, one that is paused, and one that never ran: what the hint says removes each."""
    v, theirs = t.marker + "-data", t.marker + "-theirs"
    start(t, "--volume", f"{v}:/data", script="echo x >/data/file; " + COUNT)
    for state in ("running", "paused", "created"):
        if state == "created":
            t.dst.cli("create", "--name", theirs, "--volume", f"{v}:/v", "counter", "sleep", "600")
        else:
            t.dst.start(theirs, "--volume", f"{v}:/v", cmd=("sleep", "600"))
        if state == "paused":
            t.dst.cli("pause", theirs)
        args = () if state != "paused" else ("--volume", f"{v}=replace")
        follow(t.dst, said(t, "replace-busy" if args else "volume-exists", *args)["hint"], "remove it there: ")
        same("state", "absent", t.dst.state(theirs))
    moves(t, "--volume", f"{v}=replace")
    same("the file", "x", t.dst.exec(t.marker, "cat /data/file").strip())


@case(PODMAN)
def dependents_removed(t):
    start(t)
    t.src.cli("run", "--detach", "--name", t.marker + "-b", "--network", "container:" + t.marker, "counter", "sleep", "600")
    follow(t.src, said(t, "dependents")["hint"], "here first: ")
    moves(t)


@case(ARCHIVE)
def id_taken(t):
    """What an earlier move left, with the source kept."""
    start(t)
    t.move("--keep-source", t.marker)
    t.src, t.dst = t.dst, t.src
    left = [n.lstrip("/") for c in t.dst.get("/v1.41/containers/json", all=True) for n in c["Names"] if t.marker in n]
    same("what the earlier move left", 1, len(left))
    check(left[0] in said(t, "id-taken")["message"], "which one it is")
    t.dst.remove(left[0])
    moves(t)


@case(DOCKER)
def ipc_shareable(t):
    script = "echo x >/dev/shm/file; " + COUNT
    start(t, "--ipc", "shareable", script=script)
    said(t, "ipc-shareable")
    t.src.remove(t.marker)
    start(t, "--ipc", "private", script=script)
    moves(t)
    same("the file", "x", t.dst.exec(t.marker, "cat /dev/shm/file").strip())


@case(DOCKER)
def log_driver(t):
    """A warning: the lines stay, the container goes."""
    t.src.start(t.marker, "--log-driver", "syslog", "--log-opt", "syslog-address=udp://127.0.0.1:5514", cmd=("sh", "-c", COUNT, t.marker))
    check("syslog" in said(t, "log-driver", exits=0, commands=("check",))["message"], "which driver")
    t.move(t.marker)
    same("state on the target", "running", t.dst.state(t.marker))


# ---- networks


def network_name(t):
    return f"{t.marker}-net"


def subnet(t):
    return f"10.{90 + t.number}.7.0/24"


@case(PODMAN, DOCKER)
def subnet_taken(t):
    t.may_differ = [CHOSEN]
    t.src.cli("network", "create", "--subnet", subnet(t), network_name(t))
    start(t, "--network", network_name(t))
    t.dst.cli("network", "create", "--subnet", subnet(t), t.marker + "-theirs")
    check(t.marker + "-theirs" in said(t, "subnet-taken")["message"], "whose it is")
    t.dst.start(t.marker + "-member", "--network", t.marker + "-theirs", cmd=("sleep", "600"))
    hint = said(t, "subnet-taken")["hint"]
    check("network rm" not in hint and t.marker + "-member" in hint, "it is in use:", hint)
    t.dst.remove(t.marker + "-member")
    follow(t.dst, said(t, "subnet-taken")["hint"], "remove that one there: ")
    moves(t)


@case(PODMAN, DOCKER, hosts=True)
def subnet_taken_by_the_host(t):
    """An interface of the target has it."""
    t.may_differ = [CHOSEN]
    t.src.cli("network", "create", "--subnet", subnet(t), network_name(t))
    start(t, "--network", network_name(t))
    t.hosts[1].sh('ip link add it-taken type veth peer name it-taken2 && ip address add "$1" dev it-taken && ip link set it-taken up', subnet(t).replace(".0/", ".9/"))
    t.at_end(t.hosts[1].sh, "ip link del it-taken 2>/dev/null || :")
    check("it-taken" in said(t, "subnet-taken")["message"], "which interface it is")
    t.src.remove(t.marker)
    t.src.cli("network", "rm", network_name(t))
    t.src.cli("network", "create", "--subnet", subnet(t).replace(".7.", ".8."), network_name(t))
    start(t, "--network", network_name(t))
    moves(t)


@case(PODMAN, DOCKER, hosts=True)
def address_stale(t):
    """What the target's kernel remembers of a neighbour is asked again: one that is gone is no reason, one that answers is."""
    t.may_differ = [CHOSEN]
    t.src.cli("network", "create", "--subnet", subnet(t), network_name(t))
    ip = subnet(t).replace(".0/24", ".77")
    start(t, "--network", network_name(t), "--ip", ip)
    t.at_end(t.hosts[1].sh, 'ip neigh del "$1" dev eth0 2>/dev/null || :', ip)
    t.hosts[1].sh('ip neigh replace "$1" lladdr 02:00:00:00:00:99 dev eth0 nud stale', ip)
    t.begin("check", t.marker).wait().expect(0)
    t.at_end(t.hosts[0].sh, 'ip address del "$1/32" dev eth0 2>/dev/null || :', ip)
    t.hosts[0].sh('ip address add "$1/32" dev eth0', ip)
    mac = t.hosts[0].sh("cat /sys/class/net/eth0/address").strip()
    t.hosts[1].sh('ip neigh replace "$1" lladdr "$2" dev eth0 nud stale', ip, mac)
    check(mac in said(t, "address-taken", commands=("check",))["message"], "which machine")
    t.hosts[0].sh('ip address del "$1/32" dev eth0', ip)
    t.hosts[1].sh('ip neigh replace "$1" lladdr "$2" dev eth0 nud stale', ip, mac)
    moves(t)


@case(PODMAN, DOCKER, hosts=True)
def network_parent(t):
    """A macvlan on an interface that the target has not: made there by hand, on the one that it has."""
    t.may_differ = [CHOSEN]
    t.hosts[0].sh("ip link add it-uplink type veth peer name it-uplink2 && ip link set it-uplink up && ip link set it-uplink2 up")
    t.at_end(t.hosts[0].sh, "ip link del it-uplink 2>/dev/null || :")
    create = ("network", "create", "--driver", "macvlan", "--subnet", subnet(t), "--opt")
    t.src.cli(*create, "parent=it-uplink", network_name(t))
    start(t, "--network", network_name(t))
    check("it-uplink" in said(t, "network-parent")["message"], "which interface it is")
    t.dst.cli(*create, "parent=eth0", network_name(t))
    moves(t)


# ---- data


@case(PODMAN, DOCKER)
def volume_missing(t):
    v = t.marker + "-data"
    start(t, "--volume", f"{v}:/data", script="echo x >/data/file; " + COUNT)
    said(t, "volume-missing", "--volume", f"{v}=shared")
    moves(t)  # "or leave --volume away to have it copied"
    same("the file", "x", t.dst.exec(t.marker, "cat /data/file").strip())


@case(PODMAN, DOCKER)
def volume_busy(t):
    v, other = t.marker + "-data", t.marker + "-other"
    start(t, "--volume", f"{v}:/data", script="echo x >/data/file; " + COUNT)
    t.src.start(other, "--volume", f"{v}:/data", cmd=("sleep", "600"))
    check(other in said(t, "volume-busy")["message"], "who uses it")
    t.src.remove(other)
    moves(t)


@case(PODMAN, DOCKER)
def volume_exists(t):
    v = t.marker + "-data"
    start(t, "--volume", f"{v}:/data", script="echo x >/data/file; " + COUNT)
    t.dst.cli("volume", "create", v)
    said(t, "volume-exists")
    moves(t, "--volume", f"{v}=replace")
    same("the file", "x", t.dst.exec(t.marker, "cat /data/file").strip())


@case(PODMAN, DOCKER)
def keep_source_and_back(t):
    """What --keep-source left has the volume: named, with the command that makes room for the way back."""
    v = t.marker + "-data"
    start(t, "--volume", f"{v}:/data", script="echo x >/data/file; " + COUNT)
    t.move("--keep-source", t.marker)
    t.src, t.dst = t.dst, t.src
    t.src.exec(t.marker, "echo later >/data/file")
    kept = next(n.lstrip("/") for c in t.dst.get("/v1.41/containers/json", all=True) for n in c["Names"] if t.marker in n)
    hints = [said(t, "volume-exists")["hint"], said(t, "replace-busy", "--volume", f"{v}=replace")["hint"]]
    if t.engine == "podman":  # the ID, too
        hints.append(said(t, "id-taken")["hint"])
    for hint in hints:
        check("--keep-source" in hint, hint)
        same("what is to be removed", kept, told(hint, t.engine, "rm"))
    t.dst.cli("rm", kept)
    moves(t, "--volume", told(hints[0], "--volume"))
    same("the file", "later", t.dst.exec(t.marker, "cat /data/file").strip())


def directory(t, host, name="bind"):
    path = f"/srv/{t.marker}-{t.engine}-{name}"
    host.sh('mkdir -p "$1"', path)
    for h in t.hosts:
        t.at_end(h.sh, 'rm -rf -- "$1"', path)
    return path


@case(PODMAN, DOCKER)
def bind_undecided(t):
    d = directory(t, t.hosts[0])
    start(t, "--volume", f"{d}:/data", script="echo x >/data/file; " + COUNT)
    check(d in said(t, "bind-undecided")["message"], "which directory")
    r = moves(t, "--bind", f"{d}=copy")
    check(any(f"'{d}' was copied and stays on the source" in w for w in r.report["warnings"]), "what stays:", r.report["warnings"])
    same("and does", "x", t.hosts[0].sh('cat "$1/file"', d).strip())
    same("the file", "x", t.dst.exec(t.marker, "cat /data/file").strip())


@case(PODMAN, DOCKER)
def bind_missing(t):
    """Only read, and not there: made there, or copied."""
    d = directory(t, t.hosts[0])
    t.hosts[0].sh('echo x >"$1/file"', d)
    start(t, "--volume", f"{d}:/data:ro")
    check(d in said(t, "bind-missing")["message"], "which directory")
    t.hosts[1].sh('mkdir -p "$1" && echo x >"$1/file"', d)
    moves(t)
    t.src, t.dst = t.dst, t.src
    t.hosts[0].sh('rm -rf -- "$1"', d)
    said(t, "bind-missing")
    moves(t, "--bind", f"{d}=copy")
    same("the file", "x", t.dst.exec(t.marker, "cat /data/file").strip())


@case(PODMAN, DOCKER)
def bind_exists(t):
    d = directory(t, t.hosts[0])
    start(t, "--volume", f"{d}:/data", script="echo x >/data/file; " + COUNT)
    t.hosts[1].sh('mkdir -p "$1" && echo theirs >"$1/theirs"', d)
    said(t, "bind-exists", "--bind", f"{d}=copy")
    t.hosts[1].sh('mv "$1" "$1-away"', d)
    t.at_end(t.hosts[1].sh, 'rm -rf -- "$1-away"', d)
    moves(t, "--bind", f"{d}=copy")
    same("theirs", "theirs", t.hosts[1].sh('cat "$1-away/theirs"', d).strip())


@case(PODMAN, DOCKER)
def bind_there_and_back(t):
    """The directory that was copied is on the host it came from still: the first hint says so."""
    d = directory(t, t.hosts[0])
    start(t, "--volume", f"{d}:/data", script="echo x >/data/file; " + COUNT)
    check("away first" not in said(t, "bind-undecided")["hint"], "nothing is there yet")
    moves(t, "--bind", f"{d}=copy")
    t.src, t.dst = t.dst, t.src
    hint = said(t, "bind-undecided")["hint"]
    check("away first" in hint, "the hint says that it is there:", hint)
    t.hosts[0].sh('mv "$1" "$1-away"', d)
    t.at_end(t.hosts[0].sh, 'rm -rf -- "$1-away"', d)
    moves(t, "--bind", told(hint, "--bind", last=True))
    same("the file", "x", t.dst.exec(t.marker, "cat /data/file").strip())


@case(PODMAN, DOCKER)
def bind_quoted(t):
    """A path that a shell would take apart: every hint, as a shell reads it, names it whole, and is not broken where it is printed."""
    d = directory(t, t.hosts[0], "my 'data', $HOME & more")
    escaped = d.replace(",", "\\,")  # an option takes several, with commas between them
    start(t, "--volume", f"{d}:/data", script="echo x >/data/file; " + COUNT)
    hint = said(t, "bind-undecided")["hint"]
    same("what is to be said", [f"{escaped}=shared", f"{escaped}=copy"], [told(hint, "--bind", last=last) for last in (False, True)])
    shown = lab.Tranship("check", "--from", t.src.uri, "--to", t.dst.uri, t.marker).wait().expect(3)
    word = "'" + f"{escaped}=copy".replace("'", "'\\''") + "'"
    check(word in shown.stdout + shown.stderr, "printed:", shown.stdout, shown.stderr)
    t.hosts[1].sh('mkdir -p "$1" && echo theirs >"$1/theirs"', d)
    hint = said(t, "bind-exists", "--bind", f"{escaped}=copy")["hint"]
    same("what is to be said", f"{escaped}=shared", told(hint, "--bind"))
    t.hosts[1].sh('rm -r -- "$1"', d)
    moves(t, "--bind", f"{escaped}=copy")
    same("the file", "x", t.dst.exec(t.marker, "cat /data/file").strip())


@case(PODMAN, DOCKER)
def bind_quoted_missing(t):
    d = directory(t, t.hosts[0], "it's read only")
    t.hosts[0].sh('echo x >"$1/file"', d)
    start(t, "--volume", f"{d}:/data:ro")
    moves(t, "--bind", told(said(t, "bind-missing")["hint"], "--bind"))
    same("the file", "x", t.dst.exec(t.marker, "cat /data/file").strip())


@case(PODMAN)
def log_path_quoted(t):
    d = directory(t, t.hosts[0], "my logs")
    start(t, "--log-driver", "k8s-file", "--log-opt", f"path={d}/a log")
    directory(t, t.hosts[1], "my logs")
    t.hosts[1].sh('rmdir "$1"', d)
    hint = said(t, "log-path")["hint"]
    same("what is to be made", d, told(hint, "mkdir -p").rstrip(","))
    t.hosts[1].sh('mkdir -p "$1"', d)
    t.move(t.marker)
    same("state on the target", "running", t.dst.state(t.marker))


@case()
def socket_named(t):
    """Both engines are there: the address that is to be said has the user and the port of the one that was."""
    start(t)
    r = lab.Tranship("check", "--from", f"ssh://root@{t.hosts[0]}:22", "--to", t.dst.uri, t.marker).wait().expect(2, 3)
    found = re.findall(r"ssh://[^ ,]*\.sock", r.stderr)
    same("addresses", [f"ssh://root@{t.hosts[0]}:22/run/podman/podman.sock", f"ssh://root@{t.hosts[0]}:22/run/docker.sock"], found)
    lab.Tranship("check", "--from", found[0], "--to", t.dst.uri, t.marker).wait().expect(0)


@case(PODMAN, DOCKER)
def bind_busy(t):
    d, other = directory(t, t.hosts[0]), t.marker + "-other"
    start(t, "--volume", f"{d}:/data", script="echo x >/data/file; " + COUNT)
    t.src.start(other, "--volume", f"{d}:/data", cmd=("sleep", "600"))
    check(other in said(t, "bind-busy", "--bind", f"{d}=copy")["message"], "who uses it")
    t.src.remove(other)
    moves(t, "--bind", f"{d}=copy")


@case(PODMAN, DOCKER)
def mount_unsupported_socket(t):
    """A socket cannot be copied; its like is on the target."""
    d = directory(t, t.hosts[0])
    path = d + "/socket"
    make = "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    lab.run(["python3", "-c", make, t.hosts[0].path(path)])
    start(t, "--volume", f"{path}:/their.socket")
    check(path in said(t, "mount-unsupported", "--bind", f"{path}=copy")["message"], "which one")
    directory(t, t.hosts[1])
    lab.run(["python3", "-c", make, t.hosts[1].path(path)])
    moves(t, "--bind", f"{path}=shared")


# ---- hosts


def hide(t, host, program):
    """Until it is called, or the case ends: that program is not there."""
    return t.instead(host, host.sh('command -v "$1"', program).strip())


@case(PODMAN, DOCKER, hosts=True)
def criu_missing(t):
    """Put there, or moved without it."""
    start(t)
    install = hide(t, t.hosts[1], "criu")
    check("--cold" in said(t, "criu-missing")["hint"], "both ways are told")
    install()
    moves(t)
    t.src, t.dst = t.dst, t.src
    hide(t, t.hosts[1], "criu")
    moves(t, "--cold")


def line_of_criu(t, code, line):
    """Docker's container needs it in CRIU's configuration, and it is missing on both hosts: named with the file, and added."""
    conf = "/etc/criu/runc.conf"
    for h in t.hosts[:2]:
        t.instead(h, conf, h.sh(f"grep -vx {line} {conf} || :"))
    f = said(t, code)
    check(line in f["hint"] and conf in f["hint"] + f["message"], f)
    for h in t.hosts[:2]:
        h.sh(f"echo {line} >>{conf}")
    moves(t)


@case(DOCKER, hosts=True)
def criu_tcp(t):
    """An open connection."""
    start(t, script="nc -ll -p 7001 -e cat & sleep 1; (sleep 600 | nc 127.0.0.1 7001) & " + COUNT)
    until(lambda: " 01 " in t.src.exec(t.marker, "cat /proc/net/tcp /proc/net/tcp6"), 15, "they are connected")
    line_of_criu(t, "criu-tcp", "tcp-established")


@case(DOCKER, hosts=True)
def criu_locks(t):
    """A file lock."""
    hold(t, "lock", name=t.marker)
    line_of_criu(t, "criu-locks", "file-locks")


@case(PODMAN, hosts=True)
def tools_missing(t):
    start(t)
    install = hide(t, t.hosts[1], "setsid")
    check("setsid" in said(t, "tools-missing")["message"], "what is missing")
    install()
    moves(t)


@case(PODMAN, DOCKER)
def lock_held_early(t):
    """Killed when it had the lock and nothing else: ended from any machine, as the hint says."""
    start(t)
    same("how it ended", -9, t.begin("move", t.marker, state=t.state_dir(), env={"TRANSHIP_FAULT": "prepare:locked:kill"}).wait().status)
    f = said(t, "lock-held", state=t.state_dir())
    migration = re.search(r"'(\d{8}-\d{6}-[0-9a-f]{6})'", f["message"]).group(1)
    check(f"tranship recover {migration} --from ENGINE --to ENGINE" in f["hint"], f)
    lab.Tranship("recover", migration, "--from", t.src.uri, "--to", t.dst.uri, state=t.state_dir()).wait(120).expect(0)
    moves(t)


@case(PODMAN, DOCKER)
def recover_by_host(t):
    """Elsewhere, by the hosts' names alone, though each has two engines: that of the migration is meant."""
    start(t, "--volume", t.marker + "-data:/data")
    same("how it ended", -9, t.begin("move", t.marker, env={"TRANSHIP_FAULT": "cleanup:before:kill"}).wait().status)
    hosts = [re.sub("(//[^/]*).*", r"\1", e.uri) for e in (t.src, t.dst)]
    state = t.state_dir()
    lab.Tranship("recover", "--container", t.marker, "--from", hosts[0], "--to", hosts[1], state=state).wait(120).expect(0)
    same("who has it", ("absent", "running"), (t.src.state(t.marker), t.dst.state(t.marker)))
    same("open there", 3, lab.Tranship("recover", state=state).wait().status)


@case(PODMAN, DOCKER)
def recover_broken_off(t):
    """Killed between the source's container and its volume: here recover removes that, too; elsewhere nothing proves any more whose it was, which is said once and is no reason to stay open."""
    volume = t.marker + "-data"
    for elsewhere in (False, True):
        start(t, "--volume", f"{volume}:/data")
        here, there = t.state_dir(), t.state_dir()
        same("how it ended", -9, t.begin("move", t.marker, state=here, env={"TRANSHIP_FAULT": "cleanup:removed:kill"}).wait().status)
        if elsewhere:
            r = t.begin("recover", "--container", t.marker, state=there).wait(120).expect(5)
            check(f"volume '{volume}' on the source is left alone" in " ".join(r.report["leftovers"]), r.report["leftovers"])
            check("no migration is open" in lab.Tranship("recover", state=there).wait().expect(3).stderr, "still open")
            t.src.cli("volume", "rm", volume)
        else:
            lab.Tranship("recover", state=here).wait(120).expect(0)
            same("the volume on the source", 404, t.src.api("GET", f"/v1.41/volumes/{volume}")[0])
        same("who has it", ("absent", "running"), (t.src.state(t.marker), t.dst.state(t.marker)))
        t.dst.remove(t.marker)
        t.dst.cli("volume", "rm", volume)


@case(PODMAN, DOCKER)
def recover_ended_elsewhere(t):
    """Begun to be recovered elsewhere, ended by the machine that moved it: not open there any more, and nothing comes back to the hosts."""
    start(t)
    here, there = t.state_dir(), t.state_dir()
    same("how it ended", -9, t.begin("move", t.marker, state=here, env={"TRANSHIP_FAULT": "cleanup:before:kill"}).wait().status)
    same("how it ended", -9, t.begin("recover", "--container", t.marker, state=there, env={"TRANSHIP_FAULT": "settle:finish:kill"}).wait().status)
    lab.Tranship("recover", state=here).wait(120).expect(0)
    r = lab.Tranship("recover", state=there).wait(120).expect(3)
    check("was ended from another machine" in r.stderr, r.tail())
    check("no migration is open" in lab.Tranship("recover", state=there).wait().expect(3).stderr, "open all the same")


@case(PODMAN, hosts=True)
def neighbours_many(t):
    """Eleven stale neighbours of the target: all are asked at once, and look no longer than one."""
    t.may_differ = [CHOSEN]
    options = []
    for i in range(11):
        name, ip = f"{network_name(t)}-{i}", f"10.97.{i}.77"
        t.src.cli("network", "create", "--subnet", f"10.97.{i}.0/24", name)
        t.at_end(t.dst.host.sh, f"{t.engine} network rm -f \"$1\" >/dev/null 2>&1 || :", name)
        t.at_end(t.src.host.sh, f"{t.engine} network rm -f \"$1\" >/dev/null 2>&1 || :", name)
        options += ["--network", f"{name}:ip={ip}"]
        t.hosts[1].sh('ip neigh replace "$1" lladdr 02:00:00:00:00:99 dev eth0 nud stale', ip)
        t.at_end(t.hosts[1].sh, 'ip neigh del "$1" dev eth0 2>/dev/null || :', ip)
    start(t, *options)
    t.begin("check", t.marker).wait().expect(0)


@case(PODMAN)
def runtime_differs(t):
    """Started with another runtime than the target's engine takes. Of the two ways that are told the cold one: not every kernel of a lab lets crun restore."""
    t.may_differ = [r"\.(OCIRuntime|HostConfig\.Runtime)"]  # as is said
    start(t, podman=("--runtime", "crun"))
    check("crun" in said(t, "runtime-differs")["message"], "which one")
    moves(t, "--cold")


@case(DOCKER)
def docker_experimental_off(t):
    start(t)
    file = "/etc/docker/daemon.json"
    t.at_end(t.dst.service, "restart")
    put_back = t.instead(t.hosts[1], file, t.hosts[1].sh('sed /experimental/d "$1"', file))
    t.dst.service("restart")
    said(t, "docker-experimental-off")
    put_back()
    t.dst.service("restart")
    moves(t)


@case(PODMAN, DOCKER)
def journal_space(t):
    """The directory for the journal cannot be written to; another one is named."""
    start(t)
    place = pathlib.Path(t.state_dir(), "file")
    place.write_text("")
    check("state-dir" in said(t, "journal-space", state=str(place / "state"))["hint"], "what names it")
    moves(t, state=t.state_dir())


@case()
def engines_differ(t):
    """The source is Podman, the target Docker: one of its kind is chosen."""
    start(t)
    docker = t.hosts[1].engine("docker")
    f = said(t, "engines-differ", dst=docker)
    check("same kind" in f["hint"], f["hint"])
    moves(t)


@case(SCP, ARCHIVE)
def staging_small(t):
    """The directory that --staging names has no room for the archive: told before the freeze."""
    start(t)
    path = f"/srv/{t.marker}-staging"
    for h in t.hosts[:2]:
        h.sh('mkdir -p "$1" && mount -t tmpfs -o size=256k,mode=0755 none "$1"', path)
        t.at_end(h.sh, 'umount -l "$1" && rmdir "$1"', path)
    f = said(t, "free-space", "--staging", path, commands=("check",))  # what is needed changes a little with its memory
    check(path in f["message"] and "--staging" in f["hint"], f)
    moves(t)


# ---- probes


@case(PODMAN, DOCKER)
def probe_fails(t):
    """A port that nobody serves: known before the freeze where the probe can be turned to the source, named as it was written."""
    served, dead = t.port(3), t.port(4)
    start(t, "--publish", f"{served}:7001", script="nc -ll -p 7001 -e true & " + COUNT)
    f = said(t, "probe-fails", "--verify", f"tcp://{{host}}:{dead}")
    check(f"--verify 'tcp://{{host}}:{dead}'" in f["message"] and "refused" in f["message"], f)
    check(f["skippable"], f)
    f = said(t, "probe-fails", "--verify", f"http://{{host}}:{dead}/x", "--on-verify-failure", "keep", exits=0, commands=("check",))
    same("severity", "warning", f["severity"])
    f = said(t, "probe-fails", "--probe", f"tcp://{{host}}:{dead}", exits=0, commands=("check",))
    same("severity", "warning", f["severity"])
    there = t.hosts[1].address
    ran = pathlib.Path(t.state_dir(), "ran")
    for probe in (f"exec:touch {ran}", "exec:false {host}", f"tcp://{there}:{dead}"):  # a command may change something; the target's address is nothing of the source's
        r = t.begin("check", "--verify", probe, t.marker).wait().expect(0)
        check("probe-fails" not in r.codes, r.codes)
    check(not ran.exists(), "the command was run")
    moves(t, "--verify", f"tcp://{{host}}:{served}", "--probe", f"tcp://{{host}}:{served}")


# ---- recover


@case()
def recover_by_name(t):
    """One name, a container of each engine, both moves killed: what fits is listed, an engine narrows it down, and the wrong way round is told."""
    ends = [t.hosts[i].engine("docker") for i in (0, 1)]
    ends[0].need_image("counter")
    start(t)
    ends[0].cli("run", "--detach", "--name", t.marker, "counter", "sh", "-c", COUNT, t.marker)
    ids = []
    for pair in ((t.src, t.dst), ends):
        state = t.state_dir()
        r = t.begin("move", t.marker, src=pair[0], dst=pair[1], options=(), state=state, env={"TRANSHIP_FAULT": "arm:before:kill"}).wait()
        same("how it ended", -9, r.status)
        listed = json.loads(lab.Tranship("status", "--json", state=state).wait().expect(0).stdout)
        ids.append(next(re.finditer(r"\d{8}-\d{6}-[0-9a-f]{6}", json.dumps(listed)))[0])

    def recover(*args, expect):
        r = lab.Tranship("recover", *args, state=t.state_dir()).wait(120).expect(expect)
        return " ".join(r.stderr.split())

    named = ("--container", t.marker)
    hosts = tuple(f"ssh://{h}" for h in t.hosts[:2])
    shown = recover(*named, "--from", hosts[0], "--to", hosts[1], expect=2)
    for i, engine in zip(ids, ("Podman", "Docker")):
        check(re.search(f"{i}: '{t.marker}', {engine}, from [^ ]*{t.hosts[0]}[^ ]* to [^ ]*{t.hosts[1]}[^ ]*, begun", shown), shown)
    shown = recover(*named, "--from", t.dst.uri, "--to", t.src.uri, expect=2)
    check("went the other way" in shown and ids[0] in shown, shown)
    recover(*named, "--from", t.src.uri, "--to", t.dst.uri, expect=0)
    same("the other one's", "running", ends[0].state(t.marker))
    shown = recover(*named, "--from", t.src.uri, "--to", t.dst.uri, expect=2)
    check("of the other engine" in shown and ids[1] in shown, shown)
    shown = recover(*named, "--from", ends[1].uri, "--to", ends[0].uri, expect=2)
    words = shlex.split(shown[shown.index("tranship recover"):])[2:7]
    recover(*words, expect=0)
    same("states", ["running"] * 2, [e.state(t.marker) for e in (t.src, ends[0])])
    ends[0].remove(t.marker)
