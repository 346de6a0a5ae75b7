import NIOCore
import STUN
import Testing

@testable import ICE

@Suite struct `Two ICE agents` {
    @Test func `on one machine have a path at once`() throws {
        let session = Session()
        session.network.conditions.delay = 0...0
        session.exchange(
            client: try session.gather(session.client, "127.0.0.1", port: 5000),
            agent: try session.gather(session.agent, "127.0.0.1", port: 6000), signallingDelay: .milliseconds(0))
        #expect(session.runUntilSelected())
        for peer in session.peers {
            let usableAt = try #require(peer.usableAt)
            #expect(usableAt - session.network.start <= .milliseconds(10))
        }
        // Both sides are complete and nothing is left to try: nomination does not wait.
        #expect(session.network.elapsed <= .milliseconds(10))
        session.expectOnePath()
        #expect(session.client.path?.priority == session.agent.path?.priority)
    }

    @Test(arguments: 1...25)
    func `find a path through loss, reordering and duplication`(seed: Int) throws {
        let session = Session(seed: UInt64(seed))
        session.network.conditions = .init(delay: 5...150, loss: 0.25, duplication: 0.2)
        try session.exchangeBothFamilies()
        #expect(session.runUntilSelected())
        session.expectOnePath()
    }

    @Test func `prefer IPv6, and data does not wait for the decision`() throws {
        let session = Session()
        try session.exchangeBothFamilies()
        #expect(session.runUntilSelected())
        session.expectOnePath()
        #expect(session.client.path?.remoteAddress == (try address("2001:db8::2", 5000)))
        let usableAt = try #require(session.client.usableAt)
        #expect(usableAt - session.network.start <= .milliseconds(60))
    }

    @Test func `take IPv4 when IPv6 leads nowhere, after a short wait`() throws {
        let session = Session()
        session.network.isBlocked = { source, _ in source.family == .ipv6 }
        try session.exchangeBothFamilies()
        #expect(session.runUntilSelected())
        session.expectOnePath()
        #expect(session.client.path?.remoteAddress == (try address("192.0.2.2", 5000)))
        let usableAt = try #require(session.client.usableAt)
        let selectedAt = try #require(session.client.selectedAt)
        #expect(usableAt - session.network.start <= .milliseconds(70))
        #expect(selectedAt - usableAt >= .milliseconds(500))
        #expect(selectedAt - usableAt <= .milliseconds(600))
    }

    // MARK: NATs

    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        case none
        case fullCone
        case restricted
        case portRestricted
        case symmetric

        func nat(_ publicAddress: UInt32) -> NAT? {
            switch self {
            case .none: nil
            case .fullCone:
                NAT(mapping: .endpointIndependent, filtering: .endpointIndependent, publicAddress: publicAddress)
            case .restricted:
                NAT(mapping: .endpointIndependent, filtering: .addressDependent, publicAddress: publicAddress)
            case .portRestricted:
                NAT(mapping: .endpointIndependent, filtering: .addressAndPortDependent, publicAddress: publicAddress)
            case .symmetric:
                NAT(
                    mapping: .addressAndPortDependent, filtering: .addressAndPortDependent,
                    publicAddress: publicAddress)
            }
        }

