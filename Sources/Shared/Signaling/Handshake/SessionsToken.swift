import Basics
import Crypto

/// The bearer token for `GET /pub/sessions`: `rtun1.<expiry, Unix seconds>.<HMAC-SHA256, hex>`.
///
/// Whoever has the server's key, or the secret that it is derived from, can make one without asking the server.
package enum SessionsToken {
    private static let prefix = "rtun1"

    /// A token that is good until `expiry`, Unix time in seconds.
    package static func make(expiry: UInt64, key: ServerKey) -> String {
        let fields = "\(Self.prefix).\(expiry)"
        return "\(fields).\(Self.mac(fields, key: key))"
    }

    /// Whether `token` was made with `key` and `now`, Unix time in seconds, is before its expiry.
    package static func isValid(_ token: String, now: UInt64, key: ServerKey) -> Bool {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == Self.prefix, let expiry = UInt64(parts[1]) else { return false }
        let mac = Self.mac("\(parts[0]).\(parts[1])", key: key)
        return constantTimeEquals(Array(parts[2].utf8), Array(mac.utf8)) && now < expiry
    }

    private static func mac(_ fields: String, key: ServerKey) -> String {
        Hex.text(HMAC.sha256(key: key.derived(for: "sessions"), Array(fields.utf8)))
    }
}
