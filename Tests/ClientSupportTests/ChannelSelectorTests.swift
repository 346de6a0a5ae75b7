import AppProto
import NIOCore
import PeerChannel
import TestSupport
import Testing

@testable import ClientSupport

/// Seconds on the test's clock.
private func at(_ seconds: Double) -> NIODeadline {
    .uptimeNanoseconds(0) + .milliseconds(1_000_000 + Int64(seconds * 1000))
}

private func agent(_ name: String, _ digit: Character = "a", expires: UInt64 = 0) throws -> AgentInfo {
    let id = try #require(InstanceID(rawValue: String(repeating: digit, count: 32)))
    return AgentInfo(name: name, instanceID: id, expireAtMilliseconds: expires, address: "", software: "")
}

private typealias Action = ChannelSelector.Action

private func channel(_ number: UInt64) -> ChannelID { ChannelID(rawValue: number) }
private func connection(_ number: UInt64) -> ClientConnectionID { ClientConnectionID(rawValue: number) }

extension ChannelSelector {
    fileprivate init(for usage: Usage = .connections) throws {
        self.init(pattern: try AgentNamePattern(), usage: usage, at: at(0))
    }

    /// A selector whose first channel, to the first of `agents`, is ready at 0.
    fileprivate init(readyWith agents: [AgentInfo], for usage: Usage = .connections) throws {
        try self.init(for: usage)
        _ = self.signalConnected(at: at(0))
        _ = self.agentsListed(agents, at: at(0))
        let first = try #require(agents.first)
        _ = self.watchAnswered(first.key, failure: nil, at: at(0))
        #expect(self.channelReady(channel(1), at: at(0)) == [.agentSelected(channel(1), first)])
        #expect(self.nextDeadline == nil)
    }

    fileprivate mutating func request(
        _ number: UInt64, at time: Double, silent: Set<ChannelID> = []
    ) -> [Action] {
        self.connectionRequested(connection(number), at: at(time), isSilent: silent.contains)
    }

    fileprivate mutating func tick(_ time: Double, silent: Set<ChannelID> = []) -> [Action] {
        self.timerFired(at: at(time), isSilent: silent.contains)
    }
}

