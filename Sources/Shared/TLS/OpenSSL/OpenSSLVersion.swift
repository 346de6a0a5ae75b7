internal import COpenSSL

/// The OpenSSL that is used, which may be a newer one than the program was built with.
package enum OpenSSLVersion {
    /// Such as `OpenSSL 3.0.19`.
    package static var description: String {
        "OpenSSL \(String(cString: OpenSSL_version(OPENSSL_VERSION_STRING)))"
    }
}
