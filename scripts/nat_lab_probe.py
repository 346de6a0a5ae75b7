"""Tells what is between a host and the server, independently of rtun.

serve A4 B4 A6 B6: on two ports of the addresses A and B of each family, answers with where a datagram came from, and
                   with the last word of the question if that begins with #; asked to, from elsewhere.
ask A B:           says what mapping and filtering the NAT or firewall has (RFC 4787 sections 4.1 and 5).
measure A B:       says how large a packet gets through each way, how many get lost, and how long they take.
"""
import collections
import itertools
import select
import socket
import struct
import sys
import time

role, *addresses = sys.argv[1:]
first, second = addresses[:2]
PORTS = (7001, 7002)
IP_MTU_DISCOVER, IP_RECVERR, IPV6_MTU_DISCOVER, IPV6_RECVERR, PMTUDISC_PROBE = 10, 11, 23, 25, 3
SO_RCVBUFFORCE, SO_EE_ORIGIN_LOCAL = 33, 1
# IPv4 or IPv6 header, and UDP header.
OVERHEAD = 48 if ":" in first else 28


def udp(address, port, keeps_errors):
    v6 = ":" in address
    s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    # Never fragmented, whatever the kernel has heard of the path; and ICMP errors are kept to be asked for, or ignored.
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    s.setsockopt(level, IPV6_MTU_DISCOVER if v6 else IP_MTU_DISCOVER, PMTUDISC_PROBE)
    s.setsockopt(level, IPV6_RECVERR if v6 else IP_RECVERR, keeps_errors)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    s.bind((address, port))
    return s


def burst(s, destination, count):
    """Sends so many datagrams, 5000 a second."""
    for number in range(count):
        s.sendto(b"burst", destination)
        if number % 10 == 0:
            time.sleep(0.002)


def serve():
    pairs = [addresses[i : i + 2] for i in range(0, len(addresses), 2)]
    other = {a: b for pair in pairs for a, b in (pair, reversed(pair))}
    sockets = {(a, p): udp(a, p, False) for a in addresses for p in PORTS}
    counts = collections.Counter()
    print("serving", flush=True)
    while True:
        for ready in select.select(list(sockets.values()), [], [])[0]:
            message, sender = ready.recvfrom(2048)
            here = ready.getsockname()[:2]
            question, *rest = message.rstrip(b"\0").split(b" ")
            answer, answer_from = f"{sender[0]} {sender[1]}".encode(), here
            if rest and rest[-1].startswith(b"#"):
                answer += b" " + rest.pop()
            if question == b"other-port":
                answer_from = (here[0], PORTS[1] if here[1] == PORTS[0] else PORTS[0])
            elif question == b"other-address":
                answer_from = (other[here[0]], here[1])
            elif question == b"burst":
                counts[sender] += 1
                continue
            elif question == b"counted":
                answer = b"%d" % counts[sender]
            elif question == b"send-burst":
                burst(ready, sender, int(rest[0]))
                # One of these gets through.
                for _ in range(20):
                    ready.sendto(b"end", sender)
                continue
            elif question == b"send":
                answer = bytes(int(rest[0]))
            sockets[answer_from].sendto(answer, sender)


def ask(s, address, port, question, tries=3, wait=0.25):
    for _ in range(tries):
        try:
            s.sendto(question, (address, port))
            s.settimeout(wait)
            return s.recv(2048).decode()
        except OSError:
            pass
    return None


numbers = itertools.count(1)


def answers(s, question, address, port, wait):
    """Where the datagram with a question is seen to come from; None without an answer. A machine that is busy is waited for:
    no answer counts before another question, asked later, has been answered."""
    number = b"#%d" % next(numbers)

    def receive(wait):
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0:
            s.settimeout(left)
            try:
                *seen, mark = s.recv(2048).split(b" ")
            except OSError:
                continue
            # Not the answer to an earlier question that has been asked twice.
            if mark == number:
                return seen
        return None

    for _ in range(3):
        try:
            s.sendto(question + b" " + number, (address, port))
        except OSError:
            pass
        if seen := receive(wait):
            return seen
    ask(anywhere(), first, 7001, b"here", tries=10)
    return receive(0.02)


def anywhere():
    return udp("::" if ":" in first else "0.0.0.0", 0, True)


def tell_nat():
    s = anywhere()
    begin = time.monotonic()
    if ask(s, first, 7001, b"here") is None:
        return "no UDP"
    wait = 0.08 + 2 * (time.monotonic() - begin)
    at_first = answers(s, b"here", first, 7001, wait)
    at_port, at_second = answers(s, b"here", first, 7002, wait), answers(s, b"here", second, 7001, wait)
    if at_first == at_port == at_second:
        mapping = "endpoint-independent"
    elif at_first == at_port:
        mapping = "address-dependent"
    else:
        mapping = "address-and-port-dependent"
    # A socket of its own, which has asked one place only.
    if answers(anywhere(), b"other-address", first, 7001, wait):
        filtering = "endpoint-independent"
    elif answers(anywhere(), b"other-port", first, 7001, wait):
        filtering = "address-dependent"
    else:
        filtering = "address-and-port-dependent"
    return f"mapping {mapping}, filtering {filtering}"


def largest(passes):
    """The largest packet, of 1280 to 1500 bytes, for which that holds."""
    for usual in (1500, 1400, 1280):
        if passes(usual):
            if usual == 1500 or not passes(usual + 1):
                return usual
            break
    low, high = 1279, 1500
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(middle) else (low, middle)
    return low


def was_told(s):
    """Whether an ICMP message has come for a datagram of the socket."""
    s.setblocking(False)
    try:
        _, ancillary, _, _ = s.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
        return any(struct.unpack_from("IB", data)[1] != SO_EE_ORIGIN_LOCAL for _, _, data in ancillary)
    except BlockingIOError:
        return False


def measure():
    s = anywhere()
    times = []
    for _ in range(10):
        begin = time.monotonic()
        if ask(s, first, 7001, b"here", tries=1, wait=1):
            times.append(time.monotonic() - begin)
    if not times:
        return "no UDP"
    wait = 0.05 + 2 * min(times)
    s = anywhere()
    up = largest(lambda size: ask(s, first, 7001, b"here".ljust(size - OVERHEAD, b"\0"), 4, wait))
    told = "" if was_told(s) else "out"
    s = anywhere()
    down = largest(lambda size: ask(s, first, 7001, b"send %d" % (size - OVERHEAD), 4, wait))
    s = anywhere()
    count = 1000
    burst(s, (first, 7001), count)
    time.sleep(wait)
    arrived = int(ask(s, first, 7001, b"counted", 20, wait))
    returned = 0
    # The question may get lost, too; asked again on another socket, so that no datagram counts twice.
    while not returned:
        s = anywhere()
        s.sendto(b"send-burst %d" % count, (first, 7001))
        s.settimeout(0.5 + wait)
        try:
            while (datagram := s.recv(2048)) != b"end":
                returned += datagram == b"burst"
                s.settimeout(5)
        except TimeoutError:
            pass
    return (
        f"carries {up} up and {down} down with{told} a word, "
        f"loses {100 - 100 * arrived / count:.1f} % up and {100 - 100 * returned / count:.1f} % down, "
        f"takes {1000 * min(times):.1f} ms"
    )


if role == "serve":
    serve()
print({"ask": tell_nat, "measure": measure}[role]())
