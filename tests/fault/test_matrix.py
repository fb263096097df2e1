"""Every phase × {error before, error after, killed before, killed after, SIGINT, SIGTERM, SIGHUP}, and the points inside checkpoint and restore.

The phases come from the program's own table. Whatever happens: never two copies (watched from outside all the time); at the end what the exit status promises holds; then `recover` and a rerun succeed, and the
counter has one sequence.
"""

import subprocess

import fault
import lab

PATHS = list(lab.PATHS)
FULL = fault.FULL
# By default everything on the way most containers take; on the others being killed, where they differ from it.
EVERYTHING = "podman"
KILLS = {"podman-scp": ("transfer", "restore"), "docker": ("arm", "checkpoint", "transfer", "restore", "verify", "cleanup"), "podman-archive": ("arm", "checkpoint", "transfer", "restore", "verify")}
ACTIONS = (("before", "error"), ("after", "error"), ("before", "kill"), ("after", "kill"), ("before", "int"), ("before", "term"), ("before", "hup"))
INSIDE = tuple((phase, point, action) for phase, point in (("checkpoint", "sent"), ("checkpoint", "stopped"), ("restore", "sent"), ("pre-copy", "rehearsal")) for action in ("error", "kill", "int"))


def phases():
    return subprocess.run([lab.BINARY, "__phases"], capture_output=True, text=True, check=True).stdout.split()


def one(phase, point, action):
    def run(t):
        f = fault.Fault(t)
        f.start()
        with f.watch():
            r = f.move(f"{phase}:{point}:{action}").wait(100)
            if action == "kill":
                lab.same("how it ended", -9, r.status)
            else:
                f.check_promise(r)  # also while a journal may be open: nothing was left half-way without saying so
            f.recover_and_rerun(r)
    return run


ALIKE = {"int": ("pre-copy", "checkpoint", "transfer", "restore"), "term": ("pre-copy", "transfer"), "hup": ("prepare", "transfer")}  # the signals take one path: by default the others only here


def wanted(path, phase, action):
    if phase == "pre-copy" and path in lab.STRATEGIES:
        return False
    return FULL or phase in ALIKE.get(action, (phase,))


def generate():
    points = [(phase, point, action) for phase in phases() for point, action in ACTIONS] + list(INSIDE)
    for path in PATHS:
        for phase, point, action in points:
            if not wanted(path, phase, action):
                continue
            if not FULL and point == "after" and phase != phases()[-1]:
                continue  # it is where the next phase begins
            if FULL or path == EVERYTHING or (action == "kill" and phase in KILLS.get(path, phases())):
                lab.add_case(f"matrix/{phase}-{point}-{action}/{path}", one(phase, point, action), lab.PATHS[path][0], path, timeout=150)


generate()
