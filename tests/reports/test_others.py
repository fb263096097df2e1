"""Other people's things, and what is left of ours: volumes, images, networks that somebody else uses, and what a killed move leaves (SAFETY rules 15 and 26)."""

import lab
from lab import case, check, same, until

SCP, ARCHIVE, PODMAN, DOCKER = lab.PATHS
COUNT = "i=0; while :; do echo $i >>/data/log; echo $i; i=$((i+1)); sleep 0.1; done"
NAMELESS = [r"\.(Config\.Image|ImageName)"]  # its name is another image's there, and stays so: known by its ID
CHOSEN = [r"\.(Config\.Labels\.tranship\.chosen\..*|NetworkSettings\.Networks\.[^.]+\.IPAMConfig)"]  # an address that Docker chose is asked for there
BUSY = "while :; do date >>/v/theirs; sleep 0.1; done"


def start(t, *options, script=COUNT):
    name = t.marker
    t.src.start(name, *options, cmd=("sh", "-c", script, t.marker))
    until(lambda: t.src.logs(name).split()[3:], 15, "the counter counts")
    return name


def volume(t):
    return t.marker + "-data"


def files(engine, name):
    """Of a volume, as a path of this machine."""
    return engine.host.path(engine.get(f"/v1.41/volumes/{name}")["Mountpoint"])


def read(engine, volume_, name):
    with open(f"{files(engine, volume_)}/{name}", encoding="utf-8") as f:
        return f.read()


def write(engine, volume_, name, text="theirs\n"):
    """By a container of somebody's, which is gone afterwards."""
    engine.need_image("counter")
    engine.cli("run", "--rm", "-v", f"{volume_}:/v", "counter", "sh", "-c", f"printf %s '{text}' >/v/{name}")


def refused(t, code, *args):
    """check and move say the same, and nothing happened."""
    for command in ("check", "move"):
        r = t.begin(command, *args).wait().expect(3)
        check(code in r.codes, f"{command}: {code} expected, found", r.codes)
    same("source", "running", t.src.state(t.marker))
    return r


# ---- replace-busy


@case(ARCHIVE, PODMAN, DOCKER, timeout=180)
def replace_busy(t):
    v, theirs = volume(t), t.marker + "-theirs"
    name = start(t, "-v", f"{v}:/data")
    t.dst.start(theirs, "-v", f"{v}:/v", cmd=("sh", "-c", BUSY))
    until(lambda: read(t.dst, v, "theirs"), 10, "the other container writes")
    r = refused(t, "replace-busy", "--volume", f"{v}=replace", name)
    check(any(theirs in f["message"] and v in f["message"] for f in r.report["findings"]), "the finding names both:", r.report["findings"])
    refused(t, "replace-busy", "--cold", "--volume", f"{v}=replace", name)
    t.dst.cli("stop", "-t", "0", theirs)  # stopped it is theirs still
    refused(t, "replace-busy", "--volume", f"{v}=replace", name)
    check(read(t.dst, v, "theirs"), "their data")
    t.dst.remove(theirs)  # as the hint says
    t.move("--volume", f"{v}=replace", name)
    check(read(t.dst, v, "log").split()[:3] == ["0", "1", "2"], "the volume came along")


@case(PODMAN, DOCKER)
def replace_busy_inside(t):
    """Not the volume, but a directory in it, or the volume's own directory by its path."""
    v, theirs = volume(t), t.marker + "-theirs"
    name = start(t, "-v", f"{v}:/data")
    t.dst.cli("volume", "create", v)
    inside = t.dst.get(f"/v1.41/volumes/{v}")["Mountpoint"] + "/sub"
    t.dst.host.sh('mkdir -p "$1"', inside)
    t.dst.start(theirs, "-v", f"{inside}:/v", cmd=("sh", "-c", BUSY))
    refused(t, "replace-busy", "--volume", f"{v}=replace", name)


