"""Kernel objects: what becomes of each when its container moves is what objects.py says.

NAME/ENGINE is one object in a container of its own. moves/ENGINE are all that move, in one container for each set of options, there and back; warned/ENGINE and
refused/ENGINE those whose loss, or whose refusal, is told beforehand.
"""

import hashlib
import os
import pathlib
import re

import lab
from lab import check, same, until
from objects import OPTIONS, SETS, WORDS, outcome

HERE = pathlib.Path(__file__).resolve().parent
CODES = ("kernel-state", "kernel-objects", "hard-link", "mptcp", "io-uring", "aio", "traced", "outside-file")
QUIET = 60  # seconds at most for an answer of the processes


def program(t):
    """holds.c and its files, built once; its path in the hosts."""
    sources = sorted(HERE.glob("holds*.[ch]"))
    out = pathlib.Path(lab.BINARY).resolve().parent / ("holds-" + hashlib.sha256(b"".join(s.read_bytes() for s in sources)).hexdigest()[:12])
    if not out.exists():
        lab.run(["gcc", "-O1", "-g", "-static", "-Wall", "-Wextra", "-Werror", "-Wno-unused-result", "-o", f"{out}.{t.marker}", *[str(s) for s in sources if s.suffix == ".c"], "-lpthread", "-lrt"], timeout=300)
        pathlib.Path(f"{out}.{t.marker}").rename(out)
    return "/tranship/" + str(out.relative_to(lab.REPO))


class Holder:
    """A container in which each of `names` has a process that holds it. at: the engine where it runs."""

    def __init__(self, t, names, options, name="it-holds"):
        self.t, self.names, self.name, self.at, self.round = t, names, name, t.src, 0
        t.src.need_image("counter")
        t.src.cli("create", "--name", name, *options, "counter", "/holds", *names)
        t.src.cli("cp", program(t), name + ":/holds")
        t.src.cli("start", name)
        self.answers("ready", "cannot")
        self.kept()

    def answers(self, *words):
        """{name: what it said last after one of these words}; each has said one."""
        pattern = re.compile(rf"^(\S+) ({'|'.join(words)}|died)\b(.*)$", re.M)

        def said():
            found = {m[1]: (m[2], m[3].strip(" :")) for m in pattern.finditer(self.at.logs(self.name))}
            return found if found.keys() >= set(self.names) else None
        found = until(said, QUIET, f"an answer of all of {self.names}", every=0.2)
        for n, (word, why) in found.items():
            check(word not in ("cannot", "died"), n, word, why)
        return found

    def ask(self):
        """{name: why it is not what it was} of those that are lost."""
        self.round += 1
        pid = self.at.inspect(self.name)["State"]["Pid"]
        pathlib.Path(self.t.hosts[self.at is self.t.dst].path(f"/proc/{pid}/root/ask{self.round}")).touch()
        return {n: why for n, (word, why) in self.answers(f"kept {self.round}", f"lost {self.round}").items() if word.startswith("lost")}

    def kept(self, but=()):
        """All is what it was, but for these, which are not."""
        found = self.ask()
        wrong = [f"{n} is lost: {why}" for n, why in found.items() if n not in but] + [f"{n} is kept" for n in but if n not in found]
        check(not wrong, "; ".join(wrong))

    def move(self, back=False):
        src, dst = (self.t.dst, self.t.src) if back else (self.t.src, self.t.dst)
        r = self.t.move(self.name, src=src, dst=dst, timeout=300)
        self.at = dst
        return r


def findings(r):
    """Messages of the findings that this is about: {code: [message]}."""
    return {code: [f["message"] for f in r.report["findings"] if f["code"] == code] for code in CODES}


def told(o, r, names=None):
    """The finding that is expected is there, and names it; no other one is."""
    found = findings(r)
    for code in CODES:
        wanted = [x.text for x in o if x.how in ("warned", "refused") and x.code == code]
        check(len(found[code]) == bool(wanted), code, "of", names, "expected with", wanted, "found", found[code])
        for text in wanted:
            check(text in found[code][0], repr(text), "is not in", found[code][0])


# ---- one object


