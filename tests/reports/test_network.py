"""Networks and addresses: what of them comes along, what is said before the freeze when it cannot."""

import os
import pathlib
import socket
import threading
import time

import lab
from lab import case, check, same, until

SCP, ARCHIVE, PODMAN, DOCKER = lab.PATHS
COUNTER = "trap 'exit 0' TERM; i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"
ECHO = "nc -ll -p 7000 -e cat & " + COUNTER


KEPT = r"\.(Config\.Labels\.tranship\.chosen\..*|NetworkSettings\.Networks\.[^.]+\.IPAMConfig)"  # an address that Docker chose is asked for there
ANEW = r"\.NetworkSettings\.(Networks\.[^.]+\.)?(IPAddress|IPAMConfig|Gateway|MacAddress)"  # another address, as is said
JOINED = r"\.(Dependencies\.0|HostConfig\.NetworkMode|(Hostname|Hosts|ResolvConf)Path|Config\.Hostname)"  # another container's, which has another ID there


# ---- helpers


def finding(r, code):
    """The finding of that code; Failed when there is none."""
    for f in (r.report or {}).get("findings") or []:
        if f["code"] == code:
            return f
    raise lab.Failed(f"no finding {code}: {r.codes}; {r.tail()}")


def refused(t, name, code, *args, **kwargs):
    """check and move say the same, with exit 3 and before anything is frozen; the finding."""
    started = t.src.inspect(name)["State"]["StartedAt"]
    said = []
    for command in ("check", "move"):
        r = t.begin(command, *args, name, **kwargs).wait().expect(3)
        f = finding(r, code)
        check(f["severity"] != "warning", code, "is only a warning")
        said.append((f["message"], f.get("hint")))
    same("check and move", said[0], said[1])
    check(name in f["message"], "the container's name in:", f["message"])
    found = t.src.inspect(name)
    same("the source", ("running", started), (found["State"]["Status"], found["State"]["StartedAt"]))
    return f


def warned(t, name, code, *args):
    """check says it can move, and warns."""
    r = t.begin("check", *args, name).wait().expect(0)
    f = finding(r, code)
    same(f"severity of {code}", "warning", f["severity"])
    return f


def moved(t, name, src=None, dst=None):
    src, dst = src or t.src, dst or t.dst
    same(f"{name} on {src}", "absent", src.state(name))
    same(f"{name} on {dst}", "running", dst.state(name))


def goes_on(engine, name):
    """Its counter counts on."""
    lines = len(engine.logs(name).split())
    until(lambda: len(engine.logs(name).split()) > lines + 3, 20, f"{name} on {engine} counts on")


def start(t, name, *options, command=COUNTER, engine=None):
    (engine or t.src).start(name, *options, cmd=("sh", "-c", command, t.marker))
    until(lambda: len((engine or t.src).logs(name).split()) >= 2, 20, "it counts")
    return name


def address(engine, name, network):
    return engine.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"]


def network(engine, name, *options):
    engine.cli("network", "create", *options, name)


def answers(host_address, port, timeout=2):
    """One line of an echo service, asked on the switch."""
    try:
        with lab.lan_socket((host_address, port), timeout=timeout) as s:
            s.sendall(b"hello\n")
            return s.recv(6) == b"hello\n"
    except OSError:
        return False


class Held:
    """A connection to an echo service that stays open."""

    def __init__(self, where):
        self.socket = lab.lan_socket(where, timeout=30)
        check(self.ask() == "answered", "the connection answers")

    def ask(self, seconds=30):
        """answered, reset, or silent."""
        self.socket.settimeout(seconds)
        try:
            self.socket.sendall(b"hello\n")
            return "answered" if self.socket.recv(6) == b"hello\n" else "reset"
        except TimeoutError:
            return "silent"
        except OSError:
            return "reset"


# ---- Docker: addresses that its engine chose


@case(DOCKER, timeout=400)
def plain_network(t):
    """A network without --subnet, there: another address, and back again; live and cold."""
    t.may_differ = [KEPT, ANEW]
    network(t.src, "it-plain")
    network(t.dst, "it-plain")
    name = start(t, "it-plain-user", "--network", "it-plain", "--network-alias", "it-alias")
    check("it-plain" in warned(t, name, "address-changes")["message"], "the network is named")
    for src, dst, options in ((t.src, t.dst, ()), (t.dst, t.src, ()), (t.src, t.dst, ("--cold",))):
        t.move(*options, name, src=src, dst=dst)
        moved(t, name, src, dst)
        goes_on(dst, name)
        check("it-alias" in dst.inspect(name)["NetworkSettings"]["Networks"]["it-plain"]["Aliases"], "the alias came along")