@case(PODMAN, DOCKER)
def replace_busy_bind(t):
    """A directory to be copied is empty on the target, but another container has it."""
    path, theirs = f"/srv/{t.marker}", t.marker + "-theirs"
    for e in (t.src, t.dst):
        e.host.sh('mkdir -p "$1"', path)
        t.at_end(e.host.sh, 'rm -rf "$1"', path)
    name = start(t, "-v", f"{path}:/data")
    t.dst.start(theirs, "-v", f"{path}:/v:ro", cmd=("sleep", "1000"))
    refused(t, "replace-busy", "--bind", f"{path}=copy", name)
    t.dst.remove(theirs)
    t.move("--bind", f"{path}=copy", name)


@case(PODMAN, DOCKER)
def replace_busy_shared(t):
    """Of what both hosts share nothing is replaced: who else uses it there does not matter."""
    v, theirs = volume(t), t.marker + "-theirs"
    name = start(t, "-v", f"{v}:/data")
    t.dst.start(theirs, "-v", f"{v}:/v", cmd=("sh", "-c", BUSY))
    r = t.begin("check", "--volume", f"{v}=shared", name).wait()
    check("replace-busy" not in r.codes, "refused:", r.codes)


@case(PODMAN, DOCKER)
def replace_busy_later(t):
    """Somebody comes after the look: it is given up before the freeze, and what the volume held is there again."""
    v, theirs = volume(t), t.marker + "-theirs"
    name = start(t, "-v", f"{v}:/data")
    write(t.dst, v, "before")
    r = stopped_at(t, "arm:before", "--volume", f"{v}=replace", name)
    t.dst.start(theirs, "-v", f"{v}:/v", cmd=("sleep", "1000"))
    go_on(r).wait().expect(4)
    check(theirs in r.stderr, "named:", r.tail())
    same("source", "running", t.src.state(name))
    t.dst.remove(theirs)
    lab.tranship("recover", "--json", r.report["id"], state=r.state).expect(0)
    same("what it held", "theirs\n", read(t.dst, v, "before"))
    t.ids.append(r.report["id"])


# ---- volume-user-comes


def stopped_at(t, point, *args):
    """A move that stopped itself at PHASE:POINT."""
    r = t.begin("move", *args, env={"TRANSHIP_FAULT": f"{point}:stop"}, state=t.state_dir())

    def stands():
        if not r.running:
            return True
        with open(f"/proc/{r.process.pid}/stat", "rb") as f:
            return f.read().rpartition(b")")[2].split()[0] == b"T"
    until(stands, 60, f"tranship stops at {point}")
    check(r.status is None, "it ended:", r.tail() if r.status is not None else "")
    return r


def go_on(r):
    r.signal(lab.signal.SIGCONT)
    return r


@case(SCP, ARCHIVE, PODMAN, DOCKER)
def volume_user_comes(t):
    v = volume(t)
    name = start(t, "-v", f"{v}:/data")
    r = stopped_at(t, "verify:before", name)
    write(t.src, v, "new")
    go_on(r).wait().expect(5)
    check(any(v in left and "new" in left for left in r.report["leftovers"]), "leftovers:", r.report["leftovers"])
    same("what they wrote", "theirs\n", read(t.src, v, "new"))
    same("target", "running", t.dst.state(name))
    same("source", "absent", t.src.state(name))
    check(lab.tranship("status", "--json", state=r.state).report[-1]["final"], "nothing is open")
    t.ids.append(r.report["id"])


@case(PODMAN, DOCKER)
def volume_user_comes_cold(t):
    v = volume(t)
    name = start(t, "-v", f"{v}:/data")
    r = stopped_at(t, "verify:before", "--cold", name)
    write(t.src, v, "new")
    go_on(r).wait().expect(5)
    same("what they wrote", "theirs\n", read(t.src, v, "new"))
    t.ids.append(r.report["id"])


