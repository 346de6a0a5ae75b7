#!/usr/bin/env bash
# A network to try NATs in: a server on a public network, and a client and an agent, each behind a NAT of a kind that
# you choose. All hosts are network namespaces on documentation addresses; nothing leaves this machine. Needs root.
#
#   scripts/nat-lab.sh up CLIENT_KIND AGENT_KIND   build it (what was there before is taken down)
#   scripts/nat-lab.sh exec HOST COMMAND …         run a command on a host: server, client, agent, client-nat, agent-nat
#   scripts/nat-lab.sh down                        take it down
#   scripts/nat-lab.sh kinds                       list the kinds
#
# What there is to see (SIDE: client or agent):
#
#   scripts/nat-lab.sh prove                       what mapping and filtering client and agent really have
#   scripts/nat-lab.sh measure SIDE                what its way to the server carries, loses, and how long it takes
#   scripts/nat-lab.sh count SIDE                  how many UDP datagrams it has exchanged with others than the server
#
# What can happen to it, always to the side's whole way to the public network:
#
#   scripts/nat-lab.sh flush SIDE                  the NAT forgets its mappings, as in a reboot
#   scripts/nat-lab.sh rebind SIDE                 the NAT gets another public address, as from a provider at night
#   scripts/nat-lab.sh switch SIDE                 the host moves to another network behind another NAT of that kind;
#                                                  once more brings it back
#   scripts/nat-lab.sh loss SIDE PERCENT           so many packets get lost in each direction; 0 ends it
#   scripts/nat-lab.sh mtu SIDE BYTES              larger packets vanish in the middle, ICMP filtered; 1500 ends it
#   scripts/nat-lab.sh delay SIDE MILLISECONDS     so much later in each direction; 0 ends it
#   scripts/nat-lab.sh cut SIDE|server on|off      the server cannot be reached (server: by anybody)
#   scripts/nat-lab.sh block SIDE on|off           no UDP gets through but to and from the server
#   scripts/nat-lab.sh names SIDE ADDRESS          what is started on the side's host from now on asks the name server there
#   scripts/nat-lab.sh swallow SIDE on|off         what the side sends several datagrams at once of (UDP GSO) gets lost
#
# RTUN_LAB names the lab, so that several can stand at once (default: rtun-lab).
#
#              203.0.113.0/24, 2001:db8::/64 (public, a bridge in the namespace "net", which routes as .1)
#        ┌───────────────┬──────────────┴──────────┐
#   .20 client-nat   .10 server (.11 too)      .30 agent-nat
#        │ 192.0.2.0/26                            │ 192.0.2.128/26
#        │ 2001:db8:1::/64                         │ 2001:db8:3::/64
#      .2 client                               .130 agent
#
# After "switch" .40 client-nat2 with 192.0.2.64/26, 2001:db8:2::/64, and .50 agent-nat2 with 192.0.2.192/26,
# 2001:db8:4::/64 take over. The words for mapping and filtering are those of RFC 4787 sections 4.1 and 5.
set -euo pipefail

lab=${RTUN_LAB:-rtun-lab}
folder=$(dirname "$0")
servers4=(203.0.113.10 203.0.113.11)
servers6=(2001:db8::10 2001:db8::11)
server_set4="{ 203.0.113.10, 203.0.113.11 }"
server_set6="{ 2001:db8::10, 2001:db8::11 }"

kinds() {
    cat <<'KINDS'
open             no NAT, no filter
full-cone        endpoint-independent mapping, endpoint-independent filtering
address          endpoint-independent mapping, address-dependent filtering
port             endpoint-independent mapping, address-and-port-dependent filtering
symmetric        address-and-port-dependent mapping and filtering (ports at random)
carrier          two NATs of kind port behind each other
server-only      as port, and UDP gets through to the server only
no-udp           as port, and no UDP gets through
ipv6             IPv6 only, no NAT, and a firewall with the filtering of port
ipv6-open        IPv6 only, no NAT, no filter
KIND+IPV6_KIND   both families, such as symmetric+ipv6
KINDS
}

