"""Each server of servers.py there and back: a nonce from before, a stream of acknowledged writes and an open connection are there afterwards.

The client is on the switch and the address follows the container. The writer may connect anew, but what was acknowledged may not be lost. A case is ENGINE of a NAME.
"""

import json
import os
import pathlib
import socket
import threading
import time

import lab
from lab import check, same, until
from servers import SERVERS

RESULTS = pathlib.Path(os.environ.get("TRANSHIP_APPS_RESULTS", "/var/tmp/tranship-apps"))
ERRORS = (OSError, ValueError, EOFError)
QUIET = 240  # seconds at most until a client is answered after a move
MOVES = int(os.environ.get("TRANSHIP_APPS_MOVES", "2"))


def enter_lan():
    """All of this process's sockets from now on are on the switch."""
    fd = os.open(lab.LAN_NETNS, os.O_RDONLY | os.O_CLOEXEC)
    check(lab._libc.setns(fd, 0x40000000) == 0, "setns")
    os.close(fd)


class Writer:
    """Writes one word after the other, or asks for the nonce where nothing can be written; connects anew when it has to. acknowledged: the words of which the server said so."""

    def __init__(self, connect, row, nonce):
        self.connect, self.row, self.nonce = connect, row, nonce
        self.acknowledged, self.errors, self.longest = [], [], 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self):
        client, n, last = None, 0, time.monotonic()
        while not self._end.is_set():
            n += 1
            try:
                client = client or self.connect()
                if self.row.client.writes:
                    client.write(f"w{n}")
                else:
                    check_none(client.missing([self.nonce]))
                self.acknowledged.append(f"w{n}")
                now = time.monotonic()
                self.longest, last = max(self.longest, now - last), now
            except ERRORS as e:
                self.errors.append(f"w{n}: {type(e).__name__} {e}"[:300])
                if client:
                    client.close()
                client = None
                self._end.wait(0.2)
            self._end.wait(self.row.pace)
        if client:
            client.close()

    def goes_on(self, seconds):
        goal = len(self.acknowledged) + 5
        until(lambda: len(self.acknowledged) >= goal, seconds, f"written {len(self.acknowledged)}; {self.errors[-2:]}")

    def end(self):
        self._end.set()
        self._thread.join(60)


class Held:
    """A connection that asks something now and then and never connects anew."""

    def __init__(self, client, beat):
        self.client, self.beat, self.answers, self.error = client, beat, 0, None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self):
        while not self._end.is_set():
            try:
                self.client.ping()
                self.answers += 1
            except ERRORS as e:
                self.error = self._end.is_set() or f"{type(e).__name__} {e}"
                return
            self._end.wait(self.beat)

    def lives(self):
        goal = self.answers + 3
        until(lambda: self.error or self.answers >= goal, QUIET, "the open connection gets no answer")
        check(not self.error, "the open connection:", self.error)

    def end(self):
        self._end.set()
        self.client.close()


class App:
    """One server in a container whose address follows it."""

    def __init__(self, t, row):
        self.t, self.row, self.name, self.nonce = t, row, "it-" + row.name, "nonce" + os.urandom(4).hex()
        self.at, self.key = t.src, lab.STATE + "/ssh/id_ed25519"

    def start(self):
        t, row = self.t, self.row
        image = "apps-" + row.image + SUITE
        for e in (t.src, t.dst):
            if e.api("GET", f"/v1.41/images/{image}/json")[0] != 200:
                lab.lab("image", image, e.host.name, e.kind, timeout=900)
        t.src.cli("network", "create", "--driver", "macvlan", "--opt", "parent=eth0", "--subnet", "10.77.0.0/24", "--gateway", "10.77.0.253", "it-lan")
        env = {"NONCE": self.nonce, "ADDRESS": t.ip(), "KEY": pathlib.Path(self.key + ".pub").read_text().strip()}
        options = [o for k, v in env.items() for o in ("--env", f"{k}={v}")] + [o for e in row.env for o in ("--env", e)]
        t.src.cli("run", "--detach", "--name", self.name, "--network", "it-lan", "--ip", t.ip(), "--mac-address", f"02:77:00:00:01:{t.number:02x}",
                  *options, *row.options, "docker.io/library/" + image if t.engine == "podman" else image, "sh", "-euc", row.command)

    def connect(self):
        return self.row.client(self.t.ip(), self.row, self.nonce, self)

    def asked(self, function, seconds, what):
        """function(client) on a connection of its own, until it works."""
        end, error = time.monotonic() + seconds, None
        while True:
            check(self.at.running(self.name), "the server ended:", self.at.logs(self.name)[-1500:])
            try:
                client = self.connect()
                try:
                    return function(client)
                finally:
                    client.close()
            except ERRORS as e:
                error = f"{type(e).__name__} {e}"
            check(time.monotonic() < end, f"{what}: not within {seconds} s: {error}; its log ends:", self.at.logs(self.name)[-1500:])
            time.sleep(0.3)

    def inside(self, command):
        return self.at.exec(self.name, command)

    def rsync(self, address, what, word):
        there = f"rsync://{address[0]}:{address[1]}/m/"
        script = 'rsync --timeout=60 "$1" >/dev/null' if what == "list" else 'd=$(mktemp -d) && echo x >"$d/$2" && rsync --timeout=60 "$d/$2" "$1"; s=$?; rm -r "$d"; exit $s'
        try:
            self.t.hosts[0].sh(script, there, word or "", net="lan", timeout=90)
        except lab.Failed as e:
            raise OSError(str(e)) from e


