#!/usr/bin/env bash
# Tries the Debian packages of dist/ (`make deb`) on Debian 12 and 13: `make try-deb`, or scripts/try-deb.sh bookworm|trixie...
#
# Makes such a system in a folder and starts its systemd in namespaces of its own, as a container's. Installs, starts without and
# with what has to be filled in, sends traffic through all four programs, upgrades with an edited configuration, removes, purges.
# lintian and systemd's own checks of units come first. Needs root and cgroup v2, and leaves nothing behind but the log of a
# failure.
# shellcheck disable=SC2016  # what other shells and programs are to expand
set -euo pipefail
cd "$(dirname "$0")/.."

self=$PWD/scripts/try-deb.sh
dist=${DIST:-$PWD/dist}
folder=$PWD/.build-try-deb
log=$folder/log
programs=(server agent socks relay)
worst=2.0

fail() {
    echo "try-deb: $*" >&2
    exit 1
}

# Becomes the system's systemd, in the namespaces that it has been started in.
if [ "${1:-}" = --boot ]; then
    root=$2
    mount --make-rprivate /
    mount --bind "$root" "$root"
    cd "$root"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs tmpfs run
    mount -t tmpfs tmpfs tmp
    mount -t tmpfs -o mode=755 tmpfs dev
    for device in null zero full random urandom tty; do
        touch "dev/$device"
        mount --bind "/dev/$device" "dev/$device"
    done
    mkdir dev/pts dev/shm old
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    mount -t tmpfs tmpfs dev/shm
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    ip link set lo up
    pivot_root . old
    umount --lazy old
    rmdir old
    # systemd hands on credentials as mounts, which have to be seen outside of the process that makes them.
    mount --make-rshared /
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=console
fi

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie)
[ "$(id -u)" -eq 0 ] || fail "needs root, to make a Debian system and to start it"
cgroup=$(findmnt --types cgroup2 --noheadings --output TARGET | head -n 1)
[ -n "$cgroup" ] || fail "needs cgroup v2, which systemd keeps services in"
scripts/install-packages.sh try-deb debootstrap lintian systemd curl openssl python3 groff-base zsh fish procps
packages=()
architecture=$(dpkg --print-architecture)
for name in rtun-server rtun-agent rtun-socks rtun-relay rtun; do
    found=("$dist/${name}"_*_"$architecture".deb)
    [ "$name" != rtun ] || found=("$dist/rtun"_*_all.deb)
    if [ ! -e "${found[0]}" ] || [ ${#found[@]} -ne 1 ]; then
        fail "there is no package of $name in $dist, or more than one; make deb makes it"
    fi
    packages+=("${found[0]}")
done

system=
helpers=()
stop_system() {
    [ -n "$system" ] || return 0
    kill -KILL "$system" "${helpers[@]}" 2>/dev/null || true
    wait "$system" "${helpers[@]}" 2>/dev/null || true
    system=
    helpers=()
    sleep 1
    find "$cgroup/rtun-try-deb" -depth -type d -exec rmdir {} + 2>/dev/null || true
}
trap stop_system EXIT
trap 'exit 130' INT TERM HUP
rm -rf "$folder"
mkdir -p "$folder"
mirror=$(scripts/debian-mirror.sh)

# check WHAT COMMAND...: the command succeeds.
check() {
    local what=$1
    shift
    if ! "$@" >>"$log" 2>&1 </dev/null; then
        if [ -n "$system" ]; then inside journalctl --boot --output cat --no-pager | grep -i rtun >>"$log" || true; fi
        tail -n 30 "$log" >&2
        fail "$suite: $what (the log is $log)"
    fi
    echo "try-deb: $suite: $what" >>"$log"
    checks=$((checks + 1))
}

# Runs something in the system.
inside() { nsenter --target "$init" --all env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
# Runs this machine's programs in the system's network.
beside() { nsenter --target "$init" --net "$@"; }
not() { ! "$@"; }
is() { [ "$1" = "$2" ] || { echo "is '$1', not '$2'" && return 1; }; }
eventually() {
    local end=$((SECONDS + 20))
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}
property() { inside systemctl show --property "$2" --value "rtun-$1"; }
has_property() { is "$(property "$1" "$2")" "$3"; }

try_files() {
    suite=files
    check "lintian finds nothing" lintian --allow-root --fail-on error,warning "${packages[@]}"
    local package name word short
    for package in "${packages[@]}"; do dpkg-deb -x "$package" "$folder/files"; done
    local usr=$folder/files/usr
    for name in rtun "${programs[@]/#/rtun-}"; do
        check "$name.1 is a manual page" sh -ec 'test -z "$(gunzip <"$1" | groff -man -Tutf8 -ww -z 2>&1)"' - \
            "$usr/share/man/man1/$name.1.gz"
        # What the shells themselves say of the completions.
        word=$name
        check "completions of $name for bash" bash -ec '
            . "$1"; COMP_WORDS=("$2" --); COMP_CWORD=1
            "_${2//-/_}"; printf "%s\n" "${COMPREPLY[@]}"; [ "${#COMPREPLY[@]}" -gt 10 ] || [ "$2" = rtun ]' - \
            "$usr/share/bash-completion/completions/$name" "$word"
        check "completions of $name for zsh" zsh -n "$usr/share/zsh/vendor-completions/_$name"
        check "completions of $name for fish" fish --no-execute "$usr/share/fish/vendor_completions.d/$name.fish"
    done
    cd "$folder"
    touch some-file
    check "bash completes a file behind the front" bash -ec '
        . "$1/rtun"; compopt() { :; }
        COMP_WORDS=(rtun agent pub --secret-file some-f); COMP_CWORD=4; _rtun; [ "${COMPREPLY[*]}" = some-file ]
        COMP_WORDS=(rtun relay --p2p = d); COMP_CWORD=4; _rtun; [ "${COMPREPLY[*]}" = direct ]
        COMP_WORDS=(rtun agent l); COMP_CWORD=2; _rtun; [ "${COMPREPLY[*]}" = listen ]' - \
        "$usr/share/bash-completion/completions"
    # shellcheck disable=SC2016  # fish's own words
    check "fish completes a file and a choice behind the front" fish --no-config -c '
        for file in $argv[1]/*.fish; source $file; end
        complete -C "rtun-agent --secret-file some-f" | string match -q "some-file*"; or exit 1
        complete -C "rtun-relay --p2p d" | string match -q "direct*"; or exit 2
        complete -C "rtun agent pub --log-format j" | string match -q "json*"; or exit 3' \
        "$usr/share/fish/vendor_completions.d"
    cd "$OLDPWD"
    for short in "${programs[@]}"; do
        # Every option of the example, not commented out, is one that the program knows; either kind of secret, not both.
        sed '/^#[a-z2-]*secret = /d; /^#link = /d; /^#link-file = /d; s/^#\([A-Za-z0-9_-]* = \)/\1/' "$folder/files/etc/rtun/rtun-$short.toml" >"$folder/$short.toml"
        check "the example of rtun-$short is TOML" python3 -c '
import sys, tomllib
[table] = tomllib.load(open(sys.argv[1], "rb")).values()
sys.exit(len(table) < 10)' "$folder/$short.toml"
        check "rtun-$short knows all of its example" sh -c '
            code=0; timeout 5 "$1" --config "$2" --log-file /nonexistent/log || code=$?; [ "$code" = 69 ]' - \
            "$usr/bin/rtun-$short" "$folder/$short.toml"
    done
    echo "try-deb: $checks checks of files pass"
}

# A package of a later version whose configuration has changed.
later_package() {
    local short=$1 unpacked=$folder/later/rtun-$1
    rm -rf "$unpacked"
    mkdir -p "$folder/later"
    dpkg-deb -R "$dist/rtun-$short"_*_"$architecture".deb "$unpacked"
    sed -i 's/^Version: .*/Version: 99-1/' "$unpacked/DEBIAN/control"
    echo '# a new line' >>"$unpacked/etc/rtun/rtun-$short.toml"
    (cd "$unpacked" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
    dpkg-deb --root-owner-group -Znone -b "$unpacked" "$folder/later/rtun-$short.deb" >>"$log"
}

boot() {
    local root=$1
    mkdir -p "$cgroup/rtun-try-deb"
    # In a cgroup of its own, which is the root of what the system sees.
    setpriv --pdeathsig KILL sh -c 'echo $$ >"$1/rtun-try-deb/cgroup.procs"; shift; exec "$@"' - "$cgroup" \
        unshare --mount --pid --fork --kill-child --uts --ipc --net --cgroup "$self" --boot "$root" >>"$log" 2>&1 </dev/null &
    system=$!
    eventually sh -c 'pgrep --parent "$1" >/dev/null' - "$system" || fail "$suite: no system has been started (the log is $log)"
    init=$(pgrep --parent "$system")
    check "systemd is up" eventually inside sh -c 'systemctl is-system-running | grep -Eqx "running|degraded"'
}

try_suite() {
    suite=$1
    checks=0
    local root=$folder/$suite began=$SECONDS short before
    check "debootstrap" debootstrap --variant=minbase --include=systemd,systemd-sysv,iproute2 "$suite" "$root" ${mirror:+"$mirror"}
    cp "${packages[@]}" "$root/root/"
    boot "$root"

    # Nothing configured.
    check "packages install" inside sh -c 'dpkg -i /root/*.deb >/root/installed'
    for short in "${programs[@]}"; do
        check "rtun-$short says what it needs" grep -q "rtun-$short is installed, not started" "$root/root/installed"
        check "rtun-$short is not started" has_property "$short" ActiveState inactive
        check "rtun-$short is not enabled" has_property "$short" UnitFileState disabled
        if [ "$short" = server ]; then
            check "rtun-server makes secrets of its own" inside systemctl start rtun-server
            check "and says what to paste elsewhere" inside sh -c "rtun-server --state-dir /var/lib/rtun/server --print-links |
                grep -q \"^rtun-agent 'rtun://\""
            inside systemctl stop rtun-server
        else
            inside systemctl start "rtun-$short" || true
            check "rtun-$short does not run without a secret" eventually has_property "$short" ExecMainStatus 64
        fi
        check "its configuration is no one else's business" \
            is "$(inside stat -c '%a %U %G' "/etc/rtun/rtun-$short.toml")" '640 root rtun'
        check "its unit is sound" inside systemd-analyze verify --man=no "/usr/lib/systemd/system/rtun-$short.service"
        exposure=$(inside systemd-analyze security --offline=true --no-pager "/usr/lib/systemd/system/rtun-$short.service" |
            sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p')
        exposures+=" rtun-$short $exposure"
        check "rtun-$short is exposed by $exposure, at most $worst" awk "BEGIN { exit !($exposure <= $worst) }"
    done
    install -m 600 /dev/null "$root/etc/rtun/secret"
    openssl rand -hex 32 >"$root/etc/rtun/secret"
    inside systemctl start rtun-agent || true
    check "an agent without a server ends with 64" eventually has_property agent ExecMainStatus 64
    sleep 6
    check "and is not started again" has_property agent NRestarts 0

    # All four on this one machine, with everything that systemd hands on.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$root/etc/rtun/tls/key.pem" \
        -out "$root/etc/rtun/tls/cert.pem" 2>>"$log"
    chmod 600 "$root/etc/rtun/tls/"*.pem
    cp "$root/etc/rtun/tls/cert.pem" "$root/etc/rtun/ca.pem"
    chmod 644 "$root/etc/rtun/ca.pem"
    mkdir -p "$root/etc/credstore"
    install -m 600 /dev/null "$root/etc/credstore/rtun.e2e-secret"
    openssl rand -hex 32 >"$root/etc/credstore/rtun.e2e-secret"
    sed -i 's/^#\(https-\)/\1/; s/^#addr.*/addr = "127.0.0.1:443"/' "$root/etc/rtun/rtun-server.toml"
    for short in agent socks relay; do
        sed -i 's|^#url.*|url = "https://127.0.0.1:443"|; s|^#\(ca-cert\)|\1|; s|^#\(e2e-secret-file\)|\1|' \
            "$root/etc/rtun/rtun-$short.toml"
    done
    sed -i 's|^#L =.*|L = ["127.0.0.1:53?to=127.0.0.1:5353"]|' "$root/etc/rtun/rtun-relay.toml"
    for short in "${programs[@]}"; do
        inside systemctl reset-failed "rtun-$short" 2>/dev/null || true
        check "rtun-$short is enabled and starts" inside systemctl enable --now "rtun-$short"
        check "rtun-$short is the user rtun" is "$(inside stat -c %U "/proc/$(property "$short" MainPID)")" rtun
    done
    mkdir -p "$folder/web"
    head -c 1000000 /dev/urandom >"$folder/web/data"
    # Not by `beside`: as they are, these are processes of their own, which end with the system.
    nsenter --target "$init" --net python3 -m http.server --bind 127.0.0.1 --directory "$folder/web" 8000 >>"$log" 2>&1 &
    helpers+=($!)
    nsenter --target "$init" --net python3 -c '
import socket
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("127.0.0.1", 5353))
while True:
    data, sender = echo.recvfrom(2048)
    echo.sendto(data, sender)' >>"$log" 2>&1 &
    helpers+=($!)
    check "a file comes through agent and proxy" eventually beside sh -c \
        'curl --silent --fail --max-time 15 --socks5-hostname 127.0.0.1:2080 http://127.0.0.1:8000/data | cmp - "$1"' - "$folder/web/data"
    check "a datagram comes through agent and relay" eventually beside python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.sendto(b"hello", ("127.0.0.1", 53))
assert s.recv(100) == b"hello"'
    for short in "${programs[@]}"; do check "rtun-$short reloads" inside systemctl reload "rtun-$short"; done
    check "rtun finds the programs" inside sh -c '! rtun --version | grep "not installed"'
    check "nothing is complained of" not inside sh -c 'journalctl --boot --unit "rtun-*" --output cat | grep -v " warn no connection to the server" | grep -E " (warn|error) |Failed to" | grep -v limit.files'

    # Edited configuration, and a new one in the new package.
    for short in "${programs[@]}"; do
        later_package "$short"
        cp "$folder/later/rtun-$short.deb" "$root/root/"
        cp "$root/etc/rtun/rtun-$short.toml" "$folder/$short.edited"
        before=$(property "$short" MainPID)
        check "rtun-$short is upgraded" inside dpkg --force-confold -i "/root/rtun-$short.deb"
        check "its edited configuration stays" cmp "$root/etc/rtun/rtun-$short.toml" "$folder/$short.edited"
        check "so does who may read it" is "$(inside stat -c '%a %U %G' "/etc/rtun/rtun-$short.toml")" '640 root rtun'
        check "the new one is beside it" grep -q '# a new line' "$root/etc/rtun/rtun-$short.toml.dpkg-dist"
        check "it runs again" eventually has_property "$short" ActiveState active
        check "as a new process" not is "$(property "$short" MainPID)" "$before"
        check "enabled as before" has_property "$short" UnitFileState enabled
    done
    check "a file comes through the upgraded ones" eventually beside sh -c \
        'curl --silent --fail --max-time 15 --socks5-hostname 127.0.0.1:2080 http://127.0.0.1:8000/data | cmp - "$1"' - "$folder/web/data"

    for short in "${programs[@]}"; do
        check "rtun-$short is removed" inside dpkg --remove "rtun-$short"
        check "and stopped" not inside sh -c "grep -qx rtun-$short /proc/[0-9]*/comm"
        check "its configuration stays" cmp "$root/etc/rtun/rtun-$short.toml" "$folder/$short.edited"
        check "rtun-$short is purged" inside dpkg --purge "rtun-$short"
        check "its configuration is gone" not test -e "$root/etc/rtun/rtun-$short.toml"
        check "and its state" not test -e "$root/var/lib/rtun/$short"
    done
    check "nothing is enabled any more" sh -c '! find "$1/etc/systemd" -name "rtun*" | grep .' - "$root"
    check "rtun is purged" inside dpkg --purge rtun
    check "what the administrator has made stays" test -s "$root/etc/rtun/secret"
    local left
    left=$(cd "$root" && find . -xdev \( -name '*rtun-*' -o -name 'rtun*' \) -not -path './root/*' | sort | tr '\n' ' ')
    check "and nothing else does" is "$left" "./etc/credstore/rtun.e2e-secret ./etc/rtun "

    stop_system
    rm -rf "$root"
    echo "try-deb: $suite: $checks checks pass, in $((SECONDS - began)) s; exposure:$exposures"
    exposures=
}

exposures=
checks=0
try_files
for name in "${suites[@]}"; do try_suite "$name"; done
rm -rf "$folder"