@case(PODMAN, DOCKER)
def volume_user_comes_anonymous(t):
    name = start(t, "-v", "/data")
    v = t.src.inspect(name)["Mounts"][0]["Name"]
    t.at_end(t.src.cli, "volume", "rm", "-f", v)
    r = stopped_at(t, "verify:before", name)
    write(t.src, v, "new")
    go_on(r).wait().expect(5)
    same("what they wrote", "theirs\n", read(t.src, v, "new"))
    t.ids.append(r.report["id"])


@case(PODMAN, DOCKER)
def volume_user_comes_recover(t):
    """The move is killed after the commit; a file is removed in between, which is a change, too."""
    v = volume(t)
    name = start(t, "-v", f"{v}:/data")
    write(t.src, v, "old")
    r = stopped_at(t, "cleanup:before", name)
    r.signal(lab.signal.SIGKILL)
    r.wait()
    t.src.cli("run", "--rm", "-v", f"{v}:/v", "counter", "sh", "-c", "rm /v/old")
    again = lab.tranship("recover", "--json", state=r.state).expect(5)
    check(any(v in left for left in again.report["leftovers"]), "leftovers:", again.report["leftovers"])
    check(read(t.src, v, "log"), "the volume is there")
    check(lab.tranship("status", "--json", state=r.state).report[-1]["final"], "nothing is open")
    t.ids.append(again.report["id"])


@case(PODMAN, DOCKER)
def volume_user_comes_and_stays(t):
    v, theirs = volume(t), t.marker + "-theirs"
    name = start(t, "-v", f"{v}:/data")
    r = stopped_at(t, "verify:before", name)
    t.src.start(theirs, "-v", f"{v}:/v", cmd=("sleep", "1000"))
    go_on(r).wait().expect(5)
    check(any(v in left and theirs in left for left in r.report["leftovers"]), "leftovers:", r.report["leftovers"])
    same("their container", "running", t.src.state(theirs))
    t.ids.append(r.report["id"])


@case(PODMAN, DOCKER)
def volume_nobody_came(t):
    """Reading is not writing: the volume goes with the container."""
    v = volume(t)
    name = start(t, "-v", f"{v}:/data")
    r = stopped_at(t, "verify:before", name)
    t.src.cli("run", "--rm", "-v", f"{v}:/v:ro", "counter", "cat", "/v/log")
    go_on(r).wait().expect(0)
    same("the volume on the source", 404, t.src.api("GET", f"/v1.41/volumes/{v}")[0])
    t.ids.append(r.report["id"])


@case(PODMAN, DOCKER)
def volume_user_on_target(t):
    """Somebody uses, on the target, a volume that the move has made: nothing of it is final, and it is given up before the freeze."""
    v, theirs = volume(t), t.marker + "-theirs"
    name = start(t, "-v", f"{v}:/data")
    r = stopped_at(t, "arm:before", name)
    t.dst.start(theirs, "-v", f"{v}:/v", cmd=("sleep", "1000"))
    go_on(r).wait().expect(4)
    same("source", "running", t.src.state(name))
    same("their container", "running", t.dst.state(theirs))
    t.dst.exec(theirs, "ls /v >/dev/null")


@case(PODMAN, DOCKER)
def replace_aside_written(t):
    """A process that had the replaced volume open goes on writing to it: what it wrote is kept, and named."""
    v = volume(t)
    name = start(t, "-v", f"{v}:/data")
    write(t.dst, v, "before")
    r = stopped_at(t, "prepare:places", "--volume", f"{v}=replace", name) if t.strategy == "in-place" else None
    aside = t.dst.host.sh('ls -d "$1".tranship-*', t.dst.get(f"/v1.41/volumes/{v}")["Mountpoint"]).strip()
    t.at_end(t.dst.host.sh, 'rm -rf "$1"', aside)
    t.dst.host.sh('echo late >"$1"/late', aside)
    go_on(r).wait().expect(5)
    check(any(aside in left for left in r.report["leftovers"]), "leftovers:", r.report["leftovers"])
    same("what was written", "late\n", t.dst.host.sh('cat "$1"/late', aside))
    t.ids.append(r.report["id"])


# ---- tag-taken


