import OperatingSystem

/// The configuration file: a TOML table per program whose keys are the names of the program's options.
struct ConfigurationFile: Equatable, Sendable {
    /// A longer file is a mistake.
    static let maximumSize = 1024 * 1024

    let path: String
    private let table: TOMLTable

    /// Reads the file at `path`. Throws with exit code 69 when it cannot be read, 78 when it is not TOML.
    init(reading path: String) throws(ProgramError) {
        do {
            try self.init(path: path, bytes: try SmallFile.contents(of: path, limit: Self.maximumSize))
        } catch let error as SmallFile.ReadError {
            throw ProgramError(.unavailable, "cannot read the configuration file \(path): \(error)")
        } catch let error as ProgramError {
            throw error
        } catch {
            throw ProgramError(.internalError, "\(error)")
        }
    }

    /// A file with these contents. Throws with exit code 78 when they are not TOML.
    init(path: String, bytes: [UInt8]) throws(ProgramError) {
        self.path = path
        do {
            self.table = try TOMLReader.document(in: bytes)
        } catch {
            throw SettingOrigin.file(path: path, line: error.line).error(error.problem)
        }
    }

    /// The programs that a file may have a table for; `[agent]` is short for `[rtun-agent]`.
    private static let programs = ["rtun-server", "rtun-agent", "rtun-socks", "rtun-relay"]
    private static let prefix = "rtun-"

    /// What the file's table for `program` says, in its order. Throws with exit code 78 for a table or key that there is not, or a
    /// value of the wrong type.
    func settings(
        program: String, syntax: CommandSyntax, tables: [ConfigurationTable] = []
    ) throws(ProgramError) -> [Setting] {
        guard let table = try self.programTable(program) else { return [] }
        var settings: [Setting] = []
        for entry in table.entries {
            let new: [Setting]
            if let group = tables.first(where: { $0.name == entry.key }),
                let argument = syntax.argument(named: group.option)
            {
                new = try self.settings(of: entry, group, argument, program)
            } else {
                new = [try self.setting(of: entry, program, syntax, tables)]
            }
            for setting in new {
                if !setting.argument.isRepeating,
                    let other = settings.first(where: { $0.argument == setting.argument })
                {
                    throw setting.origin.error("\(entry.key) says the same as \(other.origin) does; keep one")
                }
                settings.append(setting)
            }
        }
        return settings
    }

    /// The table of the program, under either of its names. Also looks at the others' names: a table of another name is one that
    /// nobody would read.
    private func programTable(_ program: String) throws(ProgramError) -> TOMLTable? {
        var found: [String: TOMLEntry] = [:]
        for entry in self.table.entries {
            let name = Self.fullName(entry.key, program)
            guard case .table = entry.value else {
                throw self.error(
                    entry,
                    name == nil
                        ? "\"\(entry.key)\" stands before the first table; put it under [\(program)]"
                        : "\(entry.key) must be a table: write [\(entry.key)] on a line of its own")
            }
            guard let name else {
                let names = Self.programs.flatMap { [$0, String($0.dropFirst(Self.prefix.count))] }
                let nearest = EditDistance.nearest(to: entry.key.lowercased(), among: names) ?? ""
                throw self.error(entry, "[\(entry.key)] is not the table of a program; the nearest is [\(nearest)]")
            }
            if let other = found[name] {
                throw self.error(
                    entry,
                    "[\(entry.key)] is the same table as [\(other.key)] in line \(other.line); merge them"
                )
            }
            found[name] = entry
        }
        guard case .table(let table) = found[program]?.value else { return nil }
        return table
    }

    /// The program that a table of that name is for.
    private static func fullName(_ name: String, _ program: String) -> String? {
        (Self.programs + [program]).first { $0 == name || $0 == Self.prefix + name }
    }

    // MARK: One entry

