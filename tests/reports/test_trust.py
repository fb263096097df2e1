"""What a host says is a claim: copies of the journal that somebody made up or changed, and `recover` from another machine that reads them."""

import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))

import lab  # noqa: E402
from fault import Fault  # noqa: E402

BOTH = ("podman", "docker")
FORGED = f"99991231-235959-{os.getpid():06x}"  # a case is a process, and the other engine's may be on the same hosts
SIDES = ("source", "target")


class Copies:
    """A move that was killed, and the copies of its journal on both hosts."""

    def __init__(self, t, point):
        self.f = f = Fault(t)
        self.t, self.state = t, f.elsewhere()
        f.start()
        r = f.move(f"{point}:kill", "--reconnect-timeout", "5s").wait(200)  # what works for it is gone soon
        lab.same("how the move ended", -9, r.status)
        self.id = f.migration()
        self.hosts = dict(zip(SIDES, (f.src.host, f.dst.host)))

    def path(self, side, migration=None, taken=False):
        name = f"{migration or self.id}.{side}" + (".taken" if taken else "")
        return pathlib.Path(self.hosts[side].path("/var/lib/tranship/journal"), name)

    def read(self, side, taken=False):
        return [json.loads(line) for line in self.path(side, taken=taken).read_text().splitlines()]

    def write(self, side, records, migration=None):
        path = self.path(side, migration)
        path.write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in records))
        path.chmod(0o600)

    def head(self, sides, edit):
        for side in sides:
            records = self.read(side)
            edit(records[0])
            self.write(side, records)

    def add(self, sides, *resources):
        """Resources that are said to be made, at the end of the copies."""
        for side in sides:
            records = self.read(side)
            n = sum(r["type"] == "intent" for r in records)
            for kind, where, rest in resources:
                records.append({"type": "intent", "n": n, "kind": kind, "side": where, **rest, "seq": len(records)})
                records.append({"type": "res-state", "n": n, "state": "made", "seq": len(records)})
                n += 1
            self.write(side, records)

    def recover(self, *args, key=None, state=None):
        f = self.f
        who = (key,) if key else ("--container", f.name)
        ends = ("--from", f.src.uri, "--to", f.dst.uri)
        first, last = (who, ends) if key else (ends, who)
        return f.begin("recover", *first, *last, *args, state=state or self.state).wait(200)

    def runs_on(self, owner):
        lab.same("it runs on", owner, self.f.owner())
        self.f.check_sequence(self.f.engine_of(owner))


def says(r, status, *words):
    text = r.tail(60)
    lab.check(r.status == status, f"exit {r.status}, expected {status};", text)
    for w in words:
        lab.check(w in text, f"'{w}' is missing in", text)


def case(*paths):
    return lab.case(*paths, timeout=400)


@case(*BOTH)
def copy_exec(t):
    """The probe of a copy is not run, whoever has it in his copy; the one of the command line is."""
    c = Copies(t, "restore:after")
    trap = f"/tmp/trap-{t.marker}"
    c.head(SIDES, lambda h: h["options"].update(verify=f"exec:touch {trap}"))
    says(c.recover(), 3, "what a host says is not run", "--verify PROBE")
    lab.check(not pathlib.Path(trap).exists(), "the copy's command was run")
    says(c.recover(), 3, "what a host says is not run")  # known here by now, and as little believed
    lab.check(not pathlib.Path(trap).exists(), "the copy's command was run at the second time")
    r = c.recover("--verify", "exec:true", key=c.id)
    says(r, 0)
    c.runs_on("target")


@case("podman")
def copy_probe_elsewhere(t):
    """Nor does a copy make the machine that recovers connect to somebody: only to the target."""
    c = Copies(t, "restore:after")
    c.head(SIDES, lambda h: h["options"].update(verify="http://10.77.0.99:80/"))
    says(c.recover(), 3, "nobody but the target is asked")
    says(c.recover("--verify", "exec:true"), 0)
    c.runs_on("target")


