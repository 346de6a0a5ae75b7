// What Swift's Glibc module lacks for processes.

#ifndef CLINUXPROCESS_SHIM_H
#define CLINUXPROCESS_SHIM_H

#include <sys/prctl.h>

extern char **environ;

// The environment, "NAME=value" each, NULL at the end. Swift takes the variable itself for one that any thread may change.
static inline char **CLinuxProcess_environment(void) {
    return environ;
}

// prctl(2) is variadic, which Swift cannot call. Returns 0, or -1 with errno set.
static inline int CLinuxProcess_set_dumpable(int dumpable) {
    return prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0);
}

// Whether others may look into the process, and the kernel write it to a file.
static inline int CLinuxProcess_get_dumpable(void) {
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

#endif
