// What Swift's Glibc module lacks: namespaces, TUN devices, interface requests, and many datagrams in one call.

#ifndef CLINUXBENCH_SHIM_H
#define CLINUXBENCH_SHIM_H

#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// CLONE_NEWNET of setns(2), which needs _GNU_SOURCE.
static inline int CLinuxBench_enter_network_namespace(int descriptor) {
    return (int)syscall(SYS_setns, descriptor, 0x40000000);
}

// prctl(2) is variadic, which Swift cannot call. How much later than asked for the kernel may wake this thread.
static inline int CLinuxBench_set_timer_slack(unsigned long nanoseconds) {
    return prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0);
}

// Makes an open /dev/net/tun a device of that name for bare IP packets.
static inline int CLinuxBench_attach_tun(int descriptor, const char *name) {
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return ioctl(descriptor, TUNSETIFF, &request);
}

// The requests of netdevice(7) that set a number, an address or flags of an interface.
static inline int CLinuxBench_set_number(int descriptor, unsigned long what, const char *name, int value) {
    struct ifreq request = {.ifr_mtu = value};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return ioctl(descriptor, what, &request);
}

static inline int CLinuxBench_set_address(int descriptor, unsigned long what, const char *name, uint32_t address) {
    struct ifreq request = {0};
    struct sockaddr_in value = {.sin_family = AF_INET, .sin_addr = {address}};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    memcpy(&request.ifr_addr, &value, sizeof value);
    return ioctl(descriptor, what, &request);
}

static inline int CLinuxBench_set_up(int descriptor, const char *name) {
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return ioctl(descriptor, SIOCSIFFLAGS, &request);
}

static const unsigned long CLinuxBench_set_mtu = SIOCSIFMTU;
static const unsigned long CLinuxBench_set_queue_length = SIOCSIFTXQLEN;
static const unsigned long CLinuxBench_set_interface_address = SIOCSIFADDR;
static const unsigned long CLinuxBench_set_interface_netmask = SIOCSIFNETMASK;

// poll(2) with a timeout in nanoseconds; below zero it waits for ever.
static inline int CLinuxBench_poll(struct pollfd *descriptors, unsigned int count, int64_t nanoseconds) {
    struct timespec timeout = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    return (int)syscall(SYS_ppoll, descriptors, count, nanoseconds < 0 ? NULL : &timeout, NULL, 0);
}

// struct mmsghdr of recvmmsg(2) and sendmmsg(2).
struct CLinuxBench_message {
    struct msghdr header;
    unsigned int length;
};

static inline int CLinuxBench_recvmmsg(
    int descriptor, struct CLinuxBench_message *messages, unsigned int count, int flags) {
    return (int)syscall(SYS_recvmmsg, descriptor, messages, count, flags, NULL);
}

static inline int CLinuxBench_sendmmsg(
    int descriptor, struct CLinuxBench_message *messages, unsigned int count, int flags) {
    return (int)syscall(SYS_sendmmsg, descriptor, messages, count, flags);
}

static inline int CLinuxBench_epoll_add(int epoll, int descriptor) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = descriptor}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

static inline int CLinuxBench_epoll_descriptor(const struct epoll_event *event) {
    return event->data.fd;
}

#endif
