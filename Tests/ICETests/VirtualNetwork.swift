import NIOCore
import TestSupport
import STUN

@testable import ICE

/// One side of a session: an agent, its sockets, what it said.
final class Peer {
    let name: String
    var agent: ICEAgent
    let credentials: ICECredentials
    var nat: NAT?
    var sockets: [LocalBaseID: TransportAddress] = [:]
    /// Hosts behind the same NAT, or without one, share a realm and reach each other's addresses directly.
    let realm: String

    private(set) var events: [(at: NIODeadline, event: ICEEvent)] = []
    /// Where the agent's owner would send data now.
    private(set) var path: ICECandidatePair?

    init(
        _ name: String, role: ICERole, tieBreaker: UInt64? = nil, nat: NAT? = nil, seed: UInt64 = 1,
        configuration: ICEConfiguration = ICEConfiguration()
    ) {
        var generator = SeededGenerator(seed &* 1000 &+ UInt64(name.utf8.first ?? 0))
        self.name = name
        self.nat = nat
        self.realm = nat == nil ? "public" : name
        self.credentials = .random(using: &generator)
        self.agent = ICEAgent(
            role: role, local: self.credentials, hmacSHA1: realHMAC, tieBreaker: tieBreaker,
            configuration: configuration, random: generator
        )
    }

    func record(_ event: ICEEvent, at now: NIODeadline) {
        self.events.append((now, event))
        switch event {
        case .pairUsable(let pair), .selectedPairChanged(let pair): self.path = pair
        case .consentLost, .failed: self.path = nil
        case .probeAnswered, .rttSample, .roleChanged: break
        }
    }

    func time(of matches: (ICEEvent) -> Bool) -> NIODeadline? {
        self.events.first { matches($0.event) }?.at
    }

    var usableAt: NIODeadline? {
        self.time { if case .pairUsable = $0 { true } else { false } }
    }

    var selectedAt: NIODeadline? {
        self.time { if case .selectedPairChanged = $0 { true } else { false } }
    }

    var failure: ICEReport? {
        for case .failed(let report) in self.events.map(\.event) {
            return report
        }
        return nil
    }

    var isSelected: Bool { self.selectedAt != nil }
}

/// Two or more peers, NATs, bad luck and virtual time. The same seed, the same run.
final class VirtualNetwork {
    struct Conditions {
        var delay = 10...10  // milliseconds
        var loss = 0.0
        var duplication = 0.0
    }

    private struct Delivery {
        let at: NIODeadline
        let sequence: Int
        let action: () -> Void
    }

    private(set) var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    let start: NIODeadline
    var conditions = Conditions()
    /// Drops packets; source and destination as they appear on the public network.
    var isBlocked: (_ source: TransportAddress, _ destination: TransportAddress) -> Bool = { _, _ in false }
    /// Every datagram that an agent sent.
    private(set) var sent: [(at: NIODeadline, peer: String, transmit: ICETransmit)] = []

    private var peers: [Peer] = []
    private var deliveries: [Delivery] = []
    private var sequence = 0
    private var generator: SeededGenerator

    init(seed: UInt64 = 1) {
        self.generator = SeededGenerator(seed)
        self.start = self.now
    }

    var elapsed: TimeAmount { self.now - self.start }

    func attach(_ peer: Peer) {
        self.peers.append(peer)
    }

    /// Does something at a virtual time.
    func after(_ delay: TimeAmount, _ action: @escaping () -> Void) {
        self.sequence += 1
        self.deliveries.append(Delivery(at: self.now + delay, sequence: self.sequence, action: action))
    }

    /// One mutation of an agent, followed by the full drain.
    func drive(_ peer: Peer, _ body: (inout ICEAgent) -> Void) {
        body(&peer.agent)
        while let transmit = peer.agent.nextTransmit() {
            self.sent.append((self.now, peer.name, transmit))
            self.send(transmit, from: peer)
        }
        while let event = peer.agent.nextEvent() {
            peer.record(event, at: self.now)
        }
    }

