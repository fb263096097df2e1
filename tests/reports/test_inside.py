"""What was set up within the container's name spaces beside what its engine makes: none of it comes along by itself, so it is told, and what would let the restore fail on both sides is refused."""

import lab
import test_network as net
from lab import case, check, same

SCP, ARCHIVE, PODMAN, DOCKER = lab.PATHS
ADDRESS = "203.0.113.5"
# An attribute of a file by the host's Python: the image has no program for it.
ATTRIBUTE = 'import os, sys; os.setxattr("/proc/" + sys.argv[1] + "/root/tmpfs/file", "security.capability", bytes.fromhex("01000002" "00040000" + "00" * 12))'


def on_host(t, name, script):
    """In the container's network name space, with the host's programs."""
    t.src.host.sh(f"nsenter --net -t $1 -- sh -ec '{script}'", str(t.src.inspect(name)["State"]["Pid"]))


def silent(r):
    r.wait().expect(0)
    check("kernel-state" not in r.codes, "a warning of nothing:", r.report["findings"])


def told(t, name, code):
    return net.finding(t.begin("check", name).wait().expect(0, 3), code)["message"]


def refused(t, name, *words):
    """Before the freeze, and by --cold it moves."""
    r = t.begin("move", name).wait().expect(3)
    f = net.finding(r, "kernel-objects")
    for word in words:
        check(word in f["message"], word, "is not in:", f["message"])
    net.goes_on(t.src, name)
    t.move("--cold", "--skip", "privileged", name)
    net.moved(t, name)
    net.goes_on(t.dst, name)


@case(PODMAN, DOCKER, timeout=600)
def lost(t):
    """Firewall rules, addresses, routes, queueing disciplines, what was written into files of the engine's, attributes of files in memory: a warning names each of them."""
    name = net.start(t, "it-inside", "--cap-add", "NET_ADMIN", "--tmpfs", "/tmpfs")
    silent(t.begin("check", name))
    on_host(t, name, f"ip addr add {ADDRESS}/32 dev eth0; ip route add 198.51.100.0/24 via {ADDRESS}; ip rule add from {ADDRESS} table 100; "
                     "nft add table inet mine; nft add chain inet mine own; nft add rule inet mine own drop; "
                     "tc qdisc add dev eth0 root tbf rate 10mbit burst 32kbit latency 100ms")
    lab.time.sleep(6)  # after its start, beyond what the clocks' grain could hide
    t.src.exec(name, "echo 192.0.2.1 its.own.name >>/etc/hosts; echo nameserver 192.0.2.53 >/etc/resolv.conf; echo data >/tmpfs/file")
    t.src.host.sh('exec python3 -c "$2" "$1"', str(t.src.inspect(name)["State"]["Pid"]), ATTRIBUTE)
    message = told(t, name, "kernel-state")
    for what in (f"the address {ADDRESS}", "firewall rules (1)", "routes (1)", "rules of routing (1)", "queueing disciplines (tc) (1)",
                 "/etc/hosts", "/etc/resolv.conf", "extended attributes of files in /tmpfs"):
        check(what in message, what, "is not in:", message)
    t.move(name)
    net.moved(t, name)
    net.goes_on(t.dst, name)
    silent(t.begin("check", name, src=t.dst, dst=t.src))


@case(PODMAN, DOCKER, timeout=600)
def address(t):
    """A socket with an address that the container gave itself: no restore could bind it, on neither side."""
    name = net.start(t, "it-bound", "--cap-add", "NET_ADMIN",
                     command=f"ip addr add {ADDRESS}/32 dev eth0; httpd -p {ADDRESS}:7000 -h /www; " + net.COUNTER)
    refused(t, name, ADDRESS)


@case(PODMAN, DOCKER, timeout=600)
def nonlocal_address(t):
    """The same where the kernel lets it bind to an address that is nowhere: the setting comes back after the sockets."""
    name = net.start(t, "it-nonlocal", "--sysctl", "net.ipv4.ip_nonlocal_bind=1", command=f"httpd -p {ADDRESS}:7000 -h /www; " + net.COUNTER)
    refused(t, name, ADDRESS)


@case(PODMAN, DOCKER, timeout=600)
def interface(t):
    """A bridge made inside, up, and one end of a pair of interfaces, down: a socket may be bound to either."""
    name = net.start(t, "it-bridge", "--cap-add", "NET_ADMIN")
    on_host(t, name, "ip link add br7 type bridge; ip link set br7 up; ip link add ve7 type veth peer name ve8")
    refused(t, name, "br7", "ve7", "ve8")


@case(PODMAN, DOCKER, timeout=600)
def overlay(t):
    """An overlay that was mounted inside: CRIU would look for its directories on the host. And one of huge pages, which it does not know."""
    name = net.start(t, "it-overlay", "--privileged",
                     command="mkdir -p /o/top /o/low /o/all; mount -t tmpfs top /o/top; mkdir /o/top/u /o/top/w; "
                             "mount -t overlay all -o lowerdir=/o/low,upperdir=/o/top/u,workdir=/o/top/w /o/all; "
                             "mkdir -p /huge; mount -t hugetlbfs huge /huge; " + net.COUNTER)
    refused(t, name, "overlay", "/o/all", "hugetlbfs", "/huge")
    same("mounted there", "1", t.dst.exec(name, "grep -c ' /o/all overlay ' /proc/mounts").strip())


@case(PODMAN, DOCKER, timeout=600)
def packet(t):
    """A packet socket that is bound to an interface, by its number: Docker's has another one after every restore, on the source too."""
    name = net.start(t, "it-packet", "--cap-add", "NET_RAW", command="arping -I eth0 192.0.2.1 >/dev/null & " + net.COUNTER)
    if t.engine == "docker":
        refused(t, name, "packet socket")
    else:
        t.move(name)
        net.moved(t, name)
        net.goes_on(t.dst, name)
    check(int(t.dst.exec(name, "awk 'NR > 1 && $5 > 1' /proc/net/packet | wc -l")) > 0, "no packet socket there")