def alone(t, name):
    o = outcome(name, t.engine)
    h = Holder(t, [name], SETS[OPTIONS.get(name, "plain")])
    if o.how == "refused":
        for command in ("check", "move"):
            told([o], t.begin(command, h.name).wait().expect(3), name)
        h.kept()
        t.move("--cold", h.name)  # the hint
        return
    told([o], t.begin("check", h.name).wait().expect(0), name)
    if o.how == "fails":
        r = t.move(h.name, expect=4)
        said = "{message} {hint}".format(**{"hint": "", **r.report["error"]})
        check(o.text in said, repr(o.text), "is not in", said, r.tail())
        h.kept()
        return
    h.move()
    h.kept(() if o.kept else [name])


# ---- many


def together(t, names, size=400):
    """By the options that they need, one container after the other: an address that one has is free for the next."""
    for options in SETS:
        chosen = [n for n in names if OPTIONS.get(n, "plain") == options]
        for i in range(0, len(chosen), size):
            h = Holder(t, chosen[i:i + size], SETS[options], f"it-{options}-{i}")
            yield h
            h.at.remove(h.name)


def moves(t):
    for h in together(t, having(t.engine, "moves")):
        told([], t.begin("check", h.name).wait().expect(0), h.names)
        for back in (False, True):
            h.move(back)
            h.kept()


def warned(t):
    """Those that are lost without a word, too: they are no less than what is said."""
    for h in together(t, having(t.engine, "warned") + having(t.engine, "lost")):
        told([outcome(n, t.engine) for n in h.names], t.begin("check", h.name).wait().expect(0), h.names)
        h.move()
        h.kept([n for n in h.names if not outcome(n, t.engine).kept])


def refused(t):
    for h in together(t, having(t.engine, "refused"), 8):  # a finding is a line, which has an end
        r = t.begin("check", h.name).wait()
        check(r.status == 3, "check of", h.names, "ends with", r.status, r.tail())
        told([outcome(n, t.engine) for n in h.names], r, h.names)


def link_remap(t):
    """The hint of hard-link, followed: a POSIX semaphore, which is mapped by a name that is gone, moves, as an open file does."""
    for host in t.hosts:
        t.instead(host, "/etc/criu/runc.conf", host.sh("cat /etc/criu/runc.conf") + "\nlink-remap\n")
    h = Holder(t, ["posix-semaphore"], [])
    told([], t.begin("check", h.name).wait().expect(0))
    h.move()
    h.kept()


CPUSET = pathlib.Path("/sys/fs/cgroup/cpuset")


def held_to_a_processor(t, h):
    """Puts the container's processes into a cpuset, as the engine does with --cpuset-cpus where the control groups of the lab let it."""
    group = CPUSET / t.marker
    group.mkdir()
    t.at_end(group.rmdir)
    t.at_end(t.clean)  # before that
    for name in ("cpus", "mems"):
        (group / f"cpuset.{name}").write_text("0")
    inside = os.readlink(t.hosts[0].path(f"/proc/{h.at.inspect(h.name)['State']['Pid']}/ns/pid"))
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{p}/ns/pid") == inside:
                (group / "tasks").write_text(p)
        except OSError:
            pass


def cpuset(t):
    """A container that may use some of the processors alone has not chosen them: no warning."""
    v1 = (CPUSET / "cpuset.cpus").exists()
    h = Holder(t, ["pipe"], [] if v1 else ["--cpuset-cpus", "0"])
    if v1:
        held_to_a_processor(t, h)
    same("processors", "0", h.at.exec(h.name, "sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/1/status").strip())
    told([], t.begin("check", h.name).wait().expect(0))


ENGINE = os.environ.get("TRANSHIP_OBJECTS_ENGINE")
CHOSEN = os.environ.get("TRANSHIP_OBJECTS", "").split()
ALL = [n for kind in WORDS.values() for n in kind]
for name_ in CHOSEN:
    check(name_ in ALL, "no such object:", name_)


def having(engine, how):
    return [n for n in ALL if outcome(n, engine).how == how]


for engine_ in lab.SOCKETS:
    if ENGINE not in (None, "", engine_):
        continue
    for function_ in () if CHOSEN else (moves, warned, refused, cpuset, link_remap):
        whole_hosts = function_ is link_remap  # both engines read what it changes
        lab.add_case(f"{function_.__name__.replace('_', '-')}/{engine_}", function_, None if whole_hosts else engine_, engine_, 1800)
    for name_ in CHOSEN or (ALL if os.environ.get("TRANSHIP_OBJECTS_ALL") else ()):
        if outcome(name_, engine_).how != "absent":
            lab.add_case(f"{name_}/{engine_}", lambda t, n=name_: alone(t, n), engine_, None, 400)
