import LibC

/// Where the authorities are that this machine trusts: one file, directories, both, or nothing that could be found.
///
/// A library knows the place of the distribution that it was built for. A statically linked program brings that library to
/// others.
package struct SystemTrustStore: Hashable, Sendable {
    /// A PEM file with all authorities.
    package let file: String?
    /// Directories with a PEM file for each authority, named by its hash as `openssl rehash` does.
    package let directories: [String]
    /// Whether the environment names them, so that nothing else will do.
    package let isChosen: Bool

    /// The file with all authorities, by distribution; the first one that there is counts.
    static let bundles = [
        "/etc/ssl/certs/ca-certificates.crt",  // Debian, Alpine, Arch, Gentoo
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Red Hat, Fedora
        "/etc/pki/tls/certs/ca-bundle.crt",  // Red Hat, before Fedora 42
        "/etc/ca-certificates/extracted/tls-ca-bundle.pem",  // Arch
        "/etc/ssl/ca-bundle.pem",  // SUSE
        "/etc/ssl/cert.pem",  // Alpine, BSD, and programs that follow OpenSSL's own layout
    ]

    /// Looks for it: what `SSL_CERT_FILE` and `SSL_CERT_DIR` name (several directories with colons between them), and else
    /// the file of this machine's distribution.
    ///
    /// - Parameters:
    ///   - environment: the value of a variable; that of this process if none is given.
    ///   - root: goes in front of the distributions' places.
    package static func find(
        environment: (String) -> String? = { getenv($0).map { String(cString: $0) } }, root: String = ""
    ) -> SystemTrustStore {
        let file = environment("SSL_CERT_FILE").flatMap { $0.isEmpty ? nil : $0 }
        let directories = (environment("SSL_CERT_DIR") ?? "").split(separator: ":").map { String($0) }
        guard file == nil, directories.isEmpty else {
            return SystemTrustStore(file: file, directories: directories, isChosen: true)
        }
        let bundle = Self.bundles.map { root + $0 }.first { access($0, R_OK) == 0 }
        return SystemTrustStore(file: bundle, directories: [], isChosen: false)
    }

    /// Whether `directory` has files that are named by their subject's hash: `4a6481c9.0`.
    static func isHashed(_ directory: String) -> Bool {
        guard let listing = opendir(directory) else { return false }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            let digits = name.prefix(8).filter { Character(UnicodeScalar($0)).isHexDigit }
            if digits.count == 8, name.dropFirst(8).elementsEqual(".0".utf8) { return true }
        }
        return false
    }
}
