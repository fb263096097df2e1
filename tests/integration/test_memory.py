"""tranship's own memory does not grow with what it moves."""

import os
import pathlib
import shutil
import subprocess

import lab
from lab import case, check, same, until

SIZE_MIB = 1024
LIMIT_KIB = 96 * 1024 + 24 * (SIZE_MIB * 256) // 1024  # and 24 bytes a page: the more streams a slow machine opens, the more is under way

# Pages of random numbers, so that nothing can be left out or compressed; it tells its checksum again and again.
SOURCE = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char *argv[])
{
        size_t n = (size_t)strtoul(argv[1], NULL, 10) << 17; /* MiB as 8-byte words */
        uint64_t *words = malloc(n * 8), x = (uint64_t)getpid() * 2654435761u + (uint64_t)argc;

        if (!words)
                return 1;
        for (size_t i = 0; i < n; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                words[i] = x;
        }
        for (;;) {
                uint64_t sum = 0;

                for (size_t i = 0; i < n; i++)
                        sum = sum * 31 + words[i];
                printf("%016llx\n", (unsigned long long)sum);
                fflush(stdout);
                sleep(2);
        }
}
"""


def program():
    """The compiled program, kept beside the binary under test: static, for an image without libraries."""
    path = pathlib.Path(lab.BINARY).parent / "fill-memory"
    if not path.exists():
        new = f"{path}.{os.getpid()}"
        subprocess.run(["cc", "-O2", "-static", "-x", "c", "-", "-o", new], input=SOURCE, text=True, check=True)
        os.replace(new, path)
    return path


@case(*(("podman", "docker", "podman-scp") if lab.FULL else ("podman", "docker")), timeout=600)
def one_gibibyte(t):
    name = "it-memory"
    for h in t.hosts[:2]:
        free = shutil.disk_usage(h.path("/var/tmp")).free
        check(free > 8 << 30, f"too little space on {h}:", free)
    t.src.need_image("counter")
    t.src.cli("create", "--name", name, "counter", "/fill-memory", str(SIZE_MIB), t.marker)
    t.at_end(pathlib.Path(t.hosts[0].path("/tmp/it-fill-memory")).unlink, True)
    shutil.copy(program(), t.hosts[0].path("/tmp/it-fill-memory"))
    t.src.cli("cp", "/tmp/it-fill-memory", f"{name}:/fill-memory")
    t.src.cli("start", name)
    until(lambda: t.src.logs(name).split(), 60, "the memory is full", every=0.2)
    checksum = t.src.logs(name).split()[0]
    r = t.move(name, timeout=500)
    check(r.report["bytes"]["memory"] > SIZE_MIB << 20, "less memory travelled than there is:", r.report["bytes"])
    lines = len(t.dst.logs(name).split())
    until(lambda: len(t.dst.logs(name).split()) > lines + 1, 60, "it goes on", every=0.2)
    same("checksums", {checksum}, set(t.dst.logs(name).split()))
    print(f"most memory: {r.peak_kib} KiB, downtime {r.report['downtime_us'] / 1e6:.2f} s")
    check(r.peak_kib < LIMIT_KIB, f"tranship took {r.peak_kib} KiB of memory at its peak")
