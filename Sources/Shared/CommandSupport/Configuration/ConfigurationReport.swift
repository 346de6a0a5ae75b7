import Basics

/// What `--print-config` prints: the effective values as a TOML table, each with the place that it comes from.
struct ConfigurationReport {
    let program: String
    let configuration: Configuration
    /// Where files are looked for.
    let places: ConfigurationPlaces

    private static let mask = "***"

    /// The report, lines with their ends.
    var text: String {
        let files = self.configuration.files
        let taken = files.isEmpty ? "none" : files.map(LogText.escapingControlCharacters).joined(separator: ", then ")
        var lines = ["# \(self.program) \(Software.version)", "# configuration files read: \(taken)"]
        if self.places.named == nil {
            lines.append(
                "# looked for: \(self.places.defaults.map(LogText.escapingControlCharacters).joined(separator: ", "))")
        }
        lines += ["", "[\(self.program)]"]
        for argument in self.configuration.syntax.configurable {
            lines.append(LogText.escapingControlCharacters(self.line(of: argument)))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func line(of argument: CommandSyntax.Argument) -> String {
        let settings = self.configuration.settings.filter { $0.argument == argument }
        guard !settings.isEmpty else { return self.defaultLine(of: argument) }
        var seen: Set<SettingOrigin> = []
        let origins = settings.map(\.origin).filter { seen.insert($0).inserted }.map(\.description)
        let values = settings.flatMap(\.values)
        let comment = "  # \(origins.joined(separator: ", "))"
        switch argument.kind {
        case .flag: return "\(argument.name) = \(values.last ?? "true")\(comment)"
        case .option where argument.isRepeating:
            let shown = values.map { Self.quoted(Self.masked($0, argument)) }
            return "\(argument.name) = [\(shown.joined(separator: ", "))]\(comment)"
        case .option, .positional:
            // One that is loaded later has no value here.
            return "\(argument.name) = \(Self.written(Self.masked(values.last ?? "", argument)))\(comment)"
        }
    }

    private func defaultLine(of argument: CommandSyntax.Argument) -> String {
        if argument.kind == .flag { return "\(argument.name) = false  # default" }
        guard let text = argument.defaultText else { return "# \(argument.name): not set" }
        // Words about what is done instead are no value.
        return text.contains(" ") || text == "never"
            ? "# \(argument.name): \(text)  # default" : "\(argument.name) = \(Self.written(text))  # default"
    }

    private static func masked(_ value: String, _ argument: CommandSyntax.Argument) -> String {
        guard Setting.isSecret(argument.name) else { return Self.withoutPassword(value, argument) }
        // Who may log in is no secret.
        guard argument.name == "auth", let colon = value.firstIndex(of: ":") else { return Self.mask }
        return value[...colon] + Self.mask
    }

    /// A URL without its password; only the positional argument is one also where the scheme lacks.
    private static func withoutPassword(_ value: String, _ argument: CommandSyntax.Argument) -> String {
        argument.kind == .positional || value.includes("://")
            ? LinkSecret.masked(in: UserInformation.masked(in: value)) : value
    }

    /// As a number if it is one of digits only, else as text.
    private static func written(_ text: String) -> String {
        let isNumber =
            text == "0"
            || (1...18).contains(text.utf8.count) && text.first != "0"
                && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        return isNumber ? text : Self.quoted(text)
    }

    /// As a basic string (TOML 1.0, "String").
    private static func quoted(_ text: String) -> String { text.quoted { $0.value < 0x20 || $0.value == 0x7F } }
}
