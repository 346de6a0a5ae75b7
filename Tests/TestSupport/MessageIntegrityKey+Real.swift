import Crypto
package import STUN

/// What the programs give to STUN and ICE, which have no HMAC of their own.
package let realHMAC: HMACSHA1 = HMAC.sha1

extension MessageIntegrityKey {
    /// A key with the HMAC of the programs.
    package init(_ bytes: some Sequence<UInt8>) {
        self.init(Array(bytes), hmacSHA1: realHMAC)
    }
}
