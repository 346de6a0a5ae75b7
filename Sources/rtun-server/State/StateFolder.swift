import Basics
import CommandSupport
import FileWatch
import Crypto
import OperatingSystem
import Signaling
import TLS

/// The folder in which a server keeps what has to outlive it: `secrets`, `key` and `certificate.pem`.
struct StateFolder: Sendable {
    let path: String
    /// Whether the command line or a configuration file names it, and not systemd, whose units name one in any case.
    let isChosen: Bool

    var secretsFile: String { "\(self.path)/secrets" }
    private var keyFile: String { "\(self.path)/key" }
    /// Certificate and key in one file.
    var certificate: CertificateFiles {
        CertificateFiles(certificate: "\(self.path)/certificate.pem", key: "\(self.path)/certificate.pem")
    }

    /// The one that `option` names, or else systemd's (systemd.exec(5), `StateDirectory=`), whose first one counts; nil for
    /// neither.
    init?(option: String?, systemd: String?) {
        if let option {
            self.init(path: option, isChosen: true)
        } else if let first = systemd?.split(separator: ":").first {
            self.init(path: String(first), isChosen: false)
        } else {
            return nil
        }
    }

    private init(path: String, isChosen: Bool) {
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        self.isChosen = isChosen
    }

    /// What a certificate is made for where nobody has said what others call the server by: a pin counts, and no name.
    static let unknownName = "localhost"

    /// The longest file of a key.
    private static let keyFileLimit = 4096

    /// Makes what is missing, and reads the key. Throws with exit code 69 when the folder cannot be used, 78 when what is in it
    /// cannot be.
    ///
    /// - Parameters:
    ///   - wantsSecrets: whether secrets are to be made, if there are none.
    ///   - certificateName: what the certificate is made for, if it is to be made.
    func open(wantsSecrets: Bool, certificateName: String?) throws(ProgramError) -> (key: ServerKey, hasMade: Bool) {
        var hasMade = false
        do throws(PrivateFile.WriteError) {
            try PrivateFile.makeFolder(at: self.path)
        } catch {
            throw ProgramError(.unavailable, "--state-dir \(self.path): \(error)")
        }
        try self.checkWriters()
        do throws(PrivateFile.WriteError) {
            if try self.make(self.keyFile, { "\(Base64URL.text(SecureRandom.bytes(ServerKey.byteCount)))\n" }) {
                hasMade = true
            }
            if wantsSecrets {
                let makeSecrets = {
                    SecretFile.Role.allCases.map { "\($0.rawValue):\(Self.newSecret())\n" }.joined()
                }
                if try self.make(self.secretsFile, makeSecrets) { hasMade = true }
            }
        } catch {
            throw ProgramError(.unavailable, "--state-dir \(self.path): \(error)")
        }
        if let certificateName, try self.makeCertificate(for: certificateName) { hasMade = true }
        for file in [self.keyFile, self.certificate.key] {
            FileAccess.warn(of: file, holding: "secrets")
        }
        return (try self.readKey(), hasMade)
    }

    /// Whoever can write in the folder can put a key and secrets of their own there. A folder of somebody else's, such as a
    /// volume that a cluster has made, is not this user's to close: then it has to be enough to say so.
    private func checkWriters() throws(ProgramError) {
        guard let complaint = FileAccess.complaint(aboutWritersOfFolder: self.path) else { return }
        guard complaint.isOwn else {
            return StandardStream.error.write("warning: --state-dir \(self.path): \(complaint.words)\n")
        }
        throw ProgramError(.configuration, "--state-dir \(self.path): \(complaint.words): chmod 700 \(self.path)")
    }

    /// Whether the file was made.
    private func make(_ file: String, _ contents: () -> String) throws(PrivateFile.WriteError) -> Bool {
        guard FileStamp(of: [file]) == nil else { return false }
        return try PrivateFile.make(at: file, Array(contents().utf8)) == .made
    }

    private func makeCertificate(for name: String) throws(ProgramError) -> Bool {
        guard FileStamp(of: [self.certificate.key]) == nil else { return false }
        do {
            let identity = try Identity.selfSigned(commonName: "rtun-server", alternativeNames: [name])
            return try PrivateFile.make(
                at: self.certificate.key, identity.privateKeyPEM + identity.certificateChainPEM) == .made
        } catch {
            throw ProgramError(.unavailable, "--state-dir \(self.path): \(error)")
        }
    }

    private func readKey() throws(ProgramError) -> ServerKey {
        let contents: [UInt8]
        do {
            contents = try SmallFile.contents(of: self.keyFile, limit: Self.keyFileLimit)
        } catch {
            throw ProgramError(.unavailable, "cannot read \(self.keyFile): \(error)")
        }
        let text = String(decoding: contents, as: UTF8.self).filter { !$0.isWhitespace }
        guard let key = Base64URL.bytes(text).flatMap({ ServerKey(kept: $0) }) else {
            throw ProgramError(
                .configuration, "\(self.keyFile) does not hold the server's key; remove it, and another is made")
        }
        return key
    }

    /// 43 letters, of which the first is one that no program takes for the beginning of an option.
    private static func newSecret() -> String {
        while true {
            let secret = Base64URL.text(SecureRandom.bytes(32))
            if !secret.hasPrefix("-") { return secret }
        }
    }
}
