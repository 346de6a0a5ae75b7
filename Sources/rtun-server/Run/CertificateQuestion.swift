import CommandSupport
import TLS

/// `--print-identity`: writes the fingerprint of the server's certificate to stdout.
struct CertificateQuestion: ProgramQuestion {
    /// Nil: each start makes a certificate.
    let files: CertificateFiles?

    func ask() async throws {
        if self.files == nil {
            StandardStream.error.write(
                "rtun-server: this certificate is not kept, and each start makes another one; give it one with "
                    + "--https-cert and --https-key\n")
        }
        let identity = try self.files?.load() ?? Identity.selfSigned(commonName: "rtun-server")
        try StandardStream.output.writeAnswer("\(identity.leafFingerprint)\n")
    }
}
