import NIOCore
import STUN
import TestSupport

@testable import ICE

/// Datagrams that look like STUN, from strangers and from the peer, to a session that checks and then lives on.
///
/// Flags of a datagram: 0x01 with the peer's proof, 0x02 as an answer to the last request, 0x04 from a new address,
/// 0x18 how much time passes before.
func fuzzICE(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    var session = try ICEUnderTest(role: input.byte() & 1 == 0 ? .controlled : .controlling)
    while let (flags, payload) = input.datagram() {
        session.pass(ICEUnderTest.waits[Int(flags >> 3 & 3)])
        let source = flags & 0x04 == 0 ? session.peerAddress : try session.nextAddress()
        if flags & 0x01 != 0, let datagram = session.proved(payload, isAnswer: flags & 0x02 != 0) {
            session.receive(datagram, from: source)
        } else {
            try session.receiveFromStranger(payload, from: source)
        }
        try session.checkBounds()
    }
}

private struct ICEUnderTest {
    static let waits: [TimeAmount] = [.zero, .milliseconds(50), .seconds(1), .seconds(6)]
    private static let base = LocalBaseID(0)

    private let local: ICECredentials
    private let remote: ICECredentials
    private var agent: ICEAgent
    private var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private var lastRequest: TransactionID?
    private var addresses: UInt16 = 0
    let peerAddress: SocketAddress

    init(role: ICERole) throws {
        var random = SeededGenerator(1)
        self.local = .random(using: &random)
        self.remote = .random(using: &random)
        self.peerAddress = try SocketAddress(ipAddress: "192.0.2.1", port: 1000)
        self.agent = ICEAgent(role: role, local: self.local, hmacSHA1: realHMAC, tieBreaker: 1 << 63, random: random)
        let address = try SocketAddress(ipAddress: "192.0.2.2", port: 2000)
        self.agent.addLocalCandidate(.host(address: address, base: Self.base, interfaceIndex: 0), at: self.now)
        self.agent.setRemote(credentials: self.remote, at: self.now)
        let candidate = ICECandidate(kind: .host, foundation: "1", priority: 1 << 30, address: self.peerAddress)
        self.agent.addRemoteCandidate(candidate, at: self.now)
        self.drain()
    }

    /// An address that the peer has not been seen at.
    mutating func nextAddress() throws -> SocketAddress {
        self.addresses += 1
        return try SocketAddress(ipAddress: "198.51.100.1", port: Int(self.addresses))
    }

    mutating func pass(_ time: TimeAmount) {
        let end = self.now + time
        while let deadline = self.agent.nextDeadline, deadline < end {
            self.now = max(self.now, deadline) + .milliseconds(1)
            self.agent.handleTimeout(at: self.now)
            self.drain()
        }
        self.now = max(self.now, end)
        self.agent.handleTimeout(at: self.now)
        self.drain()
    }

    private mutating func drain() {
        while let transmit = self.agent.nextTransmit() {
            guard let message = try? ReceivedSTUNMessage(decoding: transmit.payload).message,
                message.messageClass == .request
            else { continue }
            self.lastRequest = message.id
        }
        while self.agent.nextEvent() != nil {}
    }

    /// `datagram` as the peer would send it; nil when it is no STUN.
    func proved(_ datagram: ByteBuffer, isAnswer: Bool) -> ByteBuffer? {
        guard var message = try? ReceivedSTUNMessage(decoding: datagram).message else { return nil }
        let isRequest = message.messageClass == .request
        if isRequest {
            message.attributes.insert(.username("\(self.local.ufrag):\(self.remote.ufrag)"), at: 0)
        } else if isAnswer, let id = self.lastRequest {
            message.id = id
        }
        let key = MessageIntegrityKey((isRequest ? self.local : self.remote).pwd.utf8)
        return message.encoded(integrityKey: key, fingerprint: true)
    }

    mutating func receive(_ datagram: ByteBuffer, from source: SocketAddress) {
        self.agent.receive(datagram, on: Self.base, from: source, at: self.now)
        self.drain()
    }

    /// Nothing that lacks proof of the password may change anything but a counter.
    mutating func receiveFromStranger(_ datagram: ByteBuffer, from source: SocketAddress) throws {
        let proof = try? ReceivedSTUNMessage(decoding: datagram)
        for credentials in [self.local, self.remote]
        where proof?.isAuthentic(key: MessageIntegrityKey(credentials.pwd.utf8)) == true {
            return self.receive(datagram, from: source)
        }
        let before = self.agent
        self.agent.receive(datagram, on: Self.base, from: source, at: self.now)
        while let transmit = self.agent.nextTransmit() {
            try promise(transmit.destination == source, "somebody else is answered")
            try promise(
                transmit.payload.readableBytes <= datagram.readableBytes + 48,
                "\(datagram.readableBytes) bytes are answered with \(transmit.payload.readableBytes)")
        }
        try promise(self.agent.nextEvent() == nil, "a stranger makes an event")
        try promise(
            self.agent.phase == before.phase && self.agent.role == before.role
                && self.agent.remoteCandidates == before.remoteCandidates
                && self.agent.localCandidates == before.localCandidates
                && self.agent.earlyChecks.count == before.earlyChecks.count
                && self.agent.transactions.map(\.id) == before.transactions.map(\.id)
                && self.agent.nextDeadline == before.nextDeadline,
            "a stranger changes the session")
        for (pair, was) in zip(self.agent.report.pairs, before.report.pairs) {
            try promise(
                pair.outcome == was.outcome && pair.checksReceived == was.checksReceived, "a stranger changes a pair")
        }
    }

    func checkBounds() throws(BrokenPromise) {
        let limits = self.agent.configuration
        try promise(self.agent.remoteCandidates.count <= limits.maximumRemoteCandidates, "too many remote candidates")
        try promise(self.agent.localCandidates.count <= limits.maximumLocalCandidates, "too many local candidates")
        try promise(self.agent.checkList.pairs.count <= limits.maximumPairs, "too many pairs")
        try promise(self.agent.earlyChecks.count <= limits.maximumEarlyChecks, "too many early checks")
        try promise(self.agent.transactions.count <= 4 * limits.maximumPairs, "too many transactions")
        _ = self.agent.report.description
    }
}
