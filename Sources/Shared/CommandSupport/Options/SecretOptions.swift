import ArgumentParser

/// `--secret`, `--secret-file`, `RTUN_SECRET`: what the server and its peers share.
package struct SecretOptions: ParsableArguments {
    @Option(
        name: .customLong("secret"),
        help: ArgumentHelp(
            "The secret that all programs share. It is wiped from the process list but may stay in the shell's history: "
                + "prefer --secret-file or RTUN_SECRET.",
            valueName: "secret"))
    var value: String?

    @Option(
        name: .customLong("secret-file"),
        help: ArgumentHelp("Read the secret from this file; line breaks at its end are ignored.", valueName: "file"))
    var file: String?

    package init() {}

    /// The secret. Throws with exit code 64 when none is given or it is empty, 69 when the file cannot be read.
    package func load() throws(ProgramError) -> Secret {
        try self.load(environment: ProcessEnvironment.take)
    }

    func load(environment: (String) -> String?) throws(ProgramError) -> Secret {
        let source = SecretSource(option: "--secret", variable: "RTUN_SECRET")
        guard let secret = try source.load(option: self.value, file: self.file, environment: environment) else {
            throw ProgramError(
                .usage,
                "no secret given: use --secret-file FILE, the environment variable RTUN_SECRET, or --secret SECRET")
        }
        return secret
    }
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
