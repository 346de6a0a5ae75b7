/// Why a datagram was dropped. The raw values stand in logs.
package enum RelayDropReason: String, CaseIterable, Sendable {
    /// Its payload is larger than the limit.
    case oversize
    /// There was no channel to the agent for too long, or too much waited for one.
    case noChannel = "no_channel"
    /// There are as many flows as there may be, or the system gives no further socket.
    case flowLimit = "flow_limit"
    /// It would have opened a flow, and flows are being opened too fast.
    case flowRate = "flow_rate"
    /// It came for a flow that has ended.
    case unknownFlow = "unknown_flow"
    /// This machine's kernel did not take it: its queue was full, or it has no way to the destination.
    case notSent = "not_sent"
}

/// Why a flow was ended that was in nobody's way by itself. The raw values stand in logs.
package enum FlowEvictionReason: String, Sendable {
    /// There are as many flows as there may be: it has been idle longest, and has no answer if there is one of that kind.
    case limit
    /// Another relay has less than its share of what there may be.
    case share
    /// The system gives no further socket.
    case system
}

/// What has passed through one end of a relay, and what has not.
package struct RelayStatistics: Hashable, Sendable {
    /// Datagrams and their payload.
    package struct Traffic: Hashable, Sendable {
        package var packets: UInt64 = 0
        /// Bytes of payload.
        package var bytes: UInt64 = 0

        /// Counts a datagram of `count` bytes.
        package mutating func add(bytes count: Int) {
            self.packets += 1
            self.bytes += UInt64(count)
        }
    }

    /// From the local sender towards the target.
    package var toTarget = Traffic()
    /// From the target back.
    package var fromTarget = Traffic()
    /// Flows opened so far.
    package var flowsOpened: UInt64 = 0
    private var drops = [UInt64](repeating: 0, count: RelayDropReason.allCases.count)

    package init() {}

    /// How many datagrams were dropped for a reason.
    package subscript(reason: RelayDropReason) -> UInt64 {
        get { self.drops[reason.index] }
        set { self.drops[reason.index] = newValue }
    }

    /// Keys and values for a log line, in this order: traffic each way, then drops by reason, those that there are.
    package var fields: [(key: String, value: UInt64)] {
        var fields = [
            ("flows_opened", self.flowsOpened),
            ("packets_out", self.toTarget.packets), ("bytes_out", self.toTarget.bytes),
            ("packets_in", self.fromTarget.packets), ("bytes_in", self.fromTarget.bytes),
        ]
        for reason in RelayDropReason.allCases where self[reason] > 0 {
            fields.append(("dropped_\(reason.rawValue)", self[reason]))
        }
        return fields.map { (key: $0.0, value: $0.1) }
    }
}

extension RelayDropReason {
    fileprivate var index: Int {
        switch self {
        case .oversize: 0
        case .noChannel: 1
        case .flowLimit: 2
        case .unknownFlow: 3
        case .notSent: 4
        case .flowRate: 5
        }
    }
}
