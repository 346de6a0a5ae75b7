// What Swift's Glibc module lacks for watching the network: rtnetlink(7), eventfd(2).

#ifndef CLINUXNETLINK_SHIM_H
#define CLINUXNETLINK_SHIM_H

#include <sys/eventfd.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#endif
