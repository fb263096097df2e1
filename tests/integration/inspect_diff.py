"""What an engine says of a container before a move and after it: the same, field by field, but for what is listed here.

Every test that moves compares (lab.Test.begin): the engine's own inspect JSON of the source before, of the target after.
A difference that is not in EXPECTED is a loss until somebody wrote down here why it is none.
"""

import json
import re

ANY, PODMAN, DOCKER = "", "podman", "docker"

EXPECTED = [  # engine, strategy, the path of the field, why it may differ
    (ANY, ANY, r"\.State\.(Pid|ConmonPid|StartedAt|FinishedAt|Health(check)?\..*)", "of this run of it"),
    (ANY, ANY, r"\.State\.(Status|Running|ExitCode|Paused)", "it may have ended since, or have been paused before"),
    (ANY, ANY, r"\.(Created|RestartCount)", "of this container, which is new there"),
    (ANY, ANY, r"\.GraphDriver\.Data\.?.*", "directories with an ID of the layer's own"),
    (ANY, ANY, r"\.NetworkSettings\.(SandboxKey|SandboxID|EndpointID)", "of this host's network"),
    (ANY, ANY, r"\.NetworkSettings\.Networks\.[^.]+\.(NetworkID|EndpointID)", "of this host's network"),
    (ANY, ANY, r"\.(ExecIDs|ExecSessions)(\..*)?", "a session of exec is a process of the engine's, which stays"),
    (PODMAN, ANY, r"\.State\.(Restored|RestoredAt|Checkpointed|CheckpointedAt|CheckpointPath|RestoreLog|CheckpointLog)", "what happened to it"),
    (ANY, "cold", r"\.NetworkSettings\.(Networks\.[^.]+\.)?(IPAddress|MacAddress|GlobalIPv6Address)", "one that is not fixed is anew at every start"),
    (PODMAN, ANY, r"\.HostConfig\.LogConfig\.Path", "every restore sets it back to Podman's own place, which is a link to the file then"),
    (ANY, ANY, r"\.HostConfig\.ContainerIDFile", "a file that the engine's client wrote"),
    (PODMAN, "cold", r"\.(PidFile|ConmonPidFile)", "files on the source; a warning says so"),
    (DOCKER, ANY, r"\.NetworkSettings\.(Networks\.bridge\.)?(IPAddress|GlobalIPv6Address)", "on the default bridge nobody can ask for one"),
    (DOCKER, ANY, r"\.HostConfig\.Mounts(\..*)?", "with the names of anonymous volumes; what is mounted is told at Mounts, too"),
    (DOCKER, ANY, r"\.HostConfig\.PortBindings\..*", "a port that was chosen is asked for there: clients know it"),
    (PODMAN, ANY, r"\.lockNumber", "of this host's Podman"),
    (PODMAN, ANY, r"\.ImageDigest", "of the manifest, which an archive of the image has of its own"),
    (DOCKER, ANY, r"\.(Config|NetworkSettings\.Networks\.[^.]+|NetworkSettings)\.MacAddress", "asked for there, so that it stays"),
    (ANY, ANY, r"\.NetworkSettings\.Networks\.[^.]+\.(Aliases|DNSNames)(\.[0-9]+)?", "the ID is one of them"),
]

KEPT = r"\.NetworkSettings\.Networks\.[^.]+\.IPAMConfig(\.IPv[46]Address)?"  # Docker: an address that was chosen is asked for there
SETS = r".*\.(Aliases|DNSNames|Env)"  # lists whose order, and what is in them twice, says nothing


def plain(inspect):
    """Without what says nothing: IDs, our label, Docker's order of mounts, and its answer to the word `nocopy`, which keeps it from copying the image's
    files into a volume that is about to be filled ("z" is its own choice where nothing is said)."""
    text = json.dumps(inspect).replace(inspect["Id"], "ID").replace(inspect["Id"][:32], "ID")  # a cold move makes another container
    inspect = json.loads(text)
    (inspect["Config"].get("Labels") or {}).pop("tranship.migration", None)
    host = inspect.get("HostConfig") or {}
    if re.match("host$|ns:", host.get("UTSMode") or ""):  # the name is the host's, and Docker's own answer means nothing
        inspect["Config"].pop("Hostname", None)
        inspect["Config"]["Env"] = [e for e in inspect["Config"].get("Env") or [] if not e.startswith("HOSTNAME=")]
    labels = inspect["Config"].get("Labels") or {}
    for label in [k for k in labels if k.startswith("tranship.chosen.")]:
        del labels[label]
    mounts = [{**m, "Mode": re.sub("^z?,?nocopy$|^z$|,nocopy$", "", m.get("Mode") or "")} for m in inspect.get("Mounts") or []]
    return {**inspect, "Mounts": sorted(mounts, key=lambda m: m.get("Destination") or ""),
            "HostConfig": {**host, "Binds": sorted(re.sub("(:z)?[:,]nocopy$", "", b) for b in host.get("Binds") or [])}}


def differences(a, b, path=""):
    """(path, before, after) of every field that differs; what is absent, null and empty is the same."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            yield from differences(a.get(key), b.get(key), f"{path}.{key}")
    elif re.fullmatch(SETS, path) and set(a or []) == set(b or []):
        return
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            yield from differences(x, y, f"{path}.{i}")
    elif a != b and (a or b):
        yield path, a, b


def unexpected(engine, strategy, before, after, also=()):
    """The differences that nobody expects, as texts. also: paths (expressions) that this case means to change."""
    allowed = [e[2] for e in EXPECTED if e[0] in (ANY, engine) and e[1] in (ANY, strategy)] + list(also)
    return [f"{path}: {x!r} became {y!r}" for path, x, y in differences(plain(before), plain(after))
            if not any(re.fullmatch(a, path) for a in allowed) and (x or not re.fullmatch(KEPT, path))]
