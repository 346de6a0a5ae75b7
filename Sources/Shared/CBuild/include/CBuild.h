// What the build knows about itself, which Package.swift can hand to C only.

#ifndef CBUILD_H
#define CBUILD_H

/// The commit that was built, with "-dirty" behind it when files had been changed; empty when the build was not told.
const char *CBuild_commit(void);

#endif