        var testDescription: String { self.rawValue }
    }

    @Test(arguments: Kind.allCases, Kind.allCases)
    func `get through the NATs that can be got through`(clientKind: Kind, agentKind: Kind) throws {
        let session = Session(clientNAT: clientKind.nat(0xCB00_7101), agentNAT: agentKind.nat(0xCB00_7102))
        session.exchange(
            client: try session.gather(session.client, clientKind == .none ? "192.0.2.1" : "10.0.0.1"),
            agent: try session.gather(session.agent, agentKind == .none ? "192.0.2.2" : "10.0.0.2"))
        let selected = session.runUntilSelected()

        // A symmetric NAT's port can't be foretold, so its peer must let in strangers' ports.
        let isHopeless =
            clientKind == .symmetric && (agentKind == .symmetric || agentKind == .portRestricted)
            || agentKind == .symmetric && (clientKind == .symmetric || clientKind == .portRestricted)
        #expect(selected == !isHopeless)
        if isHopeless {
            #expect(session.client.failure != nil && session.agent.failure != nil)
        } else {
            session.expectOnePath()
        }
    }

    @Test func `behind one NAT use their private addresses`() throws {
        // Same realm without hairpinning: modelled as no NAT at all, plus reflexive candidates that lead nowhere.
        let session = Session()
        var client = try session.gather(session.client, "10.0.0.1")
        var agent = try session.gather(session.agent, "10.0.0.2")
        let server = try address("198.51.100.1", 3478)
        client.append(.serverReflexive(mapped: try address("203.0.113.1", 20000), host: client[0], server: server))
        agent.append(.serverReflexive(mapped: try address("203.0.113.1", 20007), host: agent[0], server: server))
        session.exchange(client: client, agent: agent)
        #expect(session.runUntilSelected())
        #expect(session.client.path?.remoteAddress == agent[0].address)
        #expect(session.client.selectedAt.map { $0 - session.network.start <= .milliseconds(200) } == true)
    }

    // MARK: Peer-reflexive candidates

    @Test func `discover addresses that nobody told`() throws {
        let session = Session()
        session.add(try session.gather(session.client, "192.0.2.1"), to: session.client)
        let agent = try session.gather(session.agent, "192.0.2.2")
        session.add(agent, to: session.agent)
        session.introduce(session.client, to: session.agent)
        session.introduce(session.agent, to: session.client)
        session.tell(session.client, agent, ended: false)  // The agent hears of no candidate at all.
        #expect(session.runUntilSelected())
        session.expectOnePath()
        #expect(session.agent.path?.remote.kind == .peerReflexive)
        #expect(
            session.agent.path?.remote.priority
                == session.client.path.map { ICEPriority.peerReflexive(from: $0.local.priority) })
    }

    @Test func `see a new mapping as a peer-reflexive local candidate`() throws {
        let nat = NAT(
            mapping: .addressAndPortDependent, filtering: .addressAndPortDependent, publicAddress: 0xCB00_7101)
        let session = Session(clientNAT: nat)
        session.exchange(
            client: try session.gather(session.client, "10.0.0.1"),
            agent: try session.gather(session.agent, "192.0.2.2"))
        #expect(session.runUntilSelected())
        session.expectOnePath()
        #expect(session.client.path?.local.kind == .peerReflexive)
        #expect(session.client.path?.local.relatedAddress == (try address("10.0.0.1", 5000)))
        #expect(session.agent.path?.remote.kind == .peerReflexive)
    }

    @Test func `learn later what a peer-reflexive candidate really is`() throws {
        let session = Session()
        let client = try session.gather(session.client, "192.0.2.1")
        let agent = try session.gather(session.agent, "192.0.2.2")
        session.add(client, to: session.client)
        session.add(agent, to: session.agent)
        session.introduce(session.client, to: session.agent)
        session.introduce(session.agent, to: session.client)
        session.tell(session.client, agent, ended: false)
        session.network.run(for: .milliseconds(100)) { session.agent.usableAt != nil }
        #expect(session.agent.agent.remoteCandidates.map(\.kind) == [.peerReflexive])
        session.tell(session.agent, client, ended: false)
        #expect(session.agent.agent.remoteCandidates.map(\.kind) == [.host])
        #expect(session.agent.agent.report.pairs.map(\.remote.priority) == [client[0].priority])
    }

    // MARK: Trickle and order of arrival

    @Test func `connect when candidates trickle in late`() throws {
        let session = Session()
        let client = try session.gather(session.client, "192.0.2.1")
        let agent = try session.gather(session.agent, "192.0.2.2")
        session.introduce(session.client, to: session.agent)
        session.introduce(session.agent, to: session.client)
        session.network.after(.seconds(2)) { session.add(client, to: session.client) }
        session.network.after(.seconds(4)) { session.add(agent, to: session.agent) }
        session.network.after(.seconds(5)) { session.tell(session.agent, client) }
        session.network.after(.seconds(6)) { session.tell(session.client, agent) }
        #expect(session.runUntilSelected())
        session.expectOnePath()
    }

    @Test func `a better candidate that trickles in before the nomination wins`() throws {
        let session = Session()
        let clientV4 = try session.gather(session.client, "192.0.2.1")
        let agentV4 = try session.gather(session.agent, "192.0.2.2")
        let clientV6 = try session.gather(session.client, "2001:db8::1")
        let agentV6 = try session.gather(session.agent, "2001:db8::2")
        session.add(clientV4 + clientV6, to: session.client)
        session.add(agentV4 + agentV6, to: session.agent)
        session.introduce(session.client, to: session.agent)
        session.introduce(session.agent, to: session.client)
        session.tell(session.client, agentV4, ended: false)
        session.tell(session.agent, clientV4, ended: false)
        session.network.after(.milliseconds(300)) {
            session.tell(session.client, agentV6)
            session.tell(session.agent, clientV6)
        }
        #expect(session.runUntilSelected())
        session.expectOnePath()
        #expect(session.client.path?.remoteAddress == agentV6[0].address)
    }

    @Test func `checks that overtake the credentials are answered and remembered`() throws {
        let session = Session()
        let client = try session.gather(session.client, "192.0.2.1")
        let agent = try session.gather(session.agent, "192.0.2.2")
        // The answer takes 3 s, checks 10 ms.
        session.exchange(client: client, agent: agent, signallingDelay: .seconds(3))
        session.network.run(for: .seconds(1))
        #expect(session.agent.usableAt != nil, "the agent's check was answered by a client that knew nothing of it")
        #expect(session.client.usableAt == nil)

        // Now credentials only: the early check is all the client knows of the agent's address.
        session.introduce(session.agent, to: session.client)
        #expect(session.client.agent.remoteCandidates.map(\.kind) == [.peerReflexive])
        session.network.run(for: .milliseconds(50)) { session.client.usableAt != nil }
        #expect(session.client.usableAt != nil)
        #expect(session.runUntilSelected())
        session.expectOnePath()
    }

    // MARK: Roles

    @Test(arguments: [
        (ICERole.controlling, UInt64(1), UInt64(2)), (.controlling, 2, 1), (.controlling, 7, 7),
        (.controlled, 1, 2), (.controlled, 2, 1), (.controlled, 7, 7),
        (.controlling, 0, .max), (.controlled, 0, .max),
    ])
    func `settle a role conflict`(role: ICERole, first: UInt64, second: UInt64) throws {
        for delay in [0, 20] {
            let session = Session(clientRole: role, agentRole: role, tieBreakers: (first, second))
            session.exchange(
                client: try session.gather(session.client, "192.0.2.1"),
                agent: try session.gather(session.agent, "192.0.2.2"),
                signallingDelay: .milliseconds(Int64(delay)))
            #expect(session.runUntilSelected())
            session.expectOnePath()
            #expect(session.client.agent.role != session.agent.agent.role)
            if first != second {
                #expect(session.client.agent.role == (first > second ? .controlling : .controlled))
            }
            #expect(session.client.path?.priority == session.agent.path?.priority)
        }
    }

    // MARK: Consent

    @Test func `keep consent for hours without losing the path`() throws {
        let session = Session()
        session.network.conditions = .init(delay: 20...40, loss: 0.05)
        session.exchange(
            client: try session.gather(session.client, "192.0.2.1"),
            agent: try session.gather(session.agent, "192.0.2.2"))
        #expect(session.runUntilSelected())
        let sent = session.network.sent.count
        session.network.run(for: .hours(1))
        #expect(session.client.failure == nil && session.agent.failure == nil)
        // A request and an answer each 5 s in each direction.
        let perHour = session.network.sent.count - sent
        #expect(2400...3400 ~= perHour)
        #expect(session.client.agent.transactions.count < 10)
        #expect(session.client.path?.roundTripTime.map { .milliseconds(40)...(.milliseconds(80)) ~= $0 } == true)
    }

    @Test func `switch to another pair when consent is lost`() throws {
        let session = Session()
        try session.exchangeBothFamilies()
        #expect(session.runUntilSelected())
        session.network.run(for: .seconds(100))
        #expect(session.client.path?.remoteAddress == (try address("2001:db8::2", 5000)))

        session.network.isBlocked = { source, _ in source.family == .ipv6 }
        let cut = session.network.now
        session.network.run(for: .seconds(40))
        session.expectOnePath()
        #expect(session.client.path?.remoteAddress == (try address("192.0.2.2", 5000)))
        // 30 s after the last answer, which came up to 6 s before the cut. The agent may be quicker, or be led away.
        let lostAt = try #require(session.client.time { if case .consentLost = $0 { true } else { false } })
        #expect(.seconds(23)...(.seconds(30)) ~= lostAt - cut)
        #expect(session.client.failure == nil && session.agent.failure == nil)
        #expect(session.client.agent.isNominated && session.agent.agent.isNominated)
        session.network.run(for: .seconds(300))
        session.expectOnePath()

        // RFC 7675: a pair that lost consent is not used again, even if it would work.
        session.network.isBlocked = { source, _ in source.family == .ipv4 }
        session.network.run(for: .seconds(60))
        for peer in session.peers {
            let report = try #require(peer.failure)
            #expect(report.pairs.map(\.outcome) == [.consentLost, .consentLost])
            #expect(peer.path == nil)
        }
    }

    @Test func `end when consent is lost and there is nothing else`() throws {
        let session = Session()
        session.exchange(
            client: try session.gather(session.client, "192.0.2.1"),
            agent: try session.gather(session.agent, "192.0.2.2"))
        #expect(session.runUntilSelected())
        session.network.isBlocked = { _, _ in true }
        session.network.run(for: .seconds(40))
        for peer in session.peers {
            let last = peer.events.suffix(2).map(\.event)
            guard case .consentLost = last.first, case .failed(let report) = last.last else {
                Issue.record("events end with \(last)")
                continue
            }
            #expect("\(report)".contains("worked, then the peer stopped answering"))
            #expect(peer.agent.nextDeadline == nil)
            #expect(peer.agent.hasFailed)
        }
    }

    @Test func `follow the controlling side to a worse pair`() throws {
        // Only what comes back to the client is lost on IPv6: the agent's consent checks fail just the same.
        let session = Session()
        try session.exchangeBothFamilies()
        #expect(session.runUntilSelected())
        session.network.isBlocked = { source, destination in
            destination.description == "[2001:db8::1]:5000"
        }
        session.network.run(for: .seconds(60))
        session.expectOnePath()
        #expect(session.agent.path?.remoteAddress == (try address("192.0.2.1", 5000)))
    }

    // MARK: Pairs that carry too little

    private func reject(in session: Session, by peers: [Peer]) {
        for peer in peers {
            guard let path = peer.path else { continue }
            session.network.drive(peer) { $0.reject(path.id, at: session.network.now) }
        }
    }

    /// Both sides know from their probes, or only one does.
    @Test(arguments: [["client", "agent"], ["client"], ["agent"]])
    func `take a pair whose checks the nomination had cut when the nominated one is rejected`(names: [String]) throws {
        let session = Session()
        session.network.isBlocked = { source, _ in source.family == .ipv4 }
        try session.exchangeBothFamilies()
        #expect(session.runUntilSelected())
        session.network.run(for: .seconds(5))
        session.network.isBlocked = { _, _ in false }
        let rejecting = session.peers.filter { names.contains($0.name) }
        self.reject(in: session, by: rejecting)
        session.network.run(for: .seconds(10))
        for peer in rejecting {
            #expect(peer.path?.remoteAddress.protocol == .inet)
            #expect(peer.failure == nil)
        }
        session.network.run(for: .seconds(120))
        for peer in rejecting { #expect(peer.path?.remoteAddress.protocol == .inet) }
        #expect(session.peers.allSatisfy { $0.failure == nil })
    }

    @Test func `check the last of many pairs, even one that was not kept alive`() throws {
        let session = Session()
        var agent = try session.gather(session.agent, "192.0.2.2")
        for number in 1...6 { agent += try session.gather(session.agent, "2001:db8::2:\(number)") }
        session.exchange(
            client: try session.gather(session.client, "192.0.2.1") + session.gather(session.client, "2001:db8::1"),
            agent: agent)
        #expect(session.runUntilSelected())
        session.network.run(for: .seconds(30))
        var rejections = 0
        while session.client.path?.remoteAddress.protocol != .inet
            || session.agent.path?.remoteAddress.protocol != .inet
        {
            rejections += 1
            try #require(rejections <= 12 && session.peers.allSatisfy { $0.failure == nil })
            self.reject(in: session, by: session.peers.filter { $0.path?.remoteAddress.protocol == .inet6 })
            session.network.run(for: .seconds(4))
        }
        #expect(rejections >= 6)
        session.expectOnePath()
    }

    @Test func `say that all pairs carry too little`() throws {
        let session = Session()
        session.exchange(
            client: try session.gather(session.client, "192.0.2.1"),
            agent: try session.gather(session.agent, "192.0.2.2"))
        #expect(session.runUntilSelected())
        self.reject(in: session, by: session.peers)
        session.network.run(for: .seconds(5))
        for peer in session.peers {
            let report = try #require(peer.failure)
            #expect(report.pairs.map(\.outcome) == [.carriesTooLittle])
            #expect("\(report)".contains("answers small checks only"))
        }
    }

    // MARK: No path

    @Test func `say why there is no path`() throws {
        let session = Session()
        session.network.isBlocked = { _, _ in true }
        session.exchange(
            client: try session.gather(session.client, "192.0.2.1") + session.gather(session.client, "2001:db8::1"),
            agent: try session.gather(session.agent, "192.0.2.2"))
        session.network.run(for: .seconds(30)) { session.client.failure != nil && session.agent.failure != nil }
        let report = try #require(session.client.failure)
        #expect(session.client.events.last.map { $0.at - session.network.start } == .milliseconds(10_020))
        #expect(
            "\(report)" == """
                local candidates: 2, remote candidates: 1, pairs: 1
                local candidates:
                  host 192.0.2.1:5000
                  host [2001:db8::1]:5000
                remote candidates:
                  host 192.0.2.2:5000
                pairs:
                  192.0.2.1:5000 -> 192.0.2.2:5000 (host, host): \
                no answer to 7 requests, 0 checks received from the peer
                """)
        #expect(session.client.agent.nextDeadline == nil)
    }

    @Test func `give up soon when there is nothing to try`() throws {
        let session = Session()
        session.exchange(
            client: try session.gather(session.client, "2001:db8::1"),
            agent: try session.gather(session.agent, "192.0.2.2"), signallingDelay: .milliseconds(0))
        session.network.run(for: .seconds(30)) { session.client.failure != nil && session.agent.failure != nil }
        #expect(session.network.elapsed == .seconds(2))
        #expect("\(try #require(session.client.failure))".contains("the two sides share no address family"))
    }
}