    /// Runs until the condition holds or the time is over. Returns whether it holds.
    @discardableResult
    func run(for limit: TimeAmount = .seconds(60), until condition: () -> Bool = { false }) -> Bool {
        let end = self.now + limit
        var stepsAtOneInstant = 0
        while !condition() {
            let timer = self.peers.compactMap { peer in peer.agent.nextDeadline.map { (at: $0, peer: peer) } }
                .min { $0.at < $1.at }
            let delivery = self.deliveries.min { ($0.at, $0.sequence) < ($1.at, $1.sequence) }
            guard let next = [timer?.at, delivery?.at].compactMap({ $0 }).min(), next <= end else {
                self.now = end
                return condition()
            }
            stepsAtOneInstant = next > self.now ? 0 : stepsAtOneInstant + 1
            precondition(stepsAtOneInstant < 10_000, "time stands still")
            self.now = max(self.now, next)
            if let delivery, delivery.at == next {
                self.deliveries.removeAll { $0.sequence == delivery.sequence }
                delivery.action()
            } else if let timer {
                self.drive(timer.peer) { $0.handleTimeout(at: self.now) }
            }
        }
        return true
    }

    /// A datagram that nobody sent: straight into a socket.
    func inject(_ datagram: ByteBuffer, into peer: Peer, base: LocalBaseID, from source: SocketAddress) {
        self.drive(peer) { $0.receive(datagram, on: base, from: source, at: self.now) }
    }

    // MARK: Moving packets

    private func send(_ transmit: ICETransmit, from peer: Peer) {
        guard let source = peer.sockets[transmit.base], let destination = TransportAddress(transmit.destination) else {
            return
        }
        let copies = self.chance(self.conditions.duplication) ? 2 : 1
        for _ in 0..<copies where !self.chance(self.conditions.loss) {
            self.route(transmit.payload, from: source, to: destination, sender: peer)
        }
    }

    private func route(
        _ payload: ByteBuffer, from source: TransportAddress, to destination: TransportAddress, sender: Peer
    ) {
        let delay = TimeAmount.milliseconds(Int64.random(in: self.delayRange, using: &self.generator))
        if let (peer, base) = self.socket(destination, realm: sender.realm) {
            return self.deliver(payload, to: peer, base: base, from: source, after: delay)
        }
        // Addresses behind other NATs are nobody's on the public network.
        let outside = sender.nat == nil ? source : sender.nat?.outbound(from: source, to: destination)
        guard let outside else {
            return
        }
        if let (peer, base) = self.socket(destination, realm: "public") {
            return self.deliver(payload, to: peer, base: base, from: outside, after: delay)
        }
        // NATs filter when the packet arrives.
        self.after(delay) { [unowned self] in
            for peer in self.peers {
                guard let nat = peer.nat, TransportAddress(ipv4: nat.publicAddress, port: 0) == destination.withPort(0),
                    let inside = nat.inbound(from: outside, to: destination.port),
                    let (_, base) = self.socket(inside, realm: peer.realm), !self.isBlocked(outside, destination)
                else {
                    continue
                }
                self.arrive(payload, at: peer, base: base, from: outside)
            }
        }
    }

    private func deliver(
        _ payload: ByteBuffer, to peer: Peer, base: LocalBaseID, from source: TransportAddress, after delay: TimeAmount
    ) {
        guard let local = peer.sockets[base], !self.isBlocked(source, local) else {
            return
        }
        self.after(delay) { [unowned self] in self.arrive(payload, at: peer, base: base, from: source) }
    }

    private func arrive(_ payload: ByteBuffer, at peer: Peer, base: LocalBaseID, from source: TransportAddress) {
        guard let source = source.socketAddress else {
            return
        }
        self.drive(peer) { $0.receive(payload, on: base, from: source, at: self.now) }
    }

    private func socket(_ address: TransportAddress, realm: String) -> (Peer, LocalBaseID)? {
        for peer in self.peers where peer.realm == realm {
            if let base = peer.sockets.first(where: { $0.value == address })?.key {
                return (peer, base)
            }
        }
        return nil
    }

    private var delayRange: ClosedRange<Int64> {
        Int64(self.conditions.delay.lowerBound)...Int64(self.conditions.delay.upperBound)
    }

    private func chance(_ probability: Double) -> Bool {
        probability > 0 && Double.random(in: 0..<1, using: &self.generator) < probability
    }
}
