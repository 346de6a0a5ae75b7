import NIOCore

/// What follows from each event.
extension AgentChoice {
    /// Oldest first, so that the same events always lead to the same actions.
    var channelsInOrder: [(key: ChannelID, value: Channel)] {
        self.channels.sorted { $0.key < $1.key }
    }

    mutating func settled(at now: NIODeadline) -> [Action] {
        var actions: [Action] = []
        self.settle(at: now, &actions)
        return actions
    }

    /// Brings everything in line with what has just changed.
    mutating func settle(at now: NIODeadline, _ actions: inout [Action]) {
        self.nextSearch = nil
        self.chooseCurrent(&actions)
        if self.current != nil {
            // Before others are closed: what they carry moves.
            self.announce(&actions)
            self.closeUnneeded(&actions)
            self.followDoubtful(at: now, &actions)
        } else {
            self.search(at: now, &actions)
            self.announce(&actions)
        }
    }

    private mutating func announce(_ actions: inout [Action]) {
        let serving = self.serving
        if let serving, serving != self.announced { actions.append(.serve(serving)) }
        self.announced = serving
    }

    private mutating func chooseCurrent(_ actions: inout [Action]) {
        if let current = self.current, let channel = self.channels[current], self.isGood(channel) { return }
        self.current = self.channels.filter { self.isGood($0.value) }.keys.max()
        if let current = self.current, let agent = self.channels[current]?.agent {
            self.selection.bind(agent.key)
            actions.append(.agentSelected(current, agent))
        } else {
            self.selection.unbind()
        }
    }

    /// With a current channel, attempts are pointless, and other channels last as long as their connections.
    private mutating func closeUnneeded(_ actions: inout [Action]) {
        guard self.channels.count > 1 else { return }
        for (id, channel) in self.channelsInOrder where id != self.current && channel.isUnused {
            self.channels[id] = nil
            actions.append(.closeChannel(id))
        }
    }

    /// While the server doesn't know a channel's agent, or a channel heals, looks in the list: is the agent back, is there
    /// another one?
    private mutating func followDoubtful(at now: NIODeadline, _ actions: inout [Action]) {
        let isDoubtful = self.channels.values.contains { $0.isReady && ($0.watch == .no || $0.health.isHealing) }
        guard self.isConnected, isDoubtful else { return }
        self.askForList(at: now, &actions)
    }

    /// Without a current channel: asks for agents, and opens a channel to the best one.
    private mutating func search(at now: NIODeadline, _ actions: inout [Action]) {
        guard self.isConnected else { return }
        self.askForList(at: now, &actions)

        var busy: Set<AgentKey> = []
        for channel in self.channels.values {
            guard case .opening(let since) = channel.phase else { continue }
            busy.insert(channel.agent.key)
            if now < since + self.timing.hedgeDelay { return self.wake(at: since + self.timing.hedgeDelay) }
        }
        guard busy.count < Self.maximumOpening else { return }
        if let pausedUntil = self.pausedUntil, now < pausedUntil { return self.wake(at: pausedUntil) }
        for agent in self.selection.ranked(self.agents, at: now) where !busy.contains(agent.key) {
            let retryTime = self.selection.retryTime(of: agent.key)
            // The list under way may bring better ones. Failed ones come last, so that there is no other now.
            if let askedAt = self.list.askedAt, now < askedAt + self.timing.listPatience,
                self.usage == .flows || retryTime != nil
            {
                return self.wake(at: askedAt + self.timing.listPatience)
            }
            if let retryTime, retryTime > now {
                self.wake(at: retryTime)
                continue
            }
            self.open(agent, at: now, &actions)
            return self.wake(at: now + self.timing.hedgeDelay)
        }
    }

    private mutating func open(_ agent: Agent, at now: NIODeadline, _ actions: inout [Action]) {
        let id = ChannelID(rawValue: self.nextChannel)
        self.nextChannel += 1
        self.channels[id] = Channel(agent: agent, phase: .opening(since: now))
        self.watch(id, &actions)
        actions.append(.openChannel(id, agent))
    }

    private mutating func askForList(at now: NIODeadline, _ actions: inout [Action]) {
        if self.list.ask(at: now) {
            actions.append(.listAgents)
        } else if self.list.askedAt == nil {
            self.wake(at: self.list.next)
        }
    }

    private mutating func wake(at time: NIODeadline) {
        self.nextSearch = self.nextSearch.map { min($0, time) } ?? time
    }
}
