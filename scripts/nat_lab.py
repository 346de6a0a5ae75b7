#!/usr/bin/env python3
"""A network to try NATs in: a server on a public network, and a client and an agent, each behind a NAT of a kind that
you choose. All hosts are network namespaces on documentation addresses; nothing leaves this machine. Needs root.

  scripts/nat_lab.py up CLIENT_KIND AGENT_KIND   build it (what was there before is taken down)
  scripts/nat_lab.py exec HOST COMMAND …         run a command on a host: server, client, agent, client-nat, agent-nat
  scripts/nat_lab.py down                        take it down
  scripts/nat_lab.py kinds                       list the kinds

What there is to see (SIDE: client or agent):

  scripts/nat_lab.py prove                       what mapping and filtering client and agent really have
  scripts/nat_lab.py measure SIDE                what its way to the server carries, loses, and how long it takes
  scripts/nat_lab.py count SIDE                  how many UDP datagrams it has exchanged with others than the server

What can happen to it, always to the side's whole way to the public network:

  scripts/nat_lab.py flush SIDE                  the NAT forgets its mappings, as in a reboot
  scripts/nat_lab.py rebind SIDE                 the NAT gets another public address, as from a provider at night
  scripts/nat_lab.py switch SIDE                 the host moves to another network behind another NAT of that kind;
                                                 once more brings it back
  scripts/nat_lab.py loss SIDE PERCENT           so many packets get lost in each direction; 0 ends it
  scripts/nat_lab.py mtu SIDE BYTES              larger packets vanish in the middle, ICMP filtered; 1500 ends it
  scripts/nat_lab.py delay SIDE MILLISECONDS     so much later in each direction; 0 ends it
  scripts/nat_lab.py cut SIDE|server on|off      the server cannot be reached (server: by anybody)
  scripts/nat_lab.py block SIDE on|off           no UDP gets through but to and from the server
  scripts/nat_lab.py names SIDE ADDRESS          what is started on the side's host from now on asks the name server there
  scripts/nat_lab.py swallow SIDE on|off         what the side sends several datagrams at once of (UDP GSO) gets lost

RTUN_LAB names the lab, so that several can stand at once (default: rtun-lab).

             203.0.113.0/24, 2001:db8::/64 (public, a bridge in the namespace "net", which routes as .1)
       ┌───────────────┬──────────────┴──────────┐
  .20 client-nat   .10 server (.11 too)      .30 agent-nat
       │ 192.0.2.0/26                            │ 192.0.2.128/26
       │ 2001:db8:1::/64                         │ 2001:db8:3::/64
     .2 client                               .130 agent

After "switch" .40 client-nat2 with 192.0.2.64/26, 2001:db8:2::/64, and .50 agent-nat2 with 192.0.2.192/26,
2001:db8:4::/64 take over. The words for mapping and filtering are those of RFC 4787 sections 4.1 and 5.
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

LAB = os.environ.get("RTUN_LAB") or "rtun-lab"
FOLDER = Path(__file__).resolve().parent
SIDES = ("client", "agent")
SERVER4 = ("203.0.113.10", "203.0.113.11")
SERVER6 = ("2001:db8::10", "2001:db8::11")


class LabError(Exception):
    """What the user has to mend."""


# MARK: kinds


@dataclass(frozen=True)
class NAT:
    """A kind of NAT for IPv4, in the words of nft(8). Without more, connection tracking keeps the source port if it can,
    and lets in only answers."""

    meaning: str
    # How packets get their source on the way out.
    translate: str = "masquerade"
    # What is noted of UDP on the way out, and where UDP that comes in is sent by it.
    learn: str = ""
    deliver: str = ""
    # What does not get out.
    block: str = ""


def addresses(family):
    """The server's addresses as a set of nft."""
    return "{ " + ", ".join(family) + " }"


