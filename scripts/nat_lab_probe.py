"""Tells what mapping and filtering the NAT in front of a host has (RFC 4787 sections 4.1 and 5), independently of rtun.

serve A B: on two ports of address A and one of B, answers with where a datagram came from; asked to, from elsewhere.
ask A B:   says what it finds.
"""
import select
import socket
import sys

role, first, second = sys.argv[1:4]
PORTS = (7001, 7002)


def udp(address, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))
    return s


if role == "serve":
    sockets = {(a, p): udp(a, p) for a in (first, second) for p in PORTS}
    while True:
        for ready in select.select(list(sockets.values()), [], [])[0]:
            question, sender = ready.recvfrom(100)
            here = ready.getsockname()
            answer_from = {
                b"here": here,
                b"other port": (here[0], PORTS[1] if here[1] == PORTS[0] else PORTS[0]),
                b"other address": (second if here[0] == first else first, here[1]),
            }[question]
            sockets[answer_from].sendto(f"{sender[0]}:{sender[1]}".encode(), sender)


def ask(s, address, port, question):
    for _ in range(3):
        s.sendto(question, (address, port))
        s.settimeout(0.4)
        try:
            return s.recv(100).decode()
        except TimeoutError:
            pass
    return None


s = udp("0.0.0.0", 0)
at_first, at_port, at_second = ask(s, first, 7001, b"here"), ask(s, first, 7002, b"here"), ask(s, second, 7001, b"here")
if at_first is None:
    print("no UDP")
    sys.exit()
if at_first == at_port == at_second:
    mapping = "endpoint-independent"
elif at_first == at_port:
    mapping = "address-dependent"
else:
    mapping = "address-and-port-dependent"
# A socket of its own, which has asked one place only.
s = udp("0.0.0.0", 0)
if ask(s, first, 7001, b"other address"):
    filtering = "endpoint-independent"
else:
    s = udp("0.0.0.0", 0)
    filtering = "address-dependent" if ask(s, first, 7001, b"other port") else "address-and-port-dependent"
print(f"mapping {mapping}, filtering {filtering}")
