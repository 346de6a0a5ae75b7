import AppProto
import Basics
import Logging
import NIOCore

/// Who uses which agent by a channel, since when, and what the server has carried for it: for the log.
struct PeerAccount: Equatable, Sendable {
    /// Why the server has nothing more to do with a channel. Its two ends may go on without.
    enum End: Equatable, Sendable {
        /// One of the ends says so; with its words.
        case closed(byClient: Bool, String)
        /// The control connection has ended.
        case clientLeft
        case agentLeft
        /// The client has opened more channels than the server keeps in mind.
        case forgotten
        /// The agent's answer made no sense, or it did not want a restart.
        case refused
        /// To another session of the client.
        case moved
        case serverStops
        /// One end is not let in any more, or may not use the other.
        case withdrawn
    }

    /// Where the client comes from, `ip:port`.
    let client: String
    let session: SessionID
    let agent: String
    /// Nil when only a restart has told of it.
    let kind: OpenPeer.Kind?
    let since: NIODeadline
    /// What has been taken for the bridge, in bytes of datagrams: from the client, and from the agent.
    private(set) var bridgedOut: UInt64 = 0
    private(set) var bridgedIn: UInt64 = 0

    init(client: String, session: SessionID, agent: String, kind: OpenPeer.Kind?, since: NIODeadline) {
        self.client = client
        self.session = session
        self.agent = agent
        self.kind = kind
        self.since = since
    }

    mutating func carried(_ size: Int, isOut: Bool) {
        if isOut { self.bridgedOut &+= UInt64(size) } else { self.bridgedIn &+= UInt64(size) }
    }

    /// For event `peer.opened`.
    func openedMetadata(_ peer: PeerID) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            "event": "peer.opened", "peer": "\(peer)", "client": "\(self.client)",
            "session": .stringConvertible(self.session.rawValue), "agent": "\(self.agent)",
        ]
        switch self.kind {
        case .quicTunnel: metadata["kind"] = "tunnel"
        case .udpRelay(let relay):
            metadata["kind"] = "relay"
            metadata["target"] = "\(relay.target.authority)"
        case nil: break
        }
        return metadata
    }

    /// For event `peer.closed`.
    func closedMetadata(_ peer: PeerID, _ reason: End, at now: NIODeadline) -> Logger.Metadata {
        var metadata = self.openedMetadata(peer)
        metadata["event"] = "peer.closed"
        metadata["seconds"] = .stringConvertible((now - self.since).wholeSeconds)
        metadata["bridged_bytes"] = .stringConvertible(self.bridgedOut &+ self.bridgedIn)
        metadata["bridged_out"] = .stringConvertible(self.bridgedOut)
        metadata["bridged_in"] = .stringConvertible(self.bridgedIn)
        metadata["reason"] = "\(reason)"
        return metadata
    }
}

extension PeerAccount.End: CustomStringConvertible {
    /// So much is logged of what an end says.
    private static let longestWords = 200

    var description: String {
        switch self {
        case .closed(let byClient, let words):
            "closed by the \(byClient ? "client" : "agent")\(words.isEmpty ? "" : ": \(words.prefix(Self.longestWords))")"
        case .clientLeft: "the client's control connection has ended"
        case .agentLeft: "the agent's control connection has ended"
        case .forgotten: "the client has opened too many others since"
        case .refused: "refused by the agent"
        case .moved: "the client has another control connection"
        case .serverStops: "the server stops"
        case .withdrawn: "--authorized-keys does not allow it any more"
        }
    }
}
