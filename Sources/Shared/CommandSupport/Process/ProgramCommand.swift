package import ArgumentParser

/// The command of a program.
package protocol ProgramCommand: AsyncParsableCommand {
    /// A command line that does something sensible, for those who have typed none.
    static var example: String { get }
    /// The words with which a program that is all of them in one would be told to be this one: `agent pub`.
    static var roleWords: [String] { get }
    /// How many event loops it runs on.
    var eventLoopCount: Int { get }
}
