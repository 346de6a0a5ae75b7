import ICE
import NIOCore
import Testing

@testable import PeerPath

/// Two engines and what lies between them, in virtual time.
@Suite struct PathEngineTests {
    /// A pair that uses a direct path at both ends.
    private func connected(
        _ choice: [EnginePair.End: PathChoice] = [:], bridges: Bool = true,
        change: (inout PathConfiguration) -> Void = { _ in }
    ) throws -> EnginePair {
        let pair = EnginePair(choice: choice, bridges: bridges, change: change)
        pair.begin()
        _ = try #require(pair.run(until: .seconds(5)) { $0.path(.client) == "direct" && $0.path(.agent) == "direct" })
        return pair
    }

    @Test func `the bridge is used at once, and a direct path as soon as it is confirmed`() throws {
        let pair = try self.connected()
        #expect(pair.paths[.client]?.map { $0?.name } == ["bridge", "direct"])
        #expect(pair.reasons[.client] == [.bridgeUp, .confirmed])
        #expect(pair.delivers(from: .client))
        #expect(pair.delivers(from: .agent))
        pair.run(for: .minutes(5))
        #expect(pair.path(.client) == "direct")
        #expect(pair.restarts.isEmpty)
    }

    @Test func `with direct paths only, a pair that ICE has found is used before it is confirmed`() throws {
        let pair = try self.connected([.client: .direct], bridges: true)
        #expect(pair.paths[.client]?.compactMap { $0?.name }.allSatisfy { $0 == "direct" } == true)
        #expect(pair.reasons[.client]?.first == .found)
    }

    @Test func `a direct path that dies gives way to the bridge within seconds, and comes back`() throws {
        let pair = try self.connected()
        pair.run(for: .seconds(10))
        pair.isReached = [.client: false, .agent: false]
        _ = pair.delivers(from: .client)
        pair.tell(.client) { $0.suspicionChanged(isSuspect: true, at: $1) }
        let time = try #require(pair.run(until: .seconds(20)) { $0.path(.client) == "bridge" })
        #expect(time < .seconds(6))
        #expect(pair.reasons[.client]?.last == .silent)
        pair.isReached = [.client: true, .agent: true]
        _ = try #require(pair.run(until: .seconds(90)) { $0.path(.client) == "direct" && $0.path(.agent) == "direct" })
    }

    @Test func `an agent follows a client that has left the direct path, but not for one late datagram`() throws {
        let pair = try self.connected()
        pair.run(for: .seconds(10))
        #expect(pair.delivers(from: .client))
        // Late, by less than the bridge may be slower.
        pair.run(for: .milliseconds(100))
        pair.tell(.agent) { _ = $0.acceptFromBridge(at: $1) }
        #expect(pair.path(.agent) == "direct")
        pair.run(for: .seconds(1))
        pair.tell(.agent) { _ = $0.acceptFromBridge(at: $1) }
        #expect(pair.path(.agent) == "bridge")
        #expect(pair.reasons[.agent]?.last == .peerLeft)
        // What comes straight again leads back.
        #expect(pair.delivers(from: .client))
        #expect(pair.path(.agent) == "direct")
    }

    @Test func `the loss of the only path ends the channel after a minute`() throws {
        let pair = try self.connected([.client: .direct, .agent: .direct])
        pair.isReached = [.client: false, .agent: false]
        let lost = try #require(pair.run(until: .minutes(2)) { $0.path(.client) == "none" })
        #expect(lost < .seconds(30))
        let ended = try #require(pair.run(until: .minutes(3)) { $0.ended[.client] != nil })
        #expect(ended > .seconds(50) && ended < .seconds(62))
        guard case .pathLost = pair.ended[.client] else {
            Issue.record("ended by \(String(describing: pair.ended[.client]))")
            return
        }
        // It has asked for new sessions meanwhile, each of another generation.
        let generations = pair.restarts.map(\.generation)
        #expect(generations.count > 2)
        #expect(Set(generations).count == generations.count)
    }

    @Test func `a late answer is not taken for that to the next request`() throws {
        let pair = try self.connected()
        pair.run(for: .seconds(5))
        pair.tell(.client) { $0.receive(.restartWanted, at: $1) }
        _ = try #require(pair.run(until: .seconds(2)) { $0.restarts.count == 1 })
        let first = try #require(pair.restarts.first)
        // The control connection has given up; the answer to the first is still somewhere.
        pair.tell(.client) { $0.receive(.restartFailed, at: $1) }
        _ = try #require(pair.run(until: .seconds(5)) { $0.restarts.count == 2 })
        #expect(pair.restarts[1].generation > first.generation)
        pair.tell(.client) { $0.receive(.restarted(first), at: $1) }
        #expect(pair.engines[.client]?.sessions.generation != first.generation)
        pair.run(for: .seconds(10))
        #expect(pair.delivers(from: .client))
        #expect(pair.delivers(from: .agent))
    }

