// What Swift cannot see of ngtcp2 and GnuTLS: function-like macros, and constants with casts. No logic here.

#ifndef CNGTCP2_SHIM_H
#define CNGTCP2_SHIM_H

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

/// QUIC version 1 (RFC 9000 §15).
static inline uint32_t CNgtcp2_version_1(void) { return NGTCP2_PROTO_VER_V1; }

/// Longest Retry token that the crypto helper makes.
static inline size_t CNgtcp2_max_retry_token_length(void) {
  return NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN;
}

/// gnutls_free is a variable that holds a function.
static inline void CNgtcp2_gnutls_free(void *pointer) { gnutls_free(pointer); }

/// The address of a member, which Swift gives only for the length of a call.
static inline ngtcp2_path *CNgtcp2_path_storage_path(ngtcp2_path_storage *storage) {
  return &storage->path;
}

static inline void CNgtcp2_settings_default(ngtcp2_settings *settings) {
  ngtcp2_settings_default(settings);
}

static inline void
CNgtcp2_transport_params_default(ngtcp2_transport_params *params) {
  ngtcp2_transport_params_default(params);
}

/// ngtcp2 announces grease_quic_bit (RFC 9287) whatever its parameters say, and offers no other way to take that back. Call
/// before the handshake begins.
static inline void CNgtcp2_conn_disable_quic_bit_greasing(ngtcp2_conn *conn) {
  ((ngtcp2_transport_params *)ngtcp2_conn_get_local_transport_params(conn))
      ->grease_quic_bit = 0;
}

/// Of packaging/ngtcp2, which adds it to the library: round-trip time and congestion control start anew. Call after the
/// handshake has been completed.
void rtun_ngtcp2_conn_reset_congestion(ngtcp2_conn *conn, ngtcp2_tstamp ts);

/// Of packaging/ngtcp2: writes what there is besides data of streams and datagrams, and finishes a packet that has been begun.
/// `more_waits`: the application has more to send than flow control lets it.
ngtcp2_ssize rtun_ngtcp2_conn_write_rest(ngtcp2_conn *conn, uint8_t *dest,
                                         size_t destlen, int more_waits,
                                         ngtcp2_tstamp ts);

/// Of packaging/ngtcp2: has what was written since the last call paced, unless no more than `burst` bytes are in flight.
void rtun_ngtcp2_conn_pace(ngtcp2_conn *conn, size_t burst, ngtcp2_tstamp ts);

static inline int CNgtcp2_conn_client_new(
    ngtcp2_conn **pconn, const ngtcp2_cid *dcid, const ngtcp2_cid *scid,
    const ngtcp2_path *path, uint32_t version,
    const ngtcp2_callbacks *callbacks, const ngtcp2_settings *settings,
    const ngtcp2_transport_params *params, void *user_data) {
  return ngtcp2_conn_client_new(pconn, dcid, scid, path, version, callbacks,
                                settings, params, NULL, user_data);
}

static inline int CNgtcp2_conn_server_new(
    ngtcp2_conn **pconn, const ngtcp2_cid *dcid, const ngtcp2_cid *scid,
    const ngtcp2_path *path, uint32_t version,
    const ngtcp2_callbacks *callbacks, const ngtcp2_settings *settings,
    const ngtcp2_transport_params *params, void *user_data) {
  return ngtcp2_conn_server_new(pconn, dcid, scid, path, version, callbacks,
                                settings, params, NULL, user_data);
}

static inline int CNgtcp2_conn_read_pkt(ngtcp2_conn *conn,
                                        const ngtcp2_path *path,
                                        const uint8_t *pkt, size_t pktlen,
                                        ngtcp2_tstamp ts) {
  return ngtcp2_conn_read_pkt(conn, path, NULL, pkt, pktlen, ts);
}

static inline ngtcp2_ssize CNgtcp2_conn_writev_stream(
    ngtcp2_conn *conn, uint8_t *dest, size_t destlen, ngtcp2_ssize *pdatalen,
    uint32_t flags, int64_t stream_id, const ngtcp2_vec *datav, size_t datavcnt,
    ngtcp2_tstamp ts) {
  return ngtcp2_conn_writev_stream(conn, NULL, NULL, dest, destlen, pdatalen,
                                   flags, stream_id, datav, datavcnt, ts);
}

static inline ngtcp2_ssize CNgtcp2_conn_writev_datagram(
    ngtcp2_conn *conn, uint8_t *dest, size_t destlen, int *paccepted,
    uint32_t flags, uint64_t dgram_id, const ngtcp2_vec *datav, size_t datavcnt,
    ngtcp2_tstamp ts) {
  return ngtcp2_conn_writev_datagram(conn, NULL, NULL, dest, destlen, paccepted,
                                     flags, dgram_id, datav, datavcnt, ts);
}

static inline ngtcp2_ssize CNgtcp2_conn_write_connection_close(
    ngtcp2_conn *conn, uint8_t *dest, size_t destlen,
    const ngtcp2_ccerr *ccerr, ngtcp2_tstamp ts) {
  return ngtcp2_conn_write_connection_close(conn, NULL, NULL, dest, destlen,
                                            ccerr, ts);
}

static inline void CNgtcp2_conn_get_conn_info(ngtcp2_conn *conn,
                                              ngtcp2_conn_info *info) {
  ngtcp2_conn_get_conn_info(conn, info);
}

#endif