fail() {
    echo "nat-lab: $*" >&2
    exit 64
}

# Runs a command in a host's namespace.
on() {
    local host=$1
    shift
    ip netns exec "$lab-$host" "$@"
}

# Runs lines of the ip command, from standard input, in a host's namespace.
ip_on() { ip -n "$lab-$1" -batch -; }

there_is() { [ -e "/run/netns/$lab-$1" ]; }

down() {
    local host side
    for side in client client2 agent agent2; do end_delay "$side"; done
    for host in {client,agent}{,-nat,-carrier,-nat2,-carrier2} server net; do
        ! there_is "$host" || ip netns del "$lab-$host"
        # ip-netns(8) puts what is there in the place of /etc's, for what `exec` runs.
        rm -rf "/etc/netns/$lab-$host"
    done
}

# What runs on that host from now on asks the name server at that address.
name_server() {
    is_side "$1"
    mkdir -p "/etc/netns/$lab-$1"
    echo "nameserver $2" >"/etc/netns/$lab-$1/resolv.conf"
}

# add_host NAME [SYSCTL …]
add_host() {
    local name=$1
    shift
    ip netns add "$lab-$name"
    # Addresses serve at once, answers may take another way than questions, and nobody is sent elsewhere.
    on "$name" sysctl -qw net.ipv4.conf.{all,default}.rp_filter=0 net.ipv4.conf.{all,default}.send_redirects=0 \
        net.ipv6.conf.{all,default}.accept_redirects=0 net.ipv6.conf.default.accept_dad=0 "$@"
    ip -n "$lab-$name" link set lo up
}

# link HOST INTERFACE OTHER OTHER_INTERFACE
link() {
    ip -n "$lab-$1" link add "$2" type veth peer name "$4" netns "$lab-$3"
    ip -n "$lab-$1" link set "$2" up
    ip -n "$lab-$3" link set "$4" up
}

# Joins a host's interface to the public network, by a port of that name, with the last part of the addresses.
# publish HOST INTERFACE PORT NUMBER KIND4 KIND6
publish() {
    link "$1" "$2" net "p-$3"
    ip -n "$lab-net" link set "p-$3" master public
    {
        [ -z "$5" ] || echo "addr add 203.0.113.$4/24 dev $2
                             route add default via 203.0.113.1"
        [ -z "$6" ] || echo "addr add 2001:db8::$4/64 dev $2 nodad
                             route add default via 2001:db8::1"
    } | ip_on "$1"
}

# nat HOST KIND: rules of the NAT between the interfaces lan and wan of a host.
nat() {
    local host=$1 kind=$2 translate='masquerade' inbound='' learn='' filter=''
    case $kind in
    open) return ;;
    # The port that was chosen first serves everybody: what comes for it goes to whoever has it.
    full-cone)
        learn='update @mappings { udp sport : ip saddr . udp sport }'
        inbound='dnat ip to udp dport map @mappings'
        ;;
    address)
        learn='update @mappings { udp sport : ip saddr . udp sport } update @peers { ip daddr . udp sport }'
        inbound='ip saddr . udp dport @peers dnat ip to udp dport map @mappings'
        ;;
    # Connection tracking keeps the source port where it can, and lets in only answers.
    port | carrier) ;;
    server-only) filter="meta l4proto udp ip daddr != $server_set4 drop" ;;
    no-udp) filter='meta l4proto udp drop' ;;
    symmetric) translate='masquerade fully-random' ;;
    esac
    on "$host" sysctl -qw net.netfilter.nf_conntrack_udp_timeout=60
    on "$host" nft -f - <<NFT