@Suite struct `channel selector` {
    @Test func `opens a channel to the best agent at start, before anybody asks`() throws {
        let (good, short) = (try agent("good"), try agent("short", expires: 5))
        var selector = try ChannelSelector()
        #expect(selector.nextDeadline == nil)
        #expect(selector.signalConnected(at: at(0)) == [.listAgents])
        #expect(
            selector.agentsListed([short, good], at: at(0.1)) == [.watch(good.key), .openChannel(channel(1), good)])
        #expect(selector.watchAnswered(good.key, failure: nil, at: at(0.2)) == [])
        #expect(selector.channelReady(channel(1), at: at(0.3)) == [.agentSelected(channel(1), good)])
        #expect(selector.nextDeadline == nil)
        #expect(selector.request(1, at: 1) == [.open(connection(1), on: channel(1))])
        selector.connectionAnswered(connection(1))
        #expect(selector.nextDeadline.map { $0 <= at(1.25) } == true)
        #expect(selector.tick(1.25) == [])
        #expect(selector.nextDeadline == nil)
        #expect(selector.connectionClosed(connection(1), at: at(2)) == [])
        #expect(selector.connectionCount == 0)
    }

    @Test func `connections wait for the first channel`() throws {
        let only = try agent("only")
        var selector = try ChannelSelector()
        #expect(selector.request(1, at: 0) == [])
        _ = selector.signalConnected(at: at(1))
        _ = selector.agentsListed([only], at: at(1))
        #expect(selector.request(2, at: 1.1) == [])
        #expect(selector.connectionClosed(connection(1), at: at(1.2)) == [])
        #expect(
            selector.channelReady(channel(1), at: at(1.3)) == [
                .agentSelected(channel(1), only), .open(connection(2), on: channel(1)),
            ])
    }

    @Test func `a connection waits ten seconds and no longer`() throws {
        var selector = try ChannelSelector()
        #expect(selector.request(1, at: 0) == [])
        #expect(selector.request(2, at: 4) == [])
        #expect(selector.nextDeadline == at(10))
        #expect(selector.tick(9.9) == [])
        #expect(selector.tick(10) == [.reject(connection(1), .noAgent)])
        #expect(selector.nextDeadline == at(14))
        #expect(selector.tick(15) == [.reject(connection(2), .noAgent)])
        #expect(selector.nextDeadline == nil)
        #expect(selector.connectionCount == 0)
    }

    @Test func `a connection that loses its channel waits no longer than the ten seconds it had`() throws {
        let only = try agent("a")
        var selector = try ChannelSelector(readyWith: [only])
        _ = selector.request(1, at: 1)
        _ = selector.request(2, at: 2)
        #expect(
            selector.tick(3.25, silent: [channel(1)]).prefix(2) == [.withdraw(connection(1)), .withdraw(connection(2))])
        // One that came later does not get in front of them.
        _ = selector.agentGone(only.key, .disconnected, at: at(3.3))
        #expect(selector.request(3, at: 3.5, silent: [channel(1)]) == [])
        _ = selector.agentsListed([], at: at(3.6))
        #expect(!selector.tick(10.9, silent: [channel(1)]).contains(.reject(connection(1), .noAgent)))
        #expect(selector.tick(11, silent: [channel(1)]).contains(.reject(connection(1), .noAgent)))
        #expect(selector.tick(12, silent: [channel(1)]).contains(.reject(connection(2), .noAgent)))
        #expect(selector.tick(13.5, silent: [channel(1)]).contains(.reject(connection(3), .noAgent)))
        #expect(selector.connectionCount == 0)
    }

    @Test func `a connection whose time is over is refused when it loses its channel`() throws {
        var selector = try ChannelSelector(readyWith: [try agent("a")])
        _ = selector.request(1, at: 1)
        // The agent took its time with the target, and then went.
        #expect(
            selector.channelClosed(channel(1), at: at(11)).prefix(2) == [
                .withdraw(connection(1)), .reject(connection(1), .noAgent),
            ])
        #expect(selector.connectionCount == 0)
    }

    @Test(arguments: [GoneReason.stopped, .expired, .replaced])
    func `the channel of an agent that leaves for good takes no new connections`(reason: GoneReason) throws {
        let only = try agent("a")
        var selector = try ChannelSelector(readyWith: [only])
        _ = selector.agentGone(only.key, reason, at: at(1))
        #expect(selector.request(1, at: 1.1) == [])
        #expect(selector.agentsListed([], at: at(1.2)) == [])
        let next = try agent("a", "b")
        _ = selector.tick(3.2)
        #expect(selector.agentsListed([next], at: at(3.3)) == [.watch(next.key), .openChannel(channel(2), next)])
        #expect(selector.channelReady(channel(2), at: at(3.4)).contains(.open(connection(1), on: channel(2))))
    }

    @Test func `an empty list is asked for again, more often while somebody waits`() throws {
        var selector = try ChannelSelector()
        _ = selector.signalConnected(at: at(0))
        #expect(selector.agentsListed([], at: at(0)) == [])
        #expect(selector.nextDeadline == at(2))
        #expect(selector.tick(2) == [.listAgents])
        #expect(selector.agentsListed([], at: at(2)) == [])
        #expect(selector.request(1, at: 2.1) == [])
        #expect(selector.nextDeadline == at(2.5))
        #expect(selector.tick(2.5) == [.listAgents])
        #expect(selector.listingFailed(at: at(2.6)) == [])
        #expect(selector.nextDeadline == at(3.1))
    }

    @Test func `when the agent goes the next one is tried at once and old connections stay`() throws {
        let (first, second) = (try agent("a"), try agent("b", "b"))
        var selector = try ChannelSelector(readyWith: [first, second])
        _ = selector.request(1, at: 1)
        selector.connectionAnswered(connection(1))
        #expect(
            selector.agentGone(first.key, .disconnected, at: at(2)) == [
                .agentGone(first.key, .disconnected), .listAgents, .watch(second.key), .openChannel(channel(2), second),
            ])
        #expect(selector.request(2, at: 2.1) == [])
        #expect(selector.agentsListed([second], at: at(2.2)) == [])
        #expect(
            selector.channelReady(channel(2), at: at(2.3)) == [
                .agentSelected(channel(2), second), .open(connection(2), on: channel(2)),
            ])
        // The old channel lasts as long as its connection.
        #expect(selector.connectionClosed(connection(1), at: at(3)) == [.closeChannel(channel(1))])
    }

    @Test func `without another agent, the channel of an agent that left stays in use`() throws {
        let only = try agent("a")
        var selector = try ChannelSelector(readyWith: [only])
        #expect(
            selector.agentGone(only.key, .disconnected, at: at(1)) == [
                .agentGone(only.key, .disconnected), .listAgents,
            ])
        #expect(selector.request(1, at: 1.1) == [])
        #expect(selector.agentsListed([], at: at(1.2)) == [.open(connection(1), on: channel(1))])
        // It comes back under the same instance id: the channel is current again, and watched.
        _ = selector.tick(4)
        #expect(
            selector.agentsListed([only], at: at(4)) == [.watch(only.key), .agentSelected(channel(1), only)])
    }

    @Test func `a silent channel loses its unanswered opens to the next agent`() throws {
        let (first, second) = (try agent("a"), try agent("b", "b"))
        var selector = try ChannelSelector(readyWith: [first, second])
        _ = selector.request(1, at: 1)
        selector.connectionAnswered(connection(1))
        _ = selector.request(2, at: 1)
        #expect(selector.tick(1.25) == [])
        #expect(
            selector.tick(3.1, silent: [channel(1)]) == [
                .withdraw(connection(2)), .listAgents, .watch(second.key), .openChannel(channel(2), second),
            ])
        #expect(
            selector.channelReady(channel(2), at: at(3.2)) == [
                .agentSelected(channel(2), second), .open(connection(2), on: channel(2)),
            ])
        // The stream in use is not touched; the first channel is closed once it has ended.
        #expect(selector.connectionClosed(connection(1), at: at(9)) == [.closeChannel(channel(1))])
    }

    @Test func `a connection is not left to a channel that turns out to be silent`() throws {
        let (first, second) = (try agent("a"), try agent("b", "b"))
        var selector = try ChannelSelector(readyWith: [first, second])
        #expect(
            selector.request(1, at: 60, silent: [channel(1)]) == [
                .open(connection(1), on: channel(1)), .withdraw(connection(1)), .listAgents, .watch(second.key),
                .openChannel(channel(2), second),
            ])
    }

    @Test func `a search waits a moment for a fresh list, and prefers what it brings`() throws {
        let (first, second, third) = (try agent("a"), try agent("b", "b", expires: 7), try agent("c", "c", expires: 9))
        var selector = try ChannelSelector(readyWith: [first, second], for: .flows)
        #expect(selector.channelClosed(channel(1), at: at(60)) == [.listAgents])
        var patient = selector
        #expect(
            patient.agentsListed([third, second], at: at(60.1)) == [
                .watch(third.key), .openChannel(channel(2), third),
            ])
        #expect(selector.nextDeadline == at(60.3))
        #expect(selector.tick(60.3) == [.watch(second.key), .openChannel(channel(2), second)])
    }

    @Test func `a carrier that suspects its peer makes the search begin, and ends it when the peer speaks again`()
        throws
    {
        let (first, second) = (try agent("a"), try agent("b", "b"))
        var selector = try ChannelSelector(readyWith: [first])
        #expect(selector.suspicionChanged(channel(1), isSuspect: true, at: at(20)) == [.listAgents])
        #expect(selector.suspicionChanged(channel(1), isSuspect: true, at: at(20)) == [])
        #expect(
            selector.agentsListed([first, second], at: at(20.1)) == [
                .watch(second.key), .openChannel(channel(2), second),
            ])
        var changed = selector
        #expect(
            changed.channelReady(channel(2), at: at(20.2)) == [
                .agentSelected(channel(2), second), .closeChannel(channel(1)),
            ])
        #expect(
            selector.suspicionChanged(channel(1), isSuspect: false, at: at(20.2)) == [
                .agentSelected(channel(1), first), .closeChannel(channel(2)),
            ])
    }

    @Test(arguments: [GoneReason.disconnected, .expired, .replaced, .stopped])
    func `flows stay with an agent that has only lost its control connection`(reason: GoneReason) throws {
        let (first, second) = (try agent("a"), try agent("b", "b"))
        var selector = try ChannelSelector(readyWith: [first, second], for: .flows)
        let actions = selector.agentGone(first.key, reason, at: at(30))
        #expect(actions == [.agentGone(first.key, reason), .listAgents])
        let next = selector.agentsListed([second], at: at(30.1))
        #expect(next == (reason == .disconnected ? [] : [.watch(second.key), .openChannel(channel(2), second)]))
    }

    @Test func `silence without an unanswered open is ignored`() throws {
        var selector = try ChannelSelector(readyWith: [try agent("a")])
        _ = selector.request(1, at: 1)
        selector.connectionAnswered(connection(1))
        #expect(selector.tick(5, silent: [channel(1)]) == [])
        #expect(selector.request(2, at: 6) == [.open(connection(2), on: channel(1))])
    }

    @Test func `a channel that was silent for a moment is used again`() throws {
        let only = try agent("a")
        var selector = try ChannelSelector(readyWith: [only])
        _ = selector.request(1, at: 1)
        #expect(
            selector.tick(3.5, silent: [channel(1)]) == [.withdraw(connection(1)), .listAgents])
        #expect(
            selector.agentsListed([only], at: at(3.6)) == [.watch(only.key), .openChannel(channel(2), only)])
        #expect(
            selector.tick(3.8) == [
                .agentSelected(channel(1), only), .closeChannel(channel(2)), .open(connection(1), on: channel(1)),
            ])
    }

    @Test func `an open is not handed on indefinitely`() throws {
        let only = try agent("a")
        var selector = try ChannelSelector(readyWith: [only])
        _ = selector.request(1, at: 1)
        for number in UInt64(1)...2 {
            let actions = selector.channelClosed(channel(number), at: at(Double(number)))
            #expect(actions.first == .withdraw(connection(1)))
            let opening = actions + selector.agentsListed([only], at: at(Double(number) + 0.1))
            #expect(opening.contains(.openChannel(channel(number + 1), only)))
            #expect(
                selector.channelReady(channel(number + 1), at: at(Double(number) + 0.5)).last
                    == .open(connection(1), on: channel(number + 1)))
        }
        #expect(
            selector.channelClosed(channel(3), at: at(4)).prefix(2) == [
                .withdraw(connection(1)), .reject(connection(1), .tooManyAttempts),
            ])
        #expect(selector.connectionCount == 0)
    }

    @Test func `a failed attempt is followed by the next agent, then by pauses`() throws {
        let (first, second) = (try agent("a"), try agent("b", "b"))
        var selector = try ChannelSelector()
        _ = selector.signalConnected(at: at(0))
        _ = selector.agentsListed([first, second], at: at(0))
        #expect(
            selector.channelClosed(channel(1), at: at(0.1)) == [.watch(second.key), .openChannel(channel(2), second)])
        #expect(selector.channelClosed(channel(2), at: at(0.2)) == [])
        #expect(selector.nextDeadline == at(0.6))
        #expect(selector.tick(0.6) == [.watch(first.key), .openChannel(channel(3), first)])
    }

    @Test func `a slow attempt is joined by another one, and the first to succeed wins`() throws {
        let agents = [try agent("a"), try agent("b", "b"), try agent("c", "c"), try agent("d", "d")]
        var selector = try ChannelSelector()
        _ = selector.signalConnected(at: at(0))
        _ = selector.agentsListed(agents, at: at(0))
        #expect(selector.tick(1.9).isEmpty)
        #expect(
            selector.tick(2) == [.listAgents, .watch(agents[1].key), .openChannel(channel(2), agents[1])])
        #expect(selector.tick(4) == [.watch(agents[2].key), .openChannel(channel(3), agents[2])])
        #expect(selector.tick(6) == [])
        #expect(
            selector.channelReady(channel(2), at: at(6.1)) == [
                .agentSelected(channel(2), agents[1]), .closeChannel(channel(1)), .closeChannel(channel(3)),
            ])
        #expect(selector.channelReady(channel(1), at: at(6.2)) == [])
    }

    @Test func `a failure on this side delays the next attempt, and does not change the agent`() throws {
        let (first, second) = (try agent("a"), try agent("b", "b"))
        var selector = try ChannelSelector()
        _ = selector.signalConnected(at: at(0))
        _ = selector.agentsListed([first, second], at: at(0))
        #expect(selector.channelClosed(channel(1), blameAgent: false, at: at(0.1)) == [])
        #expect(selector.nextDeadline == at(0.6))
        #expect(selector.tick(0.6) == [.watch(first.key), .openChannel(channel(2), first)])
    }

    @Test func `a lost control connection leaves channels alone`() throws {
        let only = try agent("a")
        var selector = try ChannelSelector(readyWith: [only])
        #expect(selector.signalLost(at: at(1)) == [])
        #expect(selector.request(1, at: 2) == [.open(connection(1), on: channel(1))])
        // The server was restarted and the agent is not back yet: its channel stays current, and its return is noticed.
        #expect(selector.signalConnected(at: at(3)) == [.watch(only.key)])
        #expect(selector.watchAnswered(only.key, failure: .notFound, at: at(3.1)) == [.listAgents])
        #expect(selector.agentsListed([], at: at(3.2)) == [])
        #expect(selector.request(2, at: 3.3) == [.open(connection(2), on: channel(1))])
        #expect(selector.tick(5.2) == [.listAgents])
        #expect(selector.agentsListed([only], at: at(5.3)) == [.watch(only.key)])
        #expect(selector.watchAnswered(only.key, failure: nil, at: at(5.4)) == [])
        selector.connectionAnswered(connection(1))
        selector.connectionAnswered(connection(2))
        #expect(selector.tick(6) == [])
        #expect(selector.nextDeadline == nil)
    }

    @Test func `a channel that came up while the control connection was away is watched afterwards`() throws {
        let only = try agent("a")
        var selector = try ChannelSelector()
        _ = selector.signalConnected(at: at(0))
        _ = selector.agentsListed([only], at: at(0))
        _ = selector.signalLost(at: at(0.1))
        #expect(selector.channelReady(channel(1), at: at(0.2)) == [.agentSelected(channel(1), only)])
        #expect(selector.signalConnected(at: at(0.3)) == [.watch(only.key)])
    }

    @Test func `a restarted agent is another agent`() throws {
        let (old, new) = (try agent("a", "a"), try agent("a", "b"))
        var selector = try ChannelSelector(readyWith: [old])
        _ = selector.signalLost(at: at(1))
        _ = selector.signalConnected(at: at(2))
        #expect(
            selector.watchAnswered(old.key, failure: .instanceMismatch, at: at(2.1)) == [
                .agentGone(old.key, .replaced), .listAgents,
            ])
        #expect(
            selector.agentsListed([new], at: at(2.2)) == [.watch(new.key), .openChannel(channel(2), new)])
        #expect(
            selector.channelReady(channel(2), at: at(2.3)) == [
                .agentSelected(channel(2), new), .closeChannel(channel(1)),
            ])
    }

    @Test func `an agent that is gone before its channel is up is given up`() throws {
        let (first, second) = (try agent("a"), try agent("b", "b"))
        for failure in [FailureCode.notFound, .instanceMismatch] {
            var selector = try ChannelSelector()
            _ = selector.signalConnected(at: at(0))
            _ = selector.agentsListed([first, second], at: at(0))
            #expect(
                selector.watchAnswered(first.key, failure: failure, at: at(0.1)) == [
                    .closeChannel(channel(1)), .listAgents, .watch(second.key), .openChannel(channel(2), second),
                ])
        }
    }

    @Test func `sticks to its agent however good the others are`() throws {
        let (current, better) = (try agent("z", expires: 1), try agent("a", "b"))
        var selector = try ChannelSelector(readyWith: [current])
        _ = selector.signalLost(at: at(1))
        #expect(selector.signalConnected(at: at(2)) == [.watch(current.key)])
        #expect(selector.watchAnswered(current.key, failure: nil, at: at(2)) == [])
        #expect(selector.agentsListed([better, current], at: at(2)) == [])
        #expect(selector.request(1, at: 3) == [.open(connection(1), on: channel(1))])
    }

    @Test func `survives any order of events, and every connection ends`() throws {
        var random = SeededGenerator(7)
        let agents = try "abcd".map { try agent(String($0), $0) }
        for _ in 0..<200 {
            var selector = try ChannelSelector()
            var (open, opened, channels): (Set<ClientConnectionID>, Set<ClientConnectionID>, Set<ChannelID>) = (
                [], [], []
            )
            var time = 0.0
            func follow(_ actions: [Action]) {
                for action in actions {
                    switch action {
                    case .openChannel(let id, _): channels.insert(id)
                    case .closeChannel(let id): #expect(channels.remove(id) != nil)
                    case .open(let id, on: let channel):
                        #expect(open.contains(id) && channels.contains(channel))
                        opened.insert(id)
                    case .withdraw(let id): #expect(opened.remove(id) != nil)
                    case .reject(let id, _):
                        #expect(open.remove(id) != nil)
                        opened.remove(id)
                    case .listAgents, .watch, .agentSelected, .agentGone: break
                    }
                }
            }
            for number in UInt64(1)...120 {
                time += .random(in: 0...1, using: &random)
                let silent = Set(channels.filter { _ in Int.random(in: 0..<4, using: &random) == 0 })
                let pick = agents[Int.random(in: 0..<agents.count, using: &random)]
                switch Int.random(in: 0..<11, using: &random) {
                case 0: follow(selector.signalConnected(at: at(time)))
                case 1: follow(selector.signalLost(at: at(time)))
                case 2: follow(selector.agentsListed(agents.filter { _ in .random(using: &random) }, at: at(time)))
                case 3: follow(selector.agentGone(pick.key, .disconnected, at: at(time)))
                case 4: follow(selector.watchAnswered(pick.key, failure: .notFound, at: at(time)))
                case 5:
                    if let id = channels.randomElement(using: &random) {
                        follow(selector.channelReady(id, at: at(time)))
                    }
                case 6:
                    if let id = channels.randomElement(using: &random) {
                        channels.remove(id)
                        follow(selector.channelClosed(id, blameAgent: .random(using: &random), at: at(time)))
                    }
                case 7:
                    if let id = opened.randomElement(using: &random) { selector.connectionAnswered(id) }
                case 8:
                    if let id = open.randomElement(using: &random) {
                        open.remove(id)
                        opened.remove(id)
                        follow(selector.connectionClosed(id, at: at(time)))
                    }
                default:
                    open.insert(connection(number))
                    follow(selector.request(number, at: time, silent: silent))
                }
                follow(selector.tick(time, silent: silent))
                #expect(selector.connectionCount == open.count)
            }
            // Nobody waits longer than ten seconds.
            follow(selector.signalLost(at: at(time)))
            for id in channels { follow(selector.channelClosed(id, at: at(time))) }
            follow(selector.tick(time + 10.1))
            let waiting = open.subtracting(opened)
            #expect(waiting.isEmpty)
        }
    }
}