def make_image(t, engine, name, label):
    """Another image for every label, with the counter's files."""
    engine.need_image("counter")
    kind = engine.kind
    engine.host.sh(f'c=$({kind} create counter true); {kind} export "$c" | {kind} import --change "LABEL which=$2" - "$1" >/dev/null; {kind} rm "$c" >/dev/null',
                   name, label)
    t.at_end(lambda: engine.cli("rmi", "-f", name, check_status=False))
    return image_id(engine, name)


def image_id(engine, name):
    status, answer = engine.api("GET", f"/v1.41/images/{name}/json")
    return answer["Id"] if status == 200 else None


def start_image(t, image):
    t.src.cli("run", "--detach", "--name", t.marker, image, "sh", "-c", COUNT.replace(">>/data/log", ">/dev/null"), t.marker)
    until(lambda: t.src.logs(t.marker).split()[3:], 15, "the counter counts")
    return t.marker


def tags(engine):
    """Every name of an image, and what it means."""
    return {tag: i["Id"] for i in engine.get("/v1.41/images/json") for tag in i.get("RepoTags") or [] if tag != "<none>:<none>"}


def tag_taken_by(t, *args):
    image = f"localhost/{t.marker}-img:prod"
    ours, theirs = make_image(t, t.src, image, "source"), make_image(t, t.dst, image, "target")
    check(ours != theirs, "one image")
    t.at_end(lambda: t.dst.cli("rmi", "-f", ours, check_status=False))
    name = start_image(t, image)
    return image, ours, theirs, name, tags(t.dst)


@case(SCP, ARCHIVE, PODMAN, DOCKER, timeout=180)
def tag_taken(t):
    t.may_differ = NAMELESS
    image, ours, theirs, name, before = tag_taken_by(t)
    r = t.begin("move", name, env={"TRANSHIP_FAULT": "restore:before:error"}).wait().expect(4)
    t.ids.append(r.report["id"])
    same("the target's names after a rollback", before, tags(t.dst))
    same("the image that was brought", None, image_id(t.dst, ours))
    r = t.begin("check", name).wait().expect(0)
    same("told beforehand", {"image-tag-differs"} if t.engine == "podman" else set(), r.codes & {"image-tag-differs"})
    t.move(name)
    same("the target's names", before, tags(t.dst))
    same("what the container was made of", ours.split(":")[-1], t.dst.native(name)["Image"].split(":")[-1])


@case(PODMAN, DOCKER)
def tag_taken_cold(t):
    t.may_differ = NAMELESS
    image, ours, theirs, name, before = tag_taken_by(t)
    t.move("--cold", name)
    same("the target's names", before, tags(t.dst))
    same("what the container was made of", ours.split(":")[-1], t.dst.native(name)["Image"].split(":")[-1])


@case(PODMAN, DOCKER)
def tag_free(t):
    """Names that are free on the target come along, and go again when it is rolled back; each of several."""
    image, second = f"localhost/{t.marker}-img:prod", f"localhost/{t.marker}-img:second"
    ours = make_image(t, t.src, image, "source")
    t.src.cli("tag", image, second)
    name, before = start_image(t, image), tags(t.dst)
    for e in (t.src, t.dst):
        t.at_end(lambda e=e: e.cli("rmi", "-f", image, second, check_status=False))
    t.begin("move", name, env={"TRANSHIP_FAULT": "arm:before:error"}).wait().expect(4)
    same("the target's names after a rollback", before, tags(t.dst))
    same("the image that was brought", None, image_id(t.dst, ours))
    t.move(name)
    same("names that came along", {ours}, {image_id(t.dst, image), image_id(t.dst, second)})
    same("its image's name", image, t.dst.inspect(name)["Config"]["Image"])