table ip nat {
    map mappings { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; size 4096; }
    set peers { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; size 4096; }
    chain translate {
        type nat hook postrouting priority srcnat;
        oifname "wan" $translate
    }
    chain receive {
        type nat hook prerouting priority dstnat;
        ${inbound:+iifname "wan" meta l4proto udp $inbound}
    }
    chain pass {
        type filter hook forward priority filter;
        ${learn:+iifname "lan" oifname "wan" meta l4proto udp $learn}
        ${filter:+iifname "lan" oifname "wan" $filter}
        iifname "wan" ct status dnat accept
        iifname "wan" ct state new drop
    }
    # What nobody asked for must not leave a connection behind that takes a port from the LAN.
    chain own {
        type filter hook input priority filter;
        iifname "wan" ct state new drop
    }
}
NFT
}

# firewall HOST KIND: the same for IPv6, where there is nothing to translate.
firewall() {
    [ "$2" = ipv6 ] || return 0
    on "$1" nft -f - <<NFT
table ip6 firewall {
    chain pass {
        type filter hook forward priority filter;
        iifname "wan" ct state new drop
    }
}
NFT
}

# Takes a kind apart: sets kind4 and kind6, empty for a family that the side does not have.
parse() {
    kind4='' kind6=''
    case $1 in
    ipv6 | ipv6-open) kind6=$1 ;;
    *+ipv6 | *+ipv6-open) kind4=${1%%+*} kind6=${1#*+} ;;
    *) kind4=$1 ;;
    esac
    case $kind4 in
    '' | open | full-cone | address | port | symmetric | carrier | server-only | no-udp) ;;
    *) fail "no kind \"$1\"; see: $0 kinds" ;;
    esac
}

# The numbers of a side's uplink, 1 or 2: sets lan, the last part of its IPv4 network; lan6, one part of its IPv6
# network; public, the last part of its public addresses; and interface, the host's.
numbers() {
    case $1-$2 in
    client-1) lan=0 lan6=1 public=20 ;;
    client-2) lan=64 lan6=2 public=40 ;;
    agent-1) lan=128 lan6=3 public=30 ;;
    agent-2) lan=192 lan6=4 public=50 ;;
    esac
    interface=eth$(($2 - 1))
}

# uplink SIDE NUMBER KIND: the network, without the host on it.
uplink() {
    local side=$1 suffix='' kind4 kind6 lan lan6 public interface
    [ "$2" = 1 ] || suffix=2
    parse "$3"
    numbers "$side" "$2"
    local nat=$side-nat$suffix edge=$side-nat$suffix
    add_host "$nat" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    link "$side" "$interface" "$nat" lan
    if [ "$kind4" = carrier ]; then
        # Another NAT between this one and the public network.
        edge=$side-carrier$suffix
        add_host "$edge" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        link "$nat" wan "$edge" lan
        {
            echo "addr add 198.51.100.$((lan + 1))/26 dev lan"
            [ -z "$kind6" ] || echo "addr add 2001:db8:1$lan6::1/64 dev lan nodad
                                     route add 2001:db8:$lan6::/64 via 2001:db8:1$lan6::2"
        } | ip_on "$edge"
        {
            echo "addr add 198.51.100.$((lan + 2))/26 dev wan
                  route add default via 198.51.100.$((lan + 1))"
            [ -z "$kind6" ] || echo "addr add 2001:db8:1$lan6::2/64 dev wan nodad
                                     route add default via 2001:db8:1$lan6::1"
        } | ip_on "$nat"
        nat "$edge" port
    fi
    publish "$edge" wan "$side$suffix" "$public" "$kind4" "$kind6"
    {
        [ -z "$kind4" ] || echo "addr add 192.0.2.$((lan + 1))/26 dev lan"
        [ -z "$kind6" ] || echo "addr add 2001:db8:$lan6::1/64 dev lan nodad"
    } | ip_on "$nat"
    [ -z "$kind4" ] || nat "$nat" "$kind4"
    [ -z "$kind6" ] || firewall "$nat" "$kind6"
    # Without a NAT the side's own addresses are public ones.
    {
        [ "$kind4" != open ] || echo "route add 192.0.2.$lan/26 via 203.0.113.$public"
        [ -z "$kind6" ] || echo "route add 2001:db8:$lan6::/64 via 2001:db8::$public"
    } | ip_on net
}