# The port that was chosen first serves everybody: what comes for it goes to whoever has it.
LEARN_MAPPING = "update @mappings { udp sport : ip saddr . udp sport }"
NATS = {
    "open": NAT("no NAT, no filter"),
    "full-cone": NAT(
        "endpoint-independent mapping, endpoint-independent filtering",
        learn=LEARN_MAPPING,
        deliver="dnat ip to udp dport map @mappings",
    ),
    "address": NAT(
        "endpoint-independent mapping, address-dependent filtering",
        learn=LEARN_MAPPING + " update @peers { ip daddr . udp sport }",
        deliver="ip saddr . udp dport @peers dnat ip to udp dport map @mappings",
    ),
    "port": NAT("endpoint-independent mapping, address-and-port-dependent filtering"),
    "symmetric": NAT(
        "address-and-port-dependent mapping and filtering (ports at random)", translate="masquerade fully-random"
    ),
    "carrier": NAT("two NATs of kind port behind each other"),
    "server-only": NAT(
        "as port, and UDP gets through to the server only",
        block=f"meta l4proto udp ip daddr != {addresses(SERVER4)} drop",
    ),
    "no-udp": NAT("as port, and no UDP gets through", block="meta l4proto udp drop"),
}
FIREWALLS = {
    "ipv6": "IPv6 only, no NAT, and a firewall with the filtering of port",
    "ipv6-open": "IPv6 only, no NAT, no filter",
}


@dataclass(frozen=True)
class Kind:
    """What a side is behind in each address family; None for a family that it does not have."""

    ipv4: str | None
    ipv6: str | None

    @classmethod
    def parse(cls, text):
        if text in FIREWALLS:
            return cls(None, text)
        ipv4, plus, ipv6 = text.partition("+")
        if ipv4 not in NATS or (plus and ipv6 not in FIREWALLS):
            raise LabError(f'no kind "{text}"; see: {sys.argv[0]} kinds')
        return cls(ipv4, ipv6 or None)

    def __str__(self):
        return "+".join(filter(None, (self.ipv4, self.ipv6)))


def kinds():
    meanings = {name: nat.meaning for name, nat in NATS.items()} | FIREWALLS
    meanings["KIND+IPV6_KIND"] = "both families, such as symmetric+ipv6"
    return [f"{name:<16} {meaning}" for name, meaning in meanings.items()]


# MARK: hosts


