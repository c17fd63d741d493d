#!/usr/bin/env python3
"""Network Error Logging with real parts: what a browser reports about a site that is gone is counted.

    tests/nel.py

First the snippets of contrib/kit/nel.*: each is given to its real server, with other ports and
certificates, the server is started, and what it answers must carry both headers as valid JSON.

Then the story: nginx serves a page over TLS with the policy; headless Chromium loads it; that nginx is
stopped; Chromium goes there again, and its connection is refused. What it posts to another nginx, with
`beacontail reports` behind it, becomes a line of the log, and the running agent has counted it on /metrics.

The certificates are made here, and an authority of this run's own is trusted in a home of Chromium's own.
Nothing is asked but loopback. What is missing is said; where CI=true it is a failure.
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

from servers import PROGRAM, ROOT, free_port, nginx_conf

KIT = ROOT / "contrib/kit"
SITE, COLLECTOR = "www.example.com", "nel.example.net"
# The page asks for something small until it cannot be had, then goes there itself.
PAGE = """<!doctype html><title>shop</title><script>
setInterval(() => fetch("/alive?secret=1").catch(() => location.assign("/gone?secret=2")), 500);
</script>"""


class Processes:
    """What was started, to be ended in any case."""

    def __init__(self, folder):
        self.folder, self.all = folder, []

    def start(self, name, *command, **more):
        with open(self.folder / f"{name}.out", "ab") as out:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       start_new_session=True, **more)
        process.name = name
        self.all.append(process)
        return process

    @staticmethod
    def stop(process, how=signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(15)

    def stop_all(self):
        for process in reversed(self.all):
            self.stop(process)

    def said(self):
        for process in self.all:
            print(f"--- {process.name}\n" + (self.folder / f"{process.name}.out").read_text(errors="replace")[-2000:], file=sys.stderr)


def eventually(what, ask, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise SystemExit(f"nel.py: not in time: {what}")
        time.sleep(0.1)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def certificates(folder):
    """An authority, and one certificate for both names; the authority's file, the certificate's, its key."""
    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, cwd=folder, capture_output=True)

    (folder / "leaf.ext").write_text(f"subjectAltName=DNS:{SITE},DNS:{COLLECTOR}\nbasicConstraints=CA:FALSE\n"
                                     "extendedKeyUsage=serverAuth\n")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=an authority for one test", "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", f"/CN={SITE}")
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "leaf.ext", "-out", "leaf.pem")
    (folder / "both.pem").write_text((folder / "leaf.pem").read_text() + (folder / "leaf.key").read_text())
    for name in ("leaf.key", "both.pem", "leaf.pem"):
        (folder / name).chmod(0o644)
    return folder / "ca.pem", folder / "leaf.pem", folder / "leaf.key"


def headers(port, authority=None):
    """The two headers of an answer, read as JSON."""
    if authority:
        context = ssl.create_default_context(cafile=authority)
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
        connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname=SITE)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/no/such/page", headers={"Host": SITE})
    answer = connection.getresponse()
    assert answer.status >= 400, f"{answer.status}: the policy must be on errors, too"
    nel, group = (json.loads(answer.getheader(name) or "{}") for name in ("NEL", "Report-To"))
    connection.close()
    return nel, group


def holds(name, nel, group):
    assert nel.get("report_to") == group.get("group") == "nel", f"{name}: {nel} {group}"
    assert nel["max_age"] == group["max_age"] > 0, f"{name}: {nel} {group}"
    assert nel["success_fraction"] == 0 and nel["failure_fraction"] == 1, f"{name}: {nel}"
    [endpoint] = group["endpoints"]
    assert endpoint["url"].startswith(f"https://{COLLECTOR}/?source="), f"{name}: {group}"
    print(f"{name}: the snippet is taken, the headers are there")


def snippet(name, *replaced):
    text = (KIT / name).read_text()
    for old, new in replaced:
        assert old in text, f"{name} lacks {old}"
        text = text.replace(old, str(new))
    return text


def nginx_snippet(port, collector, certificate, key):
    names = [(f"/etc/ssl/{host}.{kind}", file) for host in (SITE, COLLECTOR) for kind, file in (("pem", certificate), ("key", key))]
    return snippet("nel.nginx.conf", ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"), ("127.0.0.1:9579", f"127.0.0.1:{collector}"), *names)


def try_nginx(folder, processes, authority, certificate, key):
    port = free_port()
    (folder / "conf").write_text(nginx_conf(folder, nginx_snippet(port, free_port(), certificate, key)))
    processes.start("nginx-kit", "nginx", "-c", folder / "conf", "-p", folder)
    eventually("nginx listens", lambda: listens(port))
    return headers(port, authority)


def try_apache(folder, processes, authority, certificate, key):
    port = free_port()
    names = [(f"/etc/ssl/{host}.{kind}", file) for host in (SITE, COLLECTOR) for kind, file in (("pem", certificate), ("key", key))]
    text = snippet("nel.apache.conf", ("<VirtualHost *:443>", f"<VirtualHost 127.0.0.1:{port}>"), *names)
    modules = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in
                      ("mpm_event", "authz_core", "headers", "socache_shmcb", "ssl", "proxy", "proxy_http"))
    user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
    (folder / "apache.conf").write_text(
        f"ServerRoot {folder}\nServerName {SITE}\nListen 127.0.0.1:{port}\nPidFile {folder}/pid\nDefaultRuntimeDir {folder}\n"
        f"Mutex file:{folder} default\n{modules}{user}ErrorLog {folder}/error.log\nDocumentRoot {folder}\n{text}")
    processes.start("apache-kit", "apache2", "-f", folder / "apache.conf", "-D", "FOREGROUND")
    eventually("Apache listens", lambda: listens(port))
    return headers(port, authority)


def try_haproxy(folder, processes, authority, certificate, _key):
    port = free_port()
    text = snippet("nel.haproxy.cfg", ("bind :443 ssl crt /etc/ssl/haproxy/", f"bind 127.0.0.1:{port} ssl crt {certificate.parent}/both.pem"),
                   ("127.0.0.1:8080", f"127.0.0.1:{free_port()}"))
    (folder / "haproxy.cfg").write_text(text + "\n")
    processes.start("haproxy-kit", "haproxy", "-db", "-f", folder / "haproxy.cfg")
    eventually("HAProxy listens", lambda: listens(port))
    return headers(port, authority)


def try_varnish(folder, processes, _authority, _certificate, _key):
    port = free_port()
    (folder / "nel.vcl").write_text(snippet("nel.varnish.vcl", ('"8080"', f'"{free_port()}"')))
    processes.start("varnish-kit", "varnishd", "-F", "-n", folder / "varnish", "-a", f"127.0.0.1:{port}", "-f", folder / "nel.vcl",
                    "-s", "default,20m", "-T", "none")
    eventually("Varnish listens", lambda: listens(port))
    return headers(port)


def snippets(folder, processes, pair):
    for name, program, attempt in (("nginx", "nginx", try_nginx), ("Apache", "apache2", try_apache),
                                   ("HAProxy", "haproxy", try_haproxy), ("Varnish", "varnishd", try_varnish)):
        if not shutil.which(program):
            missing(f"{name} is not tried: {program} is missing")
            continue
        place = folder / name.lower()
        place.mkdir()
        place.chmod(0o755)
        holds(name, *attempt(place, processes, *pair))


def missing(text):
    if os.environ.get("CI") == "true":
        raise SystemExit(f"nel.py: {text}")
    print(text)


def trusted_home(folder, authority):
    """A home in which Chromium trusts the authority."""
    home = folder / "home"
    store = home / ".pki/nssdb"
    store.mkdir(parents=True)
    for words in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "authority", "-i", authority]):
        subprocess.run(["certutil", "-d", f"sql:{store}", *words], check=True)
    return home


def chromium(folder, processes, home, site_port, collector_port):
    rules = f"MAP {SITE}:443 127.0.0.1:{site_port},MAP {COLLECTOR}:443 127.0.0.1:{collector_port},MAP * ~NOTFOUND"
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    return processes.start(
        "chromium", "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--no-proxy-server", "--short-reporting-delay", "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}",
        f"--host-resolver-rules={rules}", f"https://{SITE}/", env=environment)


def lines(log):
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def metrics(port):
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()
    return ""


def tls_site(folder, processes, name, conf):
    folder.mkdir()
    (folder / "conf").write_text(nginx_conf(folder, f"access_log {folder}/access.log;\n{conf}"))
    return processes.start(name, "nginx", "-c", folder / "conf", "-p", folder)


def story(folder, processes, pair):
    authority, certificate, key = pair
    site_port, tls_port, collector_port, agent_port = (free_port() for _ in range(4))
    log = folder / "log/nel.log"
    log.parent.mkdir()
    processes.start("collector", PROGRAM, "reports", "--log", log, "--listen", f"127.0.0.1:{collector_port}", "--allow-origin-host", SITE)
    (folder / "state").mkdir(mode=0o750)
    (folder / "beacontail.toml").write_text(
        f'[agent]\nflush = "100ms"\npoll = "100ms"\n[store]\npath = "{folder}/state/store.db"\n'
        f'[http]\nlisten = "127.0.0.1:{agent_port}"\n[status]\nlisten = ""\n[[log]]\nname = "nel"\npath = "{log}"\nparser = "nel-report"\nfrom = "start"\n')
    processes.start("agent", PROGRAM, "run", "-c", folder / "beacontail.toml")
    # Both servers come from the snippet; the site's process has a page, and is the one that goes.
    root = folder / "page"
    root.mkdir()
    (root / "index.html").write_text(PAGE)
    (root / "alive").write_text("yes")
    folder.chmod(0o755)
    conf = nginx_snippet(site_port, collector_port, certificate, key).replace("root /var/www/html;", f"root {root};")
    site = tls_site(folder / "site", processes, "site", conf)
    tls_site(folder / "front", processes, "front", nginx_snippet(tls_port, collector_port, certificate, key))
    for port in (site_port, tls_port, collector_port, agent_port):
        eventually(f"port {port} listens", lambda port=port: listens(port))
    chromium(folder, processes, trusted_home(folder, authority), site_port, tls_port)
    seen = folder / "site/access.log"
    eventually("Chromium has the page", lambda: "/alive" in (seen.read_text() if seen.exists() else ""))
    Processes.stop(site)
    refused = eventually("Chromium reports the refused connection",
                         lambda: [line for line in lines(log) if line["type"] == "tcp.refused" and line["url"] == "/gone"])
    print("Chromium's report:", json.dumps(refused[0]))
    report = refused[0]
    assert (report["host"], report["phase"], report["source"], report["method"]) == (SITE, "connection", "fastly", "GET"), report
    assert report["http_x_forwarded_for"] == report["remote_addr"] == "127.0.0.1", report
    assert "secret" not in log.read_text(), "a query string reached the log"
    def counted():
        text = metrics(agent_port)
        found = [line for line in text.splitlines() if "cdn_network_errors_by_type_total{" in line and 'type="tcp.refused"' in line]
        count = sum(float(line.rsplit(" ", 1)[1]) for line in found)
        here = sum(line["type"] == "tcp.refused" for line in lines(log))
        return found and count == here and found
    for line in eventually("the agent has counted every report", counted):
        print("counted:", line)


def direct(folder, processes, pair):
    """The collector with a certificate of its own, without a server in front."""
    authority, certificate, key = pair
    folder.mkdir()
    port, log = free_port(), folder / "nel.log"
    (folder / "web.yml").write_text(f"tls_server_config:\n  cert_file: {certificate}\n  key_file: {key}\n")
    processes.start("collector-tls", PROGRAM, "reports", "--log", log, "--listen", f"127.0.0.1:{port}", "--web-config", folder / "web.yml",
                    "--trusted-proxies", "")
    eventually("the collector listens", lambda: listens(port))
    report = {"type": "network-error", "url": f"https://{SITE}/", "body": {"type": "dns.failed", "phase": "dns"}}
    context = ssl.create_default_context(cafile=authority)
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname=COLLECTOR)
    # Nobody is believed here, whatever is written into the header.
    said = {"Content-Type": "application/reports+json", "X-Forwarded-For": "198.51.100.1"}
    connection.request("POST", "/", json.dumps([report]), said)
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read().startswith(b"1 taken"), answer.status
    [line] = lines(log)
    assert line["type"] == "dns.failed" and "http_x_forwarded_for" not in line, line
    print("the collector speaks TLS itself")


def main():
    for program in ("nginx", "openssl"):
        if not shutil.which(program):
            return missing(f"nothing is tried: {program} is missing")
    with tempfile.TemporaryDirectory(prefix="beacontail-nel-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        processes = Processes(folder)
        try:
            pair = certificates(folder)
            snippets(folder, processes, pair)
            direct(folder / "direct", processes, pair)
            if shutil.which("chromium") and shutil.which("certutil"):
                story_folder = folder / "story"
                story_folder.mkdir()
                story(story_folder, processes, pair)
            else:
                missing("the story is not told: chromium or certutil (libnss3-tools) is missing")
        except BaseException:
            processes.said()
            raise
        finally:
            processes.stop_all()


if __name__ == "__main__":
    main()