# plug SIDE NUMBER KIND: the host comes to the network.
plug() {
    local kind4 kind6 lan lan6 public interface
    parse "$3"
    numbers "$1" "$2"
    {
        # Notes for later commands.
        echo "link set lo alias $3,$2"
        echo "link set $interface up"
        [ -z "$kind4" ] || echo "addr add 192.0.2.$((lan + 2))/26 dev $interface
                                 route add default via 192.0.2.$((lan + 1))"
        [ -z "$kind6" ] || echo "addr add 2001:db8:$lan6::2/64 dev $interface nodad
                                 route add default via 2001:db8:$lan6::1"
    } | ip_on "$1"
}

# unplug SIDE NUMBER: the host leaves the network, addresses and routes go.
unplug() {
    local lan lan6 public interface
    numbers "$1" "$2"
    ip -n "$lab-$1" addr flush dev "$interface"
    ip -n "$lab-$1" link set "$interface" down
}

side() {
    add_host "$1"
    on "$1" nft -f - <<NFT
table inet count {
    counter peers {}
    chain out {
        type filter hook output priority filter;
        oifname != "lo" jump tell
    }
    chain in {
        type filter hook input priority filter;
        iifname != "lo" jump tell
    }
    chain tell {
        meta l4proto != udp return
        ip saddr $server_set4 return
        ip daddr $server_set4 return
        ip6 saddr $server_set6 return
        ip6 daddr $server_set6 return
        counter name peers
    }
}
NFT
    uplink "$1" 1 "$2"
    plug "$1" 1 "$2"
}

up() {
    local kind4 kind6
    parse "$1"
    parse "$2"
    down
    trap down ERR
    add_host net net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    # An address of its own, which no port has: otherwise it would be that of one port, and another one at times.
    ip_on net <<'IP'
link add public address 02:00:00:00:00:01 type bridge
link set public up
addr add 203.0.113.1/24 dev public
addr add 2001:db8::1/64 dev public nodad
IP
    add_host server
    publish server eth0 server 10 yes yes
    ip_on server <<'IP'
addr add 203.0.113.11/24 dev eth0
addr add 2001:db8::11/64 dev eth0 nodad
IP
    side client "$1"
    side agent "$2"
}

is_side() {
    case $1 in client | agent) ;; *) fail "\"$1\" is no side; write client or agent" ;; esac
}

# What "plug" has noted of a side: sets kind and uplink.
look_up() {
    is_side "$1"
    there_is "$1" || fail "there is no lab; see: $0 up"
    local note
    note=$(ip -n "$lab-$1" link show lo | sed -n 's/^ *alias //p')
    kind=${note%,*} uplink=${note#*,}
}

# The host that has the side's public address: sets edge, and port, its name on the public network.
look_up_edge() {
    look_up "$1"
    local suffix=''
    [ "$uplink" = 1 ] || suffix=2
    port=$1$suffix
    edge=$1-nat$suffix
    if there_is "$1-carrier$suffix"; then edge=$1-carrier$suffix; fi
}

flush() {
    look_up_edge "$1"
    command -v conntrack >/dev/null || fail "conntrack is missing: apt-get install conntrack"
    on "$edge" conntrack -F >/dev/null 2>&1
    on "$edge" nft flush map ip nat mappings 2>/dev/null || true
    on "$edge" nft flush set ip nat peers 2>/dev/null || true
}

rebind() {
    look_up_edge "$1"
    local kind4 kind6 old
    parse "$kind"
    case $kind4 in '' | open) fail "the $1 is not behind a NAT" ;; esac
    old=$(ip -n "$lab-$edge" -o -4 addr show dev wan | sed 's/.* 203\.0\.113\.\([0-9]*\).*/\1/')
    ip_on "$edge" <<IP
addr del 203.0.113.$old/24 dev wan
addr add 203.0.113.$((old / 10 * 10 + (old + 1) % 10))/24 dev wan
route add default via 203.0.113.1
IP
    flush "$1"
}

