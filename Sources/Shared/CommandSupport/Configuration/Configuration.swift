/// All that a program has been told, and where: the command line wins over the environment, that over the user's file, that over
/// the system's, and any over the defaults.
///
/// What the others say is turned into arguments in front of those of the command line, so that options have one meaning and one
/// way of being checked.
struct Configuration: Sendable {
    let syntax: CommandSyntax
    /// What holds, weakest first.
    let settings: [Setting]
    /// The files that were read, weakest first.
    let files: [String]
    private let commandLine: [String]

    /// Throws when one place gives what excludes each other and no place of higher precedence replaces it.
    ///
    /// - Parameters:
    ///   - files: weakest first, by path.
    ///   - environment: what ``ConfigurationEnvironment`` says.
    init(
        syntax: CommandSyntax, files: [(path: String, settings: [Setting])], environment: [Setting],
        commandLine: [String]
    ) throws(ProgramError) {
        let given = syntax.values(givenIn: commandLine).compactMap { name, value -> Setting? in
            guard let argument = syntax.argument(named: name) else { return nil }
            return Setting(
                argument: argument, values: [argument.kind == .flag ? "true" : value ?? ""], origin: .commandLine)
        }
        var effective: [Setting] = given
        for place in [environment] + files.reversed().map(\.settings) {
            let replaced = Self.replaced(by: effective)
            let remaining = place.filter { replaced.isDisjoint(with: $0.argument.names) }
            try Setting.checkExclusive(remaining)
            effective = remaining + effective
        }
        self.syntax = syntax
        self.settings = effective
        self.files = files.map(\.path)
        self.commandLine = commandLine
    }

    /// The names that `settings` give, and the alternatives of what they give.
    private static func replaced(by settings: [Setting]) -> Set<String> {
        let given = Set(settings.flatMap(\.argument.names))
        return Setting.alternatives.filter { !given.isDisjoint(with: $0) }.reduce(given) { $0.union($1) }
    }

    /// The files that say what nobody may see, and are gone by.
    var filesWithSecrets: [String] {
        self.files.filter { path in
            self.settings.contains { setting in
                guard case .file(path, _) = setting.origin else { return false }
                return setting.argument.names.contains(where: Setting.isSecret)
            }
        }
    }

    /// What files and environment add to the command line.
    var added: [Setting] { self.settings.filter { $0.origin != .commandLine } }

    /// The whole command line, with what files and environment add.
    var words: [String] { self.words { _ in true } }

    /// The command line with what is added of those origins only.
    func words(of isWanted: (SettingOrigin) -> Bool) -> [String] {
        let added = self.added.filter { isWanted($0.origin) }
        let positional = added.filter { $0.argument.kind == .positional }
        return (added.filter { $0.argument.kind != .positional } + positional).flatMap(\.words) + self.commandLine
    }

    /// The origins of what is added, each once, weakest first.
    var origins: [SettingOrigin] {
        var seen: Set<SettingOrigin> = []
        return self.added.map(\.origin).filter { seen.insert($0).inserted }
    }

    /// The values of each argument that has been given any, by its name.
    var values: [String: [String]] {
        self.settings.reduce(into: [:]) { values, setting in
            values[setting.argument.name, default: []] += setting.values
        }
    }
}
