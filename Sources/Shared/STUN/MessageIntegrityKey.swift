/// HMAC-SHA1 (RFC 2104): the 20 bytes for a key and a message. This module is given it, and so links no library that has it.
package typealias HMACSHA1 = @Sendable (_ key: [UInt8], _ message: UnsafeRawBufferPointer) -> [UInt8]

/// The key of MESSAGE-INTEGRITY (RFC 8489 §14.5), for short-term credentials the password's bytes, and what is done with it.
package struct MessageIntegrityKey: Sendable {
    private let bytes: [UInt8]
    private let hmacSHA1: HMACSHA1

    package init(_ bytes: [UInt8], hmacSHA1: @escaping HMACSHA1) {
        self.bytes = bytes
        self.hmacSHA1 = hmacSHA1
    }

    func tag(of message: UnsafeRawBufferPointer) -> [UInt8] {
        self.hmacSHA1(self.bytes, message)
    }
}

extension MessageIntegrityKey: CustomStringConvertible, CustomReflectable {
    package var description: String { "MessageIntegrityKey" }

    /// Without children, so that a dump does not show the key.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