switch_uplink() {
    look_up "$1"
    local next=$((3 - uplink)) suffix=''
    [ "$next" = 1 ] || suffix=2
    there_is "$1-nat$suffix" || uplink "$1" "$next" "$kind"
    unplug "$1" "$uplink"
    plug "$1" "$next" "$kind"
}

# Replaces the rules of a table inet NAME of a host by those of standard input, if any.
rules() {
    on "$1" nft -f - <<NFT
table inet $2 {}
delete table inet $2
table inet $2 {
$(cat)
}
NFT
}

loss() {
    look_up_edge "$1"
    [ "$2" -eq 0 ] || rules "$edge" loss <<NFT
    # Neighbour discovery is not forwarded, and so is spared.
    chain lose {
        type filter hook forward priority -200;
        numgen random mod 100 < $2 drop
    }
NFT
    [ "$2" -ne 0 ] || rules "$edge" loss </dev/null
    # Packets have to come one by one: several that share a buffer (GSO) would be lost together.
    local lan lan6 public interface segments=1
    [ "$2" -ne 0 ] || segments=65535
    numbers "$1" "$uplink"
    ip -n "$lab-$1" link set "$interface" gso_max_segs "$segments"
    ip -n "$lab-net" link set "p-$port" gso_max_segs "$segments"
}

mtu() {
    look_up_edge "$1"
    [ "$2" -ge 1280 ] && [ "$2" -le 1500 ] || fail "from 1280 to 1500 bytes, not $2"
    ip -n "$lab-$edge" link set wan mtu "$2"
    ip -n "$lab-$edge" link set lan mtu "$2"
    # A black hole: nobody is told. Only the segment size of new TCP connections is lowered, as such routers do.
    rules "$edge" hole <<NFT
    chain quiet {
        type filter hook output priority filter;
        icmp type destination-unreachable icmp code frag-needed drop
        icmpv6 type packet-too-big drop
    }
    chain clamp {
        type filter hook forward priority mangle;
        meta nfproto ipv4 tcp flags & (syn | rst) == syn tcp option maxseg size set $(($2 - 40))
        meta nfproto ipv6 tcp flags & (syn | rst) == syn tcp option maxseg size set $(($2 - 60))
    }
NFT
}

# end_delay PORT
end_delay() {
    there_is net && ip -n "$lab-net" link show "d-$1" >/dev/null 2>&1 || return 0
    local process
    process=$(ip -n "$lab-net" link show "d-$1" | sed -n 's/^ *alias //p')
    kill -KILL "$process" 2>/dev/null || true
    ip -n "$lab-net" link del "d-$1"
    ip -n "$lab-net" link set "p-$1" master public
}

# A program passes frames on later, between the edge's port and one in its place.
delay() {
    look_up_edge "$1"
    end_delay "$port"
    [ "$2" -ne 0 ] || return 0
    ip_on net <<IP
link add d-$port type veth peer name e-$port
link set d-$port up
link set e-$port up master public
link set p-$port nomaster
IP
    local answer
    # In place of the subshell, so that the process id is its own.
    exec {answer}< <(exec ip netns exec "$lab-net" "$(command -v python3)" "$folder/nat_lab_delay.py" \
        "p-$port" "d-$port" "$2" </dev/null 2>/dev/null)
    ip -n "$lab-net" link set "d-$port" alias "$!"
    # Frames that come before it is ready are lost.
    read -r <&"$answer"
    exec {answer}<&-
}

# on_or_off HOST TABLE on|off: rules from standard input, or none.
on_or_off() {
    case $3 in
    on) rules "$1" "$2" ;;
    off) rules "$1" "$2" </dev/null ;;
    *) fail "on or off, not \"$3\"" ;;
    esac
}

cut_server() {
    if [ "$1" = server ]; then
        on_or_off server cut "$2" <<'NFT'
    chain out { type filter hook output priority filter; oifname "eth0" drop; }
    chain in { type filter hook input priority filter; iifname "eth0" drop; }
NFT
        return
    fi
    look_up_edge "$1"
    on_or_off "$edge" cut "$2" <<NFT
    chain pass {
        type filter hook forward priority -200;
        ip saddr $server_set4 drop
        ip daddr $server_set4 drop
        ip6 saddr $server_set6 drop
        ip6 daddr $server_set6 drop
    }
NFT
}

