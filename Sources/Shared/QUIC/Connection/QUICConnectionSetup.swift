internal import CNgtcp2
import NIOCore

/// The callbacks, settings and transport parameters (RFC 9000 §18.2) that a connection is made with.
struct QUICConnectionSetup {
    var callbacks = QUICCallbackTarget.callbacks()
    var settings = ngtcp2_settings()
    var parameters = ngtcp2_transport_params()

    /// So many packets are acknowledged at once; fewer after an eighth of a round trip, but 1 to 25 ms
    /// (packaging/ngtcp2), unless something is sent before that takes the acknowledgement along. For two, as
    /// RFC 9000 §13.2.2 suggests, each question and each answer would cost either side a packet and a wake-up more.
    private static let acknowledgedAtOnce = 4

    init(context: QUICContext, at now: NIODeadline) {
        let configuration = context.configuration
        CNgtcp2_settings_default(&self.settings)
        self.settings.initial_ts = now.uptimeNanoseconds
        self.settings.cc_algo =
            switch configuration.congestionControl {
            case .bbr: NGTCP2_CC_ALGO_BBR
            case .cubic: NGTCP2_CC_ALGO_CUBIC
            }
        self.settings.ack_thresh = Self.acknowledgedAtOnce
        self.settings.handshake_timeout = UInt64(clamping: configuration.handshakeTimeout.nanoseconds)
        // The upper end of path MTU discovery; packets start at 1200 bytes (RFC 9000 §14).
        self.settings.max_tx_udp_payload_size = configuration.maxUDPPayload
        if !configuration.discoversPathMTU {
            // The size of the buffer that a packet is written to is the limit.
            self.settings.no_pmtud = 1
            self.settings.no_tx_udp_payload_size_shaping = 1
        }
        // No tuning of windows by ngtcp2: StreamWindow does it for streams, and ReceiveCredit bounds the connection.
        self.settings.max_stream_window = 0
        self.settings.max_window = 0

        CNgtcp2_transport_params_default(&self.parameters)
        self.parameters.initial_max_data = UInt64(ReceiveCredit(limit: configuration.maxUnconsumedBytes).window)
        self.parameters.initial_max_stream_data_bidi_local = UInt64(clamping: configuration.initialStreamWindow)
        self.parameters.initial_max_stream_data_bidi_remote = UInt64(clamping: configuration.initialStreamWindow)
        self.parameters.initial_max_streams_bidi = UInt64(clamping: configuration.maxConcurrentStreams)
        self.parameters.initial_max_streams_uni = 0
        self.parameters.max_idle_timeout = UInt64(clamping: configuration.maxIdleTimeout.nanoseconds)
        self.parameters.max_udp_payload_size = UInt64(configuration.maxUDPPayload)
        self.parameters.disable_active_migration = configuration.allowsMigration ? 0 : 1
        // Each migration uses one up; the peer replaces it a round trip later.
        self.parameters.active_connection_id_limit = configuration.allowsMigration ? 8 : 2
        self.parameters.max_datagram_frame_size = configuration.datagrams ? 65_535 : 0
    }

    /// Adds what a server says about the packet that it answers (RFC 9000 §7.3, §10.3).
    mutating func accept(_ initial: InitialPacket, as source: ngtcp2_cid, statelessResetKey: [UInt8]) {
        self.parameters.original_dcid = initial.originalDestinationID.cid
        self.parameters.original_dcid_present = 1
        if initial.answersRetry {
            self.parameters.retry_scid = initial.destinationID.cid
            self.parameters.retry_scid_present = 1
        }
        var source = source
        let code = withUnsafeMutableBytes(of: &self.parameters.stateless_reset_token) { token in
            ngtcp2_crypto_generate_stateless_reset_token(
                token.bindMemory(to: UInt8.self).baseAddress, statelessResetKey, statelessResetKey.count, &source)
        }
        self.parameters.stateless_reset_token_present = code == 0 ? 1 : 0
    }
}
