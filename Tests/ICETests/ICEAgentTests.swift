import NIOCore
import STUN
import TestSupport
import Testing

@testable import ICE

/// One agent, its peer played by hand.
@Suite struct `An ICE agent` {
    static let base = LocalBaseID(0)
    let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    let box: AgentBox
    var peer: RawPeer
    let host: SocketAddress
    let remote: SocketAddress

    init() throws {
        var generator = SeededGenerator(3)
        let credentials = ICECredentials.random(using: &generator)
        self.box = AgentBox(
            ICEAgent(role: .controlled, local: credentials, hmacSHA1: realHMAC, tieBreaker: 10, random: generator))
        self.peer = RawPeer(of: credentials)
        self.host = try address("192.0.2.1", 5000)
        self.remote = try address("192.0.2.2", 6000)
    }

    private var agent: ICEAgent {
        get { self.box.agent }
        nonmutating _modify { yield &self.box.agent }
    }

    private func transmits() -> [ICETransmit] { self.box.agent.drainTransmits() }
    private func events() -> [ICEEvent] { self.box.agent.drainEvents() }

    private func remoteCandidate(_ ip: String, _ port: Int, priority: UInt32 = 2_130_706_431) throws -> ICECandidate {
        ICECandidate(kind: .host, foundation: "\(ip)", priority: priority, address: try address(ip, port))
    }

    /// Knows everything and has sent its first check, which is returned.
    private mutating func begin(role: ICERole = .controlled) throws -> ByteBuffer {
        self.agent.role = role
        self.agent.addLocalCandidate(.host(address: self.host, base: Self.base, interfaceIndex: 0), at: self.start)
        self.agent.addRemoteCandidate(try self.remoteCandidate("192.0.2.2", 6000), at: self.start)
        self.agent.setRemote(credentials: self.peer.local, at: self.start)
        return try #require(self.transmits().first).payload
    }

    private mutating func receive(_ datagram: ByteBuffer, from source: SocketAddress? = nil, at now: NIODeadline? = nil)
    {
        self.agent.receive(datagram, on: Self.base, from: source ?? self.remote, at: now ?? self.start)
    }

