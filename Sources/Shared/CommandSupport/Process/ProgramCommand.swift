package import ArgumentParser

/// The command of a program.
package protocol ProgramCommand: AsyncParsableCommand {
    /// A command line that does something sensible, for those who have typed none.
    static var example: String { get }
    /// The words with which a program that is all of them in one would be told to be this one: `agent pub`.
    static var roleWords: [String] { get }
    /// How many event loops it runs on.
    var eventLoopCount: Int { get }
    /// The arrays of tables that a configuration file may have for it, besides keys named like its options.
    static var configurationTables: [ConfigurationTable] { get }
    var logging: LoggingOptions { get }

    /// What the command line asks of a program that runs already, for which nothing need be known but what `given` has; nil when
    /// it asks nothing of the kind. Throws with exit code 64 when it cannot be asked.
    static func question(_ given: GivenValues) throws -> (any ProgramQuestion)?

    /// Looks at what a start would look at before anything is opened that others see: secrets, certificates, addresses. For
    /// `--check-config`. Throws what the start would throw.
    func checkConfiguration() throws
}

extension ProgramCommand {
    package static var configurationTables: [ConfigurationTable] { [] }

    package static func question(_ given: GivenValues) throws -> (any ProgramQuestion)? { nil }
}

/// A question to a program that runs.
package protocol ProgramQuestion: Sendable {
    /// Asks, and prints the answer. Throws a ``ProgramError`` when there is none.
    func ask() async throws
}

/// The values that options have been given: by the command line, the environment and configuration files.
package struct GivenValues: Sendable {
    private let commandLine: Set<String>
    private let values: [String: [String]]

    /// - Parameters:
    ///   - commandLine: the names of what the command line has.
    ///   - values: of what has been given anywhere, by name.
    package init(commandLine: Set<String>, values: [String: [String]]) {
        self.commandLine = commandLine
        self.values = values
    }

    /// Whether the command line has that flag.
    package func asks(_ flag: String) -> Bool { self.commandLine.contains(flag) }

    /// The value of the option of that name, nil where it has none.
    package subscript(option option: String) -> String? { self.values[option]?.last }
}
