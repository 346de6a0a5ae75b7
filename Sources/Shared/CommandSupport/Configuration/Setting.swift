/// Where a value was given.
enum SettingOrigin: Hashable, Sendable, CustomStringConvertible {
    case commandLine
    /// The name of a variable.
    case environment(String)
    /// The line is counted from 1.
    case file(path: String, line: Int)

    var description: String {
        switch self {
        case .commandLine: "command line"
        case .environment(let name): "environment variable \(name)"
        case .file(let path, let line): "\(path):\(line)"
        }
    }

    /// An error of what was given here: 64 for the environment, which belongs to the call, 78 for a file.
    func error(_ problem: String) -> ProgramError {
        switch self {
        case .commandLine: ProgramError(.usage, problem)
        case .environment(let name): ProgramError(.usage, "environment variable \(name): \(problem)")
        case .file(let path, let line):
            ProgramError(.configuration, "configuration file \(path), line \(line): \(problem)")
        }
    }
}

/// What one place says about one argument.
struct Setting: Equatable, Sendable {
    let argument: CommandSyntax.Argument
    /// As on a command line; `true` or `false` for a flag. Empty for an array without elements, and for a secret that stays where
    /// it is.
    let values: [String]
    let origin: SettingOrigin

    /// The words that say the same on a command line.
    var words: [String] {
        switch self.argument.kind {
        case .flag: self.values == ["true"] ? [self.argument.spelled] : []
        // ArgumentParser also takes "-L=x", but "=" may as well be the value's first character.
        case .option where self.argument.name.count == 1: self.values.flatMap { [self.argument.spelled, $0] }
        case .option: self.values.map { "\(self.argument.spelled)=\($0)" }
        case .positional: self.values
        }
    }

    /// Options that say the same thing in different ways: one in a place that comes first replaces all of them in the others.
    static let alternatives: [Set<String>] = [
        ["secret", "secret-file"], ["e2e-secret", "e2e-secret-file"], ["url", "link", "link-file"], ["allow", "deny"],
    ]

    /// Those of which one place may have one only.
    private static let exclusive = Self.alternatives[..<3]

    /// Options whose values nobody may see.
    private static let secrets: Set<String> = ["secret", "e2e-secret", "auth", "link"]

    /// Whether `name` is one whose values nobody may see.
    static func isSecret(_ name: String) -> Bool { Self.secrets.contains(name) }

    /// Throws when one place gives what excludes each other, as `secret` and `secret-file`.
    static func checkExclusive(_ settings: [Setting]) throws(ProgramError) {
        for names in Self.exclusive {
            let given = settings.filter { !names.isDisjoint(with: $0.argument.names) }
            guard let first = given.first, let other = given.last(where: { $0.argument != first.argument }) else {
                continue
            }
            throw other.origin.error("give either \(first.shortName) or \(other.shortName), not both")
        }
    }

    private var shortName: String {
        switch self.origin {
        case .commandLine: self.argument.spelled
        case .environment(let name): name
        case .file: self.argument.name
        }
    }
}
