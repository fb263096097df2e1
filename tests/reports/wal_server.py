"""Inside the container: answers lines on port 7000. Its SQLite database is in /data, the journal mode is the first argument.

a: a row over the connection that stays open, b: a row over one of its own, close: closes the one that stays open (a opens it again), n: how many rows there are.
"""

import socketserver
import sqlite3
import sys
import threading

lock, held = threading.Lock(), {}


def connect():
    c = sqlite3.connect("/data/db", timeout=10, isolation_level=None, check_same_thread=False)
    c.execute(f"PRAGMA journal_mode={sys.argv[1]}")
    c.execute("PRAGMA synchronous=FULL")
    c.execute("CREATE TABLE IF NOT EXISTS t (x)")
    return c


def open_held():
    if "c" not in held:
        held["c"] = connect()
    return held["c"]


def do(word):
    if word == "a":
        open_held().execute("INSERT INTO t VALUES ('a')")
    elif word == "b":
        c = connect()
        c.execute("INSERT INTO t VALUES ('b')")
        c.close()
    elif word == "close" and "c" in held:
        held.pop("c").close()
    elif word == "n":
        return str(open_held().execute("SELECT count(*) FROM t").fetchone()[0])
    return "ok"


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            with lock:
                try:
                    answer = do(line.decode().strip())
                except sqlite3.Error as e:
                    answer = f"error {e}"
            self.wfile.write(answer.encode() + b"\n")


open_held()
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("0.0.0.0", 7000), Handler).serve_forever()
