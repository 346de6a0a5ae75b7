package import ICE
package import NIOCore
package import QUIC
package import TLS

/// Why a peer channel is over, or never came to be.
package enum PeerChannelError: Error, Sendable {
    /// No UDP socket could be opened; says why.
    case noSocket(String)
    /// There is no usable local address: no interface is up, or none of those named exists.
    case noLocalAddress(interfaces: [String])
    /// The offer could not be delivered, or the agent refused it; the error of the control connection.
    case offerFailed(any Error)
    /// The other side proves no knowledge of our end-to-end secret, or a wrong one.
    case endToEndProof(String)
    /// The other side has, or shows, a key that this one does not accept; says why.
    case keyRefused(String)
    /// The other side's offer or answer is not usable; says why.
    case badOffer(String)
    /// No pair of candidates works; the report lists what was tried.
    case noPath(ICEReport)
    /// Neither a direct path nor the bridge can be had; says why.
    case noBridge(String)
    /// Nothing has come from the other side for so long.
    case silent(TimeAmount)
    /// The other side has forgotten the channel.
    case unknownToPeer
    /// The path that was in use carries nothing any more, and no other works.
    case pathLost(ICEReport)
    /// The tunnel is closed, by either side or by silence.
    case tunnel(QUICCloseReason)
    /// The datagram channel has failed.
    case datagramChannel(TLSError)
    /// The two sides did not come to authenticate each other in time, though there was a path.
    case handshakeTimedOut
    /// The other side ended the channel through the control connection, with these words.
    case closedByPeer(reason: String)
    /// This side called `close(reason:)`.
    case closedHere(reason: String)
}

extension PeerChannelError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noSocket(let detail): "cannot open a UDP socket for the path to the peer: \(detail)"
        case .noLocalAddress(let interfaces):
            interfaces.isEmpty
                ? "no network interface with a usable address is up"
                : "no usable address on --p2p-interface \(interfaces.joined(separator: ", "))"
        case .offerFailed(let error): "the agent cannot be asked for a channel: \(error)"
        case .endToEndProof(let detail): "\(detail); is --e2e-secret the same on both sides?"
        case .keyRefused(let detail): detail
        case .badOffer(let detail): "the other side's offer cannot be used: \(detail)"
        case .noPath(let report): "no path to the peer found: \(report.summary)"
        case .noBridge(let reason): "the bridge cannot be used: \(reason)"
        case .silent(let time): "nothing heard from the other side for \(time.nanoseconds / 1_000_000_000) s"
        case .unknownToPeer: "the other side knows nothing of the channel any more"
        case .pathLost(let report): "the path to the peer is lost: \(report.summary)"
        case .tunnel(let reason): "the tunnel is closed: \(reason)"
        case .datagramChannel(let error): "the datagram channel has failed: \(error)"
        case .handshakeTimedOut: "the handshake with the other side was not complete in time"
        case .closedByPeer(let reason):
            "the other side closed the channel: \(reason.isEmpty ? "no reason given" : reason)"
        case .closedHere(let reason): "closed: \(reason)"
        }
    }
}

extension PeerChannelError {
    /// Names the kind of failure: what stays the same from one attempt to the next that fails for the same reason.
    package var cause: String {
        switch self {
        case .noPath: "no path"
        case .pathLost: "path lost"
        // What the other side says about a path has numbers behind the colon.
        case .closedByPeer(let reason): "closed by peer: \(reason.prefix { $0 != ":" })"
        default: "\(self)"
        }
    }

    /// All that was tried to find a path, in several lines; nil when the path is not what failed.
    var report: ICEReport? {
        switch self {
        case .noPath(let report), .pathLost(let report): report
        default: nil
        }
    }

    /// What the other side is told: no more than it needs, in one line.
    var wordsForPeer: String {
        switch self {
        case .noSocket, .noLocalAddress, .badOffer, .endToEndProof, .noBridge, .silent, .unknownToPeer: "\(self)"
        case .keyRefused: "the client does not accept this agent's key"
        case .offerFailed: "the offer failed"
        case .noPath(let report): "no path found: \(report.summary)"
        case .pathLost: "the path is lost"
        case .tunnel(let reason): "\(reason)"
        case .datagramChannel(let error): "\(error)"
        case .handshakeTimedOut: "\(self)"
        case .closedByPeer: "closed"
        case .closedHere(let reason): reason
        }
    }
}

extension ICEReport {
    /// One line: how many candidates and pairs, and how their checks ended.
    fileprivate var summary: String {
        var outcomes: [String: Int] = [:]
        for pair in self.pairs {
            outcomes["\(pair.outcome)", default: 0] += 1
        }
        let parts = outcomes.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }
        return "\(self.localCandidates.count) local and \(self.remoteCandidates.count) remote candidates"
            + (parts.isEmpty ? "" : ", " + parts.joined(separator: ", "))
    }
}
