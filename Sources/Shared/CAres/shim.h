// c-ares, and eventfd(2), which Swift's Glibc module lacks.

#ifndef CARES_SHIM_H
#define CARES_SHIM_H

#include <ares.h>
#include <sys/eventfd.h>

#endif
