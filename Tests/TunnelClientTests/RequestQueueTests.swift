import AgentChoice
import NIOCore
import TestSupport
import Testing

@testable import TunnelClient

/// Seconds on the test's clock.
private func at(_ seconds: Double) -> NIODeadline {
    .uptimeNanoseconds(0) + .milliseconds(1_000_000 + Int64(seconds * 1000))
}

private func request(_ number: UInt64) -> RequestID { RequestID(rawValue: number) }
private func channel(_ number: UInt64) -> ChannelID { ChannelID(rawValue: number) }

@Suite struct `request queue` {
    private func queue(_ numbers: ClosedRange<UInt64>, at time: Double = 0) -> RequestQueue {
        var queue = RequestQueue()
        for number in numbers { queue.append(request(number), at: at(time)) }
        return queue
    }

    @Test func `requests wait in the order in which they came`() {
        var queue = self.queue(1...3)
        #expect(queue.remove(request(2)) == nil)
        #expect(queue.next(on: channel(1)) == request(1))
        #expect(queue.next(on: channel(1)) == request(3))
        #expect(queue.next(on: channel(1)) == nil)
        #expect(!queue.isAwaiting)
        #expect(queue.remove(request(3)) == channel(1))
        #expect(queue.count == 1)
    }

    @Test func `a request waits ten seconds and no longer`() {
        var queue = self.queue(1...1)
        queue.append(request(2), at: at(4))
        #expect(queue.nextDeadline == at(10))
        #expect(queue.expire(at: at(9.9)) == [])
        #expect(queue.expire(at: at(10)) == [request(1)])
        #expect(queue.nextDeadline == at(14))
        #expect(queue.expire(at: at(15)) == [request(2)])
        #expect(queue.nextDeadline == nil)
        #expect(queue.count == 0)
    }

    @Test func `one that is being opened may take its time, until it loses its channel`() {
        var queue = self.queue(1...1)
        _ = queue.next(on: channel(1))
        #expect(queue.nextDeadline == nil)
        #expect(queue.expire(at: at(50)) == [])
        // The agent took its time with the target, and then went.
        #expect(
            queue.withdraw(from: channel(1), at: at(50)) == [.init(id: request(1), rejection: .noAgent)])
        #expect(queue.count == 0)
    }

    @Test func `a request that loses its channel waits no longer than the ten seconds it had, before later ones`() {
        var queue = self.queue(1...1)
        queue.append(request(2), at: at(1))
        _ = queue.next(on: channel(1))
        _ = queue.next(on: channel(1))
        queue.append(request(3), at: at(2))
        #expect(
            queue.withdraw(from: channel(1), at: at(3)) == [
                .init(id: request(1), rejection: nil), .init(id: request(2), rejection: nil),
            ])
        #expect(queue.withdraw(from: channel(1), at: at(3)) == [])
        #expect(queue.nextDeadline == at(10))
        #expect(queue.next(on: channel(2)) == request(1))
        #expect(queue.expire(at: at(11)) == [request(2)])
        #expect(queue.expire(at: at(12)) == [request(3)])
    }

    @Test func `only those on the channel that is lost are withdrawn`() {
        var queue = self.queue(1...2)
        _ = queue.next(on: channel(1))
        _ = queue.next(on: channel(2))
        #expect(queue.withdraw(from: channel(2), at: at(1)) == [.init(id: request(2), rejection: nil)])
        #expect(queue.remove(request(1)) == channel(1))
    }

    @Test func `an open is not handed on for ever`() {
        var queue = self.queue(1...1)
        for number in UInt64(1)...3 {
            #expect(queue.next(on: channel(number)) == request(1))
            #expect(
                queue.withdraw(from: channel(number), at: at(1)) == [
                    .init(id: request(1), rejection: number < 3 ? nil : .tooManyAttempts)
                ])
        }
        #expect(queue.count == 0)
    }
}

/// The choice and the queue together, as `ChannelPool` and `TunnelPool` put them.
private final class Line {
    var choice: AgentChoice
    var queue = RequestQueue()
    /// Channels that are asked for or stand.
    var channels: Set<ChannelID> = []
    /// Requests without an answer, and those of them that have been sent.
    var open: Set<RequestID> = []
    var sent: [RequestID: ChannelID] = [:]
    var streams: [ChannelID] = []
    var now = at(0)

    init() throws {
        self.choice = AgentChoice(pattern: try AgentNamePattern(), usage: .connections, at: self.now)
    }

    private var actions: [AgentChoice.Action] = []
    private var isPerforming = false

    func perform(_ actions: [AgentChoice.Action], after told: () -> Void = {}) {
        self.actions += actions
        guard !self.isPerforming else { return told() }
        self.isPerforming = true
        defer { self.isPerforming = false }
        told()
        while !self.actions.isEmpty {
            switch self.actions.removeFirst() {
            case .openChannel(let id, _): self.channels.insert(id)
            case .closeChannel(let id): #expect(self.channels.remove(id) != nil)
            case .doubt(let id): self.withdraw(id)
            case .serve: self.openWaiting()
            case .listAgents, .watch, .restoreRoute, .agentSelected, .agentGone: break
            }
        }
    }

