#!/usr/bin/env bash
# Starts rtun-server, rtun-agent, rtun-socks and rtun-relay on loopback with a fresh certificate and a real web server as the
# target, downloads through them, says which path the traffic took and how fast it was, asks a UDP service, and cleans up:
# `make demo`.
#
# RTUN_BIN: the folder with the programs. RTUN_DEMO_SIZE: how much to download, as head -c takes it (default 300M).
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${RTUN_BIN:?set RTUN_BIN to the folder with the programs}
size=${RTUN_DEMO_SIZE:-300M}
folder=$(mktemp -d)
started=()

cleanup() {
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do kill "${started[i]}" 2>/dev/null || true; done
    wait "${started[@]}" 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT

# Prints a command as one would type it, with the folder as the variable that the first printed command sets.
show() {
    local words
    words=$(printf ' %q' "$@")
    echo "  \$${words//"$folder"/\$folder}${suffix-}"
}

# Prints a command and runs it.
run() {
    show "$@"
    "$@" 2>/dev/null
}

# Prints a command and starts it in the background.
start() {
    local name=$1
    shift
    suffix=' &' show "$@"
    "$@" >"$folder/$name.out" 2>"$folder/$name.log" &
    started+=($!)
}

# Waits for the ready line of a program and prints it.
ready() {
    local name=$1 line
    for _ in $(seq 300); do
        if line=$(grep -m 1 '^rtun-.* ready ' "$folder/$name.out" 2>/dev/null); then
            echo "  $line"
            return
        fi
        kill -0 "${started[-1]}" 2>/dev/null || break
        sleep 0.05
    done
    echo "$name did not start:" >&2
    cat "$folder/$name.log" >&2
    exit 1
}

# A port that is free for TCP and UDP just now. The programs take port 0 too, but then the commands could not be copied.
free_port() {
    python3 - <<'PYTHON'
import socket
while True:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            continue
        print(tcp.getsockname()[1])
        break
PYTHON
}

export PATH="$bin:$PATH" RTUN_SECRET
RTUN_SECRET=$(openssl rand -hex 16)
port=$(free_port)

echo "A certificate for localhost, and a secret that all programs share (each line can be copied):"
echo "  \$ folder=\$(mktemp -d)"
echo "  \$ export PATH=$(printf %q "$bin"):\$PATH RTUN_SECRET=\$(openssl rand -hex 16)"
run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$folder/key.pem" -out "$folder/cert.pem"

echo "The broker, on a public host in real life:"
start server rtun-server --addr "127.0.0.1:$port" --https-key "$folder/key.pem" --https-cert "$folder/cert.pem"
ready server

echo "The agent, on the machine the traffic shall leave from:"
start agent rtun-agent "https://localhost:$port" --agent demo --expire_in 60 --ca-cert "$folder/cert.pem"
ready agent

echo "The SOCKS and HTTP proxy, on the user's machine (over quic:// this time; https:// does as well):"
proxy=$(free_port)
start socks rtun-socks --listen "127.0.0.1:$proxy" "quic://localhost:$port" --ca-cert "$folder/cert.pem"
ready socks

echo "A web server with a file of $size, seen from the agent:"
mkdir "$folder/web"
head -c "$size" /dev/urandom >"$folder/web/file"
web=$(free_port)
nginx=$(command -v nginx || echo /usr/sbin/nginx)
cat >"$folder/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid $folder/nginx.pid;
error_log stderr warn;
events {}
http {
    access_log off;
    sendfile on;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    server { listen 127.0.0.1:$web; root $folder/web; }
}
CONF
[ "$(id -u)" -ne 0 ] || sed -i '1i user root;' "$folder/nginx.conf"
"$nginx" -e stderr -c "$folder/nginx.conf" -p "$folder" 2>"$folder/nginx.log" &
started+=($!)
for _ in $(seq 100); do curl -s -o /dev/null "http://127.0.0.1:$web/" && break || sleep 0.05; done
echo "  http://localhost:$web/file"

echo "The download, straight and then through the tunnel:"
direct=$(curl -sS --fail -o /dev/null -w '%{speed_download}' "http://localhost:$web/file")
printf '  $ curl --socks5-hostname 127.0.0.1:%s -o file http://localhost:%s/file\n' "$proxy" "$web"
read -r speed seconds first < <(
    curl -sS --fail --socks5-hostname "127.0.0.1:$proxy" -o "$folder/file" \
        -w '%{speed_download} %{time_total} %{time_starttransfer}\n' "http://localhost:$web/file"
)
cmp "$folder/file" "$folder/web/file"
awk -v s="$speed" -v t="$seconds" -v f="$first" -v d="$direct" 'BEGIN {
    printf "  equal, byte for byte: %.1f s, %.0f MB/s (%.2f Gbit/s; %.0f %% of the download without a proxy), first byte after %.0f ms\n",
        t, s / 1e6, s * 8 / 1e9, 100 * s / d, f * 1000
}'
echo "The path between the two:"
grep -m 1 'event=peer.connected' "$folder/socks.log" | sed 's/^/  /'

echo "A UDP service seen from the agent, which answers in capitals, and the relay that leads to it:"
service=$(free_port)
python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', $service))
while True:
    data, sender = s.recvfrom(2048)
    s.sendto(data.upper(), sender)
" &
started+=($!)
for _ in $(seq 50); do [ -z "$( (echo && sleep 0.1) | ncat -u -i 1 127.0.0.1 "$service" 2>/dev/null)" ] || break; done
relayed=$(free_port)
start relay rtun-relay -L "127.0.0.1:$relayed?to=127.0.0.1:$service" "quic://localhost:$port" --ca-cert "$folder/cert.pem"
ready relay
printf '  $ (echo "hello by relay"; sleep 1) | ncat -u -i 1 127.0.0.1 %s\n' "$relayed"
answer=$( (echo "hello by relay" && sleep 1) | ncat -u -i 1 127.0.0.1 "$relayed" 2>/dev/null || true)
[ "$answer" = "HELLO BY RELAY" ] || { echo "no answer through the relay:" >&2; cat "$folder/relay.log" >&2; exit 1; }
echo "  $answer"
echo "All four are stopped and $folder is removed now. See README.md for the same on real machines."
