/// The exit codes that users and service managers rely on (the numbers are those of sysexits.h).
package enum ExitStatus: Int32, Sendable {
    /// Stopped on request, or the agent's time was up.
    case done = 0
    /// The command line is wrong.
    case usage = 64
    /// Something the program needs cannot be had: a port is taken, a file cannot be read.
    case unavailable = 69
    /// An error that the program did not foresee.
    case internalError = 70
    /// A newer agent registered under the same name.
    case replaced = 75
    /// The server refused the proof of the secret.
    case refused = 77
    /// The configuration file is wrong, or the certificate and its key cannot be used.
    case configuration = 78
}
