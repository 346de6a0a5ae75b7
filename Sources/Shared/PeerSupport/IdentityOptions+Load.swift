package import CommandSupport
package import TLS

extension IdentityOptions {
    /// The key to prove this process with: the one that `--identity` keeps, or a new one. Throws a `ProgramError`: exit code 69
    /// when the file cannot be read or made, 78 when it is not private or holds something else.
    ///
    /// - Parameter commonName: of the certificate, for people who look at one.
    package func load(commonName: String) throws(ProgramError) -> ProcessIdentity {
        try Self.load(file: self.file, commonName: commonName)
    }

    /// For `--check-config`: throws what a start would throw for a file that is there already.
    package func check() throws(ProgramError) {
        guard let file = self.file else { return }
        do {
            try ProcessIdentity.check(file)
        } catch {
            throw Self.programError(error)
        }
    }

    static func load(file: String?, commonName: String) throws(ProgramError) -> ProcessIdentity {
        do {
            return try file.map { file throws(ProcessIdentity.FileError) in
                try ProcessIdentity.keeping(in: file, commonName: commonName)
            } ?? ProcessIdentity(commonName: commonName)
        } catch let error as ProcessIdentity.FileError {
            throw Self.programError(error)
        } catch {
            throw ProgramError(.internalError, "\(error)")
        }
    }

    private static func programError(_ error: ProcessIdentity.FileError) -> ProgramError {
        switch error {
        case .cannotRead, .cannotCreate: ProgramError(.unavailable, "--identity: \(error)")
        case .open, .unusable: ProgramError(.configuration, "--identity: \(error)")
        case .failed: ProgramError(.internalError, "\(error)")
        }
    }
}
