import AppProto
import Basics
import NIOCore
import QUIC
import UDPAssociation

/// The DATAGRAM frames of a tunnel, shared by its UDP associations. Belongs to the tunnel's event loop.
final class TunnelDatagrams {
    private let session: QUICSession
    private var associations: [AssociationID: TunnelAssociation] = [:]
    private var scheduler = DatagramScheduler()
    private var reassembler = DatagramReassembler()
    /// The next look for datagrams whose pieces do not come.
    private var expiry: Scheduled<Void>?
    /// Those that have received something in this turn of the loop.
    private var batch: [TunnelAssociation] = []
    private var counts = TunnelDatagramStatistics()

    init(_ session: QUICSession) { self.session = session }

    var statistics: TunnelDatagramStatistics {
        var statistics = self.counts
        statistics.congested += self.scheduler.dropped + self.session.unfitDatagrams
        statistics.incomplete = self.reassembler.abandoned
        return statistics
    }

    /// Whether the tunnel is.
    var isOver: Bool { self.session.isClosed }

    // MARK: Associations

    /// The agent has accepted one of ours.
    func open(on stream: TunnelStream) -> TunnelAssociation {
        let association = TunnelAssociation(stream, self)
        self.associations[association.id] = association
        stream.attach(association)
        return association
    }

    /// A client wants one; `decide` is asked whether it may.
    func accept(_ stream: TunnelStream, _ decide: ((TunnelAssociation) -> TunnelRefusal?)?) {
        guard self.session.maxDatagramPayload > 0 else {
            return stream.refuse(.badRequest, reason: "this client takes no DATAGRAM frames, which associations need")
        }
        let association = TunnelAssociation(stream, self)
        guard let decide else { return stream.refuse(.failed, reason: "the agent is closing") }
        if let refusal = decide(association) { return stream.refuse(refusal.code, reason: refusal.reason) }
        self.associations[association.id] = association
        stream.write(TunnelMessageReader.frame(OpenResult(code: .ok).encoded()))
        stream.attach(association)
    }

    /// It is over.
    func remove(_ association: TunnelAssociation) {
        guard self.associations.removeValue(forKey: association.id) != nil else { return }
        self.scheduler.remove(association.id)
        self.reassembler.remove(association.id)
    }

    /// The tunnel is over; its streams have told the associations.
    func stop() {
        self.expiry?.cancel()
        self.expiry = nil
    }

    // MARK: Sending

    func send(_ payload: ByteBuffer, _ endpoint: Endpoint, by association: TunnelAssociation) -> Bool {
        guard payload.readableBytes <= AssociationLimits.payload else {
            self.counts.oversize += 1
            return false
        }
        // Who finds nobody in front and room need not queue.
        guard self.scheduler.isEmpty, self.session.hasDatagramRoom else {
            // A copy: the payload may be a small part of what a socket has read at once.
            let payload = ByteBuffer(buffer: payload)
            self.scheduler.append(payload, endpoint, of: association.id, at: self.session.eventLoop.now)
            return true
        }
        self.write(payload, endpoint, by: association)
        return true
    }

    /// There is room again.
    func sendWaiting() {
        let now = self.session.eventLoop.now
        while self.session.hasDatagramRoom, let item = self.scheduler.next(at: now) {
            if let association = self.associations[item.association] {
                self.write(item.payload, item.endpoint, by: association)
            }
        }
    }

    private func write(_ payload: ByteBuffer, _ endpoint: Endpoint, by association: TunnelAssociation) {
        var isQueued = true
        let fits = association.writer.write(payload, endpoint, limit: self.session.maxDatagramPayload) { frame in
            // A datagram of which a piece is missing is of no use.
            isQueued = isQueued && self.session.sendDatagram(frame)
        }
        if fits, isQueued { self.counts.sent += 1 } else { self.counts.congested += 1 }
    }

    // MARK: Receiving

    /// A DATAGRAM frame has come.
    func receive(_ bytes: ByteBuffer) {
        guard let frame = AssociationFrame(decoding: bytes), let association = self.associations[frame.association]
        else {
            self.counts.foreign += 1
            return
        }
        switch frame.content {
        case .datagram(let endpoint, let payload):
            guard payload.readableBytes <= AssociationLimits.payload else {
                self.counts.foreign += 1
                return
            }
            self.deliver(payload, endpoint, to: association)
        case .fragment(let fragment):
            let whole = self.reassembler.receive(fragment, of: frame.association, at: self.session.eventLoop.now)
            if let whole { self.deliver(whole.payload, whole.endpoint, to: association) }
            self.armExpiry()
        }
    }

    private func deliver(_ payload: ByteBuffer, _ endpoint: Endpoint, to association: TunnelAssociation) {
        self.counts.received += 1
        if !association.isInBatch {
            association.isInBatch = true
            self.batch.append(association)
            // What this turn of the loop brings besides is part of the batch.
            if self.batch.count == 1 { self.session.eventLoop.assumeIsolated().execute { self.completeBatch() } }
        }
        association.delegate?.association(association, received: payload, with: endpoint)
    }

    private func completeBatch() {
        let batch = self.batch
        self.batch.removeAll(keepingCapacity: true)
        for association in batch {
            association.isInBatch = false
            association.delegate?.associationReceiveComplete(association)
        }
    }

    /// A timer that is early is left as it is.
    private func armExpiry() {
        guard self.expiry == nil, let deadline = self.reassembler.nextDeadline else { return }
        self.expiry = self.session.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            guard let self else { return }
            self.expiry = nil
            self.reassembler.expire(at: self.session.eventLoop.now)
            self.armExpiry()
        }
    }
}

@available(*, unavailable)
extension TunnelDatagrams: Sendable {}
