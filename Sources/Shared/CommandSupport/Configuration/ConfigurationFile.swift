import ArgumentParser

/// The configuration file: a TOML table per program whose keys are the names of the program's options.
///
/// What it says is turned into arguments in front of those of the command line, so that options have one meaning and one
/// way of being checked. The command line wins over the environment, that over the file, and the file over the defaults.
struct ConfigurationFile: Equatable, Sendable {
    /// A longer file is a mistake.
    private static let maximumSize = 1024 * 1024
    /// Options that say the same thing in different ways, with their environment variable: one on the command line or in
    /// the environment replaces all of them in the file.
    private static let alternatives: [(options: Set<String>, variable: String?)] = [
        (["secret", "secret-file"], "RTUN_SECRET"),
        (["e2e-secret", "e2e-secret-file"], "RTUN_E2E_SECRET"),
        (["allow", "deny"], nil),
    ]
    /// Names that make no sense in a file.
    private static let commandLineOnly: Set<String> = ["config", "help", "h", "version", "V"]

    let path: String
    let tables: [TOMLTable]

    /// The file that `commandLine` or the environment asks for, or nil. Throws with exit code 69 when it cannot be read,
    /// 78 when it is not TOML.
    static func find(
        commandLine: [String], environment: (String) -> String? = ProcessEnvironment.value
    ) throws(ProgramError) -> ConfigurationFile? {
        guard let path = Self.path(in: commandLine) ?? environment("RTUN_CONFIG"), !path.isEmpty else { return nil }
        let bytes: [UInt8]
        do {
            bytes = TextFile.withoutByteOrderMark(try SmallFile.read(path, limit: Self.maximumSize))
        } catch {
            throw ProgramError(.unavailable, "cannot read the configuration file \(path): \(error)")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ProgramError(.configuration, "the configuration file \(path) is not UTF-8 text")
        }
        return try ConfigurationFile(path: path, text: text)
    }

    init(path: String, text: String) throws(ProgramError) {
        self.path = path
        do {
            self.tables = try TOMLReader.tables(in: text)
        } catch {
            throw ProgramError(.configuration, "configuration file \(path), \(error)")
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

    /// The arguments that the file's table for `program` adds to `commandLine`. Throws with exit code 78 for a key that
    /// is no option of the program, or a value that it cannot take.
    func arguments(
        program: String, syntax: CommandSyntax, commandLine: [String],
        environment: (String) -> String? = ProcessEnvironment.value
    ) throws(ProgramError) -> Arguments {
        try self.checkTables(of: program)
        var arguments = Arguments()
        guard let table = self.tables.first(where: { $0.name == program }) else { return arguments }
        let given = Self.replaced(by: syntax.names(givenIn: commandLine), environment)
        for entry in table.entries {
            guard let argument = syntax.argument(named: entry.key), !Self.commandLineOnly.contains(entry.key) else {
                throw self.unknownKey(entry, in: table, syntax)
            }
            let values = try self.values(of: entry, for: argument)
            guard given.isDisjoint(with: argument.names) else { continue }
            switch argument.kind {
            case .flag: arguments.options += values.map { (entry.line, $0) }
            case .option: arguments.options += values.map { (entry.line, "\(Self.spelled(entry.key))=\($0)") }
            case .positional: arguments.positional += values.map { (entry.line, $0) }
            }
        }
        return arguments
    }

    /// The programs that a file may have a table for.
    private static let programs = ["rtun-server", "rtun-agent", "rtun-socks", "rtun-relay"]

    /// A table of another name is one that nobody would read.
    private func checkTables(of program: String) throws(ProgramError) {
        for table in self.tables where !Self.programs.contains(table.name) && table.name != program {
            let nearest = EditDistance.nearest(to: table.name, among: Self.programs)
            throw ProgramError(
                .configuration,
                """
                configuration file \(self.path), line \(table.line): [\(table.name)] is no table of a program; the nearest is \
                [\(nearest ?? "")]
                """)
        }
    }

    /// What a file adds to the command line, and where it says so.
    struct Arguments {
        fileprivate(set) var options: [(line: Int, word: String)] = []
        fileprivate(set) var positional: [(line: Int, word: String)] = []

        /// The words, options first.
        var words: [String] { (self.options + self.positional).map(\.word) }

        /// The numbers of the lines that they come from, each once, in their order.
        var lines: [Int] { Set((self.options + self.positional).map(\.line)).sorted() }

        /// The words of one line, and what is no option.
        func words(of line: Int) -> [String] {
            (self.options.filter { $0.line == line } + self.positional).map(\.word)
        }

        /// The words of the other lines.
        func words(without line: Int) -> [String] {
            (self.options + self.positional).filter { $0.line != line }.map(\.word)
        }
    }

    /// `given`, and the alternatives of what is given.
    private static func replaced(by given: Set<String>, _ environment: (String) -> String?) -> Set<String> {
        var replaced = given
        for (options, variable) in Self.alternatives
        where !given.isDisjoint(with: options) || !(variable.flatMap(environment) ?? "").isEmpty {
            replaced.formUnion(options)
        }
        return replaced
    }

    /// The values of an entry as command line words; for a flag the flag itself, or nothing.
    private func values(of entry: TOMLEntry, for argument: CommandSyntax.Argument) throws(ProgramError) -> [String] {
        switch (argument.kind, entry.value) {
        case (.flag, .boolean(let isOn)):
            return isOn ? [Self.spelled(entry.key)] : []
        case (.flag, _):
            throw self.error(entry, "must be true or false")
        case (_, .array(let values)):
            guard argument.isRepeating else { throw self.error(entry, "takes one value, not an array") }
            var words: [String] = []
            for value in values {
                words.append(try self.word(value, of: entry))
            }
            return words
        case (_, let value):
            return [try self.word(value, of: entry)]
        }
    }

    private func word(_ value: TOMLValue, of entry: TOMLEntry) throws(ProgramError) -> String {
        switch value {
        case .string(let text):
            guard !text.isEmpty else { throw self.error(entry, "is empty; leave it out if it is not wanted") }
            return text
        case .number(let text): return text
        case .boolean, .array: throw self.error(entry, "must be text or a number")
        }
    }

    private static func spelled(_ name: String) -> String {
        name.count == 1 ? "-\(name)" : "--\(name)"
    }

    private func error(_ entry: TOMLEntry, _ problem: String) -> ProgramError {
        ProgramError(.configuration, "configuration file \(self.path), line \(entry.line): \(entry.key) \(problem)")
    }

    private func unknownKey(_ entry: TOMLEntry, in table: TOMLTable, _ syntax: CommandSyntax) -> ProgramError {
        let names = syntax.arguments.flatMap(\.names).filter { !Self.commandLineOnly.contains($0) }
        let nearest = EditDistance.nearest(to: entry.key, among: names)
        let hint = nearest.map { "; the nearest is \"\($0)\"" } ?? ""
        return self.error(entry, "is no option of \(table.name)\(hint)")
    }
}
