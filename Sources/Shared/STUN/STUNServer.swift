package import NIOCore

/// The Binding service of a STUN server (RFC 8489 §6.3.1 and §12.1): stateless, without authentication.
package enum STUNServer {
    /// The answer to one datagram, or nil when it deserves none.
    ///
    /// Only well-formed Binding requests are answered, so that a forged source address gains nothing worth having:
    /// the answer to a bare 20-byte request has 32 bytes (44 over IPv6). For the same reason there is no SOFTWARE.
    package static func respond(to datagram: ByteBuffer, from source: SocketAddress) -> ByteBuffer? {
        guard let received = try? ReceivedSTUNMessage(decoding: datagram),
            received.message.messageClass == .request, received.message.method == .binding,
            let address = TransportAddress(source)
        else {
            return nil
        }
        let id = received.message.id
        let unknown = received.message.unknownRequiredAttributes
        let answer: STUNMessage
        if unknown.isEmpty {
            answer = STUNMessage(.success, id: id, attributes: [.xorMappedAddress(address)])
        } else {
            // RFC 8489 §6.3.1. Bounded by what the request itself carried.
            answer = STUNMessage(
                .failure, id: id, attributes: [.errorCode(.unknownAttribute), .unknownAttributes(unknown)])
        }
        return answer.encoded(fingerprint: received.hasFingerprint)
    }
}
