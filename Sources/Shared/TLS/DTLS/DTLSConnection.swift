internal import COpenSSL
import Crypto
package import NIOCore

/// One DTLS 1.2 connection (RFC 6347) without its socket: datagrams and the time go in, datagrams and events come out.
///
/// Both ends present a certificate, and each accepts exactly the fingerprint that it was told. Only AEAD cipher suites
/// with forward secrecy; no renegotiation, no resumption; replayed records are dropped (window of 64).
///
/// There is no cookie exchange (RFC 6347 §4.2.1): its purpose is to see that the client receives at its address before
/// work is done for it, and a path that passed ICE's connectivity checks has shown that.
///
/// Use it in turns: one of ``start(at:)``, ``receive(_:at:)`` or ``handleTimeout(at:)``; then drain
/// ``readPayload(into:)``, ``nextEvent()`` and ``nextTransmit()``, and arm a timer for ``nextDeadline``.
///
/// What a stranger injects changes nothing but a counter once the connection is established. Before that, a forged
/// handshake message can make it fail, as in every unauthenticated handshake; make a new one then.
///
/// Time: OpenSSL decides by the system's clock whether a retransmission is due. ``nextDeadline`` says when in terms of
/// the `now` that was handed in, and an early ``handleTimeout(at:)`` is harmless. Not thread-safe.
package final class DTLSConnection {
    /// What happened on the connection.
    package enum Event {
        /// Both ends have proved who they are; payloads can be sent and received.
        case handshakeCompleted
        /// The peer said close_notify: it is over.
        case closed
        /// The connection is dead. An alert may be waiting in ``nextTransmit()``.
        case failed(TLSError)
    }

    /// What was not delivered.
    package struct Statistics: Hashable, Sendable {
        /// Datagrams that had no effect: forged, damaged, replayed, too old, or not DTLS at all. During the handshake
        /// only the last kind is told apart.
        package var rejectedDatagrams: UInt64 = 0
        /// Flights of the handshake that were sent again because no answer came.
        package var retransmittedFlights: UInt64 = 0
    }

    private enum State {
        case idle
        case handshaking
        case established
        /// One of us has said close_notify, or it has failed.
        case finished
    }

    /// Flights of the handshake keep within this, whatever the path is said to carry: a path that carries less than
    /// announced then loses payloads, which shows, and not the handshake.
    private static let handshakeDatagramSize = 1200
    /// What OpenSSL forgets when it packs a flight: the explicit nonce and the tag of its last, encrypted record.
    private static let largestAEADExpansion = 24
    /// A record's header (RFC 6347 §4.1): type, version, epoch, sequence number, length.
    private static let recordHeaderSize = 13
    /// DTLS 1.2 and 1.0 in a record's header.
    private static let version: UInt16 = 0xFEFD
    private static let version1: UInt16 = 0xFEFF
    /// The most that any AEAD makes of the largest payload (RFC 8446 §5.2).
    private static let largestRecord: UInt16 = 1 << 14 + 256
    /// The first bytes that belong to DTLS on a shared socket (RFC 9443 §3).
    private static let firstBytes: ClosedRange<UInt8> = 20...63

    private var state = State.idle
    private var events = CircularBuffer<Event>()
    private let openSSL: OpenSSLConnection
    private let transport: DatagramTransport
    /// No payload that can be read is larger: the size of the datagram in work; during the handshake that of the largest
    /// so far, because OpenSSL keeps payloads that come before their keys.
    private var receivedSize = 0
    /// How many datagrams waited to be sent when the one in work came in; nil once that has had an effect.
    private var outgoingBefore: Int?

    /// Bytes of payload that a record can carry on this path, once the handshake is complete; 0 before.
    package private(set) var maximumPayload = 0
    /// Bytes that a record adds to its payload with the negotiated cipher suite; 0 before the handshake is complete.
    package private(set) var recordOverhead = 0
    /// The largest datagram that the path carries, in bytes of UDP payload. May change while the connection lives;
    /// less than ``DTLSConfiguration/smallestDatagramSize`` counts as that.
    package var maximumDatagramSize: Int {
        didSet { self.updateLimits() }
    }
    /// When to call ``handleTimeout(at:)``; nil: not before something else happens.
    package private(set) var nextDeadline: NIODeadline?
    /// What was not delivered so far.
    package private(set) var statistics = Statistics()

    /// Makes a connection that has not said anything yet.
    ///
    /// - Throws: ``TLSError/operationFailed(_:_:)``.
    package init(
        _ configuration: DTLSConfiguration, allocator: ByteBufferAllocator = ByteBufferAllocator()
    ) throws(TLSError) {
        let context = try OpenSSLContext(
            method: DTLS_method(),
            OpenSSLContext.Configuration(
                role: configuration.role,
                verification: .fingerprint(configuration.peerFingerprint),
                identity: configuration.identity,
                versions: (minimum: DTLS1_2_VERSION, maximum: DTLS1_2_VERSION),
                cipherSuites: Self.cipherSuites,
                releasesBuffers: false))
        self.transport = DatagramTransport(allocator: allocator)
        self.openSSL = try OpenSSLConnection(context: context, transport: self.transport, serverName: nil)
        self.maximumDatagramSize = configuration.maximumDatagramSize
        RetransmissionTimer.install(in: self.openSSL.pointer, initial: configuration.initialTimeout)
        let size = max(configuration.maximumDatagramSize, DTLSConfiguration.smallestDatagramSize)
        self.setMTU(min(size, Self.handshakeDatagramSize) - Self.largestAEADExpansion)
    }

    /// Bytes that a record adds to its payload with the cipher suite that both ends of ours prefer: the header, and
    /// AES-GCM's explicit nonce (8) and tag (16) (RFC 5288 §3). What was negotiated may add less; see ``recordOverhead``.
    package static let preferredRecordOverhead = DTLSConnection.recordHeaderSize + 8 + 16

    /// AES-128 first, the fastest where processors help with it, as most do.
    private static let cipherSuites = [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    ].joined(separator: ":")

    // MARK: What was agreed

    /// Whether payloads can be sent.
    package var isEstablished: Bool {
        if case .established = self.state { true } else { false }
    }

    /// OpenSSL's name of the negotiated cipher suite; nil before the end of the handshake.
    package var cipherSuite: String? {
        guard self.isEstablished, let cipher = SSL_get_current_cipher(self.openSSL.pointer) else { return nil }
        return String(cString: SSL_CIPHER_get_name(cipher))
    }

    /// Keying material that only the two ends can compute (RFC 5705); nil before the end of the handshake.
    package func exportKeyingMaterial(label: String, context: [UInt8], length: Int) -> [UInt8]? {
        self.openSSL.exportKeyingMaterial(label: label, context: context, length: length)
    }

    // MARK: Handshake

    /// Begins: a client says hello, a server waits for it. Further calls do nothing.
    package func start(at now: NIODeadline) {
        guard case .idle = self.state else { return }
        self.state = .handshaking
        self.continueHandshake(at: now)
    }

    /// Sends the last flight again if its time has come. Call it once ``nextDeadline`` has passed.
    package func handleTimeout(at now: NIODeadline) {
        guard case .handshaking = self.state else { return }
        OpenSSLErrors.clear()
        switch COpenSSL_DTLSv1_handle_timeout(self.openSSL.pointer) {
        case 1:
            self.statistics.retransmittedFlights += 1
        case 0:
            break
        default:
            // It gives up after 12 retransmissions.
            self.fail(.handshakeFailed(OpenSSLErrors.drain()))
        }
        self.updateDeadline(now)
    }

    private func continueHandshake(at now: NIODeadline) {
        switch self.openSSL.handshake() {
        case .complete:
            self.state = .established
            self.outgoingBefore = nil
            self.updateLimits()
            self.events.append(.handshakeCompleted)
        case .incomplete:
            break
        case .closed:
            self.fail(.endedDuringHandshake)
        case .failed(let error):
            self.fail(error)
        }
        self.updateDeadline(now)
    }

    // MARK: Datagrams

    /// Takes a datagram from the peer. Drain ``readPayload(into:)`` before the next one, or its payloads are lost.
    package func receive(_ datagram: ByteBuffer, at now: NIODeadline) {
        guard let first = datagram.getInteger(at: datagram.readerIndex, as: UInt8.self),
            Self.firstBytes.contains(first), datagram.readableBytes >= Self.recordHeaderSize,
            self.isPresentable(datagram)
        else {
            self.statistics.rejectedDatagrams += 1
            return
        }
        switch self.state {
        case .idle, .finished:
            self.statistics.rejectedDatagrams += 1
        case .handshaking:
            self.accept(datagram)
            self.continueHandshake(at: now)
        case .established:
            self.accept(datagram)
        }
    }

    /// Whether a datagram is made of records that OpenSSL can be shown.
    ///
    /// RFC 6347 §4.1.2.7 wants invalid records dropped, and so does OpenSSL, with this exception: a record shorter than
    /// the nonce and tag of AES-GCM is an internal error to it (3.0.19), which ends the connection. Anybody can send
    /// one. Of a record of another version, and of one that is too long, it skips the header only: what it takes for
    /// the next record is inside, where such a short one could hide.
    private func isPresentable(_ datagram: ByteBuffer) -> Bool {
        let shortest =
            self.recordOverhead > 0 ? self.recordOverhead - Self.recordHeaderSize : Self.largestAEADExpansion
        var index = datagram.readerIndex
        while index < datagram.writerIndex {
            guard let version = datagram.getInteger(at: index + 1, as: UInt16.self),
                let epoch = datagram.getInteger(at: index + 3, as: UInt16.self),
                let length = datagram.getInteger(at: index + 11, as: UInt16.self),
                // The first ClientHello says 1.0.
                version == Self.version || version == Self.version1 && !self.isEstablished,
                epoch == 0 || Int(length) >= shortest, length <= Self.largestRecord
            else { return false }
            index += Self.recordHeaderSize + Int(length)
        }
        return index == datagram.writerIndex
    }

    private func accept(_ datagram: ByteBuffer) {
        self.receivedSize =
            self.isEstablished ? datagram.readableBytes : max(self.receivedSize, datagram.readableBytes)
        self.outgoingBefore = self.transport.outgoingCount
        self.transport.receive(datagram)
    }

    /// Appends the next payload of the received datagram to `buffer`, and returns its length; nil when there is none.
    ///
    /// Most datagrams hold one record and so one payload. Nothing is allocated if `buffer` has room for the datagram.
    package func readPayload(into buffer: inout ByteBuffer) -> Int? {
        guard case .established = self.state else { return nil }
        var outcome = OpenSSLConnection.Outcome.incomplete
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: self.receivedSize) { free in
            outcome = self.openSSL.read(into: free)
            guard case .complete(let count) = outcome else { return 0 }
            return count
        }
        switch outcome {
        case .complete(let count):
            self.outgoingBefore = nil
            return count
        case .incomplete:
            self.countIfWithoutEffect()
        case .closed:
            self.finish(.closed)
        case .failed(let error):
            self.fail(error)
        }
        return nil
    }

    /// Encrypts `payload` and appends the record, one datagram, to `buffer`. Records of payloads of equal size are of
    /// equal size, so a buffer of several can be sent in one go where the kernel cuts it up.
    ///
    /// - Parameter payload: 1…``maximumPayload`` bytes.
    /// - Throws: ``TLSError/payloadTooLarge(byteCount:limit:)``; ``TLSError/closed`` unless established.
    package func seal(_ payload: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) throws(TLSError) {
        precondition(!payload.isEmpty, "a record carries at least one byte")
        guard case .established = self.state else { throw .closed }
        guard payload.count <= self.maximumPayload else {
            throw .payloadTooLarge(byteCount: payload.count, limit: self.maximumPayload)
        }
        let outcome = self.transport.withApplicationData(to: &buffer) { self.openSSL.write(payload) }
        switch outcome {
        case .complete:
            return
        case .failed(let error):
            self.fail(error)
            throw error
        case .incomplete, .closed:
            // The transport takes everything and there is no renegotiation, so OpenSSL has nothing to wait for.
            let error = TLSError.protocolError(OpenSSLErrors())
            self.fail(error)
            throw error
        }
    }

    /// Encrypts the readable bytes of `payload`, as ``seal(_:into:)`` of raw bytes does.
    package func seal(_ payload: ByteBuffer, into buffer: inout ByteBuffer) throws(TLSError) {
        let result = payload.withUnsafeReadableBytes { bytes in
            Result { () throws(TLSError) in try self.seal(bytes, into: &buffer) }
        }
        try result.get()
    }

    /// Encrypts `payload` into a datagram of its own.
    package func seal(_ payload: ByteBuffer) throws(TLSError) -> ByteBuffer {
        var datagram = ByteBufferAllocator().buffer(capacity: payload.readableBytes + self.recordOverhead)
        try self.seal(payload, into: &datagram)
        return datagram
    }

    /// The next datagram that the connection itself has to send, nil if there is none.
    package func nextTransmit() -> ByteBuffer? {
        self.transport.takeOutgoing()
    }

    /// The next thing that happened, nil if nothing did.
    package func nextEvent() -> Event? {
        self.events.popFirst()
    }

    /// Says close_notify, which is in ``nextTransmit()`` then. It is sent once and may get lost. No event follows.
    package func close() {
        self.openSSL.shutdown()
        self.state = .finished
        self.transport.dropReceived()
        self.nextDeadline = nil
    }

    // MARK: Helpers

    private func countIfWithoutEffect() {
        // Without a payload, a datagram may still have been part of the handshake that called for an answer.
        if let before = self.outgoingBefore, self.transport.outgoingCount == before {
            self.statistics.rejectedDatagrams += 1
        }
        self.outgoingBefore = nil
    }

    private func fail(_ error: TLSError) {
        self.finish(.failed(error))
    }

    private func finish(_ event: Event) {
        if case .finished = self.state { return }
        self.state = .finished
        self.nextDeadline = nil
        self.events.append(event)
    }

    private func updateDeadline(_ now: NIODeadline) {
        guard case .handshaking = self.state else {
            self.nextDeadline = nil
            return
        }
        self.nextDeadline = RetransmissionTimer.timeLeft(in: self.openSSL.pointer).map { now + $0 }
    }

    private func updateLimits() {
        guard case .established = self.state else { return }
        let size = max(self.maximumDatagramSize, DTLSConfiguration.smallestDatagramSize)
        self.setMTU(size)
        // Knows the cipher suite's explicit nonce and tag.
        self.maximumPayload = DTLS_get_data_mtu(self.openSSL.pointer)
        self.recordOverhead = size - self.maximumPayload
    }

    private func setMTU(_ size: Int) {
        COpenSSL_SSL_set_mtu(self.openSSL.pointer, size)
    }
}

@available(*, unavailable)
extension DTLSConnection: Sendable {}
