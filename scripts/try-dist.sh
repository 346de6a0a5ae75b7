#!/usr/bin/env bash
# Tries the static programs of dist/ where there is nothing but them: `make try-dist`, or scripts/try-dist.sh ROOT... for
# some of these roots:
#
#   empty      the programs, /proc, /etc/hosts, /etc/resolv.conf and a file of authorities
#   no-proc    the same without /proc
#   alpine     busybox, the folders of an Alpine system, and no C library
#   debian12   a Debian 12 of the least packages
#   debian13   a Debian 13 of the least packages
#   trust      an empty one, with authorities in the places of other distributions and in those that the environment names
#
# TARGET=aarch64-linux tries the programs for that machine, by an emulator beside them, in an empty root only unless others are
# named.
#
# In each, server, agent, two proxies (one by https://, one by quic://) and a relay are started. A file is downloaded through agent
# and each proxy and compared, and a datagram goes through the relay and back. The server's name is in the hosts file, that of the target known to a name server
# only; there is no nsswitch.conf, or one that names modules which cannot be loaded, as openssl.cnf does. The programs get no
# --ca-cert.
#
# All of it happens in namespaces of its own. Needs root, and leaves nothing behind but the log of a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

roots=("$@")
dist=$PWD/dist
target=${TARGET:-$(uname -m)-linux}
emulator=$(scripts/emulator.sh "$target")
size=20M
# An emulator is slow.
[ -z "$emulator" ] || size=4M
if [ ${#roots[@]} -eq 0 ]; then
    roots=(empty no-proc alpine debian12 debian13 trust)
    [ -z "$emulator" ] || roots=(empty)
fi
folder=$PWD/.build-try-dist
programs=(server agent socks relay)
# The machine's own address there, which direct paths are found between.
address=192.0.2.1
secret=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')

fail() {
    echo "try-dist: $*" >&2
    exit 1
}

# Makes what an empty root has, and makes it mistake the test's authority for one that all the world trusts.
furnish() {
    local root=$1 bundle=$2 program
    mkdir -p "$root/etc" "$root/proc" "$root$(dirname "$bundle")" "$root/rtun"
    for program in "${programs[@]}"; do
        install -m 755 "$dist/rtun-$program-$target" "$root/rtun/rtun-$program"
    done
    [ -z "$emulator" ] || install -m 755 "$emulator" "$root/rtun/emulator"
    rm -f "$root/etc/resolv.conf" "$root/etc/nsswitch.conf"
    echo "nameserver $address" >"$root/etc/resolv.conf"
    printf '127.0.0.1 localhost\n%s server.test\n' "$address" >"$root/etc/hosts"
    cp "$folder/authority.pem" "$root$bundle"
    cp "$folder/cert.pem" "$folder/key.pem" "$root/rtun/"
    printf '[rtun-agent]\nagent = "exit"\nexpire_in = 60\n' >"$root/rtun/agent.toml"
}

# Makes a root by its name.
make_root() {
    local root=$folder/$1 applet
    case $1 in
    empty | no-proc | trust) furnish "$root" /etc/ssl/certs/ca-certificates.crt ;;
    alpine)
        mkdir -p "$root/bin" "$root/lib" "$root/usr/bin" "$root/tmp"
        cp "$(command -v busybox)" "$root/bin/busybox"
        for applet in $("$root/bin/busybox" --list); do ln -sf /bin/busybox "$root/bin/$applet"; done
        furnish "$root" /etc/ssl/cert.pem
        ;;
    debian12 | debian13)
        local suite=bookworm
        [ "$1" = debian12 ] || suite=trixie
        echo "try-dist: $1: debootstrap"
        debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} >"$folder/$1.log" 2>&1 </dev/null ||
            fail "debootstrap of $suite failed; the log is $folder/$1.log"
        furnish "$root" /etc/ssl/certs/ca-certificates.crt
        # As where systemd-resolved, Avahi and systemd's containers are: none of it can be loaded.
        echo 'hosts: files mymachines resolve [!UNAVAIL=return] mdns4_minimal [NOTFOUND=return] dns myhostname' \
            >"$root/etc/nsswitch.conf"
        # As where a provider of cryptography has been added: it cannot be loaded either.
        mkdir -p "$root/usr/lib/ssl"
        printf '%s\n' 'openssl_conf = all' 'config_diagnostics = 1' '[all]' 'providers = them' '[them]' 'other = its' \
            '[its]' 'module = /usr/lib/other.so' 'activate = 1' >"$root/usr/lib/ssl/openssl.cnf"
        ;;
    *) fail "there is no root called $1" ;;
    esac
    [ "$1" = no-proc ] || mount -t proc proc "$root/proc"
}

started=()
# Starts a program in a root: start ROOT LOG [VARIABLE=VALUE...] PROGRAM ARGUMENT...
start() {
    local root=$1 log=$2 variables=()
    shift 2
    while [[ $1 == *=* ]]; do
        variables+=("$1")
        shift
    done
    local program=$1
    shift
    : >"$log.out"
    env -i RTUN_SECRET="$secret" "${variables[@]}" \
        "$(command -v chroot)" "$root" ${emulator:+/rtun/emulator} "/rtun/$program" "$@" >"$log.out" 2>"$log.log" </dev/null &
    started+=($!)
}

