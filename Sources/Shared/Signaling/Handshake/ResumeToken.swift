package import AppProto
import Basics
import Crypto

/// What lets a reconnecting agent process keep its instance id if it proves no key, as programs before 0.13 did, on this
/// server or on a restarted one.
///
/// The server makes it, the agent only keeps it. Worthless without the shared secret, since it is read after the proof.
///
///     created_at u64 ‖ expire_at u64 ‖ instance_id (32 hex digits) ‖ HMAC-SHA256(resume key, all before ‖ name)
package struct ResumeToken: Hashable, Sendable {
    private static let length = 8 + 8 + 32 + 32

    /// The run of the agent process that the token belongs to.
    package let instanceID: InstanceID
    /// When the instance first registered, Unix time in milliseconds: of two instances with the same name, the one
    /// created later holds it.
    package let createdAtMilliseconds: UInt64
    /// When the registration ends, Unix time in milliseconds; 0 for never.
    package let expireAtMilliseconds: UInt64

    package init(instanceID: InstanceID, createdAtMilliseconds: UInt64, expireAtMilliseconds: UInt64) {
        self.instanceID = instanceID
        self.createdAtMilliseconds = createdAtMilliseconds
        self.expireAtMilliseconds = expireAtMilliseconds
    }

    /// The token for the agent called `name`, 80 bytes.
    package func sealed(name: String, with key: ServerKey) -> [UInt8] {
        let fields =
            bigEndianBytes(self.createdAtMilliseconds) + bigEndianBytes(self.expireAtMilliseconds)
            + Array(self.instanceID.rawValue.utf8)
        return fields + Self.mac(fields, name: name, key: key)
    }

    /// `nil` unless `token` was sealed with the same key for the same name. Whoever has the key can make one for any id.
    package init?(opening token: [UInt8], name: String, with key: ServerKey) {
        guard token.count == Self.length else { return nil }
        let fields = Array(token.prefix(48))
        guard constantTimeEquals(Array(token.suffix(32)), Self.mac(fields, name: name, key: key)),
            let instanceID = InstanceID(rawValue: String(decoding: fields.suffix(32), as: UTF8.self))
        else { return nil }
        self.init(
            instanceID: instanceID, createdAtMilliseconds: bigEndianInteger(fields[0..<8]),
            expireAtMilliseconds: bigEndianInteger(fields[8..<16]))
    }

    private static func mac(_ fields: [UInt8], name: String, key: ServerKey) -> [UInt8] {
        HMAC.sha256(key: key.derived(for: "resume"), fields, Array(name.utf8))
    }
}

private func bigEndianBytes(_ value: UInt64) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
}

private func bigEndianInteger(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
}
