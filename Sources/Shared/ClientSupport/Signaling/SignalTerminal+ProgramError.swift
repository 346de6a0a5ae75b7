package import CommandSupport
package import Signaling

extension SignalTerminal {
    /// What the program ends with; nil when the end was asked for.
    package var programError: ProgramError? {
        switch self {
        case .refused, .keyUnknown: ProgramError(.refused, "\(self)")
        case .replaced, .expired: ProgramError(.internalError, "\(self)")  // Said to agents only.
        case .stopped: nil
        }
    }
}
