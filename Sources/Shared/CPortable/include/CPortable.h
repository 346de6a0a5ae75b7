// What the portable build needs of macros and variadic functions, which Swift cannot use, and of the arguments of `main`. All of
// it is there on BSD, macOS and Linux.

#ifndef CPORTABLE_H
#define CPORTABLE_H

#include <stddef.h>
#include <sys/socket.h>

// Writes the control message (cmsg(3)) that makes sendmsg(2) send from `source`, an address of this machine. Returns how many
// bytes it takes, 0 when there is no room or no such message for the family.
size_t CPortable_write_source(void *control, size_t capacity, const struct sockaddr *source);

// The largest IP packet that the interface carries, in bytes, or -1 with errno set.
int CPortable_interface_mtu(const char *name);

// Has a UDP socket send nothing in fragments, where the system knows how.
void CPortable_never_fragment(int descriptor, int is_ipv6);

// What has been written to a TCP socket and not been acknowledged, in bytes, or -1 with errno set.
int CPortable_unacknowledged_bytes(int descriptor);

// Writing to a pipe that nobody reads is an error, and no signal, where the system knows how to say so for one pipe.
void CPortable_no_sigpipe(int descriptor);

// The environment, "NAME=value" each, NULL at the end.
char **CPortable_environment(void);

// The arguments as the system shows them to everybody: what `main` was given. Their number goes into `count`.
char **CPortable_arguments(int *count);

#endif
