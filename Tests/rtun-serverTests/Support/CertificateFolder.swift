import Basics
import TLS
import TestSupport

@testable import rtun_server

/// A certificate and its key in files, removed with the value.
struct CertificateFolder {
    private let folder: TestFolder
    let files: CertificateFiles

    init(commonName: String) throws {
        self.folder = try TestFolder()
        self.files = CertificateFiles(certificate: self.folder.file("cert.pem"), key: self.folder.file("key.pem"))
        try self.replace(commonName: commonName)
    }

    /// Puts another certificate there, whose fingerprint is returned.
    @discardableResult
    func replace(commonName: String) throws -> CertificateFingerprint {
        let identity = try Identity.selfSigned(commonName: commonName)
        try self.folder.write("cert.pem", String(decoding: identity.certificateChainPEM, as: UTF8.self))
        try self.folder.write("key.pem", String(decoding: identity.privateKeyPEM, as: UTF8.self))
        return identity.leafFingerprint
    }

    /// Puts a key there that is not the certificate's.
    func replaceKey() throws {
        let other = try Identity.selfSigned(commonName: "other")
        try self.folder.write("key.pem", String(decoding: other.privateKeyPEM, as: UTF8.self))
    }
}
