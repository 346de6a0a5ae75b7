import CommandSupport
import TLS

/// `--print-identity`: writes the fingerprint of the server's certificate to stdout.
struct CertificateQuestion: ProgramQuestion {
    /// The certificate of the command line, which goes before that of the folder.
    let files: CertificateFiles?
    /// Where the server keeps its own; nil: nowhere.
    let folder: StateFolder?
    /// What one is made for, should there be none in the folder.
    let name: String?

    func ask() async throws {
        try StandardStream.output.writeAnswer("\(self.certificate().leafFingerprint)\n")
    }

    private func certificate() throws -> Identity {
        if let files { return try files.load() }
        if let folder {
            _ = try folder.open(wantsSecrets: false, certificateName: self.name ?? StateFolder.unknownName)
            return try folder.certificate.load()
        }
        StandardStream.error.write(
            "rtun-server: this certificate is not kept, and each start makes another one; keep one with --state-dir, or give "
                + "one with --https-cert and --https-key\n")
        return try Identity.selfSigned(commonName: "rtun-server")
    }
}