# Waits for the ready line of the program that was started last, for some seconds, and prints what is behind `=` in it.
ready() {
    local log=$1 line
    for _ in $(seq $((${2:-20} * 20))); do
        if line=$(grep -m 1 '^rtun-.* ready ' "$log.out"); then
            echo "${line##*=}"
            return
        fi
        kill -0 "${started[-1]}" 2>/dev/null || break
        sleep 0.05
    done
    return 1
}

# Ends all programs as a service manager does; they have to say that all went well.
stop() {
    local pid
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        pid=${started[i]}
        kill "$pid" || fail "$1: a program had ended before"
        wait "$pid" || fail "$1: exit code $? of a program that was asked to stop; logs are in $folder"
    done
    started=()
}

# What a program prints has a line: says ROOT PROGRAM OPTION PATTERN
says() {
    local output
    output=$(chroot "$folder/$1" ${emulator:+/rtun/emulator} "/rtun/rtun-$2" "$3" 2>&1) || fail "$1: rtun-$2 $3: $output"
    grep -q "$4" <<<"$output" || fail "$1: rtun-$2 $3: $output"
}

# What a proxy logs when its tunnel is on a direct path.
direct='event=peer\.(connected|path_changed).* (path|to)=direct'

# The end-to-end path in one root.
try() {
    local name=$1 root=$folder/$1 program scheme proxy relay answer began=$SECONDS
    for program in "${programs[@]}"; do
        says "$name" "$program" -V "^target $target static$"
        says "$name" "$program" --help "^USAGE: rtun-$program"
    done
    start "$root" "$folder/$name-server" rtun-server --addr 0.0.0.0:8888 --https-cert /rtun/cert.pem \
        --https-key /rtun/key.pem
    ready "$folder/$name-server" >/dev/null || fail "$name: no server: $(cat "$folder/$name-server.log")"
    start "$root" "$folder/$name-agent" rtun-agent https://server.test:8888 --config /rtun/agent.toml
    ready "$folder/$name-agent" >/dev/null || fail "$name: no agent: $(cat "$folder/$name-agent.log")"
    for scheme in https quic; do
        start "$root" "$folder/$name-socks-$scheme" rtun-socks --listen 127.0.0.1:0 "$scheme://server.test:8888"
        proxy=$(ready "$folder/$name-socks-$scheme") ||
            fail "$name: no proxy by $scheme: $(cat "$folder/$name-socks-$scheme.log")"
        curl -sS --fail --retry 3 --retry-all-errors --max-time 60 --socks5-hostname "$proxy" \
            -o "$folder/received" http://target.test:8080/file || fail "$name: the download by $scheme failed"
        [ "$(sha256sum <"$folder/received")" = "$(sha256sum <"$folder/web/file")" ] ||
            fail "$name: the download by $scheme differs"
    done
    start "$root" "$folder/$name-relay" rtun-relay -L "127.0.0.1:0?to=$address:7777" quic://server.test:8888
    relay=$(ready "$folder/$name-relay") || fail "$name: no relay: $(cat "$folder/$name-relay.log")"

    answer=$(python3 - "${relay%:*}" "${relay##*:}" <<'PYTHON'
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(1)
    for _ in range(15):
        s.sendto(b"hello by relay", (sys.argv[1], int(sys.argv[2])))
        try:
            print(s.recv(2048).decode())
            break
        except TimeoutError:
            pass
PYTHON
    )
    [ "$answer" = "HELLO BY RELAY" ] || fail "$name: no answer through the relay; logs are in $folder"
    for scheme in https quic; do
        for _ in $(seq 300); do
            if grep -qE "$direct" "$folder/$name-socks-$scheme.log"; then break; fi
            sleep 0.05
        done
        grep -qE "$direct" "$folder/$name-socks-$scheme.log" ||
            fail "$name: no direct path within 15 s: $(cat "$folder/$name-socks-$scheme.log")"
    done
    stop "$name"
    echo "try-dist: $name${emulator:+, emulated}: downloads, a datagram and direct paths: $((SECONDS - began)) s"
}

# Whether an agent gets to the server in time: connects LOG SCHEME [VARIABLE=VALUE...]
connects() {
    local log=$1 scheme=$2 outcome=0
    shift 2
    start "$folder/trust" "$log" "$@" rtun-agent "$scheme://server.test:8888" --agent trust
    ready "$log" 5 >/dev/null || outcome=1
    if kill "${started[-1]}" 2>/dev/null; then wait "${started[-1]}" || true; fi
    unset 'started[-1]'
    return "$outcome"
}

