// c-ares, and eventfd(2), which Swift's Glibc module lacks. No logic here; every name starts with CAres_.

#ifndef CARES_SHIM_H
#define CARES_SHIM_H

#include <ares.h>

// Statuses, of the type that every function takes and returns them in: they are macros before c-ares 1.24 and constants of
// an enumeration since, which Swift does not compare with an int.
static const int CAres_SUCCESS = ARES_SUCCESS;
static const int CAres_ENODATA = ARES_ENODATA;
static const int CAres_ESERVFAIL = ARES_ESERVFAIL;
static const int CAres_ENOTFOUND = ARES_ENOTFOUND;
static const int CAres_EREFUSED = ARES_EREFUSED;
static const int CAres_EBADNAME = ARES_EBADNAME;
static const int CAres_ECONNREFUSED = ARES_ECONNREFUSED;
static const int CAres_ETIMEOUT = ARES_ETIMEOUT;
static const int CAres_EFILE = ARES_EFILE;
static const int CAres_EDESTRUCTION = ARES_EDESTRUCTION;
static const int CAres_ENONAME = ARES_ENONAME;
static const int CAres_ECANCELLED = ARES_ECANCELLED;

#endif
