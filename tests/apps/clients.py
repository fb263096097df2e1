"""Clients of the servers in servers.py, as small as their protocols allow. None of them knows of moves.

write(v) returns once the server has acknowledged the word v. missing(words) says which of them the server does not have. ping() is a request on the connection that
stays open. Whatever goes wrong raises OSError, ValueError or EOFError.
"""

import base64
import ftplib
import http.client
import io
import json
import socket
import ssl
import struct
import subprocess

TIMEOUT = 240  # of one answer: a move lies in between
CONNECT = 5


class Client:
    """One TCP connection."""

    writes = True

    def __init__(self, address, row, nonce, case):
        self.address, self.row, self.nonce, self.case = (address, row.port), row, nonce, case
        self.open()

    def open(self):
        self.socket = socket.create_connection(self.address, CONNECT)
        self.socket.settimeout(TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.socket.close()

    def has(self, v):
        raise NotImplementedError

    def missing(self, words):
        return [v for v in words if not self.has(v)]

    def ping(self):
        self.has(self.nonce)

    # what many protocols need

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def line(self):
        got = self.file.readline()
        if not got:
            raise EOFError("the server closed the connection")
        return got.decode(errors="replace").rstrip("\r\n")

    def exactly(self, n):
        got = self.file.read(n)
        if len(got) < n:
            raise EOFError("the server closed the connection")
        return got

    def want(self, start, got):
        if not got.startswith(start):
            raise ValueError(f"{start!r} was expected, {got!r} came")
        return got


class ReadOnly(Client):
    """Holds the nonce from its start on."""

    writes = False

    def missing(self, words):
        return [v for v in words if v not in self.text()]

    def ping(self):
        self.text()


# ---- HTTP


class Http(Client):
    tls = False

    def open(self):
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.http = http.client.HTTPSConnection(*self.address, timeout=CONNECT, context=context)
        else:
            self.http = http.client.HTTPConnection(*self.address, timeout=CONNECT)
        self.http.connect()
        self.http.sock.settimeout(TIMEOUT)
        self.http.auto_open = 0  # the same connection or none

    def close(self):
        self.http.close()

    def ask(self, method, path, body=None, wanted=(200, 201, 204), **headers):
        try:
            self.http.request(method, path, body, headers)
            answer = self.http.getresponse()
            data = answer.read()
        except http.client.HTTPException as e:
            raise OSError(f"{type(e).__name__} {e}") from e
        if answer.status not in wanted:
            raise ValueError(f"{method} {path}: {answer.status} {data[:200]}")
        return answer.status, data


class Page(ReadOnly, Http):
    def text(self):
        return self.ask("GET", self.row.path)[1].decode(errors="replace")


class Rpc(Page):
    """transmission: the first answer has the token that the others need."""

    def text(self):
        try:
            self.http.request("POST", self.row.path, "{}")
            answer = self.http.getresponse()
            answer.read()
            token = answer.getheader("X-Transmission-Session-Id") or ""
        except http.client.HTTPException as e:
            raise OSError(str(e)) from e
        return self.ask("POST", self.row.path, '{"method":"session-get"}', **{"X-Transmission-Session-Id": token})[1].decode()


class Put(Http):
    """A file for each word."""

    def write(self, v):
        self.ask("PUT", self.row.path + v, v)

    def has(self, v):
        status, data = self.ask("GET", self.row.path + v, wanted=(200, 404))
        return status == 200 and v in data.decode()


class Post(Http):
    """POST /WORD keeps it, GET / gives all of them."""

    def write(self, v):
        self.ask("POST", self.row.path + v, "")

    def missing(self, words):
        return sorted(set(words) - set(self.ask("GET", self.row.path)[1].decode().split()))

    def ping(self):
        self.ask("GET", self.row.path)


class PostTls(Post):
    tls = True


class Etcd(Http):
    def write(self, v):
        self.ask("POST", "/v3/kv/put", json.dumps({"key": base64.b64encode(v.encode()).decode(), "value": "eA=="}))

    def has(self, v):
        return b'"kvs"' in self.ask("POST", "/v3/kv/range", json.dumps({"key": base64.b64encode(v.encode()).decode()}))[1]


class Influx(Http):
    def open(self):
        super().open()
        self.ask("POST", "/query?q=CREATE+DATABASE+d", "")

    def write(self, v):
        self.ask("POST", "/write?db=d", f'm,w={v} x=1')

    def missing(self, words):
        found = self.ask("GET", "/query?db=d&q=SHOW+TAG+VALUES+FROM+m+WITH+KEY+%3D+w")[1].decode()
        return [v for v in words if f'"{v}"' not in found]

    def ping(self):
        self.ask("GET", "/ping")


# ---- FastCGI


class FastCgi(Client):
    """php-fpm: a request of the responder's role, with the connection kept."""

    def call(self, method, query):
        params = b""
        for k, v in {"SCRIPT_FILENAME": "/srv/app.php", "REQUEST_METHOD": method, "QUERY_STRING": query, "SERVER_PROTOCOL": "HTTP/1.1"}.items():
            params += bytes([len(k), len(v)]) + k.encode() + v.encode()
        out = b""
        for kind, data in ((1, struct.pack(">HBxxxxx", 1, 1)), (4, params), (4, b""), (5, b"")):
            out += struct.pack(">BBHHBx", 1, kind, 1, len(data), 0) + data
        self.send(out)
        got = b""
        while True:
            _, kind, _, n, pad = struct.unpack(">BBHHBx", self.exactly(8))
            data = self.exactly(n + pad)[:n]
            if kind == 6:
                got += data
            if kind == 3:
                return got.decode()

    def write(self, v):
        self.want("ok", self.call("POST", v).split("\r\n\r\n")[-1])

    def missing(self, words):
        return sorted(set(words) - set(self.call("GET", "").split()))

    def ping(self):
        self.call("GET", "")


# ---- stores


class Redis(Client):
    def call(self, *words):
        self.send("*%d\r\n" % len(words) + "".join(f"${len(w)}\r\n{w}\r\n" for w in words))
        got = self.line()
        if got[0] == "$" and got != "$-1":
            got = self.exactly(int(got[1:]) + 2).decode().rstrip()
        return got

    def write(self, v):
        self.want("+OK", self.call("SET", v, "x" + v))

    def has(self, v):
        return self.call("GET", v) == "x" + v


class Memcached(Client):
    def write(self, v):
        self.send(f"set {v} 0 0 {len(v)}\r\n{v}\r\n")
        self.want("STORED", self.line())

    def has(self, v):
        self.send(f"get {v}\r\n")
        got = []
        while not got or got[-1] != "END":
            got.append(self.line())
        return v in got


class Beanstalk(Client):
    ids = {}  # of words: the server numbers its jobs

    def write(self, v):
        self.send(f"put 1 0 60 {len(v)}\r\n{v}\r\n")
        self.ids[v] = self.want("INSERTED ", self.line()).split()[1]

    def has(self, v):
        self.send(f"peek {self.ids[v]}\r\n")
        got = self.line()
        return got.startswith("FOUND") and self.line() == v


class Gearman(Client):
    """Background jobs that nobody does: the server counts them."""

    def write(self, v):
        data = f"f\0{v}\0{v}".encode()
        self.send(b"\0REQ" + struct.pack(">II", 18, len(data)) + data)
        magic, kind, n = struct.unpack(">4sII", self.exactly(12))
        self.exactly(n)
        if (magic, kind) != (b"\0RES", 8):
            raise ValueError(f"answer {kind}")

    def count(self):
        self.send("status\n")
        count = 0
        while (got := self.line()) != ".":
            if got.startswith("f\t"):
                count = int(got.split("\t")[1])
        return count

    def missing(self, words):
        return [f"{len(words) - self.count()} of them"] if self.count() < len(words) else []

    def ping(self):
        self.count()


class Nats(Client):
    """JetStream: a publication is acknowledged once it is stored."""

    def open(self):
        super().open()
        self.want("INFO", self.line())
        self.inbox = f"inbox{id(self)}"  # each client has its own: answers to others are not for this one
        self.send('CONNECT {"verbose":false,"headers":false}\r\n' + f"SUB {self.inbox} 1\r\n")
        self.ask("$JS.API.STREAM.CREATE.S", '{"name":"S","subjects":["t"],"storage":"file"}')

    def ask(self, subject, data):
        self.send(f"PUB {subject} {self.inbox} {len(data)}\r\n{data}\r\n")
        while True:
            got = self.line()
            if got.startswith(f"MSG {self.inbox} "):
                return json.loads(self.exactly(int(got.split()[-1]) + 2))
            if got.startswith("PING"):
                self.send("PONG\r\n")
            elif got.startswith("-ERR"):
                raise ValueError(got)

    def write(self, v):
        if "seq" not in self.ask("t", v):
            raise ValueError("not stored")

    def missing(self, words):
        info = self.ask("$JS.API.STREAM.INFO.S", "")
        if "state" not in info:
            raise ValueError(info)
        n = info["state"]["messages"]
        return [f"{len(words) - n} of them"] if n < len(words) else []

    def ping(self):
        self.send("PING\r\n")
        while (got := self.line()).startswith("PING"):  # the server's own
            self.send("PONG\r\n")
        self.want("PONG", got)


class Postgres(Client):
    def open(self):
        super().open()
        data = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0"
        self.send(struct.pack(">I", len(data) + 4) + data)
        self.answers()
        self.query("CREATE TABLE IF NOT EXISTS t (v text)")

    def answers(self):
        rows, error = [], None
        while True:
            kind, n = struct.unpack(">cI", self.exactly(5))
            data = self.exactly(n - 4)
            if kind == b"D":
                rows.append(data[6:].decode())  # one column
            elif kind == b"E":
                error = data
                if self.file.peek(1) == b"":
                    raise ValueError(error)
            elif kind == b"Z":
                if error:
                    raise ValueError(error)
                return rows

    def query(self, sql):
        self.send(b"Q" + struct.pack(">I", len(sql) + 5) + sql.encode() + b"\0")
        return self.answers()

    def write(self, v):
        self.query(f"INSERT INTO t VALUES ('{v}')")

    def missing(self, words):
        return sorted(set(words) - set(self.query("SELECT v FROM t")))

    def ping(self):
        self.query("SELECT '1'")


class Mysql(Client):
    def open(self):
        super().open()
        self.packet()
        self.put(1, struct.pack("<IIB23x", 0x88201, 1 << 24, 45) + b"root\0\0mysql_native_password\0")
        answer = self.packet()
        if answer[0] == 0xfe:
            self.put(3, b"")
            answer = self.packet()
        self.checked(answer)
        for sql in ("CREATE DATABASE IF NOT EXISTS d", "CREATE TABLE IF NOT EXISTS d.t (v VARCHAR(40)) ENGINE=InnoDB"):
            self.query(sql)

    def put(self, number, data):
        self.send(struct.pack("<I", len(data))[:3] + bytes([number]) + data)

    def packet(self):
        head = self.exactly(4)
        return self.exactly(head[0] | head[1] << 8 | head[2] << 16)

    def checked(self, packet):
        if packet[0] == 0xff:
            raise ValueError(packet[3:])
        return packet

    def query(self, sql):
        self.put(0, b"\3" + sql.encode())
        if self.checked(self.packet())[0] == 0:
            return []
        while self.packet()[0] != 0xfe:
            pass
        rows = []
        while (p := self.packet())[0] != 0xfe:
            rows.append(p[1:].decode())
        return rows

    def write(self, v):
        self.query(f"INSERT INTO d.t VALUES ('{v}')")

    def missing(self, words):
        return sorted(set(words) - set(self.query("SELECT v FROM d.t")))

    def ping(self):
        self.query("SELECT 1")


class Ldap(Client):
    @staticmethod
    def ber(tag, *parts):
        data = b"".join(p.encode() if isinstance(p, str) else p for p in parts)
        n = len(data)
        return bytes([tag]) + (bytes([n]) if n < 128 else b"\x82" + struct.pack(">H", n)) + data

    def open(self):
        super().open()
        self.id = 0
        ber = self.ber
        self.want_code(self.call(ber(0x60, ber(2, b"\3"), ber(4, "cn=admin,dc=x"), ber(0x80, "x"))))
        self.add("dc=x", objectClass=("dcObject", "organization"), dc=("x",), o=("x",))

    def message(self):
        head = self.exactly(2)
        n = head[1] if head[1] < 128 else int.from_bytes(self.exactly(head[1] & 127), "big")
        data = self.exactly(n)
        return data[2 + data[1]:]

    def call(self, op):
        self.id += 1
        self.send(self.ber(0x30, self.ber(2, struct.pack(">I", self.id)), op))
        return self.message()

    def want_code(self, answer, allowed=(0,)):
        code = answer[answer.index(b"\x0a\x01") + 2]
        if code not in allowed:
            raise ValueError(f"LDAP result {code}")
        return code

    def add(self, dn, **attributes):
        ber = self.ber
        listed = b"".join(ber(0x30, ber(4, k), ber(0x31, *(ber(4, x) for x in v))) for k, v in attributes.items())
        self.want_code(self.call(ber(0x68, ber(4, dn), ber(0x30, listed))), (0, 68))

    def write(self, v):
        self.add(f"cn={v},dc=x", objectClass=("device",), cn=(v,))

    def has(self, v):
        ber = self.ber
        dn = f"cn={v},dc=x" if v != self.nonce or not self.row else f"cn={v},dc=x"
        answer = self.call(ber(0x6e, ber(4, dn), ber(0x30, ber(4, "cn"), ber(4, v))))  # compare
        return self.want_code(answer, (5, 6, 32)) == 6


class Tarantool(Client):
    def open(self):
        super().open()
        self.line(), self.line()

    def call(self, lua):
        self.send(lua + "\n")
        got = []
        while not got or got[-1] != "...":
            got.append(self.line())
        return " ".join(got)

    def write(self, v):
        if v not in self.call(f"return box.space.t:replace{{'{v}'}}"):
            raise ValueError("not stored")

    def has(self, v):
        return v in self.call(f"return box.space.t:get('{v}')")


class Zookeeper(Client):
    def open(self):
        super().open()
        self.frame(struct.pack(">iqiqi16x?", 0, 0, 30000, 0, 16, False))
        self.answer()

    def frame(self, data):
        self.send(struct.pack(">i", len(data)) + data)

    def answer(self):
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def call(self, xid, kind, data=b""):
        self.frame(struct.pack(">ii", xid, kind) + data)
        while True:
            got, _, error = struct.unpack(">iqi", self.answer()[:16])
            if got == xid:
                return error

    @staticmethod
    def text(s):
        return struct.pack(">i", len(s)) + s.encode()

    def write(self, v):
        error = self.call(1, 1, self.text("/" + v) + self.text(v) + struct.pack(">ii", 1, 31) + self.text("world") + self.text("anyone") + struct.pack(">i", 0))
        if error not in (0, -110):  # there already
            raise ValueError(f"error {error}")

    def has(self, v):
        return self.call(2, 3, self.text("/" + v) + b"\0") == 0

    def ping(self):
        self.call(-2, 11)


class Stomp(Client):
    def open(self):
        super().open()
        self.put("CONNECT", login="guest", passcode="guest")
        self.want("CONNECTED", self.get())

    def put(self, command, body="", **headers):
        self.send(command + "\n" + "".join(f"{k}:{v}\n" for k, v in headers.items()) + "\n" + body + "\0")

    def get(self):
        got = b""
        while not got.endswith(b"\0"):
            got += self.exactly(1)
        return got.decode().strip("\n\0")

    def write(self, v):
        self.put("SEND", v, destination="/queue/q", persistent="true", receipt=v)
        self.want("RECEIPT", self.get())

    def missing(self, words):
        other = type(self)(self.address[0], self.row, self.nonce, self.case)
        other.socket.settimeout(10)
        other.put("SUBSCRIBE", id="0", destination="/queue/q", ack="client")
        left = set(words)
        try:
            while left:
                left.discard(other.get().split("\n\n")[-1])
        except TimeoutError:
            pass
        other.close()
        return sorted(left)

    def ping(self):
        self.put("SEND", "p", destination="/queue/p", receipt="p")
        self.want("RECEIPT", self.get())


class Mqtt(Client):
    def open(self):
        super().open()
        self.send(b"\x10\x0c\0\4MQTT\4\2\0\x3c\0\0")
        self.want(b"\x20", self.packet())

    def packet(self):
        kind, n, shift = self.exactly(1), 0, 0
        while True:
            byte = self.exactly(1)[0]
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return kind + self.exactly(n)

    def write(self, v):
        data = struct.pack(">H", len(v) + 2) + f"t/{v}".encode() + b"\0\1" + v.encode()
        self.send(bytes([0x33, len(data)]) + data)  # QoS 1, retained
        self.want(b"\x40", self.packet())

    def missing(self, words):
        other = type(self)(self.address[0], self.row, self.nonce, self.case)
        other.socket.settimeout(10)
        other.send(b"\x82\x08\0\1\0\3t/#\0")
        left = set(words)
        try:
            while left:
                got = other.packet()
                if got[0] & 0xf0 == 0x30:
                    left.discard(got[3 + struct.unpack(">H", got[1:3])[0]:].decode())
        except TimeoutError:
            pass
        other.close()
        return sorted(left)

    def ping(self):
        self.send(b"\xc0\0")
        self.want(b"\xd0", self.packet())


class Haproxy(Client):
    """The statistics socket: entries of a map in memory."""

    def open(self):
        super().open()
        self.call("prompt")

    def call(self, command):
        self.send(command + "\n")
        got = b""
        while not got.endswith(b"\n> "):
            got += self.exactly(1)
        return got.decode()

    def write(self, v):
        if (got := self.call(f"add map /srv/map {v} {v}")).strip() != ">":
            raise ValueError(got)

    def has(self, v):
        return "found=yes" in self.call(f"get map /srv/map {v}")


class Mpd(Client):
    def open(self):
        super().open()
        self.want("OK MPD", self.line())

    def call(self, command):
        self.send(command + "\n")
        got = []
        while True:
            got.append(self.line())
            if got[-1] == "OK":
                return got
            if got[-1].startswith("ACK"):
                raise ValueError(got[-1])

    def write(self, v):
        self.call(f"save {v}")

    def missing(self, words):
        found = self.call("listplaylists")
        return [v for v in words if f"playlist: {v}" not in found]

    def ping(self):
        self.call("ping")


# ---- names


class Dns(ReadOnly):
    """A TXT record with the nonce, by TCP."""

    def call(self, message):
        self.send(struct.pack(">H", len(message)) + message)
        return self.exactly(struct.unpack(">H", self.exactly(2))[0])

    @staticmethod
    def name(text):
        return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".") if p) + b"\0"

    def query(self, name):
        return self.call(struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + self.name(name) + struct.pack(">HH", 16, 1))

    def text(self):
        return self.query("nonce.x").decode(errors="replace")


