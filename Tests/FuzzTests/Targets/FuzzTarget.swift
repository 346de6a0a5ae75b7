import NIOCore

/// One decoder, fed with whatever bytes: it must neither trap nor break what it promises.
struct FuzzTarget: Sendable {
    /// Also the folder of its inputs in Tests/FuzzCorpus.
    let name: String
    /// Throws ``BrokenPromise``.
    let run: @Sendable (UnsafeRawBufferPointer) throws -> Void

    static let all =
        [
            FuzzTarget(name: "admin-request", run: fuzzAdminRequest),
            FuzzTarget(name: "association-frame", run: fuzzAssociationFrames),
            FuzzTarget(name: "authorized-clients", run: fuzzAuthorizedClients),
            FuzzTarget(name: "authorized-keys", run: fuzzAuthorizedKeys),
            FuzzTarget(name: "certificate", run: fuzzCertificateKey),
            FuzzTarget(name: "control-message", run: fuzzControlMessage),
            FuzzTarget(name: "dtls", run: fuzzDTLS),
            FuzzTarget(name: "dtls-handshake", run: fuzzDTLSHandshake),
            FuzzTarget(name: "egress-rule", run: fuzzEgressRule),
            FuzzTarget(name: "envelope", run: fuzzEnvelope),
            FuzzTarget(name: "http-proxy-client", run: fuzzHTTPProxyClient),
            FuzzTarget(name: "http-proxy-target", run: fuzzHTTPProxyTarget),
            FuzzTarget(name: "http-request", run: fuzzHTTPRequest),
            FuzzTarget(name: "http-response", run: fuzzHTTPResponse),
            FuzzTarget(name: "ice", run: fuzzICE),
            FuzzTarget(name: "link", run: fuzzLink),
            FuzzTarget(name: "log-text", run: fuzzLogText),
            FuzzTarget(name: "quic-connection", run: fuzzQUICConnection),
            FuzzTarget(name: "quic-header", run: fuzzQUICHeader),
            FuzzTarget(name: "relay-record", run: fuzzRelayRecord),
            FuzzTarget(name: "relay-rule", run: fuzzRelayRule),
            FuzzTarget(name: "signal-record", run: fuzzSignalRecord),
            FuzzTarget(name: "socks", run: fuzzSOCKS),
            FuzzTarget(name: "socks-datagram", run: fuzzSOCKSDatagram),
            FuzzTarget(name: "stun", run: fuzzSTUN),
            FuzzTarget(name: "token", run: fuzzToken),
            FuzzTarget(name: "toml", run: fuzzTOML),
            FuzzTarget(name: "tunnel-message", run: fuzzTunnelMessage),
            FuzzTarget(name: "url", run: fuzzURL),
            FuzzTarget(name: "websocket", run: fuzzWebSocket),
        ] + ofSystem
}

/// What a decoder did that it must not do.
struct BrokenPromise: Error, CustomStringConvertible {
    let description: String
}

/// Throws unless `condition` holds.
func promise(_ condition: Bool, _ description: @autoclosure () -> String) throws(BrokenPromise) {
    if !condition { throw BrokenPromise(description: description()) }
}

/// Takes an input apart for targets that need more than bytes in a row.
struct FuzzInput {
    private(set) var rest: ByteBuffer

    init(_ bytes: UnsafeRawBufferPointer) {
        self.rest = ByteBuffer(bytes: bytes)
    }

    /// The next byte; 0 at the end.
    mutating func byte() -> UInt8 { self.rest.readInteger() ?? 0 }

    /// A byte of flags and, behind two bytes of length, a datagram, which the end may cut short; nil at the end.
    mutating func datagram() -> (flags: UInt8, payload: ByteBuffer)? {
        guard let (flags, length) = self.rest.readMultipleIntegers(as: (UInt8, UInt16).self),
            let payload = self.rest.readSlice(length: min(Int(length), self.rest.readableBytes))
        else { return nil }
        return (flags, payload)
    }

    /// All that is left as text.
    func text() -> String { String(buffer: self.rest) }

    /// All that is left in pieces of `size` bytes; with 0 in one piece.
    func pieces(of size: UInt8) -> [ByteBuffer] {
        guard size > 0 else { return [self.rest] }
        var rest = self.rest
        var pieces: [ByteBuffer] = []
        while let piece = rest.readSlice(length: min(Int(size), rest.readableBytes)), piece.readableBytes > 0 {
            pieces.append(piece)
        }
        return pieces
    }
}
