"""Servers of Debian's packages: a row each. Adding one is a row here, and its package in a list of images/."""

import clients as c


class Server:
    """name; image: a list of images/; client: of clients.py; port; command: a shell script that ends with the server in the foreground, where NONCE is what a server
    without writes has to tell afterwards, and ADDRESS its own address.

    env: of the container. path, found (a command that prints every word that was written): for some clients. holds: whether a connection stays open.
    ready: seconds until it answers. expect: {engine: (exit status, word of the error or a code)} where a move does not come to an end, and why is known. pace: seconds between writes, beat: between requests on the open connection. options: of the engine's run, move: of tranship. note: for the table.
    """

    def __init__(self, name, image, client, port, command, env=(), path="/", found="cat /srv/words", holds=None, ready=60, expect=None, pace=0.02, options=(), move=(), beat=0.2, note=None):
        self.name, self.image, self.client, self.port, self.command, self.env = name, image, client, port, command, env
        self.path, self.found, self.ready, self.expect, self.pace = path, found, ready, expect or {}, pace
        self.options, self.move, self.beat, self.note = options, move, beat, note
        self.holds = getattr(client, "holds", True) if holds is None else holds


GO = ("GODEBUG=multipathtcp=0",)  # CRIU knows no multipath TCP, which Go listens with from 1.24 on
SQLITE = {e: (3, "sqlite-moved") for e in ("podman", "docker")}  # their database stays open
SHIM = "LD_PRELOAD=/usr/lib/notroot.so"  # for those that refuse to run as root
PAGE = "mkdir -p /srv/www && echo $NONCE >/srv/www/nonce\n"  # a page with the nonce
ZONE = "mkdir -p /srv/z && cd /srv/z && printf '%s\\n' '$TTL 60' '@ SOA ns.x. a.x. 1 60 60 60 60' '@ NS ns.x.' 'ns A 127.0.0.1' \"nonce TXT $NONCE\" >zone\n"
CERT = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout /srv/key -out /srv/cert 2>/dev/null && cat /srv/key /srv/cert >/srv/pem\n"
WORDS = "touch /srv/words\n"
WSGI = WORDS + """cat >/srv/app.py <<'END'
import os
def app(environ, start):
    if environ["REQUEST_METHOD"] == "POST":
        with open("/srv/words", "a") as f:
            f.write(environ["PATH_INFO"][1:] + "\\n")
            f.flush()
            os.fsync(f.fileno())
        body = b"ok"
    else:
        body = open("/srv/words", "rb").read()
    start("200 OK", [("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
    return [body]
END
cd /srv
"""
BEHIND = WSGI + "python3 -m waitress --listen=127.0.0.1:8000 --channel-timeout=600 app:app &\n"  # for those that stand before another server
POSTGRES = f"""b=$(ls -d /usr/lib/postgresql/*/bin)
echo 'other:x:1000:1000::/:/bin/sh' >>/etc/passwd
mkdir -p -m 700 /srv/pg /run/postgresql && chown 1000:1000 /srv/pg
{SHIM} $b/initdb -D /srv/pg -U postgres -A trust >/dev/null
echo 'host all all 0.0.0.0/0 trust' >>/srv/pg/pg_hba.conf
"""

