import CommandSupport
import TLS

/// The two files of `--https-cert` and `--https-key`.
struct CertificateFiles: Equatable, Sendable {
    let certificate: String
    let key: String

    /// Of both.
    var paths: [String] { [self.certificate, self.key] }

    /// Reads both. Throws with exit code 69 when a file cannot be read, 78 when what is in them cannot be used.
    func load() throws(ProgramError) -> Identity {
        let identity = try self.read()
        do {
            // What OpenSSL does not serve with (a key that is too small, say) is the files' fault, and found out here.
            _ = try TLSContext.server(identity: identity)
        } catch {
            throw ProgramError(
                .configuration,
                """
                the certificate in \(self.certificate) with the key in \(self.key) cannot be used: \(error); an RSA key needs \
                at least 2048 bits, an elliptic-curve key must be P-256 or larger
                """)
        }
        return identity
    }

    private func read() throws(ProgramError) -> Identity {
        do {
            return try Identity.load(certificateFile: self.certificate, keyFile: self.key)
        } catch .cannotReadFile(let path, let reason) {
            throw ProgramError(.unavailable, "\(TLSError.cannotReadFile(path: path, reason: reason))")
        } catch {
            throw ProgramError(.configuration, "\(error)")
        }
    }
}
