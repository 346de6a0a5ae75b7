import CommandSupport
import Logging

/// What the server tells those who are to join.
extension ServerCommand {
    /// `--print-links`
    func printLinks(_ credentials: ServerCredentials) throws {
        let port = try self.listenAddress().port
        guard port != 0 || self.state.publicName != nil else {
            throw ProgramError(.usage, "--print-links needs the port that the server listens on, with --addr")
        }
        let (links, notice) = try self.links(credentials, port: port)
        guard !links.lines.isEmpty else { throw ProgramError(.configuration, "there is no secret to put into a link") }
        if let notice { StandardStream.error.write("rtun-server: \(notice)\n") }
        try StandardStream.output.writeAnswer(links.lines.map { "\($0)\n" }.joined())
    }

    /// Says how others join when the state has just been made: to a person at a terminal with the links themselves, and else by
    /// what prints them, since a log holds no secrets.
    func welcome(_ credentials: ServerCredentials, port: UInt16, _ log: ProgramLog) throws {
        guard let folder = credentials.folder else { return }
        log.logger.info(
            credentials.hasMade ? "what was missing in the folder of the state was made" : "the state was read",
            metadata: [
                "event": credentials.hasMade ? "state.made" : "state.read", "folder": "\(folder.path)",
                "links": "rtun-server \(self.wordsForLinks(folder)) --print-links",
            ])
        guard credentials.hasMade, StandardStream.error.isTerminal else { return }
        let (links, notice) = try self.links(credentials, port: port)
        log.output.flush()
        StandardStream.error.write(
            """

            On other machines, paste what is to run there. Whoever has such a line gets in; --print-links prints them again.

            \(links.lines.map { "  \($0)\n" }.joined())
            \(notice.map { "(\($0))\n\n" } ?? "")
            """)
    }

    /// The options of this start that links depend on.
    private func wordsForLinks(_ folder: StateFolder) -> String {
        var words = ["--state-dir \(folder.path)"]
        if self.addr != Self.defaultAddress { words.append("--addr \(self.addr)") }
        if let name = self.state.publicName { words.append("--public-name \(name)") }
        if let file = self.secret.file { words.append("--secret-file \(file)") }
        if let certificate = self.httpsCert, let key = self.httpsKey {
            words.append("--https-cert \(certificate) --https-key \(key)")
        }
        return words.joined(separator: " ")
    }

    private func links(
        _ credentials: ServerCredentials, port: UInt16
    ) throws -> (links: JoiningLinks, notice: String?) {
        guard let files = credentials.certificate ?? credentials.quicCertificate else {
            throw ProgramError(
                .usage,
                "links need a certificate that stays: start with --state-dir, or with --https-cert and --https-key")
        }
        let certificate = try files.load()
        let name = PublicName(
            said: try self.state.name(), address: try self.listenAddress(), port: port, certificate: certificate)
        let links = JoiningLinks(
            host: name.host, port: name.port, hasHTTPS: credentials.certificate != nil, certificate: certificate,
            secret: credentials.secret(for:))
        return (links, name.notice)
    }
}

extension ServerCredentials {
    /// What a person had better know about the secrets.
    func warn(_ logger: Logger) {
        let short = self.secrets.entries.filter(\.secret.isShort).count
        guard short > 0 else { return }
        let danger =
            self.certificate == nil
            ? """
            ! Peers of this server may not check a certificate: whoever sits on the way can guess the secret from one \
            handshake, and is in
            """ : ""
        logger.warning(
            "a secret has fewer than 16 bytes, which can be guessed; make one with \"openssl rand -hex 32\"\(danger)",
            metadata: ["event": "secret.short", "secrets": "\(short)"])
    }
}
