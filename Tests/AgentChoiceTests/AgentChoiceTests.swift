import NIOCore
import TestSupport
import Testing

@testable import AgentChoice

/// Seconds on the test's clock.
private func at(_ seconds: Double) -> NIODeadline {
    .uptimeNanoseconds(0) + .milliseconds(1_000_000 + Int64(seconds * 1000))
}

private func agent(_ name: String, _ instance: String = "a", expires: UInt64? = nil) -> Agent {
    Agent(key: AgentKey(name: name, instance: instance), expiry: expires)
}

private typealias Action = AgentChoice.Action

private func channel(_ number: UInt64) -> ChannelID { ChannelID(rawValue: number) }

extension AgentChoice {
    fileprivate init(for usage: Usage = .connections) throws {
        self.init(pattern: try AgentNamePattern(), usage: usage, at: at(0))
    }

    /// One whose first channel, to the first of `agents`, is ready at 0.
    fileprivate init(readyWith agents: [Agent], for usage: Usage = .connections) throws {
        try self.init(for: usage)
        _ = self.signalConnected(at: at(0))
        _ = self.agentsListed(agents, at: at(0))
        let first = try #require(agents.first)
        _ = self.watchAnswered(first.key, .watched, at: at(0))
        #expect(
            self.channelReady(channel(1), at: at(0)) == [.agentSelected(channel(1), first), .serve(channel(1))])
        #expect(self.nextDeadline == nil)
    }

    /// A connection is opened, on that channel.
    fileprivate mutating func open(at time: Double, on id: ChannelID) {
        let (channel, actions) = self.claim(at: at(time))
        #expect(channel == id)
        #expect(actions == [])
    }

    /// A connection waits, for want of a channel.
    fileprivate mutating func wait(at time: Double) -> [Action] {
        let (channel, actions) = self.claim(at: at(time))
        #expect(channel == nil)
        self.isAwaited = true
        return actions
    }
}

