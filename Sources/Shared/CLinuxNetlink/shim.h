// What Swift's Glibc module lacks for watching the network: rtnetlink(7).

#ifndef CLINUXNETLINK_SHIM_H
#define CLINUXNETLINK_SHIM_H

#include <sys/socket.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#endif
