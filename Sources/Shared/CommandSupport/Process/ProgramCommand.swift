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

    /// For `--print-identity`: writes the fingerprint of the program's key to stdout.
    ///
    /// - Parameter values: what the program was told, by the names of options; nothing in it has been checked.
    static func printIdentity(_ values: [String: [String]]) throws

    /// Looks at what a start would look at before anything is opened that others see: secrets, certificates, addresses. For
    /// `--check-config`. Throws what the start would throw.
    func checkConfiguration() throws
}

extension ProgramCommand {
    package static var configurationTables: [ConfigurationTable] { [] }

    package static func printIdentity(_ values: [String: [String]]) throws {
        throw ProgramError(.usage, "\(Self._commandName) has no key")
    }
}
