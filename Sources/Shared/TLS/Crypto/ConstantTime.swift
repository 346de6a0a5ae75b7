internal import COpenSSL

/// Whether two byte strings are equal, in a time that depends only on their lengths.
///
/// Use it for MACs, tokens and passwords. Strings of different lengths are unequal at once: lengths are no secret.
package func constantTimeEquals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return left.withUnsafeBytes { left in
        right.withUnsafeBytes { right in
            left.isEmpty || CRYPTO_memcmp(left.baseAddress, right.baseAddress, left.count) == 0
        }
    }
}
