import CommandSupport
import FileWatch
import Signaling

/// What a server proves itself and knows others by: secrets, its key, its certificate; from options, from the folder of its
/// state, or from both.
struct ServerCredentials {
    let secrets: SecretOptions.Given
    /// That of their file from before it was read; nil where there is none.
    let secretStamp: FileStamp?
    /// nil: one that comes of the first secret.
    let ownKey: ServerKey?
    let folder: StateFolder?
    /// Whether something was made just now.
    let hasMade: Bool
    /// What TCP speaks TLS with; nil: it does not.
    let certificate: CertificateFiles?
    /// What QUIC is served with where TCP has no certificate; nil: one made at start.
    let quicCertificate: CertificateFiles?

    /// Reads them, and makes what is missing in the folder. Throws a `ProgramError`.
    ///
    /// - Parameters:
    ///   - options: may give secrets, which go before those of the folder.
    ///   - files: a certificate that goes before.
    ///   - name: what a certificate is made for.
    init(
        _ options: SecretOptions, files: CertificateFiles?, folder: StateFolder?, name: String
    ) throws(ProgramError) {
        let stamp = options.file.flatMap { FileStamp(of: [$0]) }
        let given = try options.loadIfAny()
        guard let folder, let state = try Self.open(folder, isNeeded: given == nil, files == nil ? name : nil) else {
            guard let given else { throw Self.noSecret(options) }
            (self.secrets, self.secretStamp) = (given, stamp)
            (self.ownKey, self.folder, self.hasMade) = (nil, nil, false)
            (self.certificate, self.quicCertificate) = (files, nil)
            return
        }
        self.folder = folder
        (self.ownKey, self.hasMade) = state
        if let given {
            (self.secrets, self.secretStamp) = (given, stamp)
        } else {
            self.secretStamp = FileStamp(of: [folder.secretsFile])
            self.secrets = .file(try SecretOptions.read(folder.secretsFile), path: folder.secretsFile)
        }
        // A unit of systemd names a folder in any case: who has given a secret and no certificate has a proxy for TLS in front.
        let servesTLS = folder.isChosen || given == nil
        self.certificate = files ?? (servesTLS ? folder.certificate : nil)
        self.quicCertificate = folder.certificate
    }

    /// What a server says that was started without a secret.
    static func noSecret(_ options: SecretOptions) -> ProgramError {
        options.noneGiven(advice: "give --state-dir DIR, where the server makes and keeps one for each role")
    }

    /// Nil where the folder is of no use and nobody has asked for it: systemd, and a container's image, name one in any case.
    private static func open(
        _ folder: StateFolder, isNeeded: Bool, _ certificateName: String?
    ) throws(ProgramError) -> (key: ServerKey, hasMade: Bool)? {
        do {
            return try folder.open(wantsSecrets: isNeeded, certificateName: certificateName)
        } catch {
            guard !isNeeded, !folder.isChosen else { throw error }
            StandardStream.error.write("warning: \(error.message); going on without a state of its own\n")
            return nil
        }
    }

    /// The file of secrets that can be read again; nil when there is none.
    var secretFile: String? {
        if case .file(_, let path) = self.secrets, FileAccess.isRegular(path) { path } else { nil }
    }

    /// The secret of a role, and whether it is for that role only.
    func secret(for role: SecretFile.Role) -> (secret: Secret, isForRoleOnly: Bool)? {
        self.secrets.entries.first { $0.role == nil || $0.role == role }.map { ($0.secret, $0.role != nil) }
    }
}
