#include "CNgtcp2Frames.h"

// lib/ngtcp2_pkt.h of ngtcp2 0.12.1: `dest` is an ngtcp2_frame, followed by room for the ranges of an ACK.
ptrdiff_t ngtcp2_pkt_decode_frame(void *dest, const uint8_t *payload,
                                  size_t length);

ptrdiff_t CNgtcp2Frames_length(const uint8_t *payload, size_t length) {
  // Far more than any frame takes.
  _Alignas(16) uint8_t frame[8192];
  return ngtcp2_pkt_decode_frame(frame, payload, length);
}
