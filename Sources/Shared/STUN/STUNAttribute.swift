/// One attribute of a STUN message, decoded (RFC 8489 §14, RFC 8445 §16.1).
///
/// MESSAGE-INTEGRITY and FINGERPRINT are not here: they are made while a message is encoded and
/// judged while one is decoded.
package enum STUNAttribute: Hashable, Sendable {
    case mappedAddress(TransportAddress)
    case xorMappedAddress(TransportAddress)
    case username(String)
    case errorCode(STUNErrorCode)
    /// The types that the sender of an error 420 did not understand.
    case unknownAttributes([UInt16])
    case realm(String)
    case nonce(String)
    case software(String)
    case alternateServer(TransportAddress)
    case priority(UInt32)
    case useCandidate
    /// The sender's tie-breaker.
    case iceControlled(UInt64)
    /// The sender's tie-breaker.
    case iceControlling(UInt64)
    /// So many bytes of no meaning, to make a message as large as the path is asked to carry (RFC 5780 §7.6).
    case padding(Int)
    /// Anything else, as it came.
    case other(type: UInt16, value: [UInt8])

    /// The attribute's number on the wire.
    package var type: UInt16 {
        switch self {
        case .mappedAddress: STUNAttributeType.mappedAddress
        case .xorMappedAddress: STUNAttributeType.xorMappedAddress
        case .username: STUNAttributeType.username
        case .errorCode: STUNAttributeType.errorCode
        case .unknownAttributes: STUNAttributeType.unknownAttributes
        case .realm: STUNAttributeType.realm
        case .nonce: STUNAttributeType.nonce
        case .software: STUNAttributeType.software
        case .alternateServer: STUNAttributeType.alternateServer
        case .priority: STUNAttributeType.priority
        case .useCandidate: STUNAttributeType.useCandidate
        case .iceControlled: STUNAttributeType.iceControlled
        case .iceControlling: STUNAttributeType.iceControlling
        case .padding: STUNAttributeType.padding
        case .other(let type, _): type
        }
    }
}

/// The numbers of the attributes that we speak (RFC 8489 §18.3, RFC 8445 §20.1).
package enum STUNAttributeType {
    package static let mappedAddress: UInt16 = 0x0001
    package static let username: UInt16 = 0x0006
    package static let messageIntegrity: UInt16 = 0x0008
    package static let errorCode: UInt16 = 0x0009
    package static let unknownAttributes: UInt16 = 0x000A
    package static let realm: UInt16 = 0x0014
    package static let nonce: UInt16 = 0x0015
    package static let messageIntegritySHA256: UInt16 = 0x001C
    package static let xorMappedAddress: UInt16 = 0x0020
    package static let priority: UInt16 = 0x0024
    package static let useCandidate: UInt16 = 0x0025
    package static let padding: UInt16 = 0x0026
    package static let software: UInt16 = 0x8022
    package static let alternateServer: UInt16 = 0x8023
    package static let fingerprint: UInt16 = 0x8028
    package static let iceControlled: UInt16 = 0x8029
    package static let iceControlling: UInt16 = 0x802A

    /// Types below 0x8000 must be understood by the receiver (RFC 8489 §14).
    package static func isComprehensionRequired(_ type: UInt16) -> Bool {
        type < 0x8000
    }
}
