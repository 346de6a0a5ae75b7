#include "CPortable.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#ifdef __APPLE__
#include <crt_externs.h>
#else
extern char **environ;
#endif

static size_t write_message(void *control, size_t capacity, int level, int type, const void *data, size_t length) {
    struct msghdr header = {.msg_control = control, .msg_controllen = capacity};
    struct cmsghdr *message = CMSG_FIRSTHDR(&header);
    if (!message || CMSG_SPACE(length) > capacity) return 0;
    message->cmsg_level = level;
    message->cmsg_type = type;
    message->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(message), data, length);
    return CMSG_SPACE(length);
}

size_t CPortable_write_source(void *control, size_t capacity, const struct sockaddr *source) {
    if (source->sa_family == AF_INET) {
        // An interface would bind the route to it; the address is enough.
        struct in_pktinfo info = {.ipi_spec_dst = ((const struct sockaddr_in *)(const void *)source)->sin_addr};
        return write_message(control, capacity, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    }
    if (source->sa_family == AF_INET6) {
        const struct sockaddr_in6 *address = (const struct sockaddr_in6 *)(const void *)source;
        // The interface is the one that a link-local address belongs to.
        struct in6_pktinfo info = {.ipi6_addr = address->sin6_addr, .ipi6_ifindex = address->sin6_scope_id};
        return write_message(control, capacity, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
    return 0;
}

int CPortable_interface_mtu(const char *name) {
    struct ifreq request = {0};
    if (strlen(name) >= sizeof request.ifr_name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(request.ifr_name, name);
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    if (descriptor < 0) return -1;
    int result = ioctl(descriptor, SIOCGIFMTU, &request);
    int error = errno;
    close(descriptor);
    errno = error;
    return result < 0 ? -1 : request.ifr_mtu;
}

void CPortable_never_fragment(int descriptor, int is_ipv6) {
    int on = 1;
#ifdef IP_DONTFRAG
    if (!is_ipv6) setsockopt(descriptor, IPPROTO_IP, IP_DONTFRAG, &on, sizeof on);
#endif
#ifdef IPV6_DONTFRAG
    if (is_ipv6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof on);
#endif
    (void)descriptor;
    (void)is_ipv6;
    (void)on;
}

int CPortable_unacknowledged_bytes(int descriptor) {
    int count = 0;
#ifdef SO_NWRITE
    socklen_t length = sizeof count;
    int result = getsockopt(descriptor, SOL_SOCKET, SO_NWRITE, &count, &length);
#else
    int result = ioctl(descriptor, TIOCOUTQ, &count);
#endif
    return result < 0 ? -1 : count;
}

void CPortable_no_sigpipe(int descriptor) {
#ifdef F_SETNOSIGPIPE
    fcntl(descriptor, F_SETNOSIGPIPE, 1);
#endif
    (void)descriptor;
}

char **CPortable_environment(void) {
#ifdef __APPLE__
    return *_NSGetEnviron();
#else
    return environ;
#endif
}

static int argument_count;
static char **arguments;

// Both glibc and Darwin's dyld hand the arguments of `main` to what runs before it. Swift's own are a copy on Linux.
__attribute__((constructor)) static void remember_arguments(int count, char **values) {
    argument_count = count;
    arguments = values;
}

char **CPortable_arguments(int *count) {
    *count = argument_count;
    return arguments;
}
