/// A call into libcrypto failed that only fails for want of memory or because of wrong arguments.
package struct CryptoError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was to be done, such as `derive a key with scrypt`.
    package let operation: String
    package let errors: OpenSSLErrors

    /// A sentence without a full stop.
    package var description: String { "OpenSSL cannot \(self.operation): \(self.errors)" }
}