@dataclass(frozen=True)
class Host:
    """A host of the lab, which is a network namespace."""

    name: str

    @property
    def namespace(self):
        return f"{LAB}-{self.name}"

    @property
    def exists(self):
        return Path("/run/netns", self.namespace).exists()

    @property
    def etc(self):
        """A folder of files that commands on the host see instead of those in /etc, see ip-netns(8)."""
        return Path("/etc/netns", self.namespace)

    def make(self, *settings):
        run("ip", "netns", "add", self.namespace)
        # Addresses serve at once, answers may take another way than questions, and nobody is sent elsewhere.
        both = ("all", "default")
        self.run(
            *("sysctl", "-qw"),
            *(f"net.ipv4.conf.{name}.{setting}=0" for name in both for setting in ("rp_filter", "send_redirects")),
            *(f"net.ipv6.conf.{name}.accept_redirects=0" for name in both),
            "net.ipv6.conf.default.accept_dad=0",
            *settings,
        )
        self.ip("link set lo up")

    def make_router(self):
        self.make("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def remove(self):
        """Returns whether nothing is left of it."""
        shutil.rmtree(self.etc, ignore_errors=True)
        return not self.exists or subprocess.run(["ip", "netns", "del", self.namespace]).returncode == 0

    def command(self, *words):
        return ["ip", "netns", "exec", self.namespace, *words]

    def run(self, *words, **options):
        """Runs a command on the host and returns what it prints."""
        return run(*self.command(*words), **options)

    def ip(self, *commands):
        """Runs commands of ip(8)."""
        run("ip", "-n", self.namespace, "-batch", "-", input="\n".join(commands))

    def nft(self, rules):
        self.run("nft", "-f", "-", input=rules)

    def set_table(self, name, chains=""):
        """Replaces the chains of a table `inet` of its own, if any."""
        self.nft(f"table inet {name} {{}}\ndelete table inet {name}\ntable inet {name} {{\n{chains}\n}}\n")

    def link(self, interface):
        """What ip(8) knows of an interface; None if there is none of that name."""
        words = ["ip", "-n", self.namespace, "-json", "-details", "address", "show", "dev", interface]
        shown = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return json.loads(shown.stdout)[0] if shown.returncode == 0 else None

    def connect(self, interface, other, other_interface):
        """Lays a cable to another host."""
        self.ip(f"link add {interface} type veth peer name {other_interface} netns {other.namespace}")
        self.ip(f"link set {interface} up")
        other.ip(f"link set {other_interface} up")


def run(*words, **options):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


PUBLIC = Host("net")
SERVER = Host("server")


def make_public_network():
    PUBLIC.make_router()
    PUBLIC.ip(
        # An address of its own, which no port has: otherwise it would be that of one port, and another one at times.
        "link add public address 02:00:00:00:00:01 type bridge",
        "link set public up",
        "addr add 203.0.113.1/24 dev public",
        "addr add 2001:db8::1/64 dev public nodad",
    )


def publish(host, interface, port, number, has_ipv4, has_ipv6):
    """Connects a host to a port of the public network; the number ends its addresses there."""
    host.connect(interface, PUBLIC, port)
    PUBLIC.ip(f"link set {port} master public")
    if has_ipv4:
        host.ip(f"addr add 203.0.113.{number}/24 dev {interface}", "route add default via 203.0.113.1")
    if has_ipv6:
        host.ip(f"addr add 2001:db8::{number}/64 dev {interface} nodad", "route add default via 2001:db8::1")


def make_server():
    SERVER.make()
    publish(SERVER, "eth0", "p-server", 10, has_ipv4=True, has_ipv6=True)
    SERVER.ip("addr add 203.0.113.11/24 dev eth0", "addr add 2001:db8::11/64 dev eth0 nodad")


# MARK: sides


@dataclass(frozen=True)
class Uplink:
    """The network that a side's host is on, and the NATs between it and the public network."""

    side: str
    # Each side has two, of which it uses one.
    number: int
    # Ends the IPv4 network 192.0.2.…/26.
    lan: int
    # Is in the IPv6 network 2001:db8:…::/64.
    lan6: int
    # Ends the public addresses.
    public: int

    @property
    def suffix(self):
        return "" if self.number == 1 else f"{self.number}"

    @property
    def interface(self):
        """That of the side's host."""
        return f"eth{self.number - 1}"

    @property
    def port(self):
        """That of the public network."""
        return f"p-{self.side}{self.suffix}"

    @property
    def delayed_port(self):
        """Stands between `port` and the public network while there is a delay."""
        return f"d-{self.side}{self.suffix}"

    @property
    def nat(self):
        return Host(f"{self.side}-nat{self.suffix}")

    @property
    def carrier(self):
        return Host(f"{self.side}-carrier{self.suffix}")

    @property
    def edge(self):
        """The host that has the public address."""
        return self.carrier if self.carrier.exists else self.nat

    @property
    def other(self):
        return UPLINKS[self.side, 3 - self.number]


UPLINKS = {
    (uplink.side, uplink.number): uplink
    for uplink in (
        Uplink("client", 1, lan=0, lan6=1, public=20),
        Uplink("client", 2, lan=64, lan6=2, public=40),
        Uplink("agent", 1, lan=128, lan6=3, public=30),
        Uplink("agent", 2, lan=192, lan6=4, public=50),
    )
}


def make_nat(host, name):
    """The NAT between the interfaces lan and wan of a host."""
    if name == "open":
        return
    nat = NATS[name]
    deliver = f'iifname "wan" meta l4proto udp {nat.deliver}' if nat.deliver else ""
    learn = f'iifname "lan" oifname "wan" meta l4proto udp {nat.learn}' if nat.learn else ""
    block = f'iifname "lan" oifname "wan" {nat.block}' if nat.block else ""
    host.run("sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=60")
    host.nft(
        f"""
        table ip nat {{
            map mappings {{ type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; size 4096; }}
            set peers {{ type ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; size 4096; }}
            chain translate {{
                type nat hook postrouting priority srcnat;
                oifname "wan" {nat.translate}
            }}
            chain receive {{
                type nat hook prerouting priority dstnat;
                {deliver}
            }}
            chain pass {{
                type filter hook forward priority filter;
                {learn}
                {block}
                iifname "wan" ct status dnat accept
                iifname "wan" ct state new drop
            }}
            # What nobody asked for must not leave a connection behind that takes a port from the LAN.
            chain own {{
                type filter hook input priority filter;
                iifname "wan" ct state new drop
            }}
        }}
        """
    )


def make_firewall(host, name):
    """The same for IPv6, where there is nothing to translate."""
    if name == "ipv6":
        host.nft(
            """
            table ip6 firewall {
                chain pass {
                    type filter hook forward priority filter;
                    iifname "wan" ct state new drop
                }
            }
            """
        )


def make_carrier(uplink, kind):
    """Another NAT between that of the uplink and the public network."""
    carrier, nat, lan, lan6 = uplink.carrier, uplink.nat, uplink.lan, uplink.lan6
    carrier.make_router()
    nat.connect("wan", carrier, "lan")
    carrier.ip(f"addr add 198.51.100.{lan + 1}/26 dev lan")
    nat.ip(f"addr add 198.51.100.{lan + 2}/26 dev wan", f"route add default via 198.51.100.{lan + 1}")
    if kind.ipv6:
        carrier.ip(
            f"addr add 2001:db8:1{lan6}::1/64 dev lan nodad",
            f"route add 2001:db8:{lan6}::/64 via 2001:db8:1{lan6}::2",
        )
        nat.ip(
            f"addr add 2001:db8:1{lan6}::2/64 dev wan nodad",
            f"route add default via 2001:db8:1{lan6}::1",
        )
    make_nat(carrier, "port")


def make_uplink(uplink, kind):
    """The network with its NATs, without an address for the host on it."""
    nat = uplink.nat
    nat.make_router()
    Host(uplink.side).connect(uplink.interface, nat, "lan")
    if kind.ipv4 == "carrier":
        make_carrier(uplink, kind)
    publish(uplink.edge, "wan", uplink.port, uplink.public, kind.ipv4, kind.ipv6)
    if kind.ipv4:
        nat.ip(f"addr add 192.0.2.{uplink.lan + 1}/26 dev lan")
        make_nat(nat, kind.ipv4)
    if kind.ipv6:
        nat.ip(f"addr add 2001:db8:{uplink.lan6}::1/64 dev lan nodad")
        make_firewall(nat, kind.ipv6)
    # Without a NAT the side's own addresses are public ones.
    if kind.ipv4 == "open":
        PUBLIC.ip(f"route add 192.0.2.{uplink.lan}/26 via 203.0.113.{uplink.public}")
    if kind.ipv6:
        PUBLIC.ip(f"route add 2001:db8:{uplink.lan6}::/64 via 2001:db8::{uplink.public}")


def plug(uplink, kind):
    """The side's host comes to the network."""
    host, interface = Host(uplink.side), uplink.interface
    # The alias is a note for `look_up`.
    host.ip(f"link set lo alias {kind},{uplink.number}", f"link set {interface} up")
    if kind.ipv4:
        host.ip(
            f"addr add 192.0.2.{uplink.lan + 2}/26 dev {interface}",
            f"route add default via 192.0.2.{uplink.lan + 1}",
        )
    if kind.ipv6:
        host.ip(
            f"addr add 2001:db8:{uplink.lan6}::2/64 dev {interface} nodad",
            f"route add default via 2001:db8:{uplink.lan6}::1",
        )


def unplug(uplink):
    """The side's host leaves the network; addresses and routes go."""
    Host(uplink.side).ip(f"addr flush dev {uplink.interface}", f"link set {uplink.interface} down")


def make_side(side, kind):
    host = Host(side)
    host.make()
    host.set_table(
        "count",
        f"""
        counter peers {{}}
        chain out {{
            type filter hook output priority filter;
            oifname != "lo" jump tell
        }}
        chain in {{
            type filter hook input priority filter;
            iifname != "lo" jump tell
        }}
        chain tell {{
            meta l4proto != udp return
            ip saddr {addresses(SERVER4)} return
            ip daddr {addresses(SERVER4)} return
            ip6 saddr {addresses(SERVER6)} return
            ip6 daddr {addresses(SERVER6)} return
            counter name peers
        }}
        """,
    )
    uplink = UPLINKS[side, 1]
    make_uplink(uplink, kind)
    plug(uplink, kind)


def check_side(side):
    if side not in SIDES:
        raise LabError(f'"{side}" is not a side; write client or agent')


def look_up(side):
    """What `plug` has noted of a side: the kind of its NAT, and the uplink in use."""
    check_side(side)
    if not Host(side).exists:
        raise LabError(f"there is no lab; see: {sys.argv[0]} up")
    kind, number = Host(side).link("lo")["ifalias"].split(",")
    return Kind.parse(kind), UPLINKS[side, int(number)]


# MARK: the whole lab


def up(client_kind, agent_kind):
    chosen = [Kind.parse(client_kind), Kind.parse(agent_kind)]
    down()
    try:
        make_public_network()
        make_server()
        for side, kind in zip(SIDES, chosen):
            make_side(side, kind)
    except BaseException:
        down()
        raise


def down():
    for uplink in UPLINKS.values():
        end_delay(uplink)
    hosts = [host for uplink in UPLINKS.values() for host in (Host(uplink.side), uplink.nat, uplink.carrier)]
    if not all([host.remove() for host in dict.fromkeys([*hosts, SERVER, PUBLIC])]):
        raise LabError("not all of the lab is gone")


def execute(name, *command):
    words = Host(name).command(*command)
    os.execvp(words[0], words)


# MARK: what there is to see


def probe(host, *words):
    return host.command(sys.executable, FOLDER / "nat_lab_probe.py", *words)


def start(words, **options):
    """A process that has printed its first line."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **options)
    try:
        if not process.stdout.readline():
            raise LabError(f"it did not start: {' '.join(map(str, words))}")
    except BaseException:
        process.kill()
        raise
    return process


@contextlib.contextmanager
def service():
    """Answers probes on the server until the end of the block."""
    process = start(probe(SERVER, "serve", *SERVER4, *SERVER6))
    try:
        yield
    finally:
        process.kill()


def ask_server(role, side):
    """What the probe says in that role, a line for each address family of the side."""
    kind, _ = look_up(side)
    host = Host(side)
    lines = []
    if kind.ipv4:
        lines.append(f"{side}: {run(*probe(host, role, *SERVER4)).strip()}")
    if kind.ipv6:
        lines.append(f"{side} over IPv6: {run(*probe(host, role, *SERVER6)).strip()}")
    return lines


def prove():
    """Where two addresses of the server, and two ports of the first, see a side's socket come from; and who can answer."""
    for side in SIDES:
        look_up(side)
    with service(), ThreadPoolExecutor() as pool:
        return [line for lines in pool.map(lambda side: ask_server("ask", side), SIDES) for line in lines]


def measure(side):
    look_up(side)
    with service():
        return ask_server("measure", side)


def count(side):
    check_side(side)
    answer = json.loads(Host(side).run("nft", "-j", "list", "counter", "inet", "count", "peers"))
    return [entry["counter"]["packets"] for entry in answer["nftables"] if "counter" in entry]


# MARK: what can happen


def whole_number(text):
    if not text.isdecimal():
        raise LabError(f'"{text}" is not a whole number')
    return int(text)


def is_on(text):
    if text not in ("on", "off"):
        raise LabError(f'on or off, not "{text}"')
    return text == "on"


def flush(side):
    _, uplink = look_up(side)
    if not shutil.which("conntrack"):
        raise LabError("conntrack is missing: apt-get install conntrack")
    edge = uplink.edge
    edge.run("conntrack", "-F", stderr=subprocess.DEVNULL)
    for words in (("map", "ip", "nat", "mappings"), ("set", "ip", "nat", "peers")):
        # Not every kind has them.
        subprocess.run(edge.command("nft", "flush", *words), stderr=subprocess.DEVNULL)


def rebind(side):
    kind, uplink = look_up(side)
    if kind.ipv4 in (None, "open"):
        raise LabError(f"the {side} is not behind a NAT")
    edge = uplink.edge
    public = (address["local"] for address in edge.link("wan")["addr_info"])
    old = next(int(address.rpartition(".")[2]) for address in public if address.startswith("203.0.113."))
    new = old // 10 * 10 + (old + 1) % 10
    edge.ip(
        f"addr del 203.0.113.{old}/24 dev wan",
        f"addr add 203.0.113.{new}/24 dev wan",
        "route add default via 203.0.113.1",
    )
    flush(side)


def switch(side):
    kind, uplink = look_up(side)
    if not uplink.other.nat.exists:
        make_uplink(uplink.other, kind)
    unplug(uplink)
    plug(uplink.other, kind)


def loss(side, percent):
    percent = whole_number(percent)
    _, uplink = look_up(side)
    # Neighbour discovery is not forwarded, and so is spared.
    chain = f"""
        chain lose {{
            type filter hook forward priority -200;
            numgen random mod 100 < {percent} drop
        }}
        """
    uplink.edge.set_table("loss", chain if percent else "")
    # Packets have to come one by one: several that share a buffer (GSO) would be lost together.
    segments = 1 if percent else 65535
    Host(side).ip(f"link set {uplink.interface} gso_max_segs {segments}")
    PUBLIC.ip(f"link set {uplink.port} gso_max_segs {segments}")


def mtu(side, size):
    size = whole_number(size)
    _, uplink = look_up(side)
    if not 1280 <= size <= 1500:
        raise LabError(f"from 1280 to 1500 bytes, not {size}")
    uplink.edge.ip(f"link set wan mtu {size}", f"link set lan mtu {size}")
    # A black hole: nobody is told. Only the segment size of new TCP connections is lowered, as such routers do.
    uplink.edge.set_table(
        "hole",
        f"""
        chain quiet {{
            type filter hook output priority filter;
            icmp type destination-unreachable icmp code frag-needed drop
            icmpv6 type packet-too-big drop
        }}
        chain clamp {{
            type filter hook forward priority mangle;
            meta nfproto ipv4 tcp flags & (syn | rst) == syn tcp option maxseg size set {size - 40}
            meta nfproto ipv6 tcp flags & (syn | rst) == syn tcp option maxseg size set {size - 60}
        }}
        """,
    )


def end_delay(uplink):
    link = PUBLIC.link(uplink.delayed_port) if PUBLIC.exists else None
    if link is None:
        return
    if "ifalias" in link:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(link["ifalias"]), signal.SIGKILL)
    PUBLIC.ip(f"link del {uplink.delayed_port}", f"link set {uplink.port} master public")