def precious(c, side):
    """Things of other people on that host, and records that name them."""
    h, mark = c.hosts[side], c.t.marker
    tree, table = f"/srv/precious-{mark}", f"precious_{mark.replace('-', '_')}"
    h.sh('mkdir -p "$1/checkpoint" "$1-x"; echo keep >"$1/file"; nft add table netdev "$2"', tree, table)
    pid = h.sh('setsid sleep 1234 >/dev/null 2>&1 </dev/null & echo "$! $(cut -d" " -f22 /proc/$!/stat)"').strip()
    c.t.at_end(lambda: h.sh('kill $1; rm -rf "$2" "$2-x"; nft delete table netdev "$3"', pid.split()[0], tree, table, check_status=False))
    c.f.engine_of(side).cli("volume", "create", f"{mark}-own", check_status=False)
    c.t.at_end(lambda: c.f.engine_of(side).cli("volume", "rm", "-f", f"{mark}-own", check_status=False))
    resources = [
        ("path", side, {"name": tree}), ("staging", side, {"name": tree}), ("dump-directory", side, {"name": tree}),
        ("path", side, {"name": f"{tree}/file", "before": "absent"}), ("record", side, {"name": tree}),
        ("link", side, {"name": f"{tree}/checkpoints", "id": tree}), ("checkpoint", side, {"name": f"{tree}/checkpoint", "id": "0" * 64}),
        ("service", side, {"name": f"{tree}/podman.sock", "id": pid}), ("service", side, {"name": f"/run/tranship/{c.id}-{side}/podman.sock", "id": pid}),
        ("door", side, {"name": table}), ("volume", side, {"name": f"{mark}-own", "before": "absent"}),
        ("volume", side, {"name": f"{mark}-own", "id": f"{tree}-x", "before": f"{tree}.tranship-{c.id}"}),
        ("network", side, {"name": "podman" if c.t.engine == "podman" else "bridge", "before": "absent"}),
        ("policy", side, {"name": "restart", "id": "f" * 64, "before": "always"}), ("rename", side, {"name": "x", "id": "f" * 64, "before": "y"}),
        ("container", side, {"name": c.f.name, "id": "f" * 64, "before": "absent"}), ("lock", side, {"name": tree}),
    ]

    def check():
        left = h.sh('cat "$1/file"; ls -d "$1-x" "$1/checkpoint"; kill -0 $2 && echo alive; nft list table netdev "$3" >/dev/null && echo table', tree, pid.split()[0], table)
        lab.same(f"what is left on the {side}", ["keep", f"{tree}-x", f"{tree}/checkpoint", "alive", "table"], left.split())
        lab.check(f"{mark}-own" in c.f.engine_of(side).cli("volume", "ls"), f"the volume on the {side} is gone")
    return resources, check


def copy_records(t, sides):
    c = Copies(t, "transfer:before")
    made = [precious(c, side) for side in SIDES]
    c.add(sides, *(r for resources, _ in made for r in resources))
    r = c.recover()
    says(r, 4, "left alone")
    c.runs_on("source")
    for _, check in made:
        check()
    again = c.recover("--verify", "exec:true", key=c.id)  # what was left alone is not asked for once more
    lab.check(again.status in (0, 4), "recover again: exit", again.status, again.tail())
    for _, check in made:
        check()


@case(*BOTH)
def copy_path(t):
    """Records of every kind, about both hosts, in the target's copy: paths, processes, tables, volumes of others stay."""
    copy_records(t, ("target",))


@case("podman")
def copy_path_source(t):
    """The same in the source's copy."""
    copy_records(t, ("source",))


@case(*BOTH)
def copy_service(t):
    """The same in both copies: then both hosts say so, and it is still nothing that a migration makes."""
    copy_records(t, SIDES)


@case("podman-archive")
def copy_door(t):
    """The same for a move by archive."""
    copy_records(t, ("target",))


@case(*BOTH)
def copy_volume(t):
    """A label of another migration, a volume of the user's: an older ID in the copy does not reach them."""
    c = Copies(t, "transfer:before")
    name = f"{t.marker}-old"
    c.f.dst.cli("volume", "create", "--label", "tranship.migration=20250101-000000-abcdef", name)
    t.at_end(lambda: c.f.dst.cli("volume", "rm", "-f", name, check_status=False))
    c.add(("source",), ("volume", "target", {"name": name, "before": "absent"}))
    c.recover()
    c.runs_on("source")
    lab.check(name in c.f.dst.cli("volume", "ls"), "the volume of an older migration is gone")


@case(*BOTH)
def copies_differ(t):
    """Two copies that tell different stories are shown; with the true one in both places recover goes on."""
    c = Copies(t, "restore:after")
    true = c.path("source").read_text()
    c.head(("target",), lambda h: h["options"].update(keep_source=True))
    says(c.recover(), 6, "different stories", "the copy on the source goes on with", "the copy on the target goes on with")
    lab.check(not list(pathlib.Path(c.state, "journal").glob("*.jsonl")), "one of the copies was adopted")
    for side in SIDES:
        c.path(side, taken=True).unlink()
        c.path(side).write_text(true)
        c.path(side).chmod(0o600)
    says(c.recover("--verify", "exec:true"), 0)
    c.runs_on("target")


@case("podman")
def copies_apart(t):
    """The target's copy alone says that it is committed, and nothing runs there: the source is not removed for that."""
    c = Copies(t, "transfer:before")
    records = c.read("target")
    for stage in ("restore-sent", "restored", "committed"):
        records.append({"type": "stage", "stage": stage, "seq": len(records)})
    c.write("target", records)
    says(c.recover(), 6, "copy of the journal")
    lab.check(c.f.src.inspect(c.f.name), "the source's container is gone")


