/// The 96-bit id that ties a STUN response to its request (RFC 8489 §5). Unguessable when drawn from a
/// cryptographic generator, which is what keeps off-path attackers from answering for somebody else.
package struct TransactionID: Hashable, Sendable {
    /// The first 4 bytes on the wire.
    let high: UInt32
    /// The last 8 bytes on the wire.
    let low: UInt64

    /// An id from its two parts in wire order.
    package init(high: UInt32, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A fresh id. `generator` must be cryptographically strong outside of tests.
    package static func random(using generator: inout some RandomNumberGenerator) -> TransactionID {
        TransactionID(high: .random(in: .min ... .max, using: &generator), low: generator.next())
    }
}
