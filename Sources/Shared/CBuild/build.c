#include "CBuild.h"

#ifndef RTUN_COMMIT
#define RTUN_COMMIT ""
#endif

const char *CBuild_commit(void) { return RTUN_COMMIT; }