@case(*BOTH)
def copy_hides(t):
    """A copy with the highest ID does not hide the real one, and by its name it leads nowhere: only one host knows of it."""
    c = Copies(t, "transfer:before")
    records = c.read("target")
    records[0]["id"] = FORGED
    t.at_end(lambda: [c.path(s, FORGED, taken).unlink(missing_ok=True) for s in SIDES for taken in (False, True)])
    c.write("target", records, FORGED)
    says(c.recover(), 2, "several migrations", FORGED, c.id, "on the target alone")
    says(c.recover(key=FORGED), 6, "knows nothing of migration")
    r = c.recover(key=c.id)
    says(r, 0)
    c.runs_on("source")


@case("podman")
def copy_unknown(t):
    """A copy whose migration the source does not know at all, of a container that runs there."""
    f = Fault(t)
    f.start()
    c = Copies.__new__(Copies)
    c.f, c.t, c.state, c.id = f, t, f.elsewhere(), FORGED
    c.hosts = dict(zip(SIDES, (f.src.host, f.dst.host)))
    found = f.src.inspect(f.name)
    info = {"checkpoint": f"tranship-{FORGED}", "bundle": "/etc", "engine": t.engine.capitalize(), "source_identity": "x", "target_identity": "y"}
    f.dst.host.sh("mkdir -p -m 0700 /var/lib/tranship/journal")
    t.at_end(lambda: [c.path("target", FORGED, taken).unlink(missing_ok=True) for taken in (False, True)])
    c.write("target", [
        {"type": "head", "schema": "tranship.journal/1", "id": FORGED, "source": "ssh://10.77.0.99", "target": "ssh://10.77.0.99", "container_id": found["Id"],
         "container_name": f.name, "strategy": "in-place", "transfer": "stream", "options": info, "seq": 0},
        {"type": "stage", "stage": "committed", "seq": 1}], FORGED)
    says(c.recover(), 6, "knows nothing of migration")
    c.runs_on("source")


@case(*BOTH)
def copy_endpoint(t):
    """Whom to dial says the command line alone; what was named then is known for the next time."""
    c = Copies(t, "transfer:before")
    c.head(SIDES, lambda h: h.update(source="ssh://10.77.0.99/x.sock", target="ssh://10.77.0.99/x.sock"))
    says(c.recover(), 0)
    c.runs_on("source")
    r = c.f.begin("recover", c.id, state=c.state).wait(200)
    lab.check("10.77.0.99" not in r.tail(60), "it was dialled:", r.tail(60))


def unknown_word(edit, word):
    def run(t):
        """A word of a newer version stops recover and is shown by status; it is taken for nothing else."""
        c = Copies(t, "transfer:before")
        own = pathlib.Path(c.f.state, "journal", c.id + ".jsonl")
        text = own.read_text()
        records = [json.loads(line) for line in text.splitlines()]
        edit(records)
        own.write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in records))
        r = c.f.begin("recover", c.id).wait(100)
        says(r, 3, word, "newer tranship", "recover it with the version that began it")
        shown = c.f.status()[-1]
        lab.same("stage shown by status", "unreadable", shown["stage"])
        lab.check(word in shown.get("problem", ""), "status does not say why:", shown)
        own.write_text(text)
        c.f.recover()
        c.runs_on("source")
    return run


for _name, _edit, _word in (
        ("unknown_stage", lambda r: r.append({"type": "stage", "stage": "post-copying", "seq": len(r)}), "post-copying"),
        ("unknown_way", lambda r: r[0].update(strategy="post-copy"), "post-copy"),
        ("unknown_transfer", lambda r: r[0].update(transfer="pigeon"), "pigeon"),
        ("unknown_engine", lambda r: r[0]["options"].update(engine="Incus"), "Incus"),
        ("unknown_kind", lambda r: r.append({"type": "intent", "n": sum(x["type"] == "intent" for x in r), "kind": "moon", "side": "source", "name": "x", "seq": len(r)}), "moon")):
    _run = unknown_word(_edit, _word)
    _run.__name__, _run.__module__ = _name, __name__
    case("podman")(_run)


@case(*BOTH)
def honest_elsewhere(t):
    """What both hosts say alike, from another machine: back from before the restore, forth from after it."""
    for point, owner in (("transfer:before", "source"), ("restore:after", "target")):
        c = Copies(t, point) if point == "transfer:before" else again
        r = c.recover()
        says(r, 0)
        c.runs_on(owner)
        if owner == "source":
            again = c
            killed = c.f.move("restore:after:kill", "--reconnect-timeout", "5s").wait(200)
            lab.same("how the move ended", -9, killed.status)
            c.state, c.id = c.f.elsewhere(), c.f.migration()