block() {
    look_up_edge "$1"
    on_or_off "$edge" block "$2" <<NFT
    chain pass {
        type filter hook forward priority -200;
        ip saddr $server_set4 accept
        ip daddr $server_set4 accept
        ip6 saddr $server_set6 accept
        ip6 daddr $server_set6 accept
        meta l4proto udp drop
    }
NFT
}

swallow() {
    look_up_edge "$1"
    # What the host's device is to split comes through here whole. In the host itself the sender would be told.
    on_or_off "$edge" swallow "$2" <<'NFT'
    chain pass { type filter hook forward priority -200; iifname "lan" meta l4proto udp meta length > 1500 drop; }
NFT
}

count() {
    is_side "$1"
    on "$1" nft list counter inet count peers | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}

probe() {
    local host=$1
    shift
    on "$host" "$(command -v python3)" "$folder/nat_lab_probe.py" "$@"
}

# Answers probes on the server while a command runs.
with_service() {
    local answer service
    # In place of the subshell, so that the process id is its own.
    exec {answer}< <(exec ip netns exec "$lab-server" "$(command -v python3)" "$folder/nat_lab_probe.py" serve \
        "${servers4[@]}" "${servers6[@]}")
    service=$!
    read -r <&"$answer"
    "$@"
    # For sure, also where the caller has blocked other signals.
    kill -KILL "$service" 2>/dev/null || true
    exec {answer}<&-
}

# Where two addresses of the server, and two ports of the first, see a socket of a host come from; and who can answer.
prove_side() {
    local kind uplink kind4 kind6
    look_up "$1"
    parse "$kind"
    [ -z "$kind4" ] || echo "$1: $(probe "$1" ask "${servers4[@]}")"
    [ -z "$kind6" ] || echo "$1 over IPv6: $(probe "$1" ask "${servers6[@]}")"
}

prove_both() {
    local answers
    answers=$(mktemp)
    prove_side agent >"$answers" &
    prove_side client
    wait $!
    cat "$answers"
    rm -f "$answers"
}

measure_side() {
    local kind uplink kind4 kind6
    look_up "$1"
    parse "$kind"
    [ -z "$kind4" ] || echo "$1: $(probe "$1" measure "${servers4[@]}")"
    [ -z "$kind6" ] || echo "$1 over IPv6: $(probe "$1" measure "${servers6[@]}")"
}

command=${1-help}
[ $# -eq 0 ] || shift
# usage COUNT WORDS: ends unless there are so many arguments.
usage() { [ "${#arguments[@]}" -eq "$1" ] || fail "usage: $0 $command $2"; }
arguments=("$@")
case $command in
up) usage 2 "CLIENT_KIND AGENT_KIND"; up "$@" ;;
down) down ;;
exec) [ $# -ge 2 ] || fail "usage: $0 exec HOST COMMAND …"; on "$@" ;;
prove) with_service prove_both ;;
measure) usage 1 SIDE; is_side "$1"; with_service measure_side "$1" ;;
count) usage 1 SIDE; count "$1" ;;
flush) usage 1 SIDE; flush "$1" ;;
rebind) usage 1 SIDE; rebind "$1" ;;
switch) usage 1 SIDE; switch_uplink "$1" ;;
loss) usage 2 "SIDE PERCENT"; loss "$@" ;;
mtu) usage 2 "SIDE BYTES"; mtu "$@" ;;
delay) usage 2 "SIDE MILLISECONDS"; delay "$@" ;;
cut) usage 2 "SIDE|server on|off"; cut_server "$@" ;;
block) usage 2 "SIDE on|off"; block "$@" ;;
names) usage 2 "SIDE ADDRESS"; name_server "$@" ;;
swallow) usage 2 "SIDE on|off"; swallow "$@" ;;
kinds) kinds ;;
*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" ;;
esac
