import ArgumentParser

/// What a command takes: its options and its positional argument, as ArgumentParser knows them.
struct CommandSyntax: Equatable, Sendable {
    struct Argument: Equatable, Sendable {
        enum Kind: String, Sendable {
            case positional
            case option
            case flag
        }

        let kind: Kind
        /// Without dashes: `secret`, `L`. For a positional argument the name of its value.
        let names: [String]
        let isRepeating: Bool
        /// What holds when nobody says anything, as the help has it: a value, or words about it.
        var defaultText: String?

        /// The name to call it by.
        var name: String { self.names.first ?? "" }

        /// As it is written on a command line: `--secret`, `-L`; nothing of a positional argument.
        var spelled: String {
            switch self.kind {
            case .positional: ""
            case .option, .flag: self.name.count == 1 ? "-\(self.name)" : "--\(self.name)"
            }
        }
    }

    /// Names that make no sense but on a command line.
    static let commandLineOnly: Set<String> = [
        "config", "check-config", "print-config", "print-identity", "help", "h", "version", "V", "status", "json",
        "healthcheck",
    ]

    let arguments: [Argument]

    init(arguments: [Argument]) {
        self.arguments = arguments
    }

    /// The syntax of `command`. Throws when ArgumentParser describes it in a form that this version does not know.
    init(of command: (some ParsableCommand).Type) throws {
        let description = try JSONValue(parsing: command._dumpHelp())
        guard let arguments = description["command"]?["arguments"]?.array else { throw UnknownDescription() }
        self.arguments = try arguments.map { argument in
            guard let kind = argument["kind"]?.string.flatMap({ Argument.Kind(rawValue: $0) }),
                let isRepeating = argument["isRepeating"]?.boolean
            else { throw UnknownDescription() }
            let names =
                kind == .positional
                ? [argument["valueName"]?.string] : (argument["names"]?.array ?? []).map { $0["name"]?.string }
            return Argument(
                kind: kind, names: names.compactMap { $0 }, isRepeating: isRepeating,
                defaultText: argument["defaultValue"]?.string
                    ?? argument["abstract"]?.string.flatMap(Self.defaultText))
        }
    }

    /// ArgumentParser describes a command in other words than those that are known here.
    private struct UnknownDescription: Error {}

    /// The argument of that name.
    func argument(named name: String) -> Argument? {
        self.arguments.first { $0.names.contains(name) }
    }

    /// The arguments that may be given elsewhere than on the command line.
    var configurable: [Argument] {
        self.arguments.filter { !$0.names.isEmpty && Self.commandLineOnly.isDisjoint(with: $0.names) }
    }

    /// The names that `commandLine` gives a value; for a positional argument the name of its value.
    func names(givenIn commandLine: [String]) -> Set<String> {
        Set(self.values(givenIn: commandLine).map(\.name))
    }

    /// What `commandLine` gives, in its order: the name, which may be none of this command's, and the value, nil where there is
    /// none.
    func values(givenIn commandLine: [String]) -> [(name: String, value: String?)] {
        var given: [(name: String, value: String?)] = []
        var rest = (CommandLineCheck.joiningValues(commandLine, self) ?? commandLine)[...]
        var optionsEnded = false
        while let word = rest.popFirst() {
            if !optionsEnded && word == "--" {
                optionsEnded = true
            } else if !optionsEnded && word.hasPrefix("-") && word != "-" {
                let (name, value) = Self.name(of: word)
                let takesNext = value == nil && self.argument(named: name)?.kind == .option
                given.append((name, takesNext ? rest.popFirst() : value))
            } else if let name = self.arguments.first(where: { $0.kind == .positional })?.names.first {
                given.append((name, word))
            }
        }
        return given
    }

    /// `--name`, `--name=value` or `-n`.
    private static func name(of word: String) -> (name: String, value: String?) {
        let stripped = word.drop { $0 == "-" }
        guard let equals = stripped.firstIndex(of: "=") else { return (String(stripped), nil) }
        return (String(stripped[..<equals]), String(stripped[stripped.index(after: equals)...]))
    }

    /// The X of a help text with "(default: X)".
    private static func defaultText(in help: String) -> String? {
        let mark = "(default: "
        var rest = help[...]
        while !rest.isEmpty, !rest.hasPrefix(mark) { rest.removeFirst() }
        guard let end = rest.firstIndex(of: ")") else { return nil }
        return String(rest[..<end].dropFirst(mark.count))
    }
}
