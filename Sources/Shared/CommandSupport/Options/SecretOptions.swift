package import ArgumentParser

/// `--secret`, `--secret-file`, `RTUN_SECRET`: what the server and its peers share.
package struct SecretOptions: ParsableArguments {
    @Option(
        name: .customLong("secret"),
        help: ArgumentHelp(
            "The secret that the server and its peers share. It is wiped from the process list but may stay in the shell's "
                + "history: prefer --secret-file or RTUN_SECRET.",
            valueName: "secret"))
    var value: String?

    @Option(
        name: .customLong("secret-file"),
        help: ArgumentHelp(
            "Read secrets from this file, one a line; with agent: or client: in front a line is for that role only. A "
                + "server accepts all of them, and reads the file again when it changes; the others use the first line that "
                + "is for them, and read it again when they are refused.",
            valueName: "file"))
    package var file: String?

    package init() {}

    /// What was given, and where it can be looked for again.
    package enum Given: Sendable {
        /// By an option or a variable.
        case value(Secret)
        /// In the file at that path.
        case file(SecretFile, path: String)
    }

    /// Whether it is an option, here or in a configuration file, that gives a secret, and not the environment alone.
    package var isGivenByOption: Bool { self.value != nil || self.file != nil }

    /// The file or the secret, nil when none is given; a file in which there is nothing at all gives none. Throws with exit code 64 when it is of no use, 69 when the file cannot
    /// be read.
    package func loadIfAny() throws(ProgramError) -> Given? {
        try self.loadIfAny(environment: ProcessEnvironment.take)
    }

    func loadIfAny(environment: (String) -> String?) throws(ProgramError) -> Given? {
        let source = Self.source
        if let file {
            guard self.value == nil else { throw source.bothGiven }
            // Also removes the variable from the environment.
            _ = environment(source.variable)
            // Once: it may be a pipe.
            let contents = try source.read(file)
            let isBlank = contents.allSatisfy { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
            return isBlank ? nil : .file(try Self.parse(contents, of: file), path: file)
        }
        let secret = try source.load(option: self.value, file: nil, environment: environment)
        return secret.map { .value($0) }
    }

    /// As above; throws with exit code 64 when none is given.
    package func load() throws(ProgramError) -> Given {
        try self.load(environment: ProcessEnvironment.take)
    }

    func load(environment: (String) -> String?) throws(ProgramError) -> Given {
        guard let given = try self.loadIfAny(environment: environment) else { throw self.noneGiven(advice: nil) }
        return given
    }

    /// What a program says that was started without a secret.
    ///
    /// - Parameter advice: what brings one besides these options, and is best; nil: nothing.
    package func noneGiven(advice: String?) -> ProgramError {
        if let file { return ProgramError(.usage, "the file \(file) given by --secret-file is empty") }
        let best = advice.map { "\($0), or " } ?? ""
        return ProgramError(
            .usage,
            "no secret given: \(best)use --secret-file FILE, the environment variable RTUN_SECRET, or --secret SECRET")
    }

    private static let source = SecretSource(option: "--secret", variable: "RTUN_SECRET")

    /// Reads a file of secrets.
    ///
    /// - Parameter isQuiet: not to say what was left out, and who else can read it.
    package static func read(_ file: String, isQuiet: Bool = false) throws(ProgramError) -> SecretFile {
        try Self.parse(Self.source.read(file), of: file, isQuiet: isQuiet)
    }

    private static func parse(
        _ contents: [UInt8], of file: String, isQuiet: Bool = false
    ) throws(ProgramError) -> SecretFile {
        do {
            let secrets = try SecretFile(parsing: contents)
            if let omissions = secrets.omissions, !isQuiet {
                StandardStream.error.write(
                    "warning: not taken as a part of the secrets in \(file): \(omissions)\n")
            }
            if !isQuiet { FileAccess.warn(of: file, holding: "secrets") }
            return secrets
        } catch {
            throw ProgramError(.usage, "the file \(file) given by --secret-file cannot be used: \(error)")
        }
    }
}

extension SecretOptions.Given {
    /// What a peer in that role uses. Throws with exit code 64 when the file has nothing for it.
    package func secret(for role: SecretFile.Role) throws(ProgramError) -> Secret {
        switch self {
        case .value(let secret): return secret
        case .file(let file, let path):
            guard let secret = file.secret(for: role) else {
                throw ProgramError(
                    .usage, "the file \(path) given by --secret-file has no secret for \(role.rawValue)s")
            }
            return secret
        }
    }

    /// All of them, as a server takes them.
    package var entries: [SecretFile.Entry] {
        switch self {
        case .value(let secret): [SecretFile.Entry(role: nil, secret: secret)]
        case .file(let file, _): file.entries
        }
    }
}

extension Secret {
    /// Whether it is so short that it can be guessed.
    package var isShort: Bool { self.bytes.count < 16 }
}

/// `--e2e-secret`, `--e2e-secret-file`, `RTUN_E2E_SECRET`: what the two peers share and the server never learns.
package struct EndToEndSecretOptions: ParsableArguments {
    @Option(
        name: .customLong("e2e-secret"),
        help: ArgumentHelp(
            "A second secret, shared by agents and clients only, so that not even the server can put itself in between.",
            valueName: "secret"))
    var value: String?

    @Option(
        name: .customLong("e2e-secret-file"),
        help: ArgumentHelp(
            "Read the second secret from this file; line breaks at its end are ignored.", valueName: "file"))
    var file: String?

    package init() {}

    /// The secret, nil when none is given. Throws with exit code 64 when it is empty, 69 when the file cannot be read.
    package func load() throws(ProgramError) -> Secret? {
        try self.load(environment: ProcessEnvironment.take)
    }

    func load(environment: (String) -> String?) throws(ProgramError) -> Secret? {
        let source = SecretSource(option: "--e2e-secret", variable: "RTUN_E2E_SECRET")
        return try source.load(option: self.value, file: self.file, environment: environment)
    }
}
