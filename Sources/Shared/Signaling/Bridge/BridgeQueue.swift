package import AppProto
import DequeModule
package import NIOCore

/// Datagrams that wait for their way through a control connection, in a line for each flow. A value without a clock.
///
/// What is too old when its turn comes is dropped: nobody is served by a datagram that comes a second late, and those who
/// sent it would take the delay for the path's. A line that is full takes no more. The flows share by deficit round robin
/// (Shreedhar and Varghese, SIGCOMM 1995): equal bytes for all who want them, however large their datagrams are.
package struct BridgeQueue<Flow: Hashable & Sendable>: Sendable {
    /// What may wait.
    package struct Limits: Sendable {
        /// Bytes of one line.
        package var flowBytes: Int
        /// Bytes of all lines. A line gets no more than is left, so that it leaves something for a newcomer.
        package var totalBytes: Int
        /// How old a datagram may be when its turn comes.
        package var age: TimeAmount

        package init(flowBytes: Int, totalBytes: Int, age: TimeAmount) {
            self.flowBytes = flowBytes
            self.totalBytes = totalBytes
            self.age = age
        }
    }

    /// Datagrams that were dropped, by reason.
    package struct Drops: Hashable, Sendable {
        /// There was no more room when they came.
        package var full: UInt64 = 0
        /// They had waited for too long.
        package var tooOld: UInt64 = 0
        /// Their flow ended.
        package var ended: UInt64 = 0
    }

    private struct Line {
        var backlog = BridgeBacklog()
        /// Bytes that it may send in this turn. A newcomer need not wait for a second turn.
        var deficit = BridgeQueue.quantum
        /// Set while it is out of the rotation.
        var isHeld = false
    }

    /// What a turn is worth, in bytes: one full datagram.
    private static var quantum: Int { 1500 }

    private let limits: Limits
    private var lines: [Flow: Line] = [:]
    /// The lines that are not held, in the order of their turns. Each is there once.
    private var rotation: Deque<Flow> = []
    /// What waits takes, in bytes.
    package private(set) var cost = 0
    package private(set) var drops = Drops()

    package init(limits: Limits) {
        self.limits = limits
    }

    /// Whether no line can have its turn: there is nothing, or it is held.
    package var isIdle: Bool { self.rotation.isEmpty }

    /// The largest piece that is taken out at a time, in bytes: what fits between the marks of a link.
    private static var largestPiece: Int { SignalLinkLimits.roomMarks.high - Bridge.envelopeOverhead }

    /// Puts datagrams at the end of their flow's line, unless that is full.
    package mutating func append(_ bridge: Bridge, of flow: Flow, at now: NIODeadline) {
        var rest = bridge
        while let piece = rest.popFirst(atMost: Self.largestPiece) { self.appendPiece(piece, of: flow, at: now) }
    }

    private mutating func appendPiece(_ bridge: Bridge, of flow: Flow, at now: NIODeadline) {
        let cost = BridgeBacklog.cost(of: bridge)
        let isNew = self.lines[flow] == nil
        if !isNew { self.dropOld(of: flow, at: now) }
        let waiting = self.lines[flow]?.backlog.cost ?? 0
        guard waiting + cost <= min(self.limits.flowBytes, self.limits.totalBytes - self.cost) else {
            self.drops.full += UInt64(bridge.datagramCount)
            return
        }
        self.lines[flow, default: Line()].backlog.append(bridge, at: now)
        self.cost += cost
        if isNew { self.rotation.append(flow) }
    }

    /// Takes out what goes next; nil when there is nothing, or all that there is has to wait.
    ///
    /// `mayGo` is asked for each flow whose turn it is. One that may not is held: it leaves the rotation until `resume`.
    package mutating func next(
        at now: NIODeadline, mayGo: (Flow) -> Bool = { _ in true }
    ) -> (flow: Flow, bridge: Bridge)? {
        while let flow = self.rotation.first {
            self.dropOld(of: flow, at: now)
            guard let index = self.lines.index(forKey: flow), let head = self.lines.values[index].backlog.first else {
                self.rotation.removeFirst()
                self.lines[flow] = nil
                continue
            }
            guard mayGo(flow) else {
                self.rotation.removeFirst()
                self.lines.values[index].isHeld = true
                continue
            }
            let bytes = head.datagrams.readableBytes
            guard self.lines.values[index].deficit >= bytes || self.rotation.count == 1 else {
                self.lines.values[index].deficit += Self.quantum
                self.rotation.removeFirst()
                self.rotation.append(flow)
                continue
            }
            self.lines.values[index].deficit = max(0, self.lines.values[index].deficit - bytes)
            guard let bridge = self.lines.values[index].backlog.popFirst() else { continue }
            self.cost -= BridgeBacklog.cost(of: bridge)
            if self.lines.values[index].backlog.isEmpty {
                self.rotation.removeFirst()
                self.lines.remove(at: index)
            }
            return (flow, bridge)
        }
        return nil
    }

    /// The flow takes part again, behind the others.
    package mutating func resume(_ flow: Flow) {
        guard let index = self.lines.index(forKey: flow), self.lines.values[index].isHeld else { return }
        self.lines.values[index].isHeld = false
        self.rotation.append(flow)
    }

    /// The flow has ended; what waits is dropped.
    package mutating func remove(_ flow: Flow) {
        guard var line = self.lines.removeValue(forKey: flow) else { return }
        self.cost -= line.backlog.cost
        while let bridge = line.backlog.popFirst() { self.drops.ended += UInt64(bridge.datagramCount) }
        if !line.isHeld { self.rotation.removeAll { $0 == flow } }
    }

    /// All flows have ended.
    package mutating func removeAll() {
        for flow in Array(self.lines.keys) { self.remove(flow) }
    }

    private mutating func dropOld(of flow: Flow, at now: NIODeadline) {
        guard let index = self.lines.index(forKey: flow) else { return }
        let before = self.lines.values[index].backlog.cost
        self.drops.tooOld += UInt64(self.lines.values[index].backlog.dropOlder(than: self.limits.age, at: now))
        self.cost -= before - self.lines.values[index].backlog.cost
    }
}
