internal import CNgtcp2

/// The libraries beneath this module, which may be newer ones than the program was built with.
package enum QUICLibraryVersions {
    /// Such as `GnuTLS 3.7.9` and `ngtcp2 1.24.0`.
    package static var descriptions: [String] {
        [
            gnutls_check_version(nil).map { "GnuTLS \(String(cString: $0))" },
            ngtcp2_version(0).flatMap { $0.pointee.version_str }.map { "ngtcp2 \(String(cString: $0))" },
        ].compactMap { $0 }
    }
}
