import AppProto
import CommandSupport
import Logging
import NIOCore
import Signaling

/// Who is kept out for its key, and what becomes of sessions when others are listed.
extension SignalService {
    /// Why `peer` does not get in, which the log is told; nil when it does.
    func refusal(of peer: ProvedPeer, from address: String) -> KeyRefusal? {
        guard let refusal = self.broker.refusal(of: PeerClaim(peer)) else { return nil }
        guard let count = self.keyRefusals.occurred(refusal.reason, at: self.eventLoop.now) else { return refusal }
        var metadata: Logger.Metadata = [
            "event": "auth.failed", "reason": "\(refusal.reason.rawValue)", "remote": "\(address)",
            "role": "\(peer.hello.role)", "key": "\(refusal.key.map { "\($0)" } ?? "none")",
            "count": .stringConvertible(count),
        ]
        metadata["agent"] = peer.hello.agent.map { "\($0.name)" }
        metadata["advice"] = refusal.line.map { "this line would let it in: \($0)" }
        self.logger.warning("\(refusal.words)", metadata: metadata)
        return refusal
    }

    /// Goes by `keys` from now on. Returns how many sessions that has ended.
    func change(to keys: AuthorizedKeys) -> Int {
        let actions = self.broker.change(to: keys)
        var count = 0
        for case .close(let id, let goodbye) in actions {
            count += 1
            self.bridge?.sessionEnded(id)
            self.logger.info(
                "session closed: its key may not do any more what it does",
                metadata: [
                    "event": "session.closed", "session": .stringConvertible(id.rawValue),
                    "remote": "\(self.sessions[id]?.peer.address ?? "")", "reason": "key_gone",
                    "detail": "\(goodbye?.reason ?? "")",
                ])
        }
        self.perform(actions)
        return count
    }
}

extension PeerClaim {
    init(_ peer: ProvedPeer) {
        if let agent = peer.hello.agent {
            self.init(role: .agent(name: agent.name), key: peer.key)
        } else {
            self.init(role: peer.hello.isCheck ? .agentCheck : .client, key: peer.key)
        }
    }
}

/// How often peers were kept out for their keys, and when that is told: ten times at once, since each line names another key that
/// somebody may want to list, and then once a second.
struct KeyRefusals {
    private static let burst: Int64 = 10
    private static let interval = TimeAmount.seconds(1)

    private(set) var counts: [KeyRefusal.Reason: UInt64] = [:]
    /// When ten lines may be written again.
    private var restedAt: NIODeadline?
    private var leftOut = 0

    /// Returns the number of occurrences to report, when a line may be written now.
    mutating func occurred(_ reason: KeyRefusal.Reason, at now: NIODeadline) -> Int? {
        self.counts[reason, default: 0] += 1
        let restedAt = max(self.restedAt ?? now, now) + Self.interval
        guard restedAt - now <= Self.interval * Self.burst else {
            self.leftOut += 1
            return nil
        }
        self.restedAt = restedAt
        defer { self.leftOut = 0 }
        return self.leftOut + 1
    }
}