def delay(side, milliseconds):
    """A program passes frames on later, between the edge's port and one in its place."""
    milliseconds = whole_number(milliseconds)
    _, uplink = look_up(side)
    end_delay(uplink)
    if milliseconds == 0:
        return
    delayed, end = uplink.delayed_port, f"e-{side}{uplink.suffix}"
    try:
        PUBLIC.ip(
            f"link add {delayed} type veth peer name {end}",
            f"link set {delayed} up",
            f"link set {end} up master public",
            f"link set {uplink.port} nomaster",
        )
        # Frames that come before it is ready are lost.
        process = start(
            PUBLIC.command(sys.executable, FOLDER / "nat_lab_delay.py", uplink.port, delayed, str(milliseconds)),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            # A note for `end_delay`.
            PUBLIC.ip(f"link set {delayed} alias {process.pid}")
        except BaseException:
            process.kill()
            raise
    except BaseException:
        end_delay(uplink)
        raise


def cut(place, state):
    if place == "server":
        host = SERVER
        chains = """
            chain out { type filter hook output priority filter; oifname "eth0" drop; }
            chain in { type filter hook input priority filter; iifname "eth0" drop; }
            """
    else:
        host = look_up(place)[1].edge
        chains = f"""
            chain pass {{
                type filter hook forward priority -200;
                ip saddr {addresses(SERVER4)} drop
                ip daddr {addresses(SERVER4)} drop
                ip6 saddr {addresses(SERVER6)} drop
                ip6 daddr {addresses(SERVER6)} drop
            }}
            """
    host.set_table("cut", chains if is_on(state) else "")


def block(side, state):
    _, uplink = look_up(side)
    chains = f"""
        chain pass {{
            type filter hook forward priority -200;
            ip saddr {addresses(SERVER4)} accept
            ip daddr {addresses(SERVER4)} accept
            ip6 saddr {addresses(SERVER6)} accept
            ip6 daddr {addresses(SERVER6)} accept
            meta l4proto udp drop
        }}
        """
    uplink.edge.set_table("block", chains if is_on(state) else "")


def swallow(side, state):
    _, uplink = look_up(side)
    # What the host's device is to split comes through here whole. In the host itself the sender would be told.
    chains = """
        chain pass { type filter hook forward priority -200; iifname "lan" meta l4proto udp meta length > 1500 drop; }
        """
    uplink.edge.set_table("swallow", chains if is_on(state) else "")


def names(side, address):
    check_side(side)
    etc = Host(side).etc
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "resolv.conf").write_text(f"nameserver {address}\n")


