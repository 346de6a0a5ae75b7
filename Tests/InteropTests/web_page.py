"""A page that opens two WebSockets, plain and with TLS, and reports what came of them: web_page.py CERTIFICATE KEY

Prints `listening PLAIN TLS` (ports on 127.0.0.1), then `report ...` with what the page reports.
"""
import http
import ssl
import sys
import threading
import urllib.parse

from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.sync.server import serve

# Larger than a tunnel's first window of a frame: each message comes back in several pieces.
PAGE = """<!doctype html><meta charset="utf-8"><title>WebSockets</title><script>
const message = "é".repeat(100000);
const echo = url => new Promise((done, failed) => {
  const socket = new WebSocket(url);
  let rounds = 0;
  socket.onopen = () => socket.send(message);
  socket.onerror = () => failed(new Error("cannot talk to " + url));
  socket.onmessage = event => {
    if (event.data !== message) return failed(new Error("another message came back from " + url));
    if (++rounds === 5) { socket.close(); done(rounds); } else socket.send(message);
  };
});
Promise.all([echo("ws://localhost:PLAIN/"), echo("wss://localhost:TLS/")])
  .then(rounds => "echoed " + rounds, error => "failed: " + error.message)
  .then(report => fetch("/report?" + encodeURIComponent(report)));
</script>"""
ports = []


def answer(connection, request):
    """Answers what is no WebSocket: the page, and its report."""
    if request.headers.get("Upgrade"):
        return None
    path, _, query = request.path.partition("?")
    body = b""
    if path == "/report":
        print("report", urllib.parse.unquote(query), flush=True)
    elif path == "/":
        body = PAGE.replace("PLAIN", str(ports[0])).replace("TLS", str(ports[1])).encode()
    headers = Headers([("Content-Type", "text/html"), ("Content-Length", str(len(body))), ("Connection", "close")])
    return Response(http.HTTPStatus.OK.value, "OK", headers, body)


def echo(connection):
    for message in connection:
        connection.send(message)


tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(sys.argv[1], sys.argv[2])
servers = [serve(echo, "127.0.0.1", 0, process_request=answer, ssl=context) for context in (None, tls)]
ports += [server.socket.getsockname()[1] for server in servers]
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
print("listening", *ports, flush=True)
sys.stdin.read()
