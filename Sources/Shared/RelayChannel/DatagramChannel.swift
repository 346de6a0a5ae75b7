package import NIOCore
package import PeerChannel
import TLS
import UDP
package import UDPRelay

/// Hears what arrives on a datagram channel, on its event loop.
package protocol DatagramChannelDelegate: AnyObject {
    /// A datagram of a flow. The payload shares memory that is used again: copy what is to be kept.
    func datagramChannel(_ channel: DatagramChannel, received payload: ByteBuffer, of flow: FlowID)
    /// The end of a batch: what it brought about can leave now.
    func datagramChannelReceiveComplete(_ channel: DatagramChannel)
    /// The peer has forgotten the flow.
    func datagramChannel(_ channel: DatagramChannel, closedByPeer flow: FlowID)
    /// ``DatagramChannel/maximumPayload`` has changed, or is known now.
    func datagramChannelLimitChanged(_ channel: DatagramChannel)
}

/// The datagram channel of a relay: DTLS over the path, records of frames inside. Belongs to its event loop.
///
/// Nothing is acknowledged, repeated, reordered or slowed down: a flow's datagrams are as unreliable as they were before.
/// What one turn of the event loop brings shares records, and records of one size share a system call; ``flush()`` ends
/// the turn.
package final class DatagramChannel: PeerCarrier {
    /// What did not get through, and what was used along the way.
    package struct Statistics: Hashable, Sendable {
        /// Records sent and received, each one datagram on the path.
        package var recordsSent: UInt64 = 0
        package var recordsReceived: UInt64 = 0
        /// Datagrams that are no valid record: forged, damaged, replayed, too old.
        package var rejectedDatagrams: UInt64 = 0
        /// Authentic records that are no sequence of frames.
        package var malformedRecords: UInt64 = 0
        /// Records that this machine did not send: no path, or its queue was full.
        package var unsentRecords: UInt64 = 0
    }

    /// Less waits before the first retransmission in the handshake would race an answer, more would idle.
    private static let retransmissionRange = TimeAmount.milliseconds(50)...TimeAmount.seconds(1)
    /// Of a path that has not been measured.
    private static let defaultRetransmission = TimeAmount.milliseconds(400)

    // 16 stored variables: three of them are memory that is used again for each record.

    package weak var carrierDelegate: (any PeerCarrierDelegate)?
    /// Not retained.
    package weak var delegate: (any DatagramChannelDelegate)?
    /// The largest payload of one frame that the path carries, in bytes; 0 before the channel is connected.
    package private(set) var maximumPayload = 0

    private let eventLoop: any EventLoop
    private let path: any DatagramPath
    private let connection: DTLSConnection
    private var writer = RelayRecordWriter(limit: RelayFrame.headerLength)
    private var run = DatagramRun()
    private var plaintext = ByteBuffer()
    private var liveness: ChannelLiveness
    /// A client asks for a sign of life at least every 10 s. One that has vanished without a goodbye would hold its place for
    /// ever while the bridge is there.
    private let idleTimeout: TimeAmount
    private var lastHeard: NIODeadline
    private var timer: (deadline: NIODeadline, task: Scheduled<Void>)?
    private var counters = Statistics()
    private var state = State.connecting

    private enum State {
        case connecting
        case connected
        case closed
    }

    /// The client speaks at once; the agent waits for it.
    ///
    /// - Throws: `TLSError` when the certificate of ours cannot be used.
    package init(_ context: PeerCarrierContext) throws {
        self.eventLoop = context.eventLoop
        self.path = context.path
        self.idleTimeout = context.configuration.idleTimeout
        self.lastHeard = context.eventLoop.now
        self.liveness = ChannelLiveness(probes: context.side == .client, at: context.eventLoop.now)
        let measured = context.path.roundTripTime.map { $0 * 3 } ?? Self.defaultRetransmission
        self.connection = try DTLSConnection(
            DTLSConfiguration(
                role: context.side == .client ? .client : .server, identity: context.configuration.identity,
                peerFingerprint: context.peerFingerprint, maximumDatagramSize: context.path.maximumDatagramSize,
                initialTimeout: min(
                    max(measured, Self.retransmissionRange.lowerBound), Self.retransmissionRange.upperBound)))
        self.connection.start(at: self.eventLoop.now)
        self.drain()
    }

    deinit {
        self.timer?.task.cancel()
    }

    package var isConnected: Bool { if case .connected = self.state { true } else { false } }
    package var isClosed: Bool { if case .closed = self.state { true } else { false } }
    package var roundTripTime: TimeAmount? { self.path.roundTripTime }

    /// What has happened so far.
    package var statistics: Statistics {
        var statistics = self.counters
        statistics.rejectedDatagrams = self.connection.statistics.rejectedDatagrams
        return statistics
    }

    // MARK: Sending

    /// Whether a payload of `length` bytes gets into a datagram of the path.
    package func fits(_ length: Int) -> Bool { length <= self.maximumPayload }

    /// Sends a datagram of a flow, at the latest with ``flush()``.
    ///
    /// - Precondition: ``fits(_:)`` holds.
    package func send(_ payload: ByteBuffer, on flow: FlowID) {
        if !self.writer.hasRoom(for: payload.readableBytes) { self.sealRecord() }
        self.writer.append(flow, payload: payload)
    }

    /// Tells the peer that a flow is over. It may get lost: the peer forgets idle flows by itself.
    package func sendClosed(_ flow: FlowID) {
        self.send(.flowClosed(flow))
    }

    /// Sends what waits for company.
    package func flush() {
        guard self.isConnected else { return }
        self.sealRecord()
        self.sendRun()
        self.armTimer()
    }

    /// Asks the peer for a sign of life, now.
    package func probe() {
        guard self.isConnected else { return }
        self.liveness.suspect(at: self.eventLoop.now)
        self.timerFired()
    }

    private func send(_ message: ControlMessage) {
        guard self.isConnected else { return }
        self.send(message.encoded(), on: .control)
    }

    private func sealRecord() {
        self.writer.finish { record in self.seal(record) }
    }

    private func seal(_ record: ByteBuffer) {
        let length = record.readableBytes + self.connection.recordOverhead
        if !self.run.accepts(length) { self.sendRun() }
        self.run.append(length: length) { bytes in
            do {
                try self.connection.seal(record, into: &bytes)
                return true
            } catch {
                // The connection says so by an event as well, unless the record was made for a path that carried more.
                self.counters.unsentRecords += 1
                return false
            }
        }
    }

    private func sendRun() {
        let count = UInt64(self.run.count)
        self.run.send { bytes, segmentSize in
            if self.path.send(bytes, segmentSize: segmentSize) {
                self.counters.recordsSent += count
            } else {
                self.counters.unsentRecords += count
            }
            self.liveness.sent(at: self.eventLoop.now)
        }
    }

    // MARK: Receiving

    package func receive(_ bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32) {
        let now = self.eventLoop.now
        for datagram in DatagramSegments(bytes, size: segmentSize) {
            self.connection.receive(datagram, at: now)
            self.readRecords(at: now)
            if !self.isConnected { self.drain() }
        }
    }

    package func receiveComplete() {
        self.drain()
        self.delegate?.datagramChannelReceiveComplete(self)
        self.flush()
    }

    private func readRecords(at now: NIODeadline) {
        while true {
            self.plaintext.clear()
            guard self.connection.readPayload(into: &self.plaintext) != nil else { break }
            self.counters.recordsReceived += 1
            self.heard(at: now)
            guard let frames = try? RelayRecordReader(self.plaintext) else {
                self.counters.malformedRecords += 1
                continue
            }
            for frame in frames {
                if frame.flowID == .control {
                    self.receive(control: frame.payload)
                } else {
                    self.delegate?.datagramChannel(self, received: frame.payload, of: frame.flowID)
                }
            }
        }
    }

    private func receive(control payload: ByteBuffer) {
        do {
            switch try ControlMessage(decoding: payload) {
            case .keepalive(let token): self.send(.keepaliveReply(token: token))
            case .flowClosed(let flow): self.delegate?.datagramChannel(self, closedByPeer: flow)
            // Any record is a sign of life; a kind of message that a later version knows is ignored.
            case .keepaliveReply, nil: break
            }
        } catch {
            self.counters.malformedRecords += 1
        }
    }

    // MARK: The path

    /// Datagrams are not held back: what the kernel has no room for is dropped, as in any full queue of the network.
    package func pathWritabilityChanged(_ isWritable: Bool) {}

    package func pathChanged() {
        self.pathLimitChanged()
    }

    package func pathLimitChanged() {
        self.connection.maximumDatagramSize = self.path.maximumDatagramSize
        self.updateLimit()
    }

    private func updateLimit() {
        guard self.isConnected else { return }
        let limit = max(0, self.connection.maximumPayload - RelayFrame.headerLength)
        guard limit != self.maximumPayload else { return }
        // What is there was packed for the old limit.
        self.flush()
        self.maximumPayload = limit
        self.writer.limit = self.connection.maximumPayload
        self.delegate?.datagramChannelLimitChanged(self)
    }

    // MARK: Driving the connection

    private func drain() {
        while let event = self.connection.nextEvent() {
            switch event {
            case .handshakeCompleted: self.connected()
            case .closed: self.end(.closedByPeer(reason: "close_notify"))
            case .failed(let error): self.end(.datagramChannel(error))
            }
        }
        while let datagram = self.connection.nextTransmit() {
            self.path.send(datagram, segmentSize: nil)
        }
        self.armTimer()
    }

    private func connected() {
        guard case .connecting = self.state else { return }
        self.state = .connected
        self.heard(at: self.eventLoop.now)
        self.updateLimit()
        self.notify { $0.carrierConnected() }
    }

    package func close(saying words: String) {
        guard !self.isClosed else { return }
        self.flush()
        self.connection.close()
        self.drain()
        self.end(.closedHere(reason: words))
    }

    private func end(_ reason: PeerChannelError) {
        guard !self.isClosed else { return }
        self.state = .closed
        self.maximumPayload = 0
        self.timer?.task.cancel()
        self.timer = nil
        self.notify { $0.carrierClosed(reason) }
    }

    /// In a later turn of the loop, so that nobody is called while in the middle of something.
    private func notify(_ body: @escaping (any PeerCarrierDelegate) -> Void) {
        self.eventLoop.assumeIsolated().execute {
            guard let delegate = self.carrierDelegate else { return }
            body(delegate)
        }
    }

    // MARK: Time

    private func heard(at now: NIODeadline) {
        let wasSuspect = self.liveness.isSuspect
        self.lastHeard = now
        self.liveness.heard(at: now)
        if wasSuspect { self.notify { $0.carrierSuspicionChanged(false) } }
    }

    /// A timer that is early is left as it is: most deadlines move on.
    private func armTimer() {
        let deadline =
            switch self.state {
            case .connecting: self.connection.nextDeadline
            case .connected: min(self.liveness.nextDeadline ?? .distantFuture, self.lastHeard + self.idleTimeout)
            case .closed: NIODeadline?.none
            }
        guard let deadline else { return }
        if let timer = self.timer {
            guard deadline < timer.deadline else { return }
            timer.task.cancel()
        }
        let task = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            self?.timer = nil
            self?.timerFired()
        }
        self.timer = (deadline, task)
    }

    private func timerFired() {
        let now = self.eventLoop.now
        switch self.state {
        case .connecting:
            self.connection.handleTimeout(at: now)
            self.drain()
        case .connected where now - self.lastHeard >= self.idleTimeout:
            self.end(.silent(self.idleTimeout))
        case .connected:
            let wasSuspect = self.liveness.isSuspect
            if let token = self.liveness.timerFired(at: now) {
                self.send(.keepalive(token: token))
                self.flush()
            }
            if !wasSuspect, self.liveness.isSuspect { self.notify { $0.carrierSuspicionChanged(true) } }
            self.armTimer()
        case .closed: break
        }
    }
}

@available(*, unavailable)
extension DatagramChannel: Sendable {}
