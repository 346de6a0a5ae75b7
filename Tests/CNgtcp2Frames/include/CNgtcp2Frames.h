// How ngtcp2 reads the frames of a packet, which it keeps to itself: only its static library has it.

#ifndef CNGTCP2_FRAMES_H
#define CNGTCP2_FRAMES_H

#include <stddef.h>
#include <stdint.h>

/// How many bytes the first frame of a payload has, or a negative error of ngtcp2.
ptrdiff_t CNgtcp2Frames_length(const uint8_t *payload, size_t length);

#endif
