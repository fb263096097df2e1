"""Ways into a host that `ssh` knows: keys and certificates as people configure them, and shells that print."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

import lab
from lab import case, check, same, until
from test_moves import COUNTER, count_on

STATE = pathlib.Path(lab.STATE, "ssh")


class Way:
    """Keys of one case's own, known to both hosts as its authorized_keys lines say, and an agent."""

    def __init__(self, t):
        self.t, self.dir = t, pathlib.Path(tempfile.mkdtemp(prefix="tranship-test-"))
        t.at_end(shutil.rmtree, self.dir, True)
        self.agent = self.dir / "agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(self.agent)], stdout=subprocess.DEVNULL)
        t.at_end(agent.wait)
        t.at_end(agent.kill)
        until(self.agent.exists, 10, "the agent's socket")

    def key(self, name, kind="ed25519"):
        lab.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", lab.PREFIX + name, "-f", str(self.dir / name)])
        return self.dir / name

    def certificate(self, ca, key):
        lab.run(["ssh-keygen", "-q", "-s", str(ca), "-I", "it", "-n", "root", str(key) + ".pub"])
        return pathlib.Path(str(key) + "-cert.pub")

    def add(self, key):
        lab.run(["ssh-add", "-q", str(key)], env={**os.environ, "SSH_AUTH_SOCK": str(self.agent)})

    def admit(self, public, options=""):
        line = f"{options} {public.read_text().strip()}".strip()
        for h in self.t.hosts:
            self.t.instead(h, "/root/.ssh/authorized_keys", f"{h.sh('cat /root/.ssh/authorized_keys')}{line}\n")

    def config(self, *lines):
        text = (STATE / "config").read_text().splitlines()
        own = [line for line in text if "Identit" not in line]
        self.configs = getattr(self, "configs", 0) + 1
        path = self.dir / f"config{self.configs}"
        path.write_text("\n".join([own[0], *("    " + line for line in lines), *own[1:], ""]))
        return path

    def check(self, config, expect, env=None, command="check", *args):
        r = self.t.begin(command, "--ssh-config", str(config), *args, "it-ssh", ssh_config=False, env=env)
        return r.wait().expect(expect)

    def ssh(self, config, env=None):
        done = subprocess.run([lab.LAB, "sh", "lan", "ssh", "-F", str(config), "-o", "BatchMode=yes", str(self.t.hosts[0]), "true"],
                              env={**os.environ, **(env or {})}, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        return done.returncode == 0


def counter(t):
    t.src.start("it-ssh", cmd=("sh", "-c", COUNTER, t.marker))
    count_on(t.src, "it-ssh", 2)


@case(hosts=True)
def ssh_pub(t):
    """IdentityFile names the public key, whose private half only the agent has."""
    counter(t)
    way = Way(t)
    key = way.key("id")
    way.admit(pathlib.Path(str(key) + ".pub"))
    config = way.config(f"IdentityFile {key}.pub", "IdentitiesOnly yes", f"IdentityAgent {way.agent}")
    way.check(config, 3)  # the agent does not have it yet
    way.add(key)
    key.unlink()
    check(way.ssh(config), "ssh itself does not get in")
    way.check(config, 0)


@case(hosts=True)
def ssh_env(t):
    """Variables in the names of files."""
    counter(t)
    way = Way(t)
    key = way.key("id")
    way.admit(pathlib.Path(str(key) + ".pub"))
    config = way.config("IdentityFile ${IT_KEYS}/id", "IdentitiesOnly yes", "IdentityAgent none")
    env = {"IT_KEYS": str(way.dir)}
    check(way.ssh(config, env), "ssh itself does not get in")
    way.check(config, 0, env)
    r = way.check(config, 2)
    check("'IT_KEYS', which is not set" in " ".join(r.stderr.split()), r.tail())
    agent = way.config(f"IdentityFile {key}.pub", "IdentityAgent ${IT_KEYS}/agent")
    way.add(key)
    key.unlink()
    way.check(agent, 0, env)


@case(hosts=True)
def ssh_cert(t):
    """A certificate of an ECDSA key works, from a file and from the agent; another kind is named, and the hint helps."""
    counter(t)
    way = Way(t)
    ca = way.key("ca")
    way.admit(pathlib.Path(str(ca) + ".pub"), "cert-authority")
    key = way.key("id_ecdsa", "ecdsa")
    certificate = way.certificate(ca, key)
    config = way.config(f"IdentityFile {key}", "IdentitiesOnly yes", "IdentityAgent none")
    check(way.ssh(config), "ssh itself does not get in")
    way.check(config, 0)
    moved = way.dir / "elsewhere.pub"
    certificate.rename(moved)
    way.check(way.config(f"IdentityFile {key}", f"CertificateFile {moved}", "IdentitiesOnly yes", "IdentityAgent none"), 0)
    way.check(config, 3)
    way.add(key)
    held = way.config(f"IdentityFile {key}.pub", f"CertificateFile {moved}", "IdentitiesOnly yes", f"IdentityAgent {way.agent}")
    key.rename(way.dir / "gone")
    way.check(held, 0)

    other = way.key("id_other")
    way.certificate(ca, other)
    config = way.config(f"IdentityFile {other}", "IdentitiesOnly yes", "IdentityAgent none")
    check(way.ssh(config), "ssh itself does not get in")
    r = way.check(config, 3)
    said = " ".join(r.stderr.split())  # lines are broken
    check(f"certificate '{other}-cert.pub'" in said, r.tail())
    check(re.search(f"ssh-copy-id -f -i {other}.pub -F {config} -p [0-9]+ root@h", said), r.tail())
    (way.dir / ".ssh").mkdir()  # where ssh-copy-id puts its own files
    for h in t.hosts:  # the hint, followed
        lab.run([lab.LAB, "sh", "lan", "ssh-copy-id", "-f", "-i", f"{other}.pub", "-F", str(config), f"root@{h}"],
                env={**os.environ, "HOME": str(way.dir)})
    way.check(config, 0)


@case(hosts=True)
def ssh_try(t):
    """No key is accepted: the command that is to be tried says the user and the files that tranship was told, and succeeds once tranship does."""
    counter(t)
    way = Way(t)
    key = way.key("my id")
    config = way.config(f'IdentityFile "{key}"', "IdentitiesOnly yes", "IdentityAgent none")
    config = config.rename(config.with_name("my config"))
    r = lab.Tranship("check", "--from", f"ssh://root@{t.hosts[0]}", "--to", t.dst.uri, "--ssh-config", str(config), "it-ssh", ssh_config=False)
    r.wait().expect(3)
    said = re.search(r"`(ssh -o BatchMode=yes [^`]*)`", " ".join(r.stderr.split()))
    check(said, r.tail())
    words = shlex.split(said[1])
    same("the configuration", str(config), words[words.index("-F") + 1])
    same("the user", "root", words[words.index("-l") + 1])
    tried = [lab.LAB, "sh", "lan", *words]
    check(subprocess.run(tried, capture_output=True, timeout=60, stdin=subprocess.DEVNULL).returncode == 255, words)
    way.admit(pathlib.Path(str(key) + ".pub"))
    lab.run(tried)
    way.check(config, 0)


@case(hosts=True)
def ssh_wrong_user(t):
    """A user who has no key there: with an ed25519 key nothing is said of RSA, and the command that is named shows the same refusal."""
    counter(t)
    way = Way(t)
    config = way.config(f"IdentityFile {way.key('id')}", "IdentitiesOnly yes", "IdentityAgent none")
    r = t.begin("check", "--ssh-config", str(config), "--from", "ssh://nobody@h1/run/podman/podman.sock", "it-ssh", ssh_config=False).wait().expect(3)
    hint = r.report["error"]["hint"]
    check("RSA" not in hint and "is 'nobody' the right user" in hint, hint)
    rsa = way.config(f"IdentityFile {way.key('rsa', 'rsa')}", "IdentitiesOnly yes", "IdentityAgent none")
    r = t.begin("check", "--ssh-config", str(rsa), "--from", "ssh://nobody@h1/run/podman/podman.sock", "it-ssh", ssh_config=False).wait().expect(3)
    hint = r.report["error"]["hint"]
    check("RSA" in hint or "right user" in hint, hint)  # the first before libssh2 1.11


@case(hosts=True)
def ssh_new_host(t):
    """A file of known hosts with a blank and a quote in its name: the command that is named writes to that file. With StrictHostKeyChecking yes only our option helps."""
    counter(t)
    way = Way(t)
    text = (STATE / "config").read_text()
    plain = way.dir / "plain"
    plain.write_text("".join(line + "\n" for line in text.splitlines() if "Strict" not in line and "KnownHosts" not in line))
    known = way.dir / 'kn o"w 100%'
    option = str(known) + "%"  # as ssh reads it
    r = way.check(plain, 3, None, "check", "--known-hosts", option)
    hint = r.report["error"]["hint"]
    command = hint[hint.index("`") + 1:hint.rindex("`")]
    done = subprocess.run([lab.LAB, "sh", "lan", "sh", "-c", command.replace("ssh ", "ssh -o StrictHostKeyChecking=accept-new -o BatchMode=yes ", 1)],
                          env=dict(os.environ), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    same("files that ssh wrote", [known.name], [f.name for f in way.dir.iterdir() if f.name.startswith("kn")] if done.returncode == 0 else done)
    known.unlink()
    strict = way.dir / "strict"
    strict.write_text("StrictHostKeyChecking yes\n" + plain.read_text())
    r = way.check(strict, 3, None, "check", "--known-hosts", option)
    hint = r.report["error"]["hint"]
    check("--accept-new" in hint and "`" not in hint, hint)
    way.check(strict, 0, None, "check", "--known-hosts", option, "--accept-new")


@case("podman", "docker", "podman-archive", "podman-scp", hosts=True)
def shell_prints(t):
    """Root's shell prints, on both hosts, before every command."""
    counter(t)
    for h in t.hosts:
        t.instead(h, "/root/.bashrc", "echo Welcome to this host; printf 'no end of line'\n" + h.sh("cat /root/.bashrc 2>/dev/null || :"))
    said = lab.run([lab.LAB, "sh", "lan", "ssh", "-F", str(STATE / "config"), str(t.hosts[0]), "true"])
    check("Welcome" in said, "the test's own shell does not print:", said)
    t.begin("check", "it-ssh").wait().expect(0)
    if "scp" in t.options:
        r = t.begin("move", "it-ssh").wait().expect(3, 4)
        check("its login shell prints 'Welcome to this host'" in " ".join(r.stderr.split()), r.tail())
        count_on(t.src, "it-ssh")
        t.move("it-ssh", options=("--strategy", "archive"))  # the hint
    else:
        t.move("it-ssh")
    count_on(t.dst, "it-ssh")
    same("on the source", "absent", t.src.state("it-ssh"))


@case("podman", "docker")
def scp_not_used(t):
    """--transfer scp, where no archive travels, on the command line and from the configuration."""
    counter(t)
    scp = ("--transfer", "scp")
    ways = [("--cold",)] if t.engine == "podman" else [(), ("--cold",)]
    for way in ways:
        for command in ("check", "move"):
            r = t.begin(command, *scp, *way, "it-ssh").wait().expect(2)
            check("--transfer scp is for archives" in " ".join(r.stderr.split()), r.tail())
        t.begin("check", *way, "it-ssh", env={"TRANSHIP_TRANSFER": "scp"}).wait().expect(2)
    count_on(t.src, "it-ssh")
