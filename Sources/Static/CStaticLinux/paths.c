// Stands in for the part of Swift's runtime that looks for files that are installed beside it, of which a static program has
// none. The runtime's own looks into /proc when the program starts, and aborts where that is not mounted.

#include <stddef.h>

const char *swift_getRuntimeLibraryPath(void) { return "/"; }

const char *swift_getRootPath(void) { return "/"; }

// Asked for swift-backtrace, which prints where a program has crashed when the environment wants that.
char *swift_copyAuxiliaryExecutablePath(const char *name) {
    (void)name;
    return NULL;
}