class DnsUpdate(Dns):
    writes = True

    def write(self, v):
        answer = self.call(struct.pack(">HHHHHH", 7, 5 << 11, 1, 0, 1, 0) + self.name("x") + struct.pack(">HH", 6, 1)
                           + self.name(v + ".x") + struct.pack(">HHIHB", 16, 1, 60, len(v) + 1, len(v)) + v.encode())
        if answer[3] & 15:
            raise ValueError(f"update: rcode {answer[3] & 15}")

    def missing(self, words):
        return [v for v in words if self.query(v + ".x")[6:8] == b"\0\0"]

    def ping(self):
        self.query("x")


# ---- files and mail: what is there is looked at inside, by `found`


class Inside(Client):
    def missing(self, words):
        found = set(self.case.inside(self.row.found).split())
        return sorted(set(words) - found)


class Ftp(Inside):
    def open(self):
        self.ftp = ftplib.FTP(timeout=CONNECT)
        try:
            self.ftp.connect(*self.address)
            self.ftp.sock.settimeout(TIMEOUT)
            self.ftp.login()
        except ftplib.Error as e:
            raise OSError(e) from e

    def close(self):
        self.ftp.close()

    def write(self, v):
        try:
            self.ftp.storbinary(f"STOR {self.row.path}{v}", io.BytesIO(v.encode() + b"\n"))
        except ftplib.Error as e:
            raise OSError(e) from e

    def ping(self):
        try:
            self.ftp.voidcmd("NOOP")
        except ftplib.Error as e:
            raise OSError(e) from e


