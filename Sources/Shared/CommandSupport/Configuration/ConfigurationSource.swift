/// What a program was started with, from which its configuration can be put together again when a file has changed.
struct ConfigurationSource: Sendable {
    let program: String
    let places: ConfigurationPlaces
    let commandLine: [String]
    private let tables: [ConfigurationTable]
    /// As ``ConfigurationEnvironment`` captures them.
    private let variables: [String: String]
    private let makeSyntax: @Sendable () throws -> CommandSyntax

    /// Takes what there is now, except for the files.
    ///
    /// Whoever asks for help or the version gets it, whatever the environment and files say.
    init<Command: ProgramCommand>(_ type: Command.Type, commandLine: [String]) {
        self.init(
            program: Command._commandName, tables: Command.configurationTables,
            places: ConfigurationPlaces(program: Command._commandName, commandLine: commandLine),
            variables: ConfigurationEnvironment.capture(), commandLine: commandLine
        ) { try CommandSyntax(of: Command.self) }
    }

    init(
        program: String, tables: [ConfigurationTable], places: ConfigurationPlaces, variables: [String: String],
        commandLine: [String], syntax: @escaping @Sendable () throws -> CommandSyntax
    ) {
        let onlyAsks = Self.wantsAnswer(commandLine)
        self.program = program
        self.tables = tables
        self.places = onlyAsks ? .none : places
        self.variables = onlyAsks ? [:] : variables
        self.commandLine = commandLine
        self.makeSyntax = syntax
    }

    private static let questions: Set<String> = [
        "--help", "-h", "--help-hidden", "--version", "--experimental-dump-help",
    ]

    private static func wantsAnswer(_ commandLine: [String]) -> Bool {
        commandLine.prefix { $0 != "--" }.contains {
            Self.questions.contains($0) || $0.hasPrefix("--generate-completion-script")
        }
    }

    /// Whether the command line has that flag.
    func wants(_ flag: String) -> Bool { self.commandLine.prefix { $0 != "--" }.contains(flag) }

    /// What a program starts with; nil when there is nothing but the command line, which is then not taken apart: that takes
    /// memory. Throws with exit code 64 for a variable that cannot be understood, 69 when a file cannot be read, 78 when it is
    /// wrong.
    func readIfAny() throws -> Configuration? {
        let program = self.program
        let files = try self.places.read(notice: { StandardStream.error.write("\(program): \($0)\n") })
        if files.isEmpty, self.variables.keys.allSatisfy(ConfigurationEnvironment.secrets.contains) { return nil }
        let configuration = try self.configuration(files)
        for path in configuration.filesWithSecrets { FileAccess.warn(of: path, holding: "secrets") }
        return configuration
    }

    /// The whole configuration as it is now; says nothing of a file that is left out. Throws as ``readIfAny()`` does.
    func read() throws -> Configuration { try self.configuration(try self.places.read(notice: { _ in })) }

    /// The configuration without any file. Throws with exit code 64 for a variable that cannot be understood.
    func withoutFiles() throws -> Configuration { try self.configuration([]) }

    private func configuration(_ files: [ConfigurationFile]) throws -> Configuration {
        let syntax = try self.makeSyntax()
        return try Configuration(
            syntax: syntax,
            files: try files.map { file in
                (file.path, try file.settings(program: self.program, syntax: syntax, tables: self.tables))
            },
            environment: try ConfigurationEnvironment.settings(self.variables, syntax), commandLine: self.commandLine)
    }
}