    @Test func `candidates that come before their session are kept, those of an older one ignored`() throws {
        var early = EarlyMessages()
        early.keep(.restartWanted, for: 1, newest: 0)
        early.keep(.restartWanted, for: 2, newest: 2)
        let kept = early.takeAll()
        #expect(kept.count == 1)
        let left = early.takeAll()
        #expect(left.isEmpty)
        for _ in 0..<1000 { early.keep(.restartWanted, for: 3, newest: 2) }
        let most = early.takeAll()
        #expect(most.count == 64)
    }

    @Test(arguments: EnginePair.End.allCases)
    func `a side without sockets is bridged, and looks for a direct path when it has some`(end: EnginePair.End) throws {
        let pair = EnginePair()
        pair.hasSockets[end] = false
        pair.begin()
        _ = try #require(pair.run(until: .seconds(5)) { $0.path(.client) == "bridge" && $0.path(.agent) == "bridge" })
        pair.run(for: .seconds(30))
        pair.hasSockets[end] = true
        _ = try #require(pair.run(until: .minutes(3)) { $0.path(.client) == "direct" && $0.path(.agent) == "direct" })
    }

    @Test(arguments: EnginePair.End.allCases)
    func `a change of the network starts a search at once`(end: EnginePair.End) throws {
        let pair = try self.connected()
        pair.run(for: .seconds(10))
        pair.tell(end) { $0.networkChanged(isRerouted: false, hasLost: { _ in false }, at: $1) }
        pair.run(for: .seconds(2))
        #expect(pair.restarts.isEmpty, "nothing of it concerns the path")
        pair.tell(end) { $0.networkChanged(isRerouted: true, hasLost: { _ in false }, at: $1) }
        _ = try #require(pair.run(until: .seconds(2)) { $0.engines[.agent]?.sessions.generation == 1 })
        pair.run(for: .seconds(5))
        #expect(pair.path(.client) == "direct")
        #expect(pair.engines[.client]?.sessions.newest?.generation == 1)
        // The old session has had its time.
        pair.run(for: .seconds(20))
        #expect(pair.engines[.client]?.sessions.list.count == 1)
    }

    @Test func `while a carrier on the bridge misses answers, the route is asked for now and then`() throws {
        let pair = EnginePair(choice: [.client: .bridge])
        pair.begin()
        _ = try #require(pair.run(until: .seconds(5)) { $0.path(.client) == "bridge" && $0.path(.agent) == "bridge" })
        pair.run(for: .minutes(5))
        #expect(pair.restarts.isEmpty)
        pair.tell(.client) { $0.suspicionChanged(isSuspect: true, at: $1) }
        // After 1, 5 and 13 s.
        pair.run(for: .seconds(20))
        #expect(pair.restarts.count == 3)
        #expect(pair.forgotten.isEmpty)
        pair.tell(.client) { $0.suspicionChanged(isSuspect: false, at: $1) }
        pair.run(for: .minutes(5))
        #expect(pair.restarts.count == 3)
        #expect(pair.forgotten == [.client: 1])
    }

    @Test func `a lost control connection takes the bridge along, and brings it back with the channel's route`() throws
    {
        let pair = EnginePair(choice: [.client: .bridge])
        pair.begin()
        _ = try #require(pair.run(until: .seconds(5)) { $0.path(.client) == "bridge" && $0.path(.agent) == "bridge" })
        pair.tell(.client) { $0.signalChanged(isUp: false, bridges: false, at: $1) }
        #expect(pair.path(.client) == "none")
        pair.run(for: .seconds(5))
        #expect(pair.restarts.isEmpty)
        pair.tell(.client) { $0.signalChanged(isUp: true, bridges: true, at: $1) }
        #expect(pair.path(.client) == "bridge")
        _ = try #require(pair.run(until: .seconds(1)) { $0.restarts.count == 1 })
        pair.run(for: .minutes(5))
        #expect(pair.ended.isEmpty)
        #expect(pair.restarts.count == 1)
    }

    @Test func `sides whose choices of paths exclude each other end, and say why`() throws {
        let pair = EnginePair(choice: [.client: .bridge, .agent: .direct])
        pair.begin()
        pair.run(for: .seconds(5))
        guard case .peerDoesNotBridge = pair.ended[.client] else {
            Issue.record("ended by \(String(describing: pair.ended[.client]))")
            return
        }
    }

    @Test func `a path that carries only small datagrams is not used`() throws {
        let pair = EnginePair()
        pair.largest = 1000
        pair.begin()
        pair.run(for: .minutes(2))
        #expect(pair.path(.client) == "bridge")
        #expect(pair.reports[.client] ?? 0 >= 1)
        pair.largest = 1500
        _ = try #require(pair.run(until: .minutes(3)) { $0.path(.client) == "direct" && $0.path(.agent) == "direct" })
    }
}
