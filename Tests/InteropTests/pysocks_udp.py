"""Exchanges datagrams with an echo service through a SOCKS 5 proxy, by PySocks: pysocks_udp.py PROXY-PORT ECHO-PORT"""
import sys

import socks

proxy, echo = int(sys.argv[1]), int(sys.argv[2])
for host in ("127.0.0.1", "localhost"):
    with socks.socksocket(type=socks.socket.SOCK_DGRAM) as client:
        client.set_proxy(socks.SOCKS5, "127.0.0.1", proxy, rdns=True)
        client.settimeout(10)
        for size in (1, 512, 1200, 1452, 4096):
            payload = bytes(number * 31 % 256 for number in range(size))
            client.sendto(payload, (host, echo))
            answer, source = client.recvfrom(65535)
            assert answer == payload, f"{size} bytes to {host}: {len(answer)} came back"
            assert source == ("127.0.0.1", echo), f"{host}: answered by {source}"
print("all came back")