    private func setting(
        of entry: TOMLEntry, _ program: String, _ syntax: CommandSyntax, _ tables: [ConfigurationTable]
    ) throws(ProgramError) -> Setting {
        guard let argument = syntax.configurable.first(where: { $0.names.contains(entry.key) }) else {
            if CommandSyntax.commandLineOnly.contains(entry.key) {
                throw self.error(entry, "\(entry.key) is for the command line only")
            }
            let names = syntax.configurable.flatMap(\.names) + tables.map(\.name)
            let nearest = EditDistance.nearest(to: entry.key, among: names)
            let hint = nearest.map { "; the nearest is \"\($0)\"" } ?? ""
            throw self.error(entry, "\(entry.key) is not an option of \(program)\(hint)")
        }
        return Setting(
            argument: argument, values: try self.values(of: entry, for: argument), origin: self.origin(entry.line))
    }

    private func values(of entry: TOMLEntry, for argument: CommandSyntax.Argument) throws(ProgramError) -> [String] {
        switch (argument.kind, entry.value) {
        case (.flag, .boolean(let isOn)): return ["\(isOn)"]
        case (.flag, _): throw self.error(entry, "\(entry.key) must be true or false")
        case (_, .array(let elements)):
            guard argument.isRepeating else { throw self.error(entry, "\(entry.key) takes one value, not an array") }
            var values: [String] = []
            for element in elements {
                values.append(try self.text(of: element.value, entry.key, line: element.line))
            }
            return values
        case (_, let value): return [try self.text(of: value, entry.key, line: entry.line)]
        }
    }

    /// A value as a command line has it.
    private func text(of value: TOMLValue, _ key: String, line: Int) throws(ProgramError) -> String {
        let origin = self.origin(line)
        if Setting.isSecret(key) {
            // A number would not be what was written: 0x1F is 31.
            guard case .string = value else { throw origin.error("\(key) must be text, which needs quotes") }
        }
        switch value {
        case .string(let text):
            guard !text.isEmpty else { throw origin.error("\(key) is empty; leave it out if it is not wanted") }
            guard !text.contains("\0") else { throw origin.error("\(key) must not contain a NUL") }
            return text
        case .integer(let number): return "\(number)"
        case .float(let number):
            guard number.isFinite else { throw origin.error("\(key) must not be inf or nan; text needs quotes") }
            // Options that take whole numbers do not know 1e7.
            return Int64(exactly: number).map { "\($0)" } ?? "\(number)"
        case .boolean: throw origin.error("\(key) must be text or a number, not true or false")
        case .time: throw origin.error("\(key) must be text or a number, not a date or a time; text needs quotes")
        case .array: throw origin.error("\(key) must be text or a number, not an array in an array")
        case .table: throw origin.error("\(key) must be text or a number, not a table")
        }
    }

    // MARK: Arrays of tables

    private func settings(
        of entry: TOMLEntry, _ group: ConfigurationTable, _ argument: CommandSyntax.Argument, _ program: String
    ) throws(ProgramError) -> [Setting] {
        guard case .array(let elements) = entry.value else {
            throw self.error(entry, "\(entry.key) must be an array of tables: write [[\(program).\(entry.key)]]")
        }
        var settings: [Setting] = []
        for element in elements {
            guard case .table(let table) = element.value else {
                throw self.origin(element.line).error(
                    "\(entry.key) must be an array of tables: write [[\(program).\(entry.key)]]")
            }
            settings.append(
                Setting(
                    argument: argument, values: [try self.value(of: table, line: element.line, group)],
                    origin: self.origin(element.line)))
        }
        return settings
    }

    private func value(
        of table: TOMLTable, line: Int, _ group: ConfigurationTable
    ) throws(ProgramError) -> String {
        let keys = group.required + group.optional
        var values: [String: String] = [:]
        for entry in table.entries {
            guard keys.contains(entry.key) else {
                let nearest = EditDistance.nearest(to: entry.key, among: keys) ?? ""
                throw self.error(entry, "\(entry.key) is not a key of a \(group.name); the nearest is \"\(nearest)\"")
            }
            values[entry.key] = try self.text(of: entry.value, entry.key, line: entry.line)
        }
        if let missing = group.required.first(where: { values[$0] == nil }) {
            throw self.origin(line).error("the \(group.name) lacks \"\(missing)\"")
        }
        return group.value(values)
    }

    private func origin(_ line: Int) -> SettingOrigin { .file(path: self.path, line: line) }

    private func error(_ entry: TOMLEntry, _ problem: String) -> ProgramError { self.origin(entry.line).error(problem) }
}