class Ssh(Inside):
    """A shell that stays logged in."""

    def open(self):
        self.process = subprocess.Popen(["ssh", "-F", "none", "-T", "-p", str(self.address[1]), "-i", self.case.key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                                         "-o", "LogLevel=ERROR", "root@" + self.address[0], "sh", "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.call("true")

    def call(self, command):
        self.process.stdin.write(command.encode() + b" && echo done\n")
        self.process.stdin.flush()
        got = self.process.stdout.readline()
        if got != b"done\n":
            raise EOFError(f"the session ended: {got}")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def write(self, v):
        self.call(f"echo {v} >>/srv/words")

    def ping(self):
        self.call("true")


class Rsync(Inside):
    holds = False

    def open(self):
        self.case.rsync(self.address, "list", None)

    def close(self):
        pass

    def write(self, v):
        self.case.rsync(self.address, "put", v)

    ping = open


class Tftp(Inside):
    def open(self):
        pass

    def close(self):
        pass

    def write(self, v):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.sendto(b"\0\2" + v.encode() + b"\0octet\0", self.address)
            got, there = s.recvfrom(600)
            self.want(b"\0\4\0\0", got)
            s.sendto(b"\0\3\0\1" + v.encode() + b"\n", there)
            self.want(b"\0\4\0\1", s.recvfrom(600)[0])

    def ping(self):
        self.write("ping")


# ---- talk


class Irc(ReadOnly):
    def open(self):
        super().open()
        nick = f"n{id(self) % 1000000}"
        self.send(f"NICK {nick}\r\nUSER {nick} 0 * :x\r\n")
        self.greeting = self.until(" 376 ", " 422 ")

    def until(self, *words):
        got = []
        while not got or not any(w in got[-1] for w in words):
            got.append(self.line())
            if got[-1].startswith("PING"):
                self.send(got[-1].replace("PING", "PONG") + "\r\n")
        return "\n".join(got)

    def text(self):
        self.send("MOTD\r\n")
        return self.until(" 376 ", " 422 ")

    def ping(self):
        self.send("PING x\r\n")
        self.until("PONG")


class Mumble(ReadOnly):
    def open(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(socket.create_connection(self.address, TIMEOUT))
        self.file = self.socket.makefile("rb")
        user = f"u{id(self) % 1000000}".encode()
        for kind, data in ((0, b"\x08\x80\x86\x04"), (2, b"\x0a" + bytes([len(user)]) + user)):
            self.send(struct.pack(">HI", kind, len(data)) + data)
        self.seen = b""
        while self.message() != 5:
            pass

    def message(self):
        kind, n = struct.unpack(">HI", self.exactly(6))
        data = self.exactly(n)
        if kind == 5:
            self.seen = data
        return kind

    def text(self):
        self.ping()
        return self.seen.decode(errors="replace")

    def ping(self):
        self.send(struct.pack(">HI", 3, 0))
        while self.message() != 3:
            pass


class Turn(ReadOnly):
    """Allocate without a user: refused, with the realm."""

    def text(self):
        self.send(struct.pack(">HHI", 3, 8, 0x2112a442) + b"0123456789ab" + struct.pack(">HHI", 25, 4, 17 << 24))
        _, n = struct.unpack(">HH", self.exactly(4))
        return self.exactly(16 + n).decode(errors="replace")


class Git(ReadOnly):
    holds = False  # one request a connection

    def open(self):
        pass

    def close(self):
        pass

    def text(self):
        with socket.create_connection(self.address, TIMEOUT) as s:
            request = b"git-upload-pack /r\0host=x\0"
            s.sendall(b"%04x" % (len(request) + 4) + request)
            got = b""
            while not got.endswith(b"0000"):
                data = s.recv(4096)
                if not data:
                    raise EOFError("closed")
                got += data
            s.sendall(b"0000")
            return got.decode(errors="replace")


class Xmpp(Client):
    """Accounts, by in-band registration."""

    def open(self):
        super().open()
        self.send("<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>")
        self.until("</stream:features>")

    def until(self, *ends):
        got = ""
        while not any(got.endswith(e) for e in ends):
            got += self.exactly(1).decode(errors="replace")
            if got.endswith("</stream:stream>"):
                raise EOFError(got[-300:])
        return got

    def register(self, v):
        self.send(f"<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{v}</username><password>secret{v}</password></query></iq>")
        return self.until("</iq>", "/>")

    def write(self, v):
        got = self.register(v)
        if "result" not in got:
            raise ValueError(got)

    def has(self, v):
        got = self.register(v)
        if "</iq>" not in got and "result" not in got:
            got += self.until("</iq>")
        return "conflict" in got

    def ping(self):
        self.send("<iq type='get' id='q'><query xmlns='jabber:iq:register'/></iq>")
        self.until("</iq>")