# Authorities where other distributions have them.
try_trust() {
    local root=$folder/trust place scheme hash
    start "$root" "$folder/trust-server" rtun-server --addr 0.0.0.0:8888 --https-cert /rtun/cert.pem \
        --https-key /rtun/key.pem
    ready "$folder/trust-server" >/dev/null || fail "trust: no server: $(cat "$folder/trust-server.log")"
    rm "$root/etc/ssl/certs/ca-certificates.crt"
    for scheme in https quic; do
        ! connects "$folder/trust-$scheme" "$scheme" || fail "trust: $scheme:// trusts without any authority"
    done
    for place in /etc/ssl/certs/ca-certificates.crt /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem \
        /etc/pki/tls/certs/ca-bundle.crt /etc/ca-certificates/extracted/tls-ca-bundle.pem /etc/ssl/ca-bundle.pem \
        /etc/ssl/cert.pem; do
        mkdir -p "$root$(dirname "$place")"
        cp "$folder/authority.pem" "$root$place"
        for scheme in https quic; do
            connects "$folder/trust-$scheme" "$scheme" ||
                fail "trust: $scheme:// does not find $place: $(cat "$folder/trust-$scheme.log")"
        done
        rm "$root$place"
    done
    mkdir -p "$root/authorities"
    hash=$(openssl x509 -noout -hash -in "$folder/authority.pem")
    cp "$folder/authority.pem" "$root/authorities/$hash.0"
    for place in "SSL_CERT_FILE=/authorities/$hash.0" SSL_CERT_DIR=/authorities; do
        for scheme in https quic; do
            connects "$folder/trust-$scheme" "$scheme" "$place" ||
                fail "trust: $scheme:// does not find $place: $(cat "$folder/trust-$scheme.log")"
        done
    done
    stop trust
    echo "try-dist: trust: authorities are found where Debian, Alpine, Red Hat, Arch and SUSE have them, by SSL_CERT_FILE" \
        "and by SSL_CERT_DIR"
}

# A certificate for server.test and its authority, a web server, a name server that knows target.test, and an echo.
serve() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=Authority of a test" \
        -keyout "$folder/authority.key" -out "$folder/authority.pem" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server.test \
        -keyout "$folder/key.pem" -out "$folder/request.pem" 2>/dev/null
    openssl x509 -req -in "$folder/request.pem" -CA "$folder/authority.pem" -CAkey "$folder/authority.key" \
        -CAcreateserial -days 2 -extfile <(echo "subjectAltName=DNS:server.test") -out "$folder/cert.pem" 2>/dev/null
    mkdir "$folder/web"
    head -c "$size" /dev/urandom >"$folder/web/file"
}

serve_network() {
    ip link set lo up
    ip link add one type veth peer name two
    ip address add "$address/24" dev one
    ip link set one up
    ip link set two up
    python3 -m http.server --bind "$address" --directory "$folder/web" 8080 >"$folder/web.log" 2>&1 &
    dnsmasq --keep-in-foreground --no-resolv --no-hosts --user=root --pid-file= --conf-file=/dev/null \
        --listen-address="$address" --bind-interfaces --address="/target.test/$address" >"$folder/dns.log" 2>&1 &
    python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$address', 7777))
while True:
    data, sender = s.recvfrom(2048)
    s.sendto(data.upper(), sender)
" &
    for _ in $(seq 100); do
        if curl -s -o "$folder/index" "http://$address:8080/"; then return; fi
        sleep 0.05
    done
    fail "the web server does not start"
}

case ${RTUN_TRY_DIST:-} in
'')
    [ "$(id -u)" -eq 0 ] || fail "needs root, for roots and namespaces"
    scripts/install-packages.sh try-dist busybox-static debootstrap dnsmasq-base curl openssl python3 iproute2
    for program in "${programs[@]}"; do
        [ -x "$dist/rtun-$program-$target" ] || fail "dist/rtun-$program-$target is missing; make dist makes it"
        (cd "$dist" && sha256sum --check --quiet "rtun-$program-$target"*.sha256) || fail "a checksum is wrong"
    done
    # What is asked of it; docs/building.md has what weighs.
    case $target in
    x86_64-*) limit=20 ;;
    *) limit=22 ;;
    esac
    [ "$(stat -c %s "$dist/rtun-agent-$target")" -le $((limit * 1000000)) ] || fail "rtun-agent is larger than $limit MB"
    rm -rf "$folder"
    mkdir "$folder"
    serve
    RTUN_TRY_DIST=roots setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child \
        scripts/try-dist.sh "${roots[@]}" &
    inside=$!
    trap 'exit 130' INT TERM HUP
    outcome=0
    wait "$inside" || outcome=$?
    for root in "${roots[@]}"; do rm -rf --one-file-system "${folder:?}/$root"; done
    [ "$outcome" -ne 0 ] || rm -rf "$folder"
    exit "$outcome"
    ;;
roots)
    mirror=$(scripts/debian-mirror.sh)
    for name in "${roots[@]}"; do make_root "$name"; done
    RTUN_TRY_DIST=net exec unshare --net scripts/try-dist.sh "${roots[@]}"
    ;;
net)
    serve_network
    for name in "${roots[@]}"; do
        if [ "$name" = trust ]; then try_trust; else try "$name"; fi
    done
    ;;
esac
