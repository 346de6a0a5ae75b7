internal import CNgtcp2
import NIOCore
import TLS

/// One QUIC connection without I/O and without a clock: datagrams and the time go in; events, datagrams and a
/// deadline come out.
///
/// After each `receive`, `handleTimeout` or change made through it or its streams, drain `events` and
/// `nextTransmit(at:)` and read `nextDeadline`. Not thread-safe.
///
/// ngtcp2 holds an unretained pointer to `callbackTarget` as its user data, and to each open `QUICStream` as the
/// stream's. The former is valid because `deinit` frees the ngtcp2 object first; the latter because `streams` retains
/// a stream until ngtcp2 has closed it, or the connection is over and ngtcp2 not called any more. The callbacks only
/// record what happened and never call a delegate.
final class QUICConnection {
    enum State {
        case active
        /// We have sent CONNECTION_CLOSE and repeat it when packets still arrive (RFC 9000 §10.2.1).
        case closing(until: NIODeadline, Farewell)
        /// The peer has closed; nothing is sent any more (RFC 9000 §10.2.2).
        case draining(until: NIODeadline)
        /// All state can be forgotten.
        case terminated
    }

    // 21 stored variables: the library's objects, how far it has come, and values that keep their own rules; the files that
    // make up the connection share them.

    let context: QUICContext
    let tls: QUICTLS
    /// ngtcp2's connection, owned.
    let handle: OpaquePointer
    /// Where ngtcp2's user data points: known before `self` is, and freed after ngtcp2's connection.
    private let callbackTarget: QUICCallbackTarget

    var state = State.active
    var closeReason: QUICCloseReason?
    var wasStatelesslyReset = false
    private(set) var isHandshakeComplete = false
    /// Called after a call from outside that leaves something to send.
    var onWork: (() -> Void)?

    /// Open streams by number.
    var streams: [Int64: QUICStream] = [:]
    /// Streams to be reset, now that the peer has everything that they have sent.
    var deliveredStreams: [QUICStream] = []
    var events = EventQueue()
    var credit: ReceiveCredit
    var sendQueue = SendQueue()
    var datagramQueue = DatagramQueue()
    var flush = Flush()
    var offloadDoubt = OffloadDoubt()
    /// Largest UDP payload to send now, in bytes.
    var maximumDatagramSize: Int
    var ids: LocalConnectionIDs
    var moves = PathMoves()
    var contact: PeerContact

    /// A client, ready to send its first Initial.
    static func client(context: QUICContext, at now: NIODeadline) throws(QUICError) -> QUICConnection {
        // RFC 9000 §7.2: unpredictable, at least 8 bytes.
        var destination = ConnectionID.random().cid
        var source = ConnectionID.random().cid
        var setup = QUICConnectionSetup(context: context, at: now)
        return try QUICConnection(context: context, at: now) { handle, target in
            CNgtcp2_conn_client_new(
                &handle, &destination, &source, OpaquePath.pointer, CNgtcp2_version_1(), &setup.callbacks,
                &setup.settings, &setup.parameters, target)
        }
    }

    /// A server's side of the connection that `initial` asks for. The packet itself has still to be given to `receive`.
    static func server(
        context: QUICContext, initial: InitialPacket, at now: NIODeadline
    ) throws(QUICError) -> QUICConnection {
        let id = ConnectionID.random()
        var destination = initial.sourceID.cid
        var source = id.cid
        var setup = QUICConnectionSetup(context: context, at: now)
        setup.accept(initial, as: source, statelessResetKey: context.statelessResetKey)
        let connection = try QUICConnection(context: context, at: now) { handle, target in
            initial.token.withUnsafeReadableBytes { token in
                setup.settings.token = token.bindMemory(to: UInt8.self).baseAddress
                setup.settings.tokenlen = token.count
                return CNgtcp2_conn_server_new(
                    &handle, &destination, &source, OpaquePath.pointer, initial.version, &setup.callbacks,
                    &setup.settings, &setup.parameters, target)
            }
        }
        connection.ids.begin(with: [id, initial.destinationID])
        return connection
    }

