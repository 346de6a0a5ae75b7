#!/usr/bin/env bash
# Fails when what is compiled on other systems than Linux uses something that only Linux, or only glibc, has: all of Sources but the
# folders `Linux`, their C modules, and what is linked statically on Linux. A part of `make lint`; says nothing when all is well.
#
# No substitute for a build on such a system: names that are not in the list are not found.
set -euo pipefail
cd "$(dirname "$0")/.."

names=(
    # the C library's own name: `import LibC`
    'import (Glibc|Musl|Darwin)' 'canImport\(' 'os\(Linux\)' '(Glibc|Musl)\.'
    # waiting and reading
    epoll eventfd timerfd signalfd inotify recvmmsg sendmmsg 'splice\(' accept4 pipe2 dup3 ppoll pselect6 io_uring
    SOCK_CLOEXEC SOCK_NONBLOCK 'SOCK_[A-Z]+\.rawValue' MSG_NOSIGNAL MSG_CMSG_CLOEXEC MSG_ERRQUEUE MSG_TRUNC MSG_CONFIRM MSG_MORE
    # options of sockets
    SO_BINDTODEVICE SO_RCVBUFFORCE SO_SNDBUFFORCE SO_PEERCRED SO_DOMAIN SO_PROTOCOL SO_MARK SO_PRIORITY SO_BUSY_POLL SO_RXQ_OVFL
    IP_MTU IPV6_MTU IP_MTU_DISCOVER IPV6_MTU_DISCOVER IP_RECVERR IPV6_RECVERR IP_FREEBIND IP_TRANSPARENT IP_PMTUDISC
    UDP_SEGMENT UDP_GRO udp_segment udp_gro supportsUDP datagramReceiveOffload datagramReceiveSegmentSize datagramVectorRead
    TCP_INFO tcp_info TCP_USER_TIMEOUT TCP_KEEPIDLE TCP_QUICKACK TCP_CORK TCP_DEFER_ACCEPT SIOCOUTQ SIOCINQ
    # the network
    AF_NETLINK AF_PACKET NETLINK_ RTM_ RTMGRP_ RTA_ IFA_F_ sockaddr_nl sockaddr_ll CLinux
    # the process
    prctl PR_SET_ PR_GET_ mallopt malloc_trim mallinfo program_invocation /proc/ /sys/ gettid sched_setaffinity sched_getaffinity
    sysinfo capget capset unshare setns memfd_create getauxval MADV_DONTDUMP MADV_DONTNEED rlimit_resource prlimit NOTIFY_SOCKET
    # files, clocks, errors
    O_PATH O_TMPFILE O_DIRECT st_mtim st_atim st_ctim CLOCK_BOOTTIME CLOCK_MONOTONIC_RAW CLOCK_MONOTONIC_COARSE CLOCK_REALTIME_COARSE
    ENONET EREMOTEIO ECOMM ERESTART EBADFD ELIBACC getrandom fopen64 open64 sendfile secure_getenv strchrnul mempcpy
)
pattern="(^|[^A-Za-z0-9_])($(
    IFS='|'
    echo "${names[*]}"
))"

found=
while IFS= read -r file; do
    case $file in
    # Where systems differ in spelling only.
    Sources/Shared/LibC/*) continue ;;
    # How a release is called.
    Sources/Shared/CommandSupport/Process/Software.swift) continue ;;
    esac
    # Comments may say what they like.
    if hits=$(sed -E 's#(^|[[:space:]])//.*##' "$file" | grep -nE "$pattern"); then
        echo "$file:" >&2
        # shellcheck disable=SC2001
        sed 's/^/    /' <<<"$hits" >&2
        found=1
    fi
done < <(find Sources -type f \( -name '*.swift' -o -name '*.c' -o -name '*.h' \) \
    -not -path '*/Linux/*' -not -path '*/CLinux*' -not -path 'Sources/Static/*' -not -path '*/CAppProto/*' | sort)
if [ -n "$found" ]; then
    echo "lint: that is Linux's or glibc's own, and other systems compile it, too: it belongs into a folder Linux or into LibC" >&2
    exit 1
fi
