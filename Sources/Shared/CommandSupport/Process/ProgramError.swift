/// An error that ends the program: what a person is told, and the exit code.
package struct ProgramError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The exit code.
    package let status: ExitStatus
    /// One sentence: what failed, on what, and what to try. Never contains a secret.
    package let message: String

    /// An error that makes the program exit with `status` after it printed `message` to stderr.
    package init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    /// The message.
    package var description: String { self.message }
}
