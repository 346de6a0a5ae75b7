package import Basics
import Crypto
package import NIOCore

/// One TLS connection without its socket: bytes and plaintext go in, events and bytes come out.
///
/// Feed it with ``receive(_:)`` and ``receiveEnd()``; after each of those drain ``nextEvent()`` and send what
/// ``takeOutput()`` hands over. Not thread-safe.
package final class TLSConnection {
    /// What happened on the connection.
    package enum Event {
        /// Both sides have proved what they had to; the ALPN protocol, if one was agreed on.
        case handshakeCompleted(applicationProtocol: String?)
        /// Decrypted bytes, in order.
        case received(ByteBuffer)
        /// The peer said close_notify: nothing more will be received. Sending is still possible.
        case inputClosed
        /// The connection is dead, with or without a word from the peer. An alert may be waiting in ``takeOutput()``.
        case failed(TLSError)
    }

    private enum State {
        case handshaking
        case established(input: Input, outputOpen: Bool)
        case failed
    }

    private enum Input {
        case open
        /// It has ended, with a failure or (nil) a close_notify; to be told once what came before is handed out.
        case ending(TLSError?)
        case closed
    }

    /// The most plaintext that one ``Event/received(_:)`` carries, roughly.
    private static let largestEvent = 256 << 10
    /// What a record adds at most: header, explicit nonce, tag, content type (RFC 8446 §5.2, RFC 5288 §3).
    private static let recordOverhead = 64
    /// The most plaintext in a record (RFC 8446 §5.1).
    package static let largestRecord = 16 << 10

    private var state = State.handshaking
    private var transportEnded = false
    private var isWaitingForFirstByte: Bool
    private let openSSL: OpenSSLConnection
    private let transport: StreamTransport
    private let allocator: ByteBufferAllocator

    /// Makes a connection in the role of its context.
    ///
    /// - Parameters:
    ///   - serverName: the name a client asks for (SNI); nil takes the one that the context verifies, if any.
    ///   - allocator: where buffers come from.
    /// - Throws: ``TLSError/operationFailed(_:_:)``, for example for a name with a zero byte.
    package init(
        context: TLSContext, serverName: String? = nil, allocator: ByteBufferAllocator = ByteBufferAllocator()
    ) throws(TLSError) {
        self.allocator = allocator
        self.isWaitingForFirstByte = context.role == .server
        self.transport = StreamTransport(allocator: allocator)
        self.openSSL = try OpenSSLConnection(
            context: context.openSSL, transport: self.transport, serverName: serverName)
    }

    /// Whether the handshake is over and nothing has failed.
    package var isEstablished: Bool {
        if case .established = self.state { true } else { false }
    }

    /// Whether the peer has said close_notify, and all that came before has been handed out.
    package var isInputClosed: Bool {
        if case .established(.closed, _) = self.state { true } else { false }
    }

    /// The `tls-exporter` channel binding (RFC 9266), 32 bytes; nil before the end of the handshake, and for TLS 1.2
    /// without the extended master secret.
    package var channelBinding: [UInt8]? {
        self.isEstablished ? self.openSSL.channelBinding : nil
    }

    /// The fingerprint of the peer's certificate; nil before the end of the handshake or if there is none.
    package var peerFingerprint: CertificateFingerprint? {
        self.isEstablished ? self.openSSL.peerFingerprint : nil
    }

    // MARK: Input

    /// Takes bytes from the peer. What follows its close_notify is ignored (RFC 8446 §6.1), as is all after a failure.
    package func receive(_ bytes: ByteBuffer) {
        switch self.state {
        case .handshaking, .established(.open, _):
            self.transport.receive(bytes)
        case .established, .failed:
            break
        }
    }

    /// The transport has ended: no more bytes will come from the peer.
    package func receiveEnd() {
        self.transportEnded = true
    }

    /// Encrypts `plaintext`, whole. Records hold up to 16 KiB, so pass large pieces.
    ///
    /// - Throws: ``TLSError/closed`` before the handshake is complete, after ``closeOutput()`` and after a failure;
    ///   otherwise what OpenSSL says, and then the connection is dead.
    package func send(_ plaintext: ByteBuffer) throws(TLSError) {
        guard case .established(_, outputOpen: true) = self.state else { throw .closed }
        let count = plaintext.readableBytes
        guard count > 0 else { return }
        self.transport.reserve(count + (count / Self.largestRecord + 1) * Self.recordOverhead)
        switch plaintext.withUnsafeReadableBytes({ self.openSSL.write($0) }) {
        case .complete:
            return
        case .failed(let error):
            self.state = .failed
            throw error
        case .incomplete, .closed:
            // The transport takes everything and there is no renegotiation, so OpenSSL has nothing to wait for.
            self.state = .failed
            throw .protocolError(OpenSSLErrors())
        }
    }

    /// Says close_notify. Receiving goes on. Does nothing before the handshake is complete or when already done.
    package func closeOutput() {
        guard case .established(let input, outputOpen: true) = self.state else { return }
        self.openSSL.shutdown()
        self.state = .established(input: input, outputOpen: false)
    }

    // MARK: Output

    /// Bytes to send to the peer, nil if there are none.
    package func takeOutput() -> ByteBuffer? {
        self.transport.takeOutgoing()
    }

    /// The next thing that happened, nil if more bytes are needed first. A client's first call starts the handshake.
    package func nextEvent() -> Event? {
        switch self.state {
        case .handshaking:
            return self.continueHandshake()
        case .established(.open, let outputOpen):
            return self.readPlaintext(outputOpen: outputOpen)
        case .established(.ending(nil), let outputOpen):
            self.state = .established(input: .closed, outputOpen: outputOpen)
            return .inputClosed
        case .established(.ending(let error?), _):
            return self.fail(error)
        case .established(.closed, _), .failed:
            return nil
        }
    }

    private func continueHandshake() -> Event? {
        // A server speaks second. OpenSSL would get its buffers ready; for a peer that never says a word, that is memory.
        if self.isWaitingForFirstByte {
            guard self.transport.receivedBytes > 0 else {
                return self.transportEnded ? self.fail(.endedDuringHandshake) : nil
            }
            self.isWaitingForFirstByte = false
        }
        switch self.openSSL.handshake() {
        case .complete:
            self.state = .established(input: .open, outputOpen: true)
            return .handshakeCompleted(applicationProtocol: self.openSSL.applicationProtocol)
        case .incomplete:
            return self.transportEnded ? self.fail(.endedDuringHandshake) : nil
        case .closed:
            return self.fail(.endedDuringHandshake)
        case .failed(let error):
            return self.fail(error)
        }
    }

    /// Decrypts what has been received, as much as one event should carry.
    private func readPlaintext(outputOpen: Bool) -> Event? {
        var plaintext = ByteBuffer()
        reading: while plaintext.readableBytes < Self.largestEvent {
            let available = self.openSSL.pendingBytes + self.transport.receivedBytes
            guard available > 0 else { break }
            if plaintext.capacity == 0 {
                plaintext = self.allocator.buffer(capacity: min(available, Self.largestEvent))
            }
            switch self.read(into: &plaintext, room: min(available, Self.largestRecord)) {
            case .complete:
                continue
            case .incomplete:
                break reading
            case .closed:
                self.state = .established(input: .ending(nil), outputOpen: outputOpen)
                break reading
            case .failed(let error):
                self.state = .established(input: .ending(error), outputOpen: outputOpen)
                break reading
            }
        }
        if plaintext.readableBytes > 0 { return .received(plaintext) }
        if case .established(.open, _) = self.state {
            return self.transportEnded ? self.fail(.truncated) : nil
        }
        return self.nextEvent()
    }

    private func read(into plaintext: inout ByteBuffer, room: Int) -> OpenSSLConnection.Outcome {
        var outcome = OpenSSLConnection.Outcome.incomplete
        plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { buffer in
            outcome = self.openSSL.read(into: buffer)
            guard case .complete(let count) = outcome else { return 0 }
            return count
        }
        return outcome
    }

    private func fail(_ error: TLSError) -> Event {
        self.state = .failed
        return .failed(error)
    }
}

@available(*, unavailable)
extension TLSConnection: Sendable {}
