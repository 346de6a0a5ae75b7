
/*
 * Added by rtun, which moves datagrams from one path to another below QUIC: ICE has validated both, addresses and connection
 * IDs that QUIC sees stay the same. Round-trip time and congestion control start anew, as they do when a connection migrates
 * (RFC 9000 section 9.4); what is in flight counts no longer, but is asked after by the new path at once (RFC 9002 section 6.2.4): it may have been lost by
 * the old one, and its loss would be noticed only when something else is sent.
 */
void rtun_ngtcp2_conn_reset_congestion(ngtcp2_conn *conn, ngtcp2_tstamp ts) {
  conn_update_timestamp(conn, ts);
  if (conn->in_pktns) {
    ngtcp2_rtb_reset_cc_state(&conn->in_pktns->rtb,
                              conn->in_pktns->tx.last_pkt_num + 1);
  }
  conn_reset_congestion_state(conn, ts);
  if (conn->pktns.rtb.num_pto_eliciting &&
      (conn->flags & NGTCP2_CONN_FLAG_HANDSHAKE_CONFIRMED)) {
    conn->pktns.rtb.probe_pkt_left = 1;
  }
  ngtcp2_conn_set_loss_detection_timer(conn, ts);
}

/*
 * Added by rtun: writes what there is besides data of streams and datagrams, and finishes a packet that has been begun.
 *
 * With more_waits the application has more to send than flow control lets it, so that this is no sign that it is the
 * application that limits the rate.
 */
ngtcp2_ssize rtun_ngtcp2_conn_write_rest(ngtcp2_conn *conn, uint8_t *dest,
                                         size_t destlen, int more_waits,
                                         ngtcp2_tstamp ts) {
  uint64_t app_limited = conn->rst.app_limited;
  ngtcp2_ssize nwrite =
    ngtcp2_conn_writev_stream(conn, NULL, NULL, dest, destlen, NULL,
                              NGTCP2_WRITE_STREAM_FLAG_NONE, -1, NULL, 0, ts);

  if (more_waits) {
    conn->rst.app_limited = app_limited;
  }

  return nwrite;
}

/*
 * Added by rtun: as ngtcp2_conn_update_pkt_tx_time, except that bursts are not paced while no more than burst bytes are in
 * flight (RFC 9002 section 7.7 lets a sender have bursts of the initial congestion window). What BBR has measured of a flow
 * of questions and answers is the rate of the questions, and each answer of a few packets would wait for its timer.
 */
void rtun_ngtcp2_conn_pace(ngtcp2_conn *conn, size_t burst, ngtcp2_tstamp ts) {
  if (conn->cstat.bytes_in_flight <= burst) {
    conn->tx.pacing.pktlen = 0;
    return;
  }

  ngtcp2_conn_update_pkt_tx_time(conn, ts);
}