# MARK: commands

# What each is called with. The lines that it returns are printed.
COMMANDS = {
    "up": (up, "CLIENT_KIND AGENT_KIND"),
    "down": (down, ""),
    "exec": (execute, "HOST COMMAND …"),
    "kinds": (kinds, ""),
    "prove": (prove, ""),
    "measure": (measure, "SIDE"),
    "count": (count, "SIDE"),
    "flush": (flush, "SIDE"),
    "rebind": (rebind, "SIDE"),
    "switch": (switch, "SIDE"),
    "loss": (loss, "SIDE PERCENT"),
    "mtu": (mtu, "SIDE BYTES"),
    "delay": (delay, "SIDE MILLISECONDS"),
    "cut": (cut, "SIDE|server on|off"),
    "block": (block, "SIDE on|off"),
    "names": (names, "SIDE ADDRESS"),
    "swallow": (swallow, "SIDE on|off"),
}


def main(command="help", *arguments):
    if command not in COMMANDS:
        print(__doc__.rstrip())
        return
    function, usage = COMMANDS[command]
    expected = len(usage.split())
    if len(arguments) < 2 if command == "exec" else len(arguments) != expected:
        raise LabError(f"usage: {sys.argv[0]} {command} {usage}".rstrip())
    for line in function(*arguments) or []:
        print(line)


if __name__ == "__main__":
    # Cleans up also when it is ended.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        main(*sys.argv[1:])
    except LabError as error:
        print(f"nat-lab: {error}", file=sys.stderr)
        sys.exit(64)
    except subprocess.CalledProcessError as error:
        # It has said what is wrong.
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        sys.exit(130)