@Suite struct `agent choice` {
    @Test func `opens a channel to the best agent at start, before anybody asks`() throws {
        let (good, short) = (agent("good"), agent("short", expires: 5))
        var choice = try AgentChoice()
        #expect(choice.nextDeadline == nil)
        #expect(choice.signalConnected(at: at(0)) == [.listAgents])
        #expect(choice.agentsListed([short, good], at: at(0.1)) == [.watch(good.key), .openChannel(channel(1), good)])
        #expect(choice.watchAnswered(good.key, .watched, at: at(0.2)) == [])
        #expect(choice.serving == nil)
        #expect(
            choice.channelReady(channel(1), at: at(0.3)) == [.agentSelected(channel(1), good), .serve(channel(1))])
        #expect(choice.nextDeadline == nil)
        choice.open(at: 1, on: channel(1))
        choice.connectionAnswered(on: channel(1))
        #expect(choice.nextDeadline == nil)
        #expect(choice.connectionEnded(on: channel(1), wasAnswered: true, at: at(2)) == [])
    }

    @Test(arguments: [AgentDeparture.stopped, .expired, .replaced])
    func `the channel of an agent that leaves for good takes no new connections`(departure: AgentDeparture) throws {
        let only = agent("a")
        var choice = try AgentChoice(readyWith: [only])
        _ = choice.agentGone(only.key, departure, at: at(1))
        #expect(choice.wait(at: 1.1) == [])
        #expect(choice.agentsListed([], at: at(1.2)) == [])
        let next = agent("a", "b")
        _ = choice.timerFired(at: at(3.2))
        #expect(choice.agentsListed([next], at: at(3.3)) == [.watch(next.key), .openChannel(channel(2), next)])
        #expect(choice.channelReady(channel(2), at: at(3.4)).contains(.serve(channel(2))))
    }

    @Test(arguments: [AgentChoice.Usage.connections, .flows])
    func `when others may be used than before they are asked for, and tried, at once`(usage: AgentChoice.Usage) throws {
        let only = agent("a")
        var choice = try AgentChoice(for: usage)
        _ = choice.signalConnected(at: at(0))
        _ = choice.agentsListed([only], at: at(0))
        // Some failures in a row: the next attempt is seconds away.
        var number: UInt64 = 0
        for time in [0.0, 1, 3, 7] {
            number += 1
            _ = choice.channelClosed(channel(number), at: at(time))
            _ = choice.timerFired(at: at(time + 4))
            _ = choice.agentsListed([only], at: at(time + 4))
        }
        _ = choice.channelClosed(channel(number + 1), at: at(11))
        _ = choice.agentsListed([], at: at(11))
        #expect(choice.permissionsChanged(at: at(11.1)) == [.listAgents])
        #expect(
            choice.agentsListed([only], at: at(11.2))
                == [.watch(only.key), .openChannel(channel(number + 2), only)])
    }

    @Test func `an empty list is asked for again, more often while somebody waits`() throws {
        var choice = try AgentChoice()
        _ = choice.signalConnected(at: at(0))
        #expect(choice.agentsListed([], at: at(0)) == [])
        #expect(choice.nextDeadline == at(2))
        #expect(choice.timerFired(at: at(2)) == [.listAgents])
        #expect(choice.agentsListed([], at: at(2)) == [])
        #expect(choice.wait(at: 2.1) == [])
        #expect(choice.nextDeadline == at(2.5))
        #expect(choice.timerFired(at: at(2.5)) == [.listAgents])
        #expect(choice.listingFailed(at: at(2.6)) == [])
        #expect(choice.nextDeadline == at(3.1))
        choice.isAwaited = false
        #expect(choice.timerFired(at: at(3.1)) == [.listAgents])
        #expect(choice.listingFailed(at: at(3.2)) == [])
        #expect(choice.nextDeadline == at(5.2))
    }

    @Test func `when the agent goes the next one is tried at once and old connections stay`() throws {
        let (first, second) = (agent("a"), agent("b"))
        var choice = try AgentChoice(readyWith: [first, second])
        choice.open(at: 1, on: channel(1))
        choice.connectionAnswered(on: channel(1))
        #expect(
            choice.agentGone(first.key, .disconnected, at: at(2)) == [
                .agentGone(first.key, .disconnected), .listAgents, .watch(second.key), .openChannel(channel(2), second),
            ])
        #expect(choice.wait(at: 2.1) == [])
        #expect(choice.agentsListed([second], at: at(2.2)) == [])
        #expect(
            choice.channelReady(channel(2), at: at(2.3)) == [.agentSelected(channel(2), second), .serve(channel(2))])
        // The old channel lasts as long as its connection.
        #expect(
            choice.connectionEnded(on: channel(1), wasAnswered: true, at: at(3)) == [.closeChannel(channel(1))])
    }

    @Test func `with nobody else there the channel of an agent that left is used on`() throws {
        let only = agent("a")
        var choice = try AgentChoice(readyWith: [only])
        #expect(
            choice.agentGone(only.key, .disconnected, at: at(1)) == [
                .agentGone(only.key, .disconnected), .listAgents,
            ])
        #expect(choice.wait(at: 1.1) == [])
        #expect(choice.agentsListed([], at: at(1.2)) == [.serve(channel(1))])
        choice.open(at: 1.2, on: channel(1))
        // It comes back under the same instance id: the channel is current again, and watched.
        _ = choice.timerFired(at: at(4))
        #expect(
            choice.agentsListed([only], at: at(4)) == [
                .watch(only.key), .agentSelected(channel(1), only), .serve(channel(1)),
            ])
        // And its route through the server is made anew.
        #expect(choice.watchAnswered(only.key, .watched, at: at(4.1)) == [.restoreRoute(channel(1))])
        #expect(choice.watchAnswered(only.key, .watched, at: at(4.2)) == [])
    }

    @Test func `an agent that had only lost its control connection may leave for good afterwards`() throws {
        let only = agent("a")
        var choice = try AgentChoice(readyWith: [only])
        _ = choice.agentGone(only.key, .disconnected, at: at(1))
        #expect(choice.agentGone(only.key, .disconnected, at: at(1.1)) == [])
        #expect(choice.agentGone(only.key, .replaced, at: at(1.2)) == [.agentGone(only.key, .replaced)])
        #expect(choice.agentsListed([], at: at(1.3)) == [])
        #expect(choice.serving == nil)
    }

    @Test func `a silent channel loses its unanswered opens to the next agent`() throws {
        let (first, second) = (agent("a"), agent("b"))
        var choice = try AgentChoice(readyWith: [first, second])
        choice.open(at: 1, on: channel(1))
        choice.connectionAnswered(on: channel(1))
        choice.open(at: 1, on: channel(1))
        #expect(
            choice.suspicionChanged(channel(1), isSuspect: true, at: at(3.1)) == [
                .doubt(channel(1)), .listAgents, .watch(second.key), .openChannel(channel(2), second),
            ])
        #expect(choice.connectionEnded(on: channel(1), wasAnswered: false, at: at(3.1)) == [])
        #expect(choice.wait(at: 3.1) == [])
        #expect(
            choice.channelReady(channel(2), at: at(3.2)) == [.agentSelected(channel(2), second), .serve(channel(2))])
        // The stream in use is not touched; the first channel is closed once it has ended.
        #expect(
            choice.connectionEnded(on: channel(1), wasAnswered: true, at: at(9)) == [.closeChannel(channel(1))])
    }

    @Test func `a channel found silent at its next open is not trusted with it`() throws {
        let (first, second) = (agent("a"), agent("b"))
        var choice = try AgentChoice(readyWith: [first, second])
        #expect(choice.suspicionChanged(channel(1), isSuspect: true, at: at(50)) == [])
        #expect(choice.wait(at: 60) == [.listAgents, .watch(second.key), .openChannel(channel(2), second)])
    }

    @Test func `a channel found silent at its next open gives way to another that works`() throws {
        let (first, second) = (agent("a"), agent("b"))
        var choice = try AgentChoice(readyWith: [first, second])
        choice.open(at: 1, on: channel(1))
        choice.connectionAnswered(on: channel(1))
        _ = choice.agentGone(first.key, .disconnected, at: at(2))
        _ = choice.channelReady(channel(2), at: at(2.1))
        _ = choice.agentsListed([first, second], at: at(2.2))
        #expect(choice.suspicionChanged(channel(2), isSuspect: true, at: at(9)) == [])
        let (taken, actions) = choice.claim(at: at(10))
        #expect(taken == channel(1))
        #expect(actions == [.agentSelected(channel(1), first), .serve(channel(1)), .closeChannel(channel(2))])
    }

    @Test func `a search prefers what a fresh list brings, and waits for it no longer than a moment`() throws {
        let (first, second, third) = (agent("a"), agent("b", expires: 7), agent("c", expires: 9))
        var choice = try AgentChoice(readyWith: [first, second], for: .flows)
        #expect(choice.channelClosed(channel(1), at: at(60)) == [.listAgents])
        var patient = choice
        #expect(
            patient.agentsListed([third, second], at: at(60.1)) == [
                .watch(third.key), .openChannel(channel(2), third),
            ])
        #expect(choice.nextDeadline == at(60.3))
        #expect(choice.timerFired(at: at(60.3)) == [.watch(second.key), .openChannel(channel(2), second)])
    }

    @Test(arguments: [AgentDeparture.disconnected, .expired, .replaced, .stopped])
    func `flows stay with an agent that has only lost its control connection`(departure: AgentDeparture) throws {
        let (first, second) = (agent("a"), agent("b"))
        var choice = try AgentChoice(readyWith: [first, second], for: .flows)
        let actions = choice.agentGone(first.key, departure, at: at(30))
        #expect(actions == [.agentGone(first.key, departure), .listAgents])
        let next = choice.agentsListed([second], at: at(30.1))
        #expect(next == (departure == .disconnected ? [] : [.watch(second.key), .openChannel(channel(2), second)]))
    }

    @Test func `silence without an unanswered open means nothing`() throws {
        var choice = try AgentChoice(readyWith: [agent("a")])
        choice.open(at: 1, on: channel(1))
        choice.connectionAnswered(on: channel(1))
        #expect(choice.suspicionChanged(channel(1), isSuspect: true, at: at(5)) == [])
        #expect(choice.suspicionChanged(channel(1), isSuspect: false, at: at(5.5)) == [])
        choice.open(at: 6, on: channel(1))
    }

    @Test func `a channel that was silent for a moment is used again`() throws {
        let only = agent("a")
        var choice = try AgentChoice(readyWith: [only])
        choice.open(at: 1, on: channel(1))
        #expect(
            choice.suspicionChanged(channel(1), isSuspect: true, at: at(3.5)) == [.doubt(channel(1)), .listAgents])
        #expect(choice.connectionEnded(on: channel(1), wasAnswered: false, at: at(3.5)) == [])
        #expect(choice.agentsListed([only], at: at(3.6)) == [.watch(only.key), .openChannel(channel(2), only)])
        #expect(
            choice.suspicionChanged(channel(1), isSuspect: false, at: at(3.8)) == [
                .agentSelected(channel(1), only), .serve(channel(1)), .closeChannel(channel(2)),
            ])
    }

    @Test func `a failed attempt is followed by the next agent, then by pauses`() throws {
        let (first, second) = (agent("a"), agent("b"))
        var choice = try AgentChoice()
        _ = choice.signalConnected(at: at(0))
        _ = choice.agentsListed([first, second], at: at(0))
        #expect(
            choice.channelClosed(channel(1), at: at(0.1)) == [.watch(second.key), .openChannel(channel(2), second)])
        #expect(choice.channelClosed(channel(2), at: at(0.2)) == [])
        #expect(choice.nextDeadline == at(0.6))
        #expect(choice.timerFired(at: at(0.6)) == [.watch(first.key), .openChannel(channel(3), first)])
    }

    @Test func `a slow attempt gets company, and the first to succeed wins`() throws {
        let agents = [agent("a"), agent("b"), agent("c"), agent("d")]
        var choice = try AgentChoice()
        _ = choice.signalConnected(at: at(0))
        _ = choice.agentsListed(agents, at: at(0))
        #expect(choice.timerFired(at: at(1.9)).isEmpty)
        #expect(
            choice.timerFired(at: at(2)) == [.listAgents, .watch(agents[1].key), .openChannel(channel(2), agents[1])])
        #expect(choice.timerFired(at: at(4)) == [.watch(agents[2].key), .openChannel(channel(3), agents[2])])
        #expect(choice.timerFired(at: at(6)) == [])
        #expect(
            choice.channelReady(channel(2), at: at(6.1)) == [
                .agentSelected(channel(2), agents[1]), .serve(channel(2)), .closeChannel(channel(1)),
                .closeChannel(channel(3)),
            ])
        #expect(choice.channelReady(channel(1), at: at(6.2)) == [])
    }

    @Test func `trouble on this side is no reason to change agents, but one to wait`() throws {
        let (first, second) = (agent("a"), agent("b"))
        var choice = try AgentChoice()
        _ = choice.signalConnected(at: at(0))
        _ = choice.agentsListed([first, second], at: at(0))
        #expect(choice.channelClosed(channel(1), blameAgent: false, at: at(0.1)) == [])
        #expect(choice.nextDeadline == at(0.6))
        #expect(choice.timerFired(at: at(0.6)) == [.watch(first.key), .openChannel(channel(2), first)])
    }

    @Test func `a lost control connection leaves channels alone`() throws {
        let only = agent("a")
        var choice = try AgentChoice(readyWith: [only])
        #expect(choice.signalLost(at: at(1)) == [])
        choice.open(at: 2, on: channel(1))
        // The server was restarted and the agent is not back yet: its channel stays current, and its return is noticed.
        #expect(choice.signalConnected(at: at(3)) == [.watch(only.key)])
        #expect(choice.watchAnswered(only.key, .notRegistered, at: at(3.1)) == [.listAgents])
        #expect(choice.agentsListed([], at: at(3.2)) == [])
        choice.open(at: 3.3, on: channel(1))
        #expect(choice.timerFired(at: at(5.2)) == [.listAgents])
        #expect(choice.agentsListed([only], at: at(5.3)) == [.watch(only.key)])
        #expect(choice.watchAnswered(only.key, .watched, at: at(5.4)) == [])
        #expect(choice.nextDeadline == nil)
    }

    @Test func `a channel that came up while the control connection was away is watched afterwards`() throws {
        let only = agent("a")
        var choice = try AgentChoice()
        _ = choice.signalConnected(at: at(0))
        _ = choice.agentsListed([only], at: at(0))
        _ = choice.signalLost(at: at(0.1))
        #expect(
            choice.channelReady(channel(1), at: at(0.2)) == [.agentSelected(channel(1), only), .serve(channel(1))])
        #expect(choice.signalConnected(at: at(0.3)) == [.watch(only.key)])
    }

    @Test func `a restarted agent is another agent`() throws {
        let (old, new) = (agent("a", "a"), agent("a", "b"))
        var choice = try AgentChoice(readyWith: [old])
        _ = choice.signalLost(at: at(1))
        _ = choice.signalConnected(at: at(2))
        #expect(
            choice.watchAnswered(old.key, .otherInstance, at: at(2.1)) == [
                .agentGone(old.key, .replaced), .listAgents,
            ])
        #expect(choice.agentsListed([new], at: at(2.2)) == [.watch(new.key), .openChannel(channel(2), new)])
        #expect(
            choice.channelReady(channel(2), at: at(2.3)) == [
                .agentSelected(channel(2), new), .serve(channel(2)), .closeChannel(channel(1)),
            ])
    }

    @Test(arguments: [AgentChoice.WatchAnswer.notRegistered, .otherInstance])
    func `an agent that is gone before its channel stands is given up`(answer: AgentChoice.WatchAnswer) throws {
        let (first, second) = (agent("a"), agent("b"))
        var choice = try AgentChoice()
        _ = choice.signalConnected(at: at(0))
        _ = choice.agentsListed([first, second], at: at(0))
        #expect(
            choice.watchAnswered(first.key, answer, at: at(0.1)) == [
                .closeChannel(channel(1)), .listAgents, .watch(second.key), .openChannel(channel(2), second),
            ])
    }

    @Test func `sticks to its agent however good the others are`() throws {
        let (current, better) = (agent("z", expires: 1), agent("a"))
        var choice = try AgentChoice(readyWith: [current])
        _ = choice.signalLost(at: at(1))
        #expect(choice.signalConnected(at: at(2)) == [.watch(current.key)])
        #expect(choice.watchAnswered(current.key, .watched, at: at(2)) == [])
        #expect(choice.agentsListed([better, current], at: at(2)) == [])
        choice.open(at: 3, on: channel(1))
    }
}

