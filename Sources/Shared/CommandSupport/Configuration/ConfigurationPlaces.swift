import LibC
import OperatingSystem

/// The configuration files that a program reads.
struct ConfigurationPlaces: Sendable {
    /// The one that was asked for; nil: those of ``defaults`` that there are.
    let named: String?
    /// Where files are looked for: the system's and the user's, which wins.
    let defaults: [String]

    /// The places for a command line: `--config`, or else `RTUN_CONFIG`, or else `/etc/rtun/PROGRAM.toml` and
    /// `$XDG_CONFIG_HOME/rtun/PROGRAM.toml`, for which `~/.config` stands in (XDG Base Directory Specification).
    init(
        program: String, commandLine: [String], environment: (String) -> String? = ProcessEnvironment.value,
        system: String = "/etc"
    ) {
        let given = Self.path(in: commandLine) ?? environment("RTUN_CONFIG")
        self.named = given.flatMap { $0.isEmpty ? nil : $0 }
        // "All paths set in these environment variables must be absolute. If an implementation encounters a relative path […] it
        // should consider the path invalid and ignore it."
        let home =
            environment("XDG_CONFIG_HOME").flatMap { $0.hasPrefix("/") ? $0 : nil }
            ?? environment("HOME").flatMap { $0.hasPrefix("/") ? $0 + "/.config" : nil }
        self.defaults = ([system] + [home].compactMap { $0 }).map { "\($0)/rtun/\(program).toml" }
    }

    /// Neither one that was asked for nor any other.
    static let none = ConfigurationPlaces(named: nil, defaults: [])

    private init(named: String?, defaults: [String]) {
        self.named = named
        self.defaults = defaults
    }

    /// Reads the files that there are; of two the one that wins comes last. Throws with exit code 69 when one cannot be read, 78
    /// when it is not TOML.
    ///
    /// The system's file may be for the service's user only: others do without, which `notice` is told of.
    func read(notice: (String) -> Void) throws(ProgramError) -> [ConfigurationFile] {
        if let named { return [try ConfigurationFile(reading: named)] }
        var files: [ConfigurationFile] = []
        for path in self.defaults {
            // In a folder that may not be searched there is none either.
            guard access(path, F_OK) == 0 else { continue }
            guard access(path, R_OK) == 0 || errno != EACCES else {
                notice("ignoring the configuration file \(path): \(SystemError.text(EACCES))")
                continue
            }
            files.append(try ConfigurationFile(reading: path))
        }
        return files
    }

    /// The first file that is there and gives its contents only once, such as the pipe of `--config <(…)`.
    var unrepeatable: String? {
        (self.named.map { [$0] } ?? self.defaults).first { path in
            var status = stat()
            guard path != "/dev/null", stat(path, &status) == 0 else { return false }
            // Of a folder its reading tells.
            return ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT)
        }
    }

    private static func path(in commandLine: [String]) -> String? {
        for (index, word) in zip(commandLine.indices, commandLine) {
            if word == "--" { return nil }
            if word == "--config" { return commandLine[(index + 1)...].first }
            if word.hasPrefix("--config=") { return String(word.dropFirst("--config=".count)) }
        }
        return nil
    }
}