def there_and_back(t, row):
    enter_lan()
    app = App(t, row)
    app.start()
    writes = row.client.writes
    app.asked(lambda c: c.write(app.nonce) if writes else check_none(c.missing([app.nonce])), row.ready, "ready")
    if not MOVES:
        checked(app)
        return
    result = {"name": row.name, "engine": t.engine, "moves": []}
    held = writer = None
    try:
        if row.holds:
            held = Held(app.connect(), row.beat)
            held.lives()
        writer = Writer(app.connect, row, app.nonce)
        writer.goes_on(QUIET)
        for src, dst in ((t.src, t.dst), (t.dst, t.src))[:MOVES]:
            move_once(app, src, dst, writer, held, result)
            if result.get("expected"):
                break
    finally:
        for x in (writer, held):
            if x:
                x.end()
        result["written" if writes else "answers"] = len(writer.acknowledged) if writer else 0
        result["held"] = (not held.error if result["moves"] else None) if held else None
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{row.name}-{t.engine}.json").write_text(json.dumps(result))


def checked(app):
    """What check says of the server, with a client: what the row expects."""
    t, row = app.t, app.row
    held = Held(app.connect(), row.beat) if row.holds else None
    status, word = row.expect.get(t.engine, (0, ""))
    r = t.begin("check", *row.move, app.name).wait(120)
    if held:
        held.end()
    check(r.status == (status if status == 3 else 0) and (status != 3 or word in r.codes), r.status, r.codes, r.tail())


def check_none(missing):
    if missing:
        raise ValueError(f"missing: {missing[:5]}")


def move_once(app, src, dst, writer, held, result):
    t, row = app.t, app.row
    if row.expect.get(t.engine, (0,))[0] == 3:  # what is refused was so by check
        r = t.begin("check", *row.move, app.name, src=src, dst=dst).wait(120).expect(3)
        check(row.expect[t.engine][1] in r.codes, r.codes)
    with lab.Watcher("no such marker", [(src, app.name), (dst, app.name)]):
        r = t.begin("move", *row.move, app.name, src=src, dst=dst).wait(500)
    if row.expect.get(t.engine):
        status, word = row.expect[t.engine]
        check(r.status == status and word in r.stdout + r.stderr, f"exit {status} with '{word}' was expected:", r.status, r.tail())
        result["expected"] = f"{status} {word}"
        app.asked(lambda c: check_none(c.missing([app.nonce])), QUIET, "the source after a refusal")
        return
    if r.status:
        result["failed"] = f"exit {r.status}: " + str(((r.report or {}).get("error") or {}).get("message") or r.codes)
    r.expect(0)
    t.ids.append(r.report["id"])
    moved = time.monotonic()
    app.at = dst
    same("on the source", "absent", src.state(app.name))
    writer.goes_on(QUIET)
    known = [app.nonce] + (list(writer.acknowledged) if row.client.writes else [])
    app.asked(lambda c: c.ping(), QUIET, "a new client")
    result["moves"].append({"downtime_us": r.report["downtime_us"], "answered_s": round(time.monotonic() - moved, 2)})
    missing = app.asked(lambda c: c.missing(known), QUIET, "reading back")
    if missing:
        result["lost"] = len(missing)
    check(not missing, len(missing), "of", len(known), "acknowledged words are gone:", missing[:5])
    if held:
        held.lives()


SUITE = "." + os.environ["TRANSHIP_APPS_SUITE"] if os.environ.get("TRANSHIP_APPS_SUITE", "trixie") != "trixie" else ""
chosen = os.environ.get("TRANSHIP_APPS", "").split()
engine = os.environ.get("TRANSHIP_APPS_ENGINE")
for row_ in SERVERS:
    if chosen and row_.name not in chosen and "image:" + row_.image not in chosen:
        continue
    for engine_ in ("podman", "docker"):
        if engine in (None, "", engine_):
            lab.add_case(f"{row_.name}/{engine_}", lambda t, row=row_: there_and_back(t, row), engine_, None, 1200)