SERVERS = [
    # ---- of CI
    Server("bind9", "ci", c.DnsUpdate, 53, ZONE + """cat >/srv/named.conf <<END
options { directory "/srv/z"; listen-on { any; }; listen-on-v6 { none; }; recursion no; dnssec-validation no; pid-file none; };
controls { };
zone "x" { type primary; file "/srv/z/zone"; allow-update { any; }; };
END
exec named -f -c /srv/named.conf""", env=("UV_USE_IO_URING=0",)),
    Server("mosquitto", "ci", c.Mqtt, 1883, """printf '%s\\n' 'listener 1883' 'allow_anonymous true' 'persistence true' 'persistence_location /srv/' 'user root' >/srv/m.conf
exec mosquitto -c /srv/m.conf"""),
    Server("nginx", "ci", c.Put, 80, """mkdir -p /srv/www/d && cat >/srv/n.conf <<'END'
user root; daemon off; worker_processes 2; pid /srv/pid; error_log stderr;
events { worker_connections 100; }
http { access_log off; keepalive_requests 100000; client_body_temp_path /srv/tmp;
  server { listen 80; root /srv/www; location /d/ { dav_methods PUT DELETE; create_full_put_path on; } } }
END
exec nginx -c /srv/n.conf""", path="/d/"),
    Server("postgresql", "ci", c.Postgres, 5432, POSTGRES + f"exec env {SHIM} $b/postgres -D /srv/pg -c listen_addresses='*'"),
    Server("redis", "ci", c.Redis, 6379, "exec redis-server --bind 0.0.0.0 --protected-mode no --dir /srv --appendonly yes"),
    # ---- stores
    Server("beanstalkd", "stores", c.Beanstalk, 11300, "mkdir -p /srv/b; exec beanstalkd -b /srv/b -f 0"),
    Server("etcd", "stores", c.Etcd, 2379, "exec etcd --data-dir /srv/e --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls http://$ADDRESS:2379", env=GO),
    Server("gearmand", "stores", c.Gearman, 4730, "exec gearmand --listen=0.0.0.0 --port=4730 -l stderr --user=root"),
    Server("influxdb", "stores", c.Influx, 8086, """printf '%s\\n' 'reporting-disabled = true' '[meta]' 'dir = "/srv/meta"' '[data]' 'dir = "/srv/data"' 'wal-dir = "/srv/wal"' >/srv/i.conf
exec influxd -config /srv/i.conf""", env=GO),
    Server("mariadb", "stores", c.Mysql, 3306, """mkdir -p /run/mysqld
mariadb-install-db --user=root --datadir=/srv/db --auth-root-authentication-method=normal --skip-test-db >/dev/null
printf '%s\\n' "CREATE USER IF NOT EXISTS root@'%';" "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;" >/srv/init
exec mariadbd --user=root --datadir=/srv/db --bind-address=0.0.0.0 --init-file=/srv/init --innodb-use-native-aio=0 --skip-name-resolve"""),
    Server("memcached", "stores", c.Memcached, 11211, "exec memcached -u root"),
    Server("nats", "stores", c.Nats, 4222, "exec nats-server -js -sd /srv/n", env=GO),
    Server("pgbouncer", "stores", c.Postgres, 6432, POSTGRES + f"""{SHIM} $b/postgres -D /srv/pg &
printf '%s\\n' '[databases]' '* = host=127.0.0.1' '[pgbouncer]' 'listen_addr = 0.0.0.0' 'auth_type = any' 'unix_socket_dir =' 'pool_mode = transaction' '[databases]' 'postgres = host=127.0.0.1 user=postgres' >/srv/b.ini
exec env {SHIM} pgbouncer /srv/b.ini"""),
    Server("prometheus", "stores", c.Page, 9090, """printf '%s\\n' 'global:' '  external_labels:' "    nonce: $NONCE" >/srv/p.yml
exec prometheus --config.file=/srv/p.yml --storage.tsdb.path=/srv/p""", path="/api/v1/status/config", env=GO),
    Server("slapd", "stores", c.Ldap, 389, """mkdir -p /srv/l && printf '%s\\n' 'include /etc/ldap/schema/core.schema' 'modulepath /usr/lib/ldap' 'moduleload back_mdb' 'database mdb' \
'suffix dc=x' 'rootdn cn=admin,dc=x' 'rootpw x' 'directory /srv/l' >/srv/l.conf
exec slapd -d 0 -h ldap://0.0.0.0:389 -f /srv/l.conf""", move=("--skip", "mapped-lock")),
    Server("tarantool", "stores", c.Tarantool, 3301, """cat >/srv/t.lua <<'END'
box.cfg{wal_dir='/srv', memtx_dir='/srv'}
box.schema.space.create('t', {if_not_exists = true}):create_index('p', {parts = {1, 'string'}, if_not_exists = true})
require('console').listen('0.0.0.0:3301')
END
exec tarantool /srv/t.lua"""),
    Server("valkey", "stores", c.Redis, 6379, "exec valkey-server --bind 0.0.0.0 --protected-mode no --dir /srv --appendonly yes"),
    # ---- web
    Server("apache2", "web", c.Put, 80, f"""mkdir -p /srv/www /srv/lock && cat >/srv/a.conf <<'END'
ServerRoot /usr/lib/apache2
PidFile /srv/pid
Listen 80
ServerName x
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule dav_module modules/mod_dav.so
LoadModule dav_fs_module modules/mod_dav_fs.so
MaxKeepAliveRequests 0
KeepAliveTimeout 300
ErrorLog /dev/stderr
DocumentRoot /srv/www
DAVLockDB /srv/lock/db
<Directory /srv/www>
  Dav On
  Require all granted
</Directory>
END
exec env {SHIM} apache2 -DFOREGROUND -f /srv/a.conf"""),
    Server("caddy", "web", c.Post, 80, BEHIND + "exec caddy reverse-proxy --from :80 --to 127.0.0.1:8000", env=(*GO, "HOME=/srv")),
    Server("git-daemon", "web", c.Git, 9418, """git init -q /srv/r && cd /srv/r && git -c user.name=x -c user.email=x commit -q --allow-empty -m x && git branch $NONCE
exec git daemon --base-path=/srv --export-all""", env=("HOME=/srv",), pace=0.3),
    Server("gunicorn", "web", c.Post, 80, WSGI + "exec gunicorn -b 0.0.0.0:80 -k gthread --threads 8 --keep-alive 300 app:app"),
    Server("haproxy", "web", c.Haproxy, 9999, """echo 'none none' >/srv/map && printf '%s\\n' 'global' '  stats socket ipv4@0.0.0.0:9999 level admin' '  stats timeout 1h' 'defaults' '  timeout connect 5s' '  timeout client 5m' \
'  timeout server 5m' 'frontend f' '  bind :80' '  mode http' '  http-request set-header x %[path,map(/srv/map)]' '  default_backend b' 'backend b' '  mode http' '  server s 127.0.0.1:81' >/srv/h.cfg
exec haproxy -db -f /srv/h.cfg"""),
    Server("hitch", "web", c.PostTls, 443, BEHIND + CERT + f"exec env {SHIM} hitch --frontend='[0.0.0.0]:443' --backend='[127.0.0.1]:8000' /srv/pem"),
    Server("lighttpd", "web", c.Post, 80, WORDS + """mkdir -p /srv/www && cat >/srv/www/w.sh <<'END'
echo; [ "$REQUEST_METHOD" = GET ] && exec cat /srv/words; echo "${PATH_INFO#/}" >>/srv/words && echo ok
END
printf '%s\\n' 'server.modules = ("mod_cgi")' 'cgi.assign = (".sh" => "/bin/sh")' 'server.document-root = "/srv/www"' 'server.port = 80' 'server.max-keep-alive-requests = 60000' 'server.max-keep-alive-idle = 300' >/srv/l.conf
exec lighttpd -D -f /srv/l.conf""", path="/w.sh/"),
    Server("mini-httpd", "web", c.Page, 80, PAGE + "exec mini_httpd -D -p 80 -d /srv/www -u root", path="/nonce", holds=False),
    Server("nghttpx", "web", c.Post, 80, BEHIND + "exec nghttpx --frontend='0.0.0.0,80;no-tls' --backend=127.0.0.1,8000 --workers=2"),
    Server("nodejs", "web", c.Post, 80, WORDS + """cat >/srv/a.js <<'END'
const fs = require('fs');
require('http').createServer((q, s) => {
  if (q.method != 'POST') return s.end(fs.readFileSync('/srv/words'));
  fs.appendFileSync('/srv/words', q.url.slice(1) + '\\n');
  s.end('ok');
}).listen(80).keepAliveTimeout = 300000;
END
exec node /srv/a.js""", env=("UV_USE_IO_URING=0",)),
    Server("php-fpm", "web", c.FastCgi, 9000, WORDS + """cat >/srv/app.php <<'END'
<?php
if ($_SERVER['REQUEST_METHOD'] != 'POST') readfile('/srv/words');
else echo file_put_contents('/srv/words', $_SERVER['QUERY_STRING'] . "\\n", FILE_APPEND | LOCK_EX) ? 'ok' : 'no';
END
printf '%s\\n' '[global]' 'error_log = /dev/stderr' '[www]' 'user = root' 'listen = 9000' 'pm = static' 'pm.max_children = 4' >/srv/f.conf
exec $(ls /usr/sbin/php-fpm*) -R -F -y /srv/f.conf -d opcache.jit_buffer_size=0"""),
    Server("php-cli", "web", c.Post, 80, WORDS + """cat >/srv/app.php <<'END'
<?php
if ($_SERVER['REQUEST_METHOD'] != 'POST') readfile('/srv/words');
else echo file_put_contents('/srv/words', substr($_SERVER['REQUEST_URI'], 1) . "\\n", FILE_APPEND | LOCK_EX) ? 'ok' : 'no';
END
exec php -d opcache.jit_buffer_size=0 -S 0.0.0.0:80 /srv/app.php""", holds=False),
    Server("pound", "web", c.Post, 80, BEHIND + """printf '%s\\n' 'User "root"' 'Group "root"' 'Daemon 0' 'ListenHTTP' '  Address 0.0.0.0' '  Port 80' '  Service' '    Backend' '      Address 127.0.0.1' '      Port 8000' '    End' '  End' 'End' >/srv/p.cfg
exec pound -f /srv/p.cfg -p /srv/pid"""),
    Server("proftpd", "web", c.Ftp, 21, """mkdir -p /srv/f && printf '%s\\n' 'ServerType standalone' 'Port 21' 'User root' 'Group root' 'UseIPv6 off' 'UseReverseDNS off' 'TimesGMT on' 'ModulePath /usr/lib/proftpd' 'LoadModule mod_xfer.c' 'WtmpLog off' 'TransferLog none' 'RootLogin on' 'RequireValidShell off' 'UseFtpUsers off' \
'<Anonymous /srv/f>' '  RootLogin on' '  RequireValidShell off' '  User root' '  Group root' '  UserAlias anonymous root' '  <Limit WRITE>' '    AllowAll' '  </Limit>' '</Anonymous>' >/srv/p.conf
exec proftpd -n -c /srv/p.conf""", found="ls /srv/f"),
    Server("puma", "web", c.Post, 80, WORDS + """cat >/srv/config.ru <<'END'
run(lambda do |e|
  if e['REQUEST_METHOD'] == 'POST'
    File.open('/srv/words', 'a') { |f| f.puts(e['PATH_INFO'][1..]); f.fsync }
    [200, {}, ['ok']]
  else
    [200, {}, [File.read('/srv/words')]]
  end
end)
END
echo 'persistent_timeout 300' >/srv/puma.rb; cd /srv; exec puma -C /srv/puma.rb -b tcp://0.0.0.0:80 -t 8:8 /srv/config.ru""", env=("HOME=/srv",)),
    Server("squid", "web", c.Post, 3128, BEHIND + """printf '%s\\n' 'http_port 3128' 'http_access allow all' 'pid_filename /srv/pid' 'coredump_dir /srv' 'pinger_enable off' 'shutdown_lifetime 1 second' \
'access_log none' 'cache_log /srv/log' 'client_idle_pconn_timeout 10 minutes' >/srv/s.conf
exec env LD_PRELOAD=/usr/lib/notroot.so squid -N -f /srv/s.conf""", path="http://127.0.0.1:8000/"),
    Server("starman", "web", c.Post, 80, WORDS + """cat >/srv/app.psgi <<'END'
use IO::Handle;
sub { my $e = shift;
  if ($e->{REQUEST_METHOD} eq 'POST') {
    open my $f, '>>', '/srv/words'; print $f substr($e->{PATH_INFO}, 1), "\\n"; $f->flush; $f->sync; close $f;
    return [200, ['Content-Length' => 2], ['ok']];
  }
  open my $f, '<', '/srv/words'; local $/; my $b = <$f> // '';
  return [200, ['Content-Length' => length $b], [$b]];
}
END
exec starman --listen 0.0.0.0:80 --workers 3 --keepalive-timeout 300 --max-requests 1000000 /srv/app.psgi"""),
    Server("stunnel", "web", c.PostTls, 443, BEHIND + CERT + """printf '%s\\n' 'foreground = yes' 'pid =' '[s]' 'accept = 0.0.0.0:443' 'connect = 127.0.0.1:8000' 'cert = /srv/pem' >/srv/s.conf
exec stunnel4 /srv/s.conf"""),
    Server("tinyproxy", "web", c.Post, 8888, BEHIND + """printf '%s\\n' 'Port 8888' 'User root' 'Timeout 600' 'MaxClients 100' >/srv/t.conf
exec tinyproxy -d -c /srv/t.conf""", path="http://127.0.0.1:8000/", holds=False),
    Server("uwsgi", "web", c.Post, 80, WSGI + "exec uwsgi_python3 --plugins python3 --http-socket 0.0.0.0:80 --wsgi-file /srv/app.py --callable app --master --processes 3", holds=False),
    Server("varnish", "web", c.Post, 80, BEHIND + """printf '%s\\n' 'vcl 4.1;' 'backend default { .host = "127.0.0.1"; .port = "8000"; }' >/srv/v.vcl
exec varnishd -F -j none -n /srv/v -a 0.0.0.0:80 -f /srv/v.vcl -p timeout_idle=300 -s malloc,32m""", holds=False,
           note="its worker takes a `poll` interrupted when memory is sent ahead for an error, and it starts a new one: connections and cache are lost"),
    Server("waitress", "web", c.Post, 80, WSGI + "exec python3 -m waitress --listen=0.0.0.0:80 --channel-timeout=600 app:app"),
    Server("webfs", "web", c.Page, 8000, PAGE + "exec webfsd -F -p 8000 -r /srv/www -t 300", path="/nonce"),
    # ---- names, mail, files, talk
    Server("coturn", "net", c.Turn, 3478, "exec turnserver -n --no-tls --no-dtls --lt-cred-mech --realm=$NONCE --user=u:p --listening-ip=$ADDRESS --relay-ip=$ADDRESS --no-cli --log-file=stdout -m 2 --db=/srv/db", move=("--skip", "sqlite-moved"), holds=False),  # it has its users from the command line and writes nothing there; a connection without an allocation lasts a minute
    Server("dnsmasq", "net", c.Dns, 53, "exec dnsmasq -k -u root -g root --no-resolv --no-hosts --txt-record=nonce.x,$NONCE", beat=1),  # a connection has 100 queries
    Server("dropbear", "net", c.Ssh, 22, """mkdir -p -m 700 /root/.ssh /etc/dropbear && echo "$KEY" >/root/.ssh/authorized_keys && touch /srv/words
exec dropbear -F -E -R -p 22""", found="cat /srv/words"),
    Server("icecast2", "net", c.Page, 8000, """cat >/srv/i.xml <<END
<icecast><location>$NONCE</location><admin>x</admin><hostname>localhost</hostname>
<limits><clients>50</clients><sources>2</sources><header-timeout>300</header-timeout></limits>
<authentication><source-password>x</source-password><admin-user>a</admin-user><admin-password>x</admin-password></authentication>
<listen-socket><port>8000</port></listen-socket>
<paths><basedir>/usr/share/icecast2</basedir><logdir>/srv</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot></paths>
<logging><accesslog>-</accesslog><errorlog>-</errorlog></logging></icecast>
END
exec env LD_PRELOAD=/usr/lib/notroot.so icecast2 -c /srv/i.xml""", path="/status-json.xsl", holds=False),
    Server("inspircd", "net", c.Irc, 6667, """echo "$NONCE" >/srv/motd; cat >/srv/i.conf <<'END'
<server name="irc.x" description="x" network="x">
<admin name="x" nick="x" email="x@x">
<bind address="*" port="6667" type="clients">
<connect allow="*" timeout="60" pingfreq="600" commandrate="100000" fakelag="no" useident="no" resolvehostnames="no" localmax="100" globalmax="100" hardsendq="1M" softsendq="1M" recvq="1M">
<files motd="/srv/motd"><dns timeout="1"><pid file="/srv/pid"><log method="file" target="/srv/log" type="* -USERINPUT -USEROUTPUT" level="default">
END
exec inspircd --nofork --runasroot --config /srv/i.conf"""),
    Server("knot", "net", c.DnsUpdate, 53, ZONE + """cat >/srv/k.conf <<'END'
server:
  listen: 0.0.0.0@53
  rundir: /srv/run
  user: root
  tcp-idle-timeout: 600
database:
  storage: /srv/db
acl:
  - id: all
    action: update
zone:
  - domain: x
    storage: /srv/z
    file: zone
    acl: all
END
mkdir -p /srv/run /srv/db; exec knotd -c /srv/k.conf""", move=("--skip", "mapped-lock")),
    Server("minidlna", "net", c.Page, 8200, """mkdir -p /srv/db /srv/media; printf '%s\\n' 'port=8200' 'network_interface=eth0' "friendly_name=$NONCE" 'db_dir=/srv/db' 'log_dir=/srv' 'media_dir=/srv/media' 'user=root' >/srv/m.conf
exec minidlnad -S -f /srv/m.conf -P /srv/pid""", path="/rootDesc.xml", holds=False, expect=SQLITE),
    Server("mpd", "net", c.Mpd, 6600, """mkdir -p /srv/p /srv/music; printf '%s\\n' 'music_directory "/srv/music"' 'playlist_directory "/srv/p"' 'bind_to_address "0.0.0.0"' 'connection_timeout "600"' 'log_file "/dev/stderr"' 'audio_output {' ' type "null"' ' name "n"' '}' >/srv/m.conf
exec mpd --no-daemon /srv/m.conf"""),
    Server("mumble", "net", c.Mumble, 64738, """printf '%s\\n' 'database=/srv/m.sqlite' "welcometext=$NONCE" 'port=64738' 'users=100' 'logfile=' 'autobanAttempts=0' >/srv/m.ini
exec $(command -v mumble-server || command -v murmurd) -fg -ini /srv/m.ini""", expect=SQLITE),
    Server("nsd", "net", c.Dns, 53, ZONE + """printf '%s\\n' 'server:' '  ip-address: 0.0.0.0' '  username: root' '  pidfile: /srv/pid' '  zonesdir: /srv/z' '  xfrdfile: /srv/xfrd' '  zonelistfile: /srv/list' '  xfrdir: /srv' '  chroot: ""' \
'  tcp-timeout: 600' 'remote-control:' '  control-enable: no' 'zone:' '  name: x' '  zonefile: zone' >/srv/n.conf
exec nsd -d -c /srv/n.conf"""),
    Server("openssh", "net", c.Ssh, 22, """mkdir -p -m 700 /root/.ssh /run/sshd && echo "$KEY" >/root/.ssh/authorized_keys && touch /srv/words && ssh-keygen -q -A
printf '%s\\n' 'UsePAM no' 'ClientAliveInterval 0' >/srv/s.conf
exec /usr/sbin/sshd -D -e -f /srv/s.conf"""),
    Server("pdns", "net", c.DnsUpdate, 53, """cat $(ls /usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql /usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql /usr/share/pdns-backend-sqlite3/schema.sqlite3.sql 2>/dev/null | head -n 1) | sqlite3 /srv/p.db
sqlite3 /srv/p.db "INSERT INTO domains (name, type) VALUES ('x', 'NATIVE'); INSERT INTO records (domain_id, name, type, content, ttl) VALUES (1, 'x', 'SOA', 'ns.x a.x 1 60 60 60 60', 60), (1, 'x', 'NS', 'ns.x', 60);"
exec pdns_server --config-dir=/srv --daemon=no --guardian=no --socket-dir=/srv --launch=gsqlite3 --gsqlite3-database=/srv/p.db --dnsupdate=yes --allow-dnsupdate-from=0.0.0.0/0 --cache-ttl=0 --query-cache-ttl=0 --negquery-cache-ttl=0 \
 --zone-cache-refresh-interval=0 --max-tcp-transactions-per-conn=0 --tcp-idle-timeout=600 --max-tcp-connection-duration=0""", pace=0.1, expect={e: (3, "sqlite-wal") for e in ("podman", "docker")}),
    Server("pdns-recursor", "net", c.Dns, 53, ZONE + """cat >/srv/recursor.conf <<'END'
incoming:
  listen: ['0.0.0.0']
  allow_from: ['0.0.0.0/0']
  tcp_timeout: 600
recursor:
  auth_zones:
    - zone: x
      file: /srv/z/zone
  socket_dir: /srv
  daemon: false
dnssec:
  validation: off
END
cp /srv/recursor.conf /srv/recursor.yml; exec pdns_recursor --config-dir=/srv"""),
    Server("rsync", "net", c.Rsync, 873, """mkdir -p /srv/f; printf '%s\\n' 'uid = root' 'gid = root' 'use chroot = no' '[m]' 'path = /srv/f' 'read only = no' >/srv/r.conf
exec rsync --daemon --no-detach --config=/srv/r.conf""", found="ls /srv/f", pace=0.2),
    Server("tftpd", "net", c.Tftp, 69, """mkdir -p /srv/f; exec in.tftpd -L -4 -c -s /srv/f -u root -p --address 0.0.0.0:69""", found="ls /srv/f", holds=False, pace=0.1),
    Server("transmission", "net", c.Rpc, 9091, """mkdir -p /srv/t; echo "{\\"rpc-whitelist-enabled\\": false, \\"rpc-host-whitelist-enabled\\": false, \\"rpc-bind-address\\": \\"0.0.0.0\\", \\"download-dir\\": \\"/srv/$NONCE\\", \\"dht-enabled\\": false, \\"port-forwarding-enabled\\": false}" >/srv/t/settings.json
exec transmission-daemon -f -g /srv/t""", path="/transmission/rpc", holds=False),
    Server("unbound", "net", c.Dns, 53, """printf '%s\\n' 'server:' '  interface: 0.0.0.0' '  access-control: 0.0.0.0/0 allow' '  username: ""' '  chroot: ""' '  pidfile: /srv/pid' '  use-syslog: no' '  do-daemonize: no' '  tcp-idle-timeout: 600000' '  module-config: "iterator"' "  local-data: 'nonce.x. TXT \\"$NONCE\\"'" >/srv/u.conf
exec unbound -c /srv/u.conf"""),
    Server("vsftpd", "net", c.Ftp, 21, """mkdir -p /srv/f/up /run/vsftpd/empty && chmod 555 /srv/f && sed -i 's|^ftp:.*||' /etc/passwd && echo 'ftp:x:0:0::/srv/f:/bin/false' >>/etc/passwd
printf '%s\\n' 'listen=YES' 'background=NO' 'anonymous_enable=YES' 'anon_upload_enable=YES' 'write_enable=YES' 'anon_root=/srv/f' 'no_anon_password=YES' 'seccomp_sandbox=NO' 'idle_session_timeout=600' 'run_as_launching_user=YES' 'connect_from_port_20=NO' >/srv/v.conf
exec vsftpd /srv/v.conf""", path="up/", found="ls /srv/f/up"),
    # ---- with a machine of their own
    Server("ejabberd", "machines", c.Xmpp, 5222, """cat >/srv/e.yml <<'END'
hosts: [localhost]
loglevel: warning
registration_timeout: infinity
listen:
  - port: 5222
    ip: "0.0.0.0"
    module: ejabberd_c2s
    starttls: false
access_rules:
  register:
    allow: all
modules:
  mod_register:
    ip_access: all
    access_from: all
    access: all
END
mkdir -p /srv/e /srv/l; exec erl -noinput -sname e@localhost -pa /usr/lib/*/ejabberd-*/ebin /usr/lib/ejabberd*/ebin $(for d in /usr/lib/*/erlang/lib/*/ebin; do echo -pa $d; done) -mnesia dir '"/srv/e"' -s ejabberd""",
           env=("EJABBERD_CONFIG_PATH=/srv/e.yml", "EJABBERD_LOG_PATH=/srv/l/log", "HOME=/srv"), pace=0.2),
    Server("prosody", "machines", c.Xmpp, 5222, """mkdir -p /srv/d; printf '%s\\n' 'pidfile = "/srv/pid"' 'data_path = "/srv/d"' 'modules_enabled = { "register", "saslauth", "disco" }' 'allow_registration = true' 'registration_throttle_max = nil' 'c2s_require_encryption = false' 'interfaces = { "0.0.0.0" }' \
'allow_unencrypted_plain_auth = true' 'authentication = "internal_plain"' 'run_as_root = true' 'prosody_user = "root"' 'c2s_timeout = 3600' 'log = { info = "*console" }' 'VirtualHost "localhost"' >/srv/p.cfg.lua
sed -i 's/"register"/"register_ibr"/' /srv/p.cfg.lua; exec prosody --config /srv/p.cfg.lua -F""", pace=0.1),
    Server("rabbitmq", "machines", c.Stomp, 61613, """mkdir -p /srv/r; echo '[rabbitmq_stomp].' >/srv/plugins; printf '%s\\n' 'loopback_users = none' 'stomp.listeners.tcp.1 = 0.0.0.0:61613' >/srv/r.conf
exec /usr/lib/rabbitmq/bin/rabbitmq-server""", env=("RABBITMQ_NODENAME=r@localhost", "RABBITMQ_MNESIA_BASE=/srv/r", "RABBITMQ_LOG_BASE=/srv/r", "RABBITMQ_ENABLED_PLUGINS_FILE=/srv/plugins", "RABBITMQ_CONFIG_FILE=/srv/r.conf", "HOME=/srv"), ready=120),
    Server("tomcat", "machines", c.Put, 8080, """cp -rL /usr/share/tomcat10 /srv/t && cp -r /etc/tomcat10 /srv/t/conf && mkdir -p /srv/t/webapps/ROOT/WEB-INF /srv/t/logs /srv/t/temp /srv/t/work
cat >/srv/t/webapps/ROOT/WEB-INF/web.xml <<'END'
<web-app><servlet><servlet-name>d</servlet-name><servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class><init-param><param-name>readonly</param-name><param-value>false</param-value></init-param></servlet>
<servlet-mapping><servlet-name>d</servlet-name><url-pattern>/</url-pattern></servlet-mapping></web-app>
END
sed -i 's/connectionTimeout="20000"/connectionTimeout="600000" maxKeepAliveRequests="-1"/' /srv/t/conf/server.xml
exec env CATALINA_HOME=/srv/t CATALINA_BASE=/srv/t sh /srv/t/bin/catalina.sh run""", env=("JAVA_HOME=/usr/lib/jvm/java-21-openjdk-amd64", "JAVA_OPTS=-Xmx128m -XX:-UsePerfData"), ready=120),
    Server("zookeeper", "machines", c.Zookeeper, 2181, """mkdir -p /srv/z; printf '%s\\n' 'tickTime=2000' 'dataDir=/srv/z' 'clientPort=2181' 'admin.enableServer=false' 'maxSessionTimeout=600000' >/srv/z.cfg
exec java -Xmx128m -XX:-UsePerfData -cp '/usr/share/java/*:/etc/zookeeper/conf' org.apache.zookeeper.server.quorum.QuorumPeerMain /srv/z.cfg""", ready=120),
]
