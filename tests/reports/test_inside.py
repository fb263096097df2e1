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


@case(PODMAN)
def quiet_warns(t):
    """--quiet leaves out the progress, and not what will be lost."""
    name = net.start(t, "it-quiet")
    on_host(t, name, f"ip addr add {ADDRESS}/32 dev eth0")
    ways = ("--from", t.src.uri, "--to", t.dst.uri, name)
    loud = lab.Tranship("move", "--dry-run", *ways).wait().expect(0)
    check("  ! kernel-state " in loud.stdout, "a warning to look for:", loud.stdout)
    r = lab.Tranship("move", "--quiet", *ways).wait(120).expect(0)
    check("  ! kernel-state " in r.stderr, "stderr:", r.stderr)


# Of name spaces that CRIU carries, and what it makes of them.
CARRIED = {"kernel/hostname": "its.own", "kernel/domainname": "its.domain", "kernel/msgmax": "9000", "kernel/msgmnb": "20000", "kernel/msgmni": "300", "kernel/shmmax": "99999744",
           "kernel/shmall": "30000", "kernel/shmmni": "500", "kernel/sem": "300 40000 50 200", "fs/mqueue/queues_max": "300", "fs/mqueue/msg_max": "12", "fs/mqueue/msgsize_max": "9000"}
# Of the network: value, and where a new name space has another one than the host, that.
LOST = {"net/core/somaxconn": "1234", "net/ipv4/ip_forward": "1", "net/ipv4/tcp_rmem": "4096 65536 1000000", "net/ipv4/ip_local_port_range": "20000 30000",
        "net/ipv6/conf/default/disable_ipv6": "1"}
FROM_OUTSIDE = {"net/ipv4/conf/eth0/log_martians": "1"}


def read(t, engine, name, keys):
    return {k: " ".join(engine.exec(name, f"cat /proc/sys/{k}").split()) for k in keys}


@case(PODMAN, ARCHIVE, DOCKER, timeout=600)
def settings(t):
    """What `sysctl -w` did inside, and from the host: the settings of the network are named, and gone; those of System V IPC, message queues and names come along."""
    name = net.start(t, "it-settings", "--privileged")
    silent(t.begin("check", name))
    before = read(t, t.src, name, [*LOST, *FROM_OUTSIDE])
    for key, value in (LOST | CARRIED).items():
        t.src.exec(name, f"echo {value} >/proc/sys/{key}")
    on_host(t, name, "".join(f"echo {value} >/proc/sys/{key};" for key, value in FROM_OUTSIDE.items()))
    message = told(t, name, "kernel-state")
    for key, value in (LOST | FROM_OUTSIDE).items():
        what = f"{key.replace('/', '.')}={value} ({before[key]} in a new namespace)"
        check(what in message, what, "is not in:", message)
    for key in ("conf.all", "default.forwarding", "lo.", *(k.replace("/", ".") for k in CARRIED)):
        check(key not in message, key, "is in:", message)
    t.move(name)
    net.moved(t, name)
    net.goes_on(t.dst, name)
    same("the settings of the network there", before, read(t, t.dst, name, [*LOST, *FROM_OUTSIDE]))
    same("the other settings there", CARRIED, read(t, t.dst, name, CARRIED))
    silent(t.begin("check", name, src=t.dst, dst=t.src))


@case(PODMAN, DOCKER, timeout=600)
def settings_kept(t):
    """What it was made with comes along without a word, and what comes with it; changed later, it is told with the value that comes back."""
    ttl = "net/ipv4/ip_default_ttl"
    name = net.start(t, "it-made-with", "--privileged", "--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "net.ipv4.ip_default_ttl=77", "--sysctl", "net.ipv6.conf.all.forwarding=1",
                     "--sysctl", "net.ipv4.tcp_rmem=4096 65536 1000000")
    silent(t.begin("check", name))
    t.src.exec(name, f"echo 78 >/proc/sys/{ttl}")
    message = told(t, name, "kernel-state")
    check(message.endswith(": net.ipv4.ip_default_ttl=78 (77 when it was created)"), message)
    t.move(name)
    net.moved(t, name)
    same("it is back", {ttl: "77"}, read(t, t.dst, name, [ttl]))
    silent(t.begin("check", name, src=t.dst, dst=t.src))


@case(PODMAN, DOCKER, timeout=600)
def settings_of_engines(t):
    """Networks of every kind, as the engine made them: no warning. Many settings: a short one."""
    net.lan_network(t.src, "macvlan")
    net.network(t.src, "it-two")
    options = (("--network", "none"), ("--network", "it-lan", "--ip", t.ip()), ("--network", "it-two"), ("--network", "host"))
    for n, o in enumerate(options):
        silent(t.begin("check", net.start(t, f"it-net{n}", *o)))
    t.src.cli("network", "connect", "bridge" if t.engine == "docker" else "podman", "it-net2")
    silent(t.begin("check", "it-net2"))
    on_host(t, "it-net2", "for f in /proc/sys/net/ipv4/neigh/default/*_solicit /proc/sys/net/ipv4/conf/default/arp_*; do echo 2 >$f || :; done; ip link add link eth0 name e.7 type macvlan; "
                          "echo 1 >/proc/sys/net/ipv4/conf/e.7/log_martians")
    message = told(t, "it-net2", "kernel-state")
    check("more settings (sysctl)" in message and len(message) < 800, message)


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
