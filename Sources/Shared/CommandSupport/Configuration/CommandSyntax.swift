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
    }

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
            return Argument(kind: kind, names: names.compactMap { $0 }, isRepeating: isRepeating)
        }
    }

    /// ArgumentParser describes a command in other words than those that are known here.
    private struct UnknownDescription: Error {}

    /// The argument of that name.
    func argument(named name: String) -> Argument? {
        self.arguments.first { $0.names.contains(name) }
    }

    /// The names that `commandLine` gives a value; for a positional argument the name of its value.
    func names(givenIn commandLine: [String]) -> Set<String> {
        var given: Set<String> = []
        var rest = commandLine[...]
        var optionsEnded = false
        while let word = rest.popFirst() {
            if !optionsEnded && word == "--" {
                optionsEnded = true
            } else if !optionsEnded && word.hasPrefix("-") && word != "-" {
                let (name, hasValue) = Self.name(of: word)
                given.insert(name)
                if !hasValue, self.argument(named: name)?.kind == .option { _ = rest.popFirst() }
            } else {
                given.formUnion(self.arguments.first { $0.kind == .positional }?.names ?? [])
            }
        }
        return given
    }

    /// `--name`, `--name=value` or `-n`.
    private static func name(of word: String) -> (name: String, hasValue: Bool) {
        let stripped = word.drop { $0 == "-" }
        guard let equals = stripped.firstIndex(of: "=") else { return (String(stripped), false) }
        return (String(stripped[..<equals]), true)
    }
}