@case(PODMAN, DOCKER)
def tag_free_then_taken(t):
    """Somebody gives our image a name of his own, and our name to another image, while the move is under way: both stay."""
    image, mine = f"localhost/{t.marker}-img:prod", f"localhost/{t.marker}-mine:1"
    ours, name = make_image(t, t.src, image, "source"), start_image(t, image)
    r = stopped_at(t, "arm:before", name)
    t.at_end(lambda: t.dst.cli("rmi", "-f", image, mine, check_status=False))
    t.dst.cli("tag", image, mine)
    theirs = make_image(t, t.dst, image, "target")
    r.signal(lab.signal.SIGTERM)
    go_on(r).wait().expect(4)
    same("their name for the image that was brought", ours, image_id(t.dst, mine))
    same("their image", theirs, image_id(t.dst, image))


@case(PODMAN, DOCKER)
def image_without_name_there(t):
    """The target has the image under no name: after a rollback it still has it, and no name."""
    t.may_differ = NAMELESS
    image = f"localhost/{t.marker}-img:prod"
    ours = make_image(t, t.src, image, "source")
    kind = t.engine
    for a, b in ((t.src, t.dst),):
        a.host.sh(f'{kind} save -o "$1" "$2"', f"/tmp/{t.marker}.tar", ours)
        with open(a.host.path(f"/tmp/{t.marker}.tar"), "rb") as f, open(b.host.path(f"/tmp/{t.marker}.tar"), "wb") as g:
            g.write(f.read())
        b.cli("load", "-i", f"/tmp/{t.marker}.tar")
    t.at_end(lambda: t.dst.cli("rmi", "-f", ours, check_status=False))
    check(image_id(t.dst, ours), "the image is on the target")
    name, before = start_image(t, image), tags(t.dst)
    t.begin("move", name, env={"TRANSHIP_FAULT": "arm:before:error"}).wait().expect(4)
    same("the target's names after a rollback", before, tags(t.dst))
    same("its image", ours, image_id(t.dst, ours))
    t.move(name)


# ---- network-shared


def start_on_network(t, name, network):
    t.src.start(name, "--network", network, cmd=("sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done", name))


@case(PODMAN, DOCKER, timeout=180)
def network_shared(t):
    """The network that a failed move made is another move's by then: it stays, and that one moves."""
    t.may_differ = CHOSEN
    network, one, two = t.marker + "-net", t.marker + "-one", t.marker + "-two"
    for e in (t.src,):
        e.cli("network", "create", "--subnet", f"10.{180 + t.number}.1.0/24", network)
    start_on_network(t, one, network)
    start_on_network(t, two, network)
    first = stopped_at(t, "arm:before", one)
    second = stopped_at(t, "arm:before", two)  # its container is made, and was never started
    first.signal(lab.signal.SIGTERM)
    go_on(first).wait().expect(4)
    check(any(network in left for left in first.report["leftovers"]), "leftovers:", first.report["leftovers"])
    check(lab.tranship("status", "--json", state=first.state).report[-1]["final"], "nothing is open")
    go_on(second).wait().expect(0)
    same("the second one", "running", t.dst.state(two))
    t.ids += [first.report["id"], second.report["id"]]
    t.move(one)


@case(PODMAN, DOCKER)
def network_not_shared(t):
    """Nobody else has it: it goes."""
    network, one = t.marker + "-net", t.marker + "-one"
    t.src.cli("network", "create", "--subnet", f"10.{180 + t.number}.1.0/24", network)
    start_on_network(t, one, network)
    t.begin("move", one, env={"TRANSHIP_FAULT": "arm:before:error"}).wait().expect(4)
    check(all(n["Name"] != network for n in t.dst.get("/v1.41/networks")), "the network is left")


@case(PODMAN, DOCKER)
def network_gone(t):
    """Somebody removes the network, and what was prepared, before the freeze: it is given up, and the container runs on."""
    t.may_differ = CHOSEN
    network, one = t.marker + "-net", t.marker + "-one"
    t.src.cli("network", "create", "--subnet", f"10.{180 + t.number}.1.0/24", network)
    start_on_network(t, one, network)
    r = stopped_at(t, "arm:before", one)
    t.dst.remove(t.dst.get("/v1.41/containers/json", all=True)[0]["Id"])
    t.dst.cli("network", "rm", network)
    go_on(r).wait().expect(4)
    check(network in r.stderr and "gone" in r.stderr, "the cause:", r.tail())
    same("source", "running", t.src.state(one))
    t.move(one)


