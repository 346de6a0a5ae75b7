/// The environment variables that stand for options: `RTUN_LOG_LEVEL` for `--log-level`, `RTUN_URL` for the server's URL.
///
/// A flag takes `true` or `false`. An option that may be repeated takes several values with blanks in between or, when there is
/// a line break in it, one value a line, which may then have blanks. A variable
/// that is empty, or white space only, counts as none.
enum ConfigurationEnvironment {
    private static let prefix = "RTUN_"
    /// Those that the programs themselves look up when they load their secrets, and then remove.
    static let secrets: Set<String> = ["RTUN_SECRET", "RTUN_E2E_SECRET"]
    /// Those whose values must not stay visible.
    private static let passwords: Set<String> = ["RTUN_AUTH", "RTUN_LINK", "RTUN_URL"]

    /// The variables that begin with `RTUN_` and are not blank; of ``secrets`` not the values.
    ///
    /// Removes those with passwords from the environment. Call it at start, while no other thread reads the environment.
    static func capture(
        names: [String] = ProcessEnvironment.names, value: (String) -> String? = ProcessEnvironment.value,
        take: (String) -> String? = ProcessEnvironment.take
    ) -> [String: String] {
        var variables: [String: String] = [:]
        for name in names where name.hasPrefix(Self.prefix) {
            guard let value = Self.passwords.contains(name) ? take(name) : value(name),
                !value.allSatisfy(\.isWhitespace)
            else { continue }
            variables[name] = Self.secrets.contains(name) ? "" : value
        }
        return variables
    }

    /// What `variables` say to a command of that syntax. Throws with exit code 64 for a flag that is neither true nor false.
    static func settings(_ variables: [String: String], _ syntax: CommandSyntax) throws(ProgramError) -> [Setting] {
        var settings: [Setting] = []
        for argument in syntax.configurable {
            let variable = Self.variable(argument)
            guard let text = variables[variable] else { continue }
            let origin = SettingOrigin.environment(variable)
            let values = Self.secrets.contains(variable) ? [] : try Self.values(text, of: argument, origin)
            settings.append(Setting(argument: argument, values: values, origin: origin))
        }
        return settings
    }

    /// `RTUN_` and the argument's first name in capitals.
    static func variable(_ argument: CommandSyntax.Argument) -> String {
        Self.prefix + String(argument.name.uppercased().map { $0 == "-" ? "_" : $0 })
    }

    private static func values(
        _ text: String, of argument: CommandSyntax.Argument, _ origin: SettingOrigin
    ) throws(ProgramError) -> [String] {
        switch argument.kind {
        case .flag:
            switch text.lowercased() {
            case "true", "1", "yes", "on": return ["true"]
            case "false", "0", "no", "off": return ["false"]
            default: throw origin.error("must be true or false, not \"\(text)\"")
            }
        case .option where argument.isRepeating:
            let hasLines = text.contains { $0.isNewline }
            return text.split { hasLines ? $0.isNewline : $0.isWhitespace }.map(String.init)
        case .option, .positional:
            return [text]
        }
    }
}
