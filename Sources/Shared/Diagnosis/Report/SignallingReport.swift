import Basics
package import NIOCore
package import Signaling

/// What came of the control connection, in words.
package struct SignallingReport: Sendable {
    package enum Outcome: Sendable {
        /// `clockDifference`: the server's clock less ours; nil when the server does not tell its time.
        case connected(server: String, remote: SocketAddress?, after: TimeAmount, clockDifference: TimeAmount?)
        /// The server was reached, and refused us.
        case refused(String)
        /// The server knows the secret, and not our key.
        case keyUnknown(String)
        case failed(String, advice: String?)
    }

    let server: ServerPlace
    let isInsecure: Bool
    /// What the connection is made over.
    let scheme: ServerURL.Scheme
    let outcome: Outcome

    /// - Parameter scheme: what the connection is made over; nil: what is wanted most.
    package init(server: ServerPlace, isInsecure: Bool, scheme: ServerURL.Scheme? = nil, outcome: Outcome) {
        self.server = server
        self.isInsecure = isInsecure
        self.scheme = scheme ?? server.endpoints[0].scheme
        self.outcome = outcome
    }

    /// A clock that is wrong by more than this deserves a person's attention.
    private static let tolerance = TimeAmount.seconds(30)

    package var items: [CheckItem] {
        switch self.outcome {
        case .connected(let server, let remote, let time, let clockDifference):
            let place = remote.map { " to \($0.authority)" } ?? ""
            return [
                CheckItem(.ok, "signalling", "connected\(place) in \(Self.milliseconds(time)): \(self.transport)"),
                CheckItem(.ok, "secret", "accepted by \(server)"),
                Self.clock(clockDifference),
            ]
        case .refused(let reason):
            return [
                CheckItem(.ok, "signalling", "something answers: \(self.transport)"),
                CheckItem(.failed, "secret", reason),
            ]
        case .keyUnknown(let reason):
            return [
                CheckItem(.ok, "signalling", "the server answers: \(self.transport)"),
                CheckItem(.ok, "secret", "accepted"),
                CheckItem(.failed, "key", reason),
            ]
        case .failed(let reason, let advice):
            return [CheckItem(.failed, "signalling", reason, advice: advice)]
        }
    }

    private var transport: String {
        switch self.scheme {
        case .http: "WebSocket without TLS"
        case .https: "WebSocket over TLS, \(self.trust)"
        case .quic: "QUIC, \(self.trust)"
        }
    }

    private var trust: String {
        if self.isInsecure { return "certificate not checked (--\(self.scheme.rawValue)-insecure)" }
        return self.server.pin == nil ? "certificate verified" : "the key is the one that the link pins"
    }

    private static func clock(_ difference: TimeAmount?) -> CheckItem {
        guard let difference else {
            return CheckItem(.ok, "clock", "not compared: this server does not tell the time")
        }
        let distance = difference < .zero ? .zero - difference : difference
        if distance < .seconds(1) {
            return CheckItem(.ok, "clock", "agrees with the server's")
        }
        let direction = difference > .zero ? "behind" : "ahead of"
        let finding = "this machine's clock is \(Self.length(distance)) \(direction) the server's"
        guard distance > Self.tolerance else { return CheckItem(.ok, "clock", finding) }
        return CheckItem(
            .warning, "clock", finding,
            advice: "set the one that is wrong (NTP): certificates, tokens and --expire_in depend on the clock")
    }

    static func milliseconds(_ time: TimeAmount) -> String { "\(Int(time.milliseconds.rounded())) ms" }

    /// `12 s`, `5 min`, `3 h`, `9 days`.
    static func length(_ time: TimeAmount) -> String {
        let seconds = time.nanoseconds / 1_000_000_000
        switch seconds {
        case ..<120: return "\(seconds) s"
        case ..<7200: return "\(seconds / 60) min"
        case ..<172_800: return "\(seconds / 3600) h"
        default: return "\(seconds / 86_400) days"
        }
    }
}