/// Flows wait for a silent channel: it may find another path.
@Suite struct `healing` {
    private let first = agent("a")
    private let second = agent("b")

    /// A channel of flows that has just fallen silent, at 20.
    private func silent() throws -> AgentChoice {
        var choice = try AgentChoice(readyWith: [self.first], for: .flows)
        #expect(choice.suspicionChanged(channel(1), isSuspect: true, at: at(20)) == [.listAgents])
        #expect(choice.nextDeadline == at(27))
        return choice
    }

    @Test func `without another agent flows stay for seven seconds, and leave when there is one`() throws {
        var choice = try self.silent()
        #expect(choice.agentsListed([self.first], at: at(20.1)) == [])
        #expect(choice.nextDeadline == at(22.1))
        #expect(choice.timerFired(at: at(22.1)) == [.listAgents])
        #expect(choice.listingFailed(at: at(22.2)) == [])
        #expect(choice.serving == channel(1))
        #expect(choice.timerFired(at: at(26.9)) == [.listAgents])
        #expect(choice.timerFired(at: at(27)) == [])
        #expect(choice.serving == nil)
        #expect(
            choice.agentsListed([self.first, self.second], at: at(27.1)) == [
                .watch(self.second.key), .openChannel(channel(2), self.second),
            ])
    }

    @Test func `another agent is a reason to leave at once`() throws {
        var choice = try self.silent()
        #expect(
            choice.agentsListed([self.first, self.second], at: at(20.1)) == [
                .watch(self.second.key), .openChannel(channel(2), self.second),
            ])
        var changed = choice
        #expect(
            changed.channelReady(channel(2), at: at(20.2)) == [
                .agentSelected(channel(2), self.second), .serve(channel(2)), .closeChannel(channel(1)),
            ])
        #expect(
            choice.suspicionChanged(channel(1), isSuspect: false, at: at(20.2)) == [
                .agentSelected(channel(1), self.first), .serve(channel(1)), .closeChannel(channel(2)),
            ])
    }

    @Test func `a channel that heals stays, and nobody notices`() throws {
        var choice = try self.silent()
        #expect(choice.suspicionChanged(channel(1), isSuspect: false, at: at(24)) == [])
        #expect(choice.agentsListed([self.first, self.second], at: at(24.1)) == [])
        #expect(choice.nextDeadline == nil)
        #expect(choice.timerFired(at: at(27)) == [])
        #expect(choice.serving == channel(1))
    }

    @Test func `an agent that the server has lost as well is waited for less`() throws {
        var choice = try self.silent()
        #expect(
            choice.agentGone(self.first.key, .disconnected, at: at(21)) == [
                .agentGone(self.first.key, .disconnected)
            ])
        #expect(choice.agentsListed([], at: at(21.1)) == [])
        #expect(choice.nextDeadline == at(22.5))
        #expect(choice.timerFired(at: at(22.5)) == [.listAgents])
        #expect(choice.serving == nil)
        // The other way round: lost first, then silent.
        choice = try AgentChoice(readyWith: [self.first], for: .flows)
        _ = choice.agentGone(self.first.key, .disconnected, at: at(20))
        _ = choice.suspicionChanged(channel(1), isSuspect: true, at: at(21))
        _ = choice.timerFired(at: at(22.4))
        #expect(choice.serving == channel(1))
        _ = choice.timerFired(at: at(22.5))
        #expect(choice.serving == nil)
    }

    @Test func `an agent that leaves for good is not waited for`() throws {
        var choice = try self.silent()
        _ = choice.agentsListed([], at: at(20.1))
        #expect(
            choice.agentGone(self.first.key, .stopped, at: at(21)) == [
                .agentGone(self.first.key, .stopped), .listAgents,
            ])
        #expect(choice.serving == nil)
    }
}
