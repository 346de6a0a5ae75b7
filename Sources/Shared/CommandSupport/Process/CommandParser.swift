import ArgumentParser
import Basics

/// Turns a configuration into a command.
enum CommandParser {
    /// The command. Throws a ``ProgramError`` that names the file and line, or the variable, when one of them is at fault, and
    /// ArgumentParser's error when the command line is.
    static func command<Command: ProgramCommand>(
        _ type: Command.Type, _ configuration: Configuration
    ) throws -> any ParsableCommand {
        do {
            return try Self.parse(type, configuration.words)
        } catch {
            guard Command.exitCode(for: error) != .success else { throw error }
            // An added value's fault when the command line alone does not draw the same complaint, and that of the place without
            // which it goes.
            let complaint = Command.message(for: error)
            let places = configuration.origins.filter { place in
                Self.complaint(type, configuration.words { $0 != place }) != complaint
                    && Self.mayBeGuilty(configuration.added.filter { $0.origin == place }, of: complaint)
            }
            // Without the URL there is another complaint as well.
            let positional = configuration.added.filter { $0.argument.kind == .positional }.map(\.origin)
            let place =
                places.first { place in
                    Self.complaint(type, configuration.words { $0 == place || positional.contains($0) }) == complaint
                } ?? places.first
            guard let place, Self.complaint(type, configuration.words { _ in false }) != complaint else { throw error }
            throw place.error(complaint)
        }
    }

    /// Without the URL there is always another complaint, and with it one of what else lacks: it is to blame when it is spoken of.
    private static func mayBeGuilty(_ settings: [Setting], of complaint: String) -> Bool {
        settings.contains { $0.argument.kind != .positional || $0.values.contains(where: complaint.includes) }
    }

    /// The command that `words` alone make. Throws a ``ProgramError`` or ArgumentParser's error.
    static func command<Command: ProgramCommand>(
        _ type: Command.Type, _ words: [String]
    ) throws -> any ParsableCommand {
        try Self.parse(type, words)
    }

    private static func parse<Command: ProgramCommand>(
        _ type: Command.Type, _ words: [String]
    ) throws -> any ParsableCommand {
        do {
            return try Self.parseQuoting(type, words)
        } catch {
            throw Self.withoutSecret(error, type, words)
        }
    }

    /// The error without the value that is refused if nobody may see it. ArgumentParser quotes each.
    private static func withoutSecret<Command: ProgramCommand>(
        _ error: any Error, _ type: Command.Type, _ words: [String]
    ) -> any Error {
        guard !(error is ProgramError), type.exitCode(for: error) == .validationFailure,
            let syntax = try? CommandSyntax(of: type)
        else { return error }
        let message = Array(type.message(for: error).utf8)
        for (name, value) in syntax.values(givenIn: words) where Setting.isSecret(name) {
            // Bytes: a value may end in what makes one character with the quotation mark.
            let quoted = Array("The value '\(value ?? "")' is".utf8)
            guard message.starts(with: quoted) else { continue }
            return ValidationError("The value is" + String(decoding: message.dropFirst(quoted.count), as: UTF8.self))
        }
        return error
    }

    private static func parseQuoting<Command: ProgramCommand>(
        _ type: Command.Type, _ words: [String]
    ) throws -> any ParsableCommand {
        do {
            return try type.parseAsRoot(words)
        } catch {
            // ArgumentParser takes "-1" for an option and misses a value, and tells of an unknown option last.
            guard type.exitCode(for: error) == .validationFailure, let syntax = try? CommandSyntax(of: type) else {
                throw error
            }
            try CommandLineCheck.checkOptions(words, syntax)
            guard let joined = CommandLineCheck.joiningValues(words, syntax) else { throw error }
            return try type.parseAsRoot(joined)
        }
    }

    private static func complaint(_ type: (some ProgramCommand).Type, _ words: [String]) -> String? {
        do {
            _ = try Self.parse(type, words)
            return nil
        } catch {
            return type.message(for: error)
        }
    }
}
