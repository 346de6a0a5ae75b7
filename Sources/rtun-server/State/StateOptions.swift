import ArgumentParser
import CommandSupport
import LibC

/// Where the server keeps what outlives it, and what it tells those who are to join.
struct StateOptions: ParsableArguments {
    @Option(
        name: .customLong("state-dir"),
        help: ArgumentHelp(
            "Keep the server's key, its certificate and a secret for each role in this folder; what is missing is made at "
                + "start. Secrets and a certificate that are given otherwise go before (default: STATE_DIRECTORY, which systemd "
                + "sets).",
            valueName: "dir"))
    var folder: String?

    @Option(
        name: .customLong("public-name"),
        help: ArgumentHelp(
            "The name or address, and the port if it is another one, that other machines reach this server by: what links "
                + "say.",
            valueName: "host[:port]"))
    var publicName: String?

    @Flag(
        name: .customLong("print-links"),
        help: ArgumentHelp(
            "Print what to paste on other machines, a line for each program, and exit. Whoever has such a line gets in."
        ))
    var printLinks = false

    /// Nil when there is none.
    var stateFolder: StateFolder? { Self.stateFolder(self.folder) }

    /// The same for what `--state-dir` says; nil: nothing.
    static func stateFolder(_ option: String?) -> StateFolder? {
        StateFolder(option: option, systemd: getenv("STATE_DIRECTORY").map { String(cString: $0) })
    }

    /// Port 0 stands for the one that the server listens on. Throws a `ValidationError`.
    func name() throws -> HostPort? {
        guard let publicName else { return nil }
        do {
            return try HostPort(parsing: publicName, defaultPort: 0)
        } catch {
            throw ValidationError("--public-name: \(error)")
        }
    }

    mutating func validate() throws {
        if self.folder?.isEmpty == true { throw ValidationError("--state-dir must not be empty") }
        _ = try self.name()
    }
}