    func request(_ id: RequestID) {
        self.open.insert(id)
        self.queue.append(id, at: self.now)
        self.openWaiting()
    }

    func withdraw(_ channel: ChannelID) {
        for withdrawal in self.queue.withdraw(from: channel, at: self.now) {
            #expect(self.sent.removeValue(forKey: withdrawal.id) == channel)
            if withdrawal.rejection != nil { self.open.remove(withdrawal.id) }
            self.perform(self.choice.connectionEnded(on: channel, wasAnswered: false, at: self.now))
        }
        self.openWaiting()
    }

    func openWaiting() {
        while self.queue.isAwaiting {
            let (channel, actions) = self.choice.claim(at: self.now)
            self.perform(actions)
            guard let channel else { break }
            guard let id = self.queue.next(on: channel) else {
                self.perform(self.choice.connectionEnded(on: channel, wasAnswered: false, at: self.now))
                break
            }
            self.sent[id] = channel
        }
        self.choice.isAwaited = self.queue.isAwaiting
    }

    func end(_ id: RequestID) {
        self.open.remove(id)
        self.sent[id] = nil
        guard let channel = self.queue.remove(id) else { return }
        self.perform(self.choice.connectionEnded(on: channel, wasAnswered: false, at: self.now))
    }

    func answer(_ id: RequestID) {
        self.open.remove(id)
        self.sent[id] = nil
        guard let channel = self.queue.remove(id) else { return }
        self.choice.connectionAnswered(on: channel)
        self.streams.append(channel)
    }

    func close(_ id: ChannelID, blameAgent: Bool) {
        self.channels.remove(id)
        self.perform(self.choice.channelClosed(id, blameAgent: blameAgent, at: self.now)) { self.withdraw(id) }
    }

    func tick() {
        for id in self.queue.expire(at: self.now) { self.open.remove(id) }
        self.choice.isAwaited = self.queue.isAwaiting
        self.perform(self.choice.timerFired(at: self.now))
    }
}

@Suite struct `requests and agents` {
    private let agent = Agent(key: AgentKey(name: "a", instance: "1"))

    @Test func `requests wait for the first channel`() throws {
        let line = try Line()
        line.request(request(1))
        line.perform(line.choice.signalConnected(at: at(1)))
        line.perform(line.choice.agentsListed([self.agent], at: at(1)))
        line.request(request(2))
        line.end(request(1))
        #expect(line.sent.isEmpty)
        line.perform(line.choice.channelReady(channel(1), at: at(1.3)))
        #expect(line.sent == [request(2): channel(1)])
        #expect(!line.choice.isAwaited)
    }

    @Test func `survives any order of events, and every request ends`() throws {
        var random = SeededGenerator(7)
        let agents = "abcd".map { Agent(key: AgentKey(name: String($0), instance: String($0))) }
        for _ in 0..<300 {
            let line = try Line()
            for number in UInt64(1)...120 {
                line.now = line.now + .milliseconds(.random(in: 0...1000, using: &random))
                let now = line.now
                let pick = agents[Int.random(in: 0..<agents.count, using: &random)]
                let id = line.channels.sorted().randomElement(using: &random)
                switch Int.random(in: 0..<14, using: &random) {
                case 0: line.perform(line.choice.signalConnected(at: now))
                case 1: line.perform(line.choice.signalLost(at: now))
                case 2:
                    let listed = agents.filter { _ in .random(using: &random) }
                    line.perform(line.choice.agentsListed(listed, at: now))
                case 3:
                    let departure: AgentDeparture = .random(using: &random) ? .disconnected : .stopped
                    line.perform(line.choice.agentGone(pick.key, departure, at: now))
                case 4:
                    let answer: AgentChoice.WatchAnswer = .random(using: &random) ? .watched : .notRegistered
                    line.perform(line.choice.watchAnswered(pick.key, answer, at: now))
                case 5: if let id { line.perform(line.choice.channelReady(id, at: now)) }
                case 6: if let id { line.close(id, blameAgent: .random(using: &random)) }
                case 7, 8:
                    let isSuspect = Bool.random(using: &random)
                    if let id { line.perform(line.choice.suspicionChanged(id, isSuspect: isSuspect, at: now)) }
                case 9:
                    let sent = line.sent.keys.sorted { $0.rawValue < $1.rawValue }
                    if let id = sent.randomElement(using: &random) { line.answer(id) }
                case 10:
                    let open = line.open.sorted { $0.rawValue < $1.rawValue }
                    if let id = open.randomElement(using: &random) { line.end(id) }
                case 11:
                    if let channel = line.streams.popLast() {
                        line.perform(line.choice.connectionEnded(on: channel, wasAnswered: true, at: now))
                    }
                default: line.request(request(number))
                }
                line.tick()
                #expect(line.queue.count == line.open.count)
                // Whoever waits does so for want of a channel.
                #expect(!line.queue.isAwaiting || line.choice.serving == nil)
            }
            // Nobody waits longer than ten seconds.
            line.perform(line.choice.signalLost(at: line.now))
            for id in line.channels.sorted() { line.close(id, blameAgent: true) }
            line.now = line.now + .seconds(10)
            line.tick()
            #expect(line.open.isEmpty && line.queue.count == 0)
        }
    }
}