    private func message(_ transmit: ICETransmit?) throws -> STUNMessage {
        try ReceivedSTUNMessage(decoding: try #require(transmit).payload).message
    }

    // MARK: Where the peer may be

    @Test func `sends no check to a forbidden address, whether it is a candidate or a sender`() throws {
        var generator = SeededGenerator(3)
        let credentials = ICECredentials.random(using: &generator)
        var peer = RawPeer(of: credentials)
        let box = AgentBox(
            ICEAgent(
                role: .controlled, local: credentials, hmacSHA1: realHMAC, tieBreaker: 10,
                permitsRemote: { $0.ipAddress != "192.0.2.2" },
                random: generator))
        box.agent.addLocalCandidate(.host(address: self.host, base: Self.base, interfaceIndex: 0), at: self.start)
        #expect(!box.agent.addRemoteCandidate(try self.remoteCandidate("192.0.2.2", 6000), at: self.start))
        box.agent.setRemote(credentials: peer.local, at: self.start)
        #expect(box.agent.drainTransmits().isEmpty)
        box.agent.receive(peer.check(), on: Self.base, from: self.remote, at: self.start)
        #expect(box.agent.drainTransmits().isEmpty)
        #expect(!box.agent.hasHeardPeer(at: self.remote, on: Self.base))
        #expect(box.agent.addRemoteCandidate(try self.remoteCandidate("192.0.2.3", 6000), at: self.start))
        let checks = box.agent.drainTransmits()
        #expect(checks.map(\.destination.ipAddress) == ["192.0.2.3"] && checks.allSatisfy(\.isToStranger))
    }

    // MARK: Our checks

    @Test mutating func `sends checks with everything that RFC 8445 asks for`() throws {
        let request = try ReceivedSTUNMessage(decoding: try self.begin())
        #expect(request.isAuthentic(key: MessageIntegrityKey(self.peer.local.pwd.utf8)))
        #expect(request.hasFingerprint)
        #expect(request.message.username == "\(self.peer.local.ufrag):\(self.peer.remote.ufrag)")
        #expect(request.message.iceControlled == 10)
        #expect(request.message.iceControlling == nil)
        #expect(request.message.priority == 1_862_270_719, "110 << 24 | 65534 << 8 | 255")
        #expect(!request.message.usesCandidate)
    }

    @Test mutating func `sends one request 7 times, then calls it unanswered`() throws {
        let request = try self.begin()
        var times = [Int64(0)]
        while let deadline = self.agent.nextDeadline {
            self.agent.handleTimeout(at: deadline)
            for transmit in self.transmits() {
                #expect(transmit.payload == request)
                times.append((deadline - self.start).nanoseconds / 1_000_000)
            }
        }
        #expect(times == [0, 500, 1500, 3500, 5500, 7500, 9500])
        #expect(self.agent.report.pairs.map(\.outcome) == [.inProgress(requests: 7)])
        guard case .failed(let report)? = self.events().last else {
            Issue.record("no failure")
            return
        }
        #expect("\(report)".contains("no answer to 7 requests"))
    }

    @Test mutating func `measures the round trip of an answer at once, not of a retransmission`() throws {
        let request = try self.begin()
        self.receive(try self.peer.answer(to: request, mapped: self.host), at: self.start + .milliseconds(12))
        #expect(self.agent.selectedPair?.roundTripTime == .milliseconds(12))
        #expect("\(self.agent.report)".contains("succeeded rtt=12ms"))

        var other = try Self()
        let again = try other.begin()
        other.agent.handleTimeout(at: self.start + .milliseconds(500))
        other.receive(try other.peer.answer(to: again, mapped: other.host), at: self.start + .milliseconds(512))
        #expect(other.agent.selectedPair?.roundTripTime == nil)
        #expect(other.agent.selectedPair != nil)
    }

    @Test mutating func `paces its checks`() throws {
        self.agent.addLocalCandidate(.host(address: self.host, base: Self.base, interfaceIndex: 0), at: self.start)
        for index in 0..<20 {
            self.agent.addRemoteCandidate(
                try self.remoteCandidate("192.0.2.\(100 + index)", 6000, priority: UInt32(2_000_000_000 - index)),
                at: self.start)
        }
        self.agent.setRemote(credentials: self.peer.local, at: self.start)
        var times: [Int64] = []
        var destinations: [String] = []
        var seen: Set<TransactionID> = []
        var now = self.start
        while seen.count < 20, let deadline = self.agent.nextDeadline {
            for transmit in self.transmits() where seen.insert(try self.message(transmit).id).inserted {
                times.append((now - self.start).nanoseconds / 1_000_000)
                destinations.append(transmit.destination.ipAddress ?? "")
            }
            now = max(now, deadline)
            self.agent.handleTimeout(at: now)
        }
        let quick: [Int64] = (0..<10).map { $0 * 5 }
        let steady: [Int64] = (0..<10).map { 95 + $0 * 50 }
        #expect(times == quick + steady)
        #expect(destinations == (0..<20).map { "192.0.2.\(100 + $0)" }, "best first")
    }

    @Test mutating func `does not check a foundation twice at a time, and thaws the rest when one succeeds`() throws {
        self.agent.addLocalCandidate(.host(address: self.host, base: Self.base, interfaceIndex: 0), at: self.start)
        for port in 6000...6002 {
            var candidate = try self.remoteCandidate("192.0.2.2", port, priority: UInt32(3_000_000 - port))
            candidate.foundation = "same"
            self.agent.addRemoteCandidate(candidate, at: self.start)
        }
        self.agent.setRemote(credentials: self.peer.local, at: self.start)
        self.agent.handleTimeout(at: self.start + .milliseconds(100))
        let first = self.transmits()
        #expect(first.map(\.destination.port) == [6000])
        self.receive(
            try self.peer.answer(to: try #require(first.first).payload, mapped: self.host),
            at: self.start + .milliseconds(100))
        self.agent.handleTimeout(at: self.start + .milliseconds(105))
        self.agent.handleTimeout(at: self.start + .milliseconds(110))
        #expect(self.transmits().map(\.destination.port) == [6001, 6002])
    }

    @Test mutating func `prunes pairs that share a socket and a remote address`() throws {
        self.agent.addLocalCandidate(.host(address: self.host, base: Self.base, interfaceIndex: 1), at: self.start)
        let better = ICECandidate.host(address: try address("192.0.2.3", 5000), base: Self.base, interfaceIndex: 0)
        self.agent.addLocalCandidate(better, at: self.start)
        let server = try address("198.51.100.1", 3478)
        self.agent.addLocalCandidate(
            .serverReflexive(mapped: try address("203.0.113.1", 9), host: better, server: server), at: self.start)
        self.agent.addRemoteCandidate(try self.remoteCandidate("192.0.2.2", 6000), at: self.start)
        let pairs = self.agent.report.pairs
        #expect(pairs.count == 1)
        #expect(pairs.first?.local == better)
    }

    @Test mutating func `reports a socket that refuses to send`() throws {
        struct NetworkUnreachable: Error, CustomStringConvertible {
            let description = "network is unreachable"
        }
        _ = try self.begin()
        self.agent.localCandidatesEnded(at: self.start)
        self.agent.remoteCandidatesEnded(at: self.start)
        self.agent.sendFailed(on: Self.base, to: self.remote, error: NetworkUnreachable(), at: self.start)
        #expect("\(self.agent.report)".contains("192.0.2.2:6000 (host, host): cannot send: network is unreachable"))
        self.agent.handleTimeout(at: self.start + .seconds(2))
        #expect(self.agent.hasFailed)
    }

    // MARK: Answers that are not believed

    @Test mutating func `ignores answers without the right proof`() throws {
        let request = try self.begin()
        let before = self.agent.report
        let id = try ReceivedSTUNMessage(decoding: request).message.id
        let forged = [
            try self.peer.answer(to: request, mapped: self.host, key: "a password that is wrong"),
            try self.peer.answer(to: request, mapped: self.host, key: self.peer.remote.pwd),
            STUNMessage(.success, id: id, attributes: [.xorMappedAddress(try #require(TransportAddress(self.host)))])
                .encoded(fingerprint: true),
            try self.peer.refusal(of: request, .roleConflict, proved: false),
        ]
        for datagram in forged {
            self.receive(datagram)
        }
        #expect(self.agent.counters.unauthenticated == forged.count)
        #expect(self.agent.role == .controlled)
        #expect(self.events().isEmpty && self.transmits().isEmpty)
        #expect(self.agent.report.pairs.map(\.outcome) == before.pairs.map(\.outcome))
        #expect(self.agent.report.localCandidates == before.localCandidates)

        // The real answer still counts.
        self.receive(try self.peer.answer(to: request, mapped: self.host))
        #expect(self.agent.selectedPair != nil)
        self.receive(try self.peer.answer(to: request, mapped: self.host))
        #expect(self.agent.counters.unexpected == 1)
    }

    @Test mutating func `reports a refusal without proof, and goes on asking`() throws {
        let request = try self.begin()
        self.receive(try self.peer.refusal(of: request, .unauthenticated, proved: false))
        let report = self.agent.report
        #expect(report.pairs.map(\.outcome) == [.inProgress(requests: 1)])
        #expect("\(report)".contains("answered 401 Unauthenticated without proof"))
    }

    @Test mutating func `ends a check that was refused with proof`() throws {
        let request = try self.begin()
        let error = try #require(STUNErrorCode(code: 500, reason: "Server Error"))
        self.receive(try self.peer.refusal(of: request, error))
        #expect(self.agent.report.pairs.map(\.outcome) == [.answered(error)])
    }

    @Test mutating func `refuses paths that are not symmetric`() throws {
        let request = try self.begin()
        self.receive(try self.peer.answer(to: request, mapped: self.host), from: try address("192.0.2.2", 6001))
        #expect(self.agent.report.pairs.map(\.outcome) == [.answeredFromElsewhere])
        #expect(self.agent.selectedPair == nil)

        var other = try Self()
        let again = try other.begin()
        other.agent.receive(
            try other.peer.answer(to: again, mapped: other.host), on: LocalBaseID(1), from: other.remote,
            at: other.start)
        #expect(other.agent.report.pairs.map(\.outcome) == [.answeredFromElsewhere])
    }

    @Test mutating func `refuses an answer with an unknown attribute that must be understood`() throws {
        let request = try self.begin()
        let id = try ReceivedSTUNMessage(decoding: request).message.id
        let answer = STUNMessage(
            .success, id: id,
            attributes: [.xorMappedAddress(try #require(TransportAddress(self.host))), .other(type: 0x7000, value: [])])
        self.receive(answer.encoded(integrityKey: MessageIntegrityKey(self.peer.local.pwd.utf8)))
        #expect(self.agent.report.pairs.map(\.outcome) == [.badAnswer])
    }

    // MARK: The peer's checks

    @Test mutating func `answers a check and checks back`() throws {
        _ = try self.begin()
        let check = self.peer.check()
        self.receive(check, at: self.start + .milliseconds(10))
        let sent = self.transmits()
        #expect(sent.count == 2)
        let answer = try ReceivedSTUNMessage(decoding: try #require(sent.first).payload)
        #expect(answer.message.messageClass == .success)
        #expect(answer.message.id == (try ReceivedSTUNMessage(decoding: check).message.id))
        #expect(answer.message.mappedAddress == TransportAddress(self.remote))
        #expect(answer.isAuthentic(key: MessageIntegrityKey(self.peer.remote.pwd.utf8)))
        #expect(try self.message(sent.last).messageClass == .request)
        #expect(self.agent.selectedPair == nil, "a check of the peer proves nothing about our own direction")
    }

    @Test mutating func `accepts the late answer of a check that a triggered one has replaced`() throws {
        let request = try self.begin()
        self.receive(self.peer.check(), at: self.start + .milliseconds(10))
        #expect(self.transmits().count == 2)
        self.receive(try self.peer.answer(to: request, mapped: self.host), at: self.start + .milliseconds(15))
        #expect(self.agent.selectedPair != nil)
        // Neither request is sent again.
        self.agent.handleTimeout(at: self.start + .seconds(3))
        #expect(self.transmits().isEmpty)
    }

    @Test mutating func `refuses checks without the right proof, and learns nothing from them`() throws {
        _ = try self.begin()
        let elsewhere = try address("192.0.2.66", 6666)
        let id = TransactionID(high: 9, low: 9)
        let cases: [(ByteBuffer, Int)] = [
            (STUNMessage(.request, id: id).encoded(), 400),
            (STUNMessage(.request, id: id, attributes: [.username(self.peer.username), .priority(1)]).encoded(), 400),
            (STUNMessage(.request, id: id).encoded(integrityKey: MessageIntegrityKey(self.peer.remote.pwd.utf8)), 400),
            (self.peer.check(key: "a password that is wrong"), 401),
            (self.peer.check(useCandidate: true, key: self.peer.local.pwd), 401),
            (self.peer.check(username: "\(self.peer.local.ufrag):\(self.peer.remote.ufrag)"), 401),
            (self.peer.check(username: "\(self.peer.remote.ufrag):other"), 401),
            (self.peer.check(username: self.peer.remote.ufrag), 401),
            (self.peer.check(username: "x" + self.peer.username), 401),
        ]
        let deadline = self.agent.nextDeadline
        for (datagram, code) in cases {
            self.receive(datagram, from: elsewhere)
            let sent = self.transmits()
            #expect(sent.count == 1)
            let answer = try ReceivedSTUNMessage(decoding: try #require(sent.first).payload)
            #expect(answer.message.errorCode?.code == code)
            #expect(!answer.hasIntegrity)
        }
        #expect(self.agent.counters.unauthenticated == cases.count)
        #expect(self.agent.remoteCandidates.count == 1)
        #expect(self.agent.report.pairs.map(\.checksReceived) == [0])
        #expect(self.agent.nextDeadline == deadline)
        #expect(self.events().isEmpty)
    }

    @Test mutating func `answers 420 to what it must understand but does not`() throws {
        _ = try self.begin()
        self.receive(self.peer.check(extra: [.other(type: 0x7001, value: [])]))
        let answer = try ReceivedSTUNMessage(decoding: try #require(self.transmits().first).payload)
        #expect(answer.message.errorCode?.code == 420)
        #expect(answer.message.attributes.contains(.unknownAttributes([0x7001])))
        #expect(answer.isAuthentic(key: MessageIntegrityKey(self.peer.remote.pwd.utf8)))
    }

    @Test mutating func `ignores anything but STUN, other methods and indications`() throws {
        _ = try self.begin()
        self.receive(ByteBuffer(string: "not STUN at all, and rather long"))
        self.receive(ByteBuffer())
        self.receive(STUNMessage(.request, method: .init(rawValue: 3), id: TransactionID(high: 0, low: 0)).encoded())
        #expect(self.agent.counters.malformed == 3)
        self.receive(STUNMessage(.indication, id: TransactionID(high: 0, low: 0)).encoded())
        #expect(self.transmits().isEmpty)
    }

    @Test mutating func `answers a consent check without a priority, and learns nothing`() throws {
        _ = try self.begin()
        self.receive(self.peer.check(priority: nil), from: try address("192.0.2.9", 9))
        #expect(try self.message(self.transmits().first).messageClass == .success)
        #expect(self.agent.remoteCandidates.count == 1)
    }

    // MARK: Roles

    @Test(arguments: [
        // (our role, their claim is the same, their tie-breaker; ours is 10) → answered 487, our role afterwards
        (ICERole.controlling, true, UInt64(9), true, ICERole.controlling),
        (.controlling, true, 10, true, .controlling),
        (.controlling, true, 11, false, .controlled),
        (.controlled, true, 9, false, .controlling),
        (.controlled, true, 10, false, .controlling),
        (.controlled, true, 11, true, .controlled),
        (.controlling, false, 99, false, .controlling),
        (.controlled, false, 0, false, .controlled),
    ])
    mutating func `decides role conflicts by tie-breaker`(
        role: ICERole, conflict: Bool, theirs: UInt64, refused: Bool, after: ICERole
    ) throws {
        _ = try self.begin(role: role)
        self.receive(self.peer.check(controlling: (role == .controlling) == conflict, tieBreaker: theirs))
        let answer = try ReceivedSTUNMessage(decoding: try #require(self.transmits().first).payload)
        #expect((answer.message.errorCode?.code == 487) == refused)
        #expect(answer.isAuthentic(key: MessageIntegrityKey(self.peer.remote.pwd.utf8)))
        #expect(self.agent.role == after)
        #expect(self.events() == (role == after ? [] : [.roleChanged(after)]))
    }

    @Test mutating func `yields to 487 once, checks again, with a new tie-breaker`() throws {
        let request = try self.begin(role: .controlling)
        self.receive(try self.peer.refusal(of: request, .roleConflict))
        self.agent.handleTimeout(at: self.start + .milliseconds(5))
        let again = try self.message(self.transmits().first)
        #expect(self.agent.role == .controlled)
        #expect(again.iceControlled != nil && again.iceControlled != 10)
        #expect(self.events() == [.roleChanged(.controlled)])
    }

    // MARK: Nomination

    @Test mutating func `nominates regularly, with a check of its own`() throws {
        let request = try self.begin(role: .controlling)
        self.receive(try self.peer.answer(to: request, mapped: self.host))
        #expect(self.events().count == 1)
        #expect(self.transmits().isEmpty)
        self.agent.localCandidatesEnded(at: self.start)
        self.agent.remoteCandidatesEnded(at: self.start)
        let nomination = try #require(self.transmits().first).payload
        #expect(try ReceivedSTUNMessage(decoding: nomination).message.usesCandidate)
        #expect(self.events().isEmpty)
        self.receive(try self.peer.answer(to: nomination, mapped: self.host))
        guard case .selectedPairChanged(let pair)? = self.events().last else {
            Issue.record("nothing selected")
            return
        }
        #expect(pair.remoteAddress == self.remote)
        #expect(pair.local.address == self.host)
    }

    @Test mutating func `follows a nomination once its own check has succeeded`() throws {
        let request = try self.begin()
        self.receive(self.peer.check(useCandidate: true))
        #expect(self.events().isEmpty)
        self.receive(try self.peer.answer(to: request, mapped: self.host))
        let events = self.events()
        #expect(events.count == 2)
        guard case .pairUsable? = events.first, case .selectedPairChanged? = events.last else {
            Issue.record("\(events)")
            return
        }
    }

    @Test mutating func `of several nominations the best counts, until the pair in use is doubtful`() throws {
        self.agent.addLocalCandidate(.host(address: self.host, base: Self.base, interfaceIndex: 0), at: self.start)
        for (index, priority) in [UInt32(2_000), 3_000, 1_000].enumerated() {
            self.agent.addRemoteCandidate(
                try self.remoteCandidate("192.0.2.\(10 + index)", 6000, priority: priority), at: self.start)
        }
        self.agent.setRemote(credentials: self.peer.local, at: self.start)
        for step in 1...3 {
            self.agent.handleTimeout(at: self.start + .milliseconds(Int64(step) * 5))
        }
        for transmit in self.transmits() {
            self.receive(try self.peer.answer(to: transmit.payload, mapped: self.host), from: transmit.destination)
        }
        func selected() -> String? { self.agent.selectedPair?.remoteAddress.ipAddress }
        self.receive(self.peer.check(useCandidate: true), from: try address("192.0.2.10", 6000))
        #expect(selected() == "192.0.2.10")
        self.receive(self.peer.check(useCandidate: true), from: try address("192.0.2.12", 6000))
        #expect(selected() == "192.0.2.10")
        self.receive(self.peer.check(useCandidate: true), from: try address("192.0.2.11", 6000))
        #expect(selected() == "192.0.2.11")
        self.receive(
            self.peer.check(useCandidate: true), from: try address("192.0.2.12", 6000), at: self.start + .seconds(13))
        #expect(selected() == "192.0.2.12")
    }

    @Test mutating func `ignores USE-CANDIDATE while it is controlling`() throws {
        let request = try self.begin(role: .controlling)
        self.receive(self.peer.check(controlling: false, useCandidate: true))
        self.receive(try self.peer.answer(to: request, mapped: self.host))
        #expect(self.events().count == 1)
    }

    // MARK: Candidates

    @Test mutating func `ignores a candidate that nobody can send to`() throws {
        for (ip, port) in [
            ("0.0.0.0", 5), ("::", 5), ("224.0.0.1", 5), ("255.255.255.255", 5), ("ff02::1", 5), ("192.0.2.2", 0),
        ] {
            let isTaken = self.agent.addRemoteCandidate(try self.remoteCandidate(ip, port), at: self.start)
            #expect(!isTaken)
        }
        #expect(self.agent.remoteCandidates.isEmpty)
    }

    @Test mutating func `sends nothing to this machine's own ports unless it is on loopback itself`() throws {
        self.agent.addLocalCandidate(.host(address: self.host, base: Self.base, interfaceIndex: 0), at: self.start)
        self.agent.addRemoteCandidate(try self.remoteCandidate("127.0.0.1", 22), at: self.start)
        #expect(self.agent.report.pairs.isEmpty)
        let loopback = ICECandidate.host(address: try address("127.0.0.1", 5000), base: Self.base, interfaceIndex: 1)
        self.agent.addLocalCandidate(loopback, at: self.start)
        #expect(self.agent.report.pairs.map(\.local) == [loopback])
    }

    @Test(arguments: [
        ("192.0.2.1", "192.0.2.2", true), ("192.0.2.1", "2001:db8::2", false), ("fe80::1", "fe80::2", true),
        ("fe80::1", "2001:db8::2", false), ("2001:db8::1", "fe80::2", false), ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "192.0.2.2", true), ("192.0.2.1", "127.0.0.1", false), ("::1", "::1", true),
        ("2001:db8::1", "::1", false),
    ])
    func `pairs only candidates that can reach each other`(local: String, remote: String, expected: Bool) throws {
        let local = try #require(TransportAddress(try address(local, 1)))
        let remote = try #require(TransportAddress(try address(remote, 2)))
        #expect(ICEAgent.canPair(local, remote) == expected)
    }

    @Test mutating func `recognises a redundant candidate`() throws {
        let host = ICECandidate.host(address: self.host, base: Self.base, interfaceIndex: 0)
        let unchanged = ICECandidate.serverReflexive(
            mapped: self.host, host: host, server: try address("198.51.100.1", 3478))
        let isNew = [host, host, unchanged].map { self.agent.addLocalCandidate($0, at: self.start) }
        #expect(isNew == [true, false, false], "without a NAT the reflexive candidate adds nothing")
        let remote = try self.remoteCandidate("192.0.2.2", 6000)
        let isNewRemote = [remote, remote].map { self.agent.addRemoteCandidate($0, at: self.start) }
        #expect(isNewRemote == [true, false])
    }
}