@case(DOCKER, timeout=400)
def plain_network_made_by_us(t):
    """There is none on the target: one like the source's is made, with the address; the way back leads to the one without --subnet."""
    t.may_differ = [KEPT, ANEW]
    network(t.src, "it-plain")
    name = start(t, "it-plain-user", "--network", "it-plain")
    before = address(t.src, name, "it-plain")
    t.move(name)
    same("the address", before, address(t.dst, name, "it-plain"))
    t.move(name, src=t.dst, dst=t.src)
    moved(t, name, t.dst, t.src)
    goes_on(t.src, name)


@case(DOCKER, timeout=400)
def plain_network_in_use(t):
    """Connections of its own address need that address: said before, and the hint helps."""
    t.may_differ = [KEPT, ANEW]
    network(t.src, "it-plain")
    network(t.dst, "it-plain")
    name = start(t, "it-plain-user", "--network", "it-plain", "--publish", f"{t.port()}:7000", command=ECHO)
    held = Held((t.hosts[0].address, t.port()))
    f = refused(t, name, "network-differs")
    check("--subnet" in f["hint"] and "--cold" in f["hint"], f["hint"])
    held.socket.close()
    subnet = t.src.get("/v1.41/networks/it-plain")["IPAM"]["Config"][0]["Subnet"]
    t.dst.cli("network", "rm", "it-plain")
    network(t.dst, "it-plain", "--subnet", subnet)  # as the hint says
    held = Held((t.hosts[0].address, t.port()))
    t.move(name)
    moved(t, name)
    until(lambda: answers(t.hosts[1].address, t.port()), 20, "it answers there")


@case(DOCKER, timeout=400)
def fixed_address_on_a_plain_network(t):
    t.may_differ = [KEPT, ANEW]
    network(t.src, "it-fixed", "--subnet", "172.29.7.0/24")
    network(t.dst, "it-fixed")
    name = start(t, "it-fixed-user", "--network", "it-fixed", "--ip", "172.29.7.9")
    for options in ((), ("--cold",)):
        check("--subnet" in refused(t, name, "network-differs", *options)["hint"], "the hint says how")
    t.dst.cli("network", "rm", "it-fixed")
    network(t.dst, "it-fixed", "--subnet", "172.29.7.0/24")
    t.move(name)
    same("the address", "172.29.7.9", address(t.dst, name, "it-fixed"))


@case(DOCKER, timeout=400)
def address_busy(t):
    """The address it runs with is another container's on the target: it gets another one; live and cold."""
    t.may_differ = [KEPT, ANEW]
    for e in (t.src, t.dst):
        network(e, "it-busy", "--subnet", "172.29.8.0/24")
    name = start(t, "it-busy-user", "--network", "it-busy")
    before = address(t.src, name, "it-busy")
    start(t, "it-other", "--network", "it-busy", "--ip", before, engine=t.dst)
    check("it-other" in warned(t, name, "address-changes")["message"], "who has it is named")
    for src, dst, options in ((t.src, t.dst, ()), (t.dst, t.src, ()), (t.src, t.dst, ("--cold",))):
        t.move(*options, name, src=src, dst=dst)
        moved(t, name, src, dst)
        goes_on(dst, name)
        if dst == t.dst:
            check(address(dst, name, "it-busy") not in (before, ""), "another address")


@case(PODMAN, DOCKER, timeout=400)
def address_busy_in_use(t):
    """Asked for, or needed by an open connection: refused by name, before the freeze."""
    t.may_differ = [KEPT, ANEW]
    for e in (t.src, t.dst):
        network(e, "it-busy", "--subnet", "172.29.9.0/24")
    name = start(t, "it-busy-user", "--network", "it-busy", "--ip", "172.29.9.9")
    start(t, "it-other", "--network", "it-busy", "--ip", "172.29.9.9", engine=t.dst)
    check("it-other" in refused(t, name, "address-taken")["message"], "who has it is named")
    t.dst.remove("it-other")
    t.move(name)
    same("the address", "172.29.9.9", address(t.dst, name, "it-busy"))


@case(PODMAN, ARCHIVE, timeout=400)
def address_taken_skipped(t):
    """Podman gives it another address where the user wants that; where a connection needs the old one, the word does not help."""
    t.may_differ = [ANEW]
    for e in (t.src, t.dst):
        network(e, "it-busy", "--subnet", "172.29.10.0/24")
    name = start(t, "it-busy-user", "--network", "it-busy", "--publish", f"{t.port()}:7000", command=ECHO)
    before = address(t.src, name, "it-busy")
    start(t, "it-other", "--network", "it-busy", "--ip", before, engine=t.dst)
    held = Held((t.src.host.address, t.port()))
    same("it can be skipped", False, refused(t, name, "address-taken", "--skip", "address-taken")["skippable"])
    held.socket.close()
    until(lambda: t.begin("check", "--skip", "address-taken", name).wait().status == 0, 90, "the connection is gone", every=1)
    t.move("--skip", "address-taken", name)
    moved(t, name)
    goes_on(t.dst, name)
    check(address(t.dst, name, "it-busy") not in (before, ""), "another address")
    t.dst.cli("restart", "--time", "0", name)
    goes_on(t.dst, name)


