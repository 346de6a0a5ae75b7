/// What can go wrong with a STUN message or transaction.
package enum STUNError: Error, Hashable, Sendable {
    /// Not STUN at all: too short, first bits not zero, or no magic cookie (RFC 8489 §5).
    case notSTUN
    /// Larger than any message we accept.
    case tooLarge(length: Int)
    /// The header's length field disagrees with the datagram.
    case lengthMismatch(claimed: Int, actual: Int)
    /// An attribute runs past the end of the message.
    case truncatedAttribute(type: UInt16)
    /// The value of an attribute breaks its definition.
    case malformedAttribute(type: UInt16)
    /// The FINGERPRINT is wrong, or something follows it (RFC 8489 §14.7).
    case badFingerprint
    /// No answer to any of the requests.
    case timedOut(attempts: Int)
    /// The server answered with an error (RFC 8489 §14.8).
    case answered(STUNErrorCode)
    /// The server's answer contains no usable address.
    case noMappedAddress
    /// The response carries comprehension-required attributes that we don't know (RFC 8489 §6.3.3).
    case unknownAttributes([UInt16])
}

extension STUNError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notSTUN: "not a STUN message"
        case .tooLarge(let length): "STUN message of \(length) bytes, at most \(STUNMessage.maximumLength) are accepted"
        case .lengthMismatch(let claimed, let actual): "STUN header says \(claimed) bytes, the datagram has \(actual)"
        case .truncatedAttribute(let type): "STUN attribute 0x\(String(type, radix: 16)) runs past the end"
        case .malformedAttribute(let type): "STUN attribute 0x\(String(type, radix: 16)) is malformed"
        case .badFingerprint: "STUN fingerprint does not match"
        case .timedOut(let attempts): "no answer to \(attempts) STUN requests"
        case .answered(let error): "STUN server answered \(error)"
        case .noMappedAddress: "STUN server's answer contains no address"
        case .unknownAttributes(let types):
            "STUN answer needs unknown attributes "
                + types.map { "0x" + String($0, radix: 16) }.joined(separator: ", ")
        }
    }
}
