import Basics
package import NIOCore
package import STUN

/// What was tried and how it ended, for people who want to know why there is no path.
package struct ICEReport: Hashable, Sendable {
    /// How the checks of one pair ended, or where they are.
    package enum Outcome: Hashable, Sendable {
        case notTried
        case inProgress(requests: Int)
        case succeeded(roundTripTime: TimeAmount?)
        case noAnswer(requests: Int)
        /// The peer answered, but with an error (RFC 8445 §7.2.5.2).
        case answered(STUNErrorCode)
        /// The answer came from somewhere else than the request went to (RFC 8445 §7.2.5.2.1).
        case answeredFromElsewhere
        /// The answer made no sense.
        case badAnswer
        /// The socket refused to send; why.
        case sendFailed(String)
        /// It worked, until the peer stopped answering.
        case consentLost
        /// Checks got through, but nothing larger (`ICEAgent.reject`).
        case carriesTooLittle

        /// Whether anything came back at any time.
        package var isAnswer: Bool {
            switch self {
            case .notTried, .inProgress, .noAnswer, .sendFailed: false
            case .succeeded, .answered, .answeredFromElsewhere, .badAnswer, .consentLost, .carriesTooLittle: true
            }
        }
    }

    package struct Pair: Hashable, Sendable {
        package let local: ICECandidate
        package let remote: ICECandidate
        package let outcome: Outcome
        /// An error answer without proof of its origin (RFC 8489 §9.1.4). Not believed, but a good hint.
        package let unprovenAnswer: STUNErrorCode?
        /// Authentic checks of the peer that arrived on this pair.
        package let checksReceived: Int
    }

    package let role: ICERole
    package let hasRemoteCredentials: Bool
    package let localCandidates: [ICECandidate]
    package let remoteCandidates: [ICECandidate]
    /// In order of priority.
    package let pairs: [Pair]
    package let counters: ICECounters
}

/// Input that changed nothing.
package struct ICECounters: Hashable, Sendable {
    /// Datagrams that are not well-formed STUN, or break the rules of a check.
    package var malformed = 0
    /// Requests and responses without or with wrong proof of the password.
    package var unauthenticated = 0
    /// Responses that no request of ours is waiting for.
    package var unexpected = 0
    /// Candidates and checks beyond the bounds.
    package var overLimit = 0
    /// Candidates and checks that came from where nobody may be looked for.
    package var notPermitted = 0
    /// Datagrams dropped because nobody drained `nextTransmit()`.
    package var transmitsDropped = 0

    package init() {}
}

extension ICEReport: CustomStringConvertible {
    /// Several lines, without a newline at the end.
    package var description: String {
        var lines = [
            "local candidates: \(self.localCandidates.count), remote candidates: \(self.remoteCandidates.count), "
                + "pairs: \(self.pairs.count)"
        ]
        if !self.hasRemoteCredentials {
            lines.append("the peer's ICE credentials never arrived")
        }
        lines.append(self.localCandidates.isEmpty ? "no local candidates" : "local candidates:")
        lines += self.localCandidates.map { "  \($0)" }
        lines.append(self.remoteCandidates.isEmpty ? "no remote candidates" : "remote candidates:")
        lines += self.remoteCandidates.map { "  \($0)" }
        // Without candidates of one side that is reason enough.
        let haveCandidates = !self.localCandidates.isEmpty && !self.remoteCandidates.isEmpty
        if !self.pairs.isEmpty {
            lines.append("pairs:")
        } else if haveCandidates {
            lines.append("no pairs to check: the two sides share no address family")
        }
        lines += self.pairs.map { "  \($0)" }
        if self.counters.notPermitted > 0 {
            lines.append("\(self.counters.notPermitted) candidates not permitted by the agent's policy (--p2p-allow)")
        }
        if self.counters.unauthenticated > 0 {
            lines.append("\(self.counters.unauthenticated) messages with wrong credentials ignored")
        }
        return lines.joined(separator: "\n")
    }
}

extension ICEReport.Pair: CustomStringConvertible {
    /// `192.168.1.2:5000 -> 203.0.113.9:6000 (host, server-reflexive): no answer to 7 requests`
    package var description: String {
        func text(_ candidate: ICECandidate) -> String {
            TransportAddress(candidate.address)?.description ?? "\(candidate.address)"
        }
        var line = "\(text(self.local)) -> \(text(self.remote)) "
        line += "(\(self.local.kind.rawValue), \(self.remote.kind.rawValue)): \(self.outcome)"
        if let unprovenAnswer {
            line += ", answered \(unprovenAnswer) without proof"
        }
        switch self.outcome {
        case .succeeded: break
        default: line += ", \(self.checksReceived) checks received from the peer"
        }
        return line
    }
}

extension ICEReport.Outcome: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notTried: "not tried"
        case .inProgress(let requests), .noAnswer(let requests):
            "no answer to \(requests) \(requests == 1 ? "request" : "requests")"
        case .succeeded(nil): "succeeded"
        case .succeeded(let time?): "succeeded rtt=\(Self.text(time))"
        case .answered(let error): "answered \(error)"
        case .answeredFromElsewhere: "answered from another address"
        case .badAnswer: "answered with nonsense"
        case .sendFailed(let reason): "cannot send: \(reason)"
        case .consentLost: "worked, then the peer stopped answering"
        case .carriesTooLittle: "answers small checks only, none with padding"
        }
    }
    /// With a digit more below 10 ms: `1.2ms`, `34ms`.
    private static func text(_ time: TimeAmount) -> String {
        let milliseconds = time.milliseconds
        return milliseconds < 10 ? "\((milliseconds * 10).rounded(.down) / 10)ms" : "\(Int(milliseconds))ms"
    }
}
