import ArgumentParser
import CommandSupport

/// `--authorized-clients`: whom the agent serves.
struct ClientOptions: ParsableArguments {
    @Option(
        name: .customLong("authorized-clients"),
        help: ArgumentHelp(
            "Serve only the clients whose keys this file lists, one a line: SHA256:... [allow=cidr[:ports]] "
                + "[deny=cidr[:ports]] [max-streams=n] [comment]. Read again when it changes. Clients print their keys with "
                + "--print-identity.",
            valueName: "file"))
    var file: String?

    /// The list, with a warning on standard error when others can change it; nil: all clients are served. Throws a `ProgramError`: exit code 69 when the file cannot be read, 78 when it
    /// says what makes no sense.
    func load() throws(ProgramError) -> AuthorizedClients? {
        guard let file = self.file else { return nil }
        let list = try AuthorizedClients(file: file)
        FileAccess.warn(ofWritersOf: file, holding: "authorized clients")
        return list
    }
}
