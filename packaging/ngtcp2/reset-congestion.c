
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
