"""What hosts and their users do to files, directories and logs: by the names of the reports, and what is next to each of them."""

import json
import os
import pathlib
import re
import time

import lab
from lab import case, check, same, until

SCP, ARCHIVE, PODMAN, DOCKER = lab.PATHS
COUNTER = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"


# ---- helpers


def numbers(text):
    return [int(line) for line in text.split() if line.isdigit()]


def start_counter(t, *options, name="it-counter", script=COUNTER, at_least=3):
    t.src.start(name, *options, cmd=("sh", "-c", script, t.marker))
    if at_least:
        until(lambda: len(numbers(t.src.logs(name))) >= at_least, 20, "the counter counts")
    return name


def check_moved(t, name, src=None, dst=None):
    src, dst = src or t.src, dst or t.dst
    same(f"{name} on {src}", "absent", src.state(name))
    same(f"{name} on {dst}", "running", dst.state(name))


def codes(t, *args, **kwargs):
    """What check says: its exit status and the codes of its findings."""
    r = t.begin("check", *args, **kwargs).wait(120)
    return r.status, r.codes


# ---- several processes


CHILDREN = "n=0; while [ $n -lt 30 ]; do n=$((n+1)); sleep 9999 & done; wait"


@case(DOCKER, PODMAN, timeout=600)
def docker_processes(t):
    """Thirty processes with a memory each: an archive that is unpacked has pages-10.img before pages-2.img."""
    name = start_counter(t, script=CHILDREN, at_least=0)
    src, dst = t.src, t.dst
    for _ in range(6):
        until(lambda: len(src.cli("top", name).strip().splitlines()) >= 32, 20, "all processes run")
        t.move(name, src=src, dst=dst)
        check_moved(t, name, src, dst)
        src, dst = dst, src
    check(len(src.cli("top", name).strip().splitlines()) >= 32, "processes are missing")