# ---- leftovers of a killed move


def killed_at(t, point, *args):
    """A move that was killed at PHASE:POINT; the directory of its state."""
    state = t.state_dir()
    r = t.begin("move", *args, env={"TRANSHIP_FAULT": f"{point}:kill"}, state=state).wait()
    same("how it ended", -9, r.status)
    return state


def recovered(t, state, *statuses):
    r = lab.tranship("recover", "--json", state=state).expect(*(statuses or (0,)))
    t.ids.append(r.report["id"])
    check(lab.tranship("status", "--json", state=state).report[-1]["final"], "nothing is open")
    return r


def unpacked(engine):
    """What containerd unpacked of checkpoints, and never removes."""
    return set(engine.host.sh('ls -d "${TMPDIR:-/tmp}"/ctrd-checkpoint* /run/user/0/ctrd-checkpoint* 2>/dev/null || :').split())


@case(DOCKER, timeout=180)
def docker_sweep(t):
    before = {e: unpacked(e) for e in (t.src, t.dst)}
    name = start(t, "-v", f"{volume(t)}:/data")
    recovered(t, killed_at(t, "cleanup:before", name))
    same("target", "running", t.dst.state(name))
    for e in (t.src, t.dst):
        same(f"memory images on {e}", before[e], unpacked(e))


@case(DOCKER, timeout=180)
def docker_sweep_rollback(t):
    """Restored and not verified: fenced, restored on the source, and no image stays on either side."""
    before = {e: unpacked(e) for e in (t.src, t.dst)}
    name = start(t, "-v", f"{volume(t)}:/data")
    r = t.begin("move", "--verify", "tcp://127.0.0.1:1", "--verify-timeout", "1s", name).wait().expect(4)
    t.ids.append(r.report["id"])
    same("source", "running", t.src.state(name))
    for e in (t.src, t.dst):
        same(f"memory images on {e}", before[e], unpacked(e))


def services(host):
    """Command lines of private services on the host, and of what starts one."""
    return [line for line in lab.processes(host).values() if "unix:///run/tranship/" in line]


@case(ARCHIVE, PODMAN, timeout=180)
def service_intent(t):
    """Killed while a private service comes up: nobody learnt its process."""
    name = start(t, "-v", f"{volume(t)}:/data")
    state, before = t.state_dir(), {e: services(e.host) for e in (t.src, t.dst)}
    r = t.begin("move", name, state=state)
    until(lambda: not r.running or any(services(e.host) != there for e, there in before.items()), 60, "a private service comes up", every=0.002)
    r.signal(lab.signal.SIGKILL)
    r.wait()
    recovered(t, state)
    for e in (t.src, t.dst):
        same(f"private services on {e}", before[e], services(e.host))
    same("source", "running", t.src.state(name))


@case(PODMAN, timeout=180)
def dangling_link(t):
    """Failed before the checkpoint: the engine's own checkpoint works afterwards."""
    name = start(t, "-v", f"{volume(t)}:/data")
    bundle = t.src.native(name)["StaticDir"]
    for point in ("checkpoint:before", "arm:after"):
        r = t.begin("move", name, env={"TRANSHIP_FAULT": f"{point}:error"}).wait().expect(4)
        t.ids.append(r.report["id"])
        same(f"the link, after {point}", "", t.src.host.sh('find "$1" -maxdepth 1 -name "checkpoint*"', bundle).strip())
    recovered(t, killed_at(t, "checkpoint:before", name))
    same("the link, after a kill", "", t.src.host.sh('find "$1" -maxdepth 1 -name "checkpoint*"', bundle).strip())
    t.src.cli("container", "checkpoint", "--keep", name)
    t.src.cli("container", "restore", "--keep", name)
    same("source", "running", t.src.state(name))
    t.src.remove(name)  # with the images that were kept here