    private init(
        context: QUICContext, at now: NIODeadline,
        make: (_ handle: inout OpaquePointer?, _ target: UnsafeMutableRawPointer) -> Int32
    ) throws(QUICError) {
        self.context = context
        self.tls = try QUICTLS(context: context)
        self.callbackTarget = QUICCallbackTarget()
        self.credit = ReceiveCredit(limit: context.configuration.maxUnconsumedBytes)
        self.ids = LocalConnectionIDs(at: now)
        self.contact = PeerContact(at: now)
        self.maximumDatagramSize =
            context.configuration.discoversPathMTU
            ? context.configuration.maxUDPPayload : QUICConfiguration.leastUDPPayload
        var handle: OpaquePointer?
        let code = make(&handle, Unmanaged.passUnretained(self.callbackTarget).toOpaque())
        guard code == 0, let handle else {
            throw .library(operation: "ngtcp2_conn_new", message: ngtcp2Message(code))
        }
        self.handle = handle
        // Packets are told from STUN and DTLS by the fixed bit of their first byte (RFC 9443 §2), so the peer must
        // not vary it.
        CNgtcp2_conn_disable_quic_bit_greasing(handle)
        self.callbackTarget.connection = self
        self.tls.connection = handle
        ngtcp2_conn_set_tls_native_handle(handle, UnsafeMutableRawPointer(self.tls.handle))
        ngtcp2_conn_set_keep_alive_timeout(handle, self.keepAliveTimeout)
    }

    deinit {
        ngtcp2_conn_del(self.handle)
    }

    /// When `handleTimeout` has to be called; nil when there is nothing to wait for.
    var nextDeadline: NIODeadline? {
        switch self.state {
        case .active:
            let expiry = ngtcp2_conn_get_expiry(self.handle)
            return expiry == .max ? nil : .uptimeNanoseconds(expiry)
        case .closing(let until, _), .draining(let until):
            return until
        case .terminated:
            return nil
        }
    }

    /// Does what is due. Calling it early or late is harmless.
    func handleTimeout(at now: NIODeadline) {
        switch self.state {
        case .active:
            let code = ngtcp2_conn_handle_expiry(self.handle, now.uptimeNanoseconds)
            guard code == 0 else { return self.fail(code, at: now) }
        case .closing(let until, _), .draining(let until):
            if now >= until { self.state = .terminated }
        case .terminated:
            break
        }
    }

    func recordHandshakeCompleted() {
        self.isHandshakeComplete = true
        self.events.append(.handshakeCompleted)
    }

    /// `keepAliveInterval`, in ngtcp2's words.
    var keepAliveTimeout: UInt64 {
        self.context.configuration.keepAliveInterval.map { UInt64(clamping: $0.nanoseconds) } ?? 0
    }

    /// Smoothed round-trip time (RFC 9002 §5.3).
    var smoothedRTT: TimeAmount {
        .nanoseconds(Int64(clamping: self.statistics.smoothed_rtt))
    }

    /// The same; nil before the first sample on this path, while `smoothedRTT` is a guess (RFC 9002 §6.2.2).
    var measuredRTT: TimeAmount? { self.statistics.latest_rtt > 0 ? self.smoothedRTT : nil }

    var statistics: ngtcp2_conn_info {
        var statistics = ngtcp2_conn_info()
        CNgtcp2_conn_get_conn_info(self.handle, &statistics)
        return statistics
    }

    /// How many streams the peer lets us open right now.
    var availableStreams: Int {
        guard case .active = self.state else { return 0 }
        return Int(clamping: ngtcp2_conn_get_streams_bidi_left(self.handle))
    }
}

/// ngtcp2's words for one of its error codes.
func ngtcp2Message(_ code: Int32) -> String {
    ngtcp2_strerror(code).map { String(cString: $0) } ?? "ngtcp2 error \(code)"
}
