// What Swift's Glibc module lacks for UDP sockets: epoll(7), and what needs _GNU_SOURCE there.

#ifndef CLINUXUDP_SHIM_H
#define CLINUXUDP_SHIM_H

#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// struct mmsghdr of recvmmsg(2).
struct CLinuxUDP_message {
    struct msghdr header;
    unsigned int length;
};

// recvmmsg(2) without a timeout.
static inline int CLinuxUDP_recvmmsg(int descriptor, struct CLinuxUDP_message *messages, unsigned int count, int flags) {
    return (int)syscall(SYS_recvmmsg, descriptor, messages, count, flags, NULL);
}

// The size of the datagrams that the kernel has put together in a message (UDP_GRO), 0 where there is only one.
static inline int CLinuxUDP_segment_size(const struct msghdr *header) {
    for (struct cmsghdr *message = CMSG_FIRSTHDR(header); message; message = CMSG_NXTHDR((struct msghdr *)header, message)) {
        if (message->cmsg_level == SOL_UDP && message->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(message), sizeof(size));
            return size;
        }
    }
    return 0;
}

// Watches a descriptor: edges of readability, each told with `token`.
static inline int CLinuxUDP_epoll_add(int epoll, int descriptor, uint64_t token) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.u64 = token}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

static inline uint64_t CLinuxUDP_epoll_token(const struct epoll_event *event) {
    return event->data.u64;
}

#endif
