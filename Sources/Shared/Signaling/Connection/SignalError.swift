package import AppProto
package import NIOCore
import OperatingSystem
import QUIC

/// Why a request did not get its answer.
package enum SignalError: Error, Sendable, CustomStringConvertible {
    /// The other side answered that it failed.
    case failure(Failure)
    /// No answer came in time.
    case timedOut(after: TimeAmount)
    /// There is no control connection at the moment.
    case notConnected
    /// The control connection was lost before the answer came.
    case connectionLost(SignalCloseReason)
    /// An answer came that does not belong to the request, or that this version does not know.
    case unexpectedAnswer
    /// Too many requests wait for their answers.
    case tooManyRequests
    /// The request is longer than a message may be.
    case tooLong

    package var description: String {
        switch self {
        case .failure(let failure):
            failure.reason.isEmpty ? "answered \(failure.code)" : "answered \(failure.code): \(failure.reason)"
        case .timedOut(let timeout):
            "no answer within \(timeout.inSeconds) s"
        case .notConnected:
            "not connected to the server"
        case .connectionLost(let reason):
            "the connection to the server was lost before the answer came: \(reason)"
        case .unexpectedAnswer:
            "the answer does not fit the request"
        case .tooManyRequests:
            "too many requests are waiting for answers"
        case .tooLong:
            "the request is longer than a message may be"
        }
    }
}

/// Why a control connection is over.
package enum SignalCloseReason: Sendable, CustomStringConvertible {
    /// The other side said so.
    case goodbye(Goodbye)
    /// Not a byte came for that long.
    case silent(TimeAmount)
    /// It was asked for a sign of life after a change of the network, and gave none for that long.
    case unanswered(TimeAmount)
    /// This side gave it up, for what has become of the network.
    case networkChanged(String)
    /// The connection broke; nil when the peer closed it in order, without a `Goodbye`.
    case linkClosed((any Error)?)
    /// The other side broke the protocol.
    case protocolViolation(String)
    /// This side closed it.
    case closedHere

    /// Whether the other side was not heard any more, although the network is the same.
    var isSilence: Bool {
        switch self {
        case .silent, .unanswered: true
        case .linkClosed(let error): error as? QUICCloseReason == .idleTimedOut
        case .goodbye, .networkChanged, .protocolViolation, .closedHere: false
        }
    }

    package var description: String {
        switch self {
        case .goodbye(let goodbye):
            goodbye.reason.isEmpty ? "goodbye \(goodbye.code)" : "goodbye \(goodbye.code): \(goodbye.reason)"
        case .silent(let time):
            "nothing heard for \(time.inSeconds) s"
        case .unanswered(let time):
            "no answer within \(time.inSeconds) s, after the network has changed"
        case .networkChanged(let detail):
            "the network has changed: \(detail)"
        case .linkClosed(let error?):
            SystemError.text(of: error)
        case .linkClosed(nil):
            "the other side closed the connection"
        case .protocolViolation(let what):
            "the other side broke the protocol: \(what)"
        case .closedHere:
            "closed"
        }
    }
}

extension TimeAmount {
    /// Whole or decimal seconds, for people.
    var inSeconds: String {
        let milliseconds = self.nanoseconds / 1_000_000
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)" : "\(Double(milliseconds) / 1000)"
    }
}