# ---- ports


@case(PODMAN, DOCKER, timeout=400)
def host_ip_port(t):
    """An address of its host that the target gets only in its course: not the one by which anybody reaches the host."""
    address_ = t.ip()

    def give(host):
        host.sh('ip address add "$1"/32 dev eth0', address_)
        t.at_end(host.sh, 'ip address del "$1"/32 dev eth0', address_)
    give(t.hosts[0])
    name = start(t, "it-host-ip", "--publish", f"{address_}:{t.port()}:7000", command=ECHO)
    for options in ((), ("--cold",)):
        f = refused(t, name, "host-ip", *options)
        check(address_ in f["message"], f["message"])
    give(t.hosts[1])  # as the hint says
    r = t.begin("check", name).wait().expect(0)
    check("host-ip" not in r.codes, r.codes)
    t.move(name)


# ---- networks of other containers


@case(DOCKER, timeout=400)
def netns_user(t):
    """--network container:X names X; with one of that name on the target it joins that; live and cold."""
    t.may_differ = [JOINED]
    for e in (t.src, t.dst):
        start(t, "it-vpn", engine=e)
    name = start(t, "it-user", "--network", "container:it-vpn")
    t.dst.cli("stop", "--time", "0", "it-vpn")
    for options in ((), ("--cold",)):
        f = refused(t, name, "dependency", *options)
        check("'it-vpn'" in f["message"], f["message"])
    t.dst.cli("start", "it-vpn")  # as the hint says
    for src, dst, options in ((t.src, t.dst, ()), (t.dst, t.src, ("--cold",))):
        t.move(*options, name, src=src, dst=dst)
        moved(t, name, src, dst)
        goes_on(dst, name)
        same("its network", "container:" + dst.inspect("it-vpn")["Id"], dst.inspect(name)["HostConfig"]["NetworkMode"])


@case(PODMAN, timeout=400)
def netns_user_podman(t):
    """Podman dumps no such container: the hint leads to a cold move."""
    t.may_differ = [JOINED]
    for e in (t.src, t.dst):
        start(t, "it-vpn", engine=e)
    name = start(t, "it-user", "--network", "container:it-vpn")
    f = refused(t, name, "dependency")
    check("'it-vpn'" in f["message"] and "--cold" in f["hint"], f)
    t.move("--cold", name)
    moved(t, name)
    goes_on(t.dst, name)
    there = t.dst.native(name)["HostConfig"]["NetworkMode"]
    same("its network", "container:" + t.dst.inspect("it-vpn")["Id"], there)


# ---- connections, and where the network thinks the container is


@case(PODMAN, DOCKER, timeout=400)
def published_port(t):
    """check counts them; a client's open connection through a published port ends at once after the move, and a new one is answered."""
    name = start(t, "it-published", "--publish", f"{t.port()}:7000", command=ECHO)
    held = Held((t.hosts[0].address, t.port()))
    check("1 connection " in warned(t, name, "connections")["message"], "their number")
    t.move(name)
    moved(t, name)
    same("the connection", "reset", held.ask(10))
    until(lambda: answers(t.hosts[1].address, t.port()), 20, "a new client is answered there")


def lan_network(engine, driver):
    engine.cli("network", "create", "--driver", driver, "--opt", "parent=eth0", "--subnet", "10.77.0.0/24", "--gateway", "10.77.0.253", "it-lan")


@case(PODMAN, DOCKER, timeout=400)
def macvlan(t):
    """The switch learns at once where the address is: a client that asked before is answered after the move; live, and back cold. On Docker it took 31 to 73 s."""
    lan_network(t.src, "macvlan")
    name = start(t, "it-lan-user", "--network", "it-lan", "--ip", t.ip(), command=ECHO)
    until(lambda: answers(t.ip(), 7000), 20, "it answers")
    for src, dst, options in ((t.src, t.dst, ()), (t.dst, t.src, ("--cold",))):
        t.move(*options, name, src=src, dst=dst)
        until(lambda: answers(t.ip(), 7000), 10, "it answers a new client after the move")
        moved(t, name, src, dst)


def ipvlan(t):
    """The same with the MAC address of the host: who has an old entry of it learns the new one."""
    lan_network(t.src, "ipvlan")
    name = start(t, "it-lan-user", "--network", "it-lan", "--ip", t.ip(1), command=ECHO)
    until(lambda: answers(t.ip(1), 7000), 20, "it answers")
    t.move(name)
    until(lambda: answers(t.ip(1), 7000), 10, "it answers a new client after the move")
    moved(t, name)


def kernel_has(module):
    lists = (pathlib.Path("/lib/modules", os.uname().release, name) for name in ("modules.dep", "modules.builtin"))
    return any(f"/{module}.ko" in p.read_text() for p in lists if p.exists())


if kernel_has("ipvlan"):
    case(PODMAN, DOCKER, timeout=400)(ipvlan)
