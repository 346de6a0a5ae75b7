package import NIOCore

/// What the control connection brings.
extension AgentChoice {
    /// The control connection stands.
    package mutating func signalConnected(at now: NIODeadline) -> [Action] {
        self.isConnected = true
        self.list.forget()
        self.list.expire(at: now)
        self.pausedUntil = nil
        var actions: [Action] = []
        for (id, channel) in self.channelsInOrder where channel.isReady { self.watch(id, &actions) }
        self.settle(at: now, &actions)
        return actions
    }

    /// The control connection is lost. What runs over channels goes on.
    package mutating func signalLost(at now: NIODeadline) -> [Action] {
        self.isConnected = false
        self.list.forget()
        for id in self.channels.keys { self.channels[id]?.watch = .no }
        return self.settled(at: now)
    }

    /// The answer to `.listAgents`.
    package mutating func agentsListed(_ agents: [Agent], at now: NIODeadline) -> [Action] {
        self.agents = agents
        let listed = Set(agents.map(\.key))
        var actions: [Action] = []
        for (id, channel) in self.channelsInOrder where channel.isReady {
            if listed.contains(channel.agent.key) {
                // It was away for a moment and kept its instance id: the channel is as good as before.
                if channel.registration != .registered { self.channels[id]?.registration = .returning }
                if channel.watch == .no { self.watch(id, &actions) }
            }
            if agents.contains(where: { $0.key != channel.agent.key && self.pattern.matches($0.name) }) {
                self.changeHealth(of: id, at: now, &actions) { $0.alternativeFound() }
            }
        }
        self.listAnswered(at: now)
        self.settle(at: now, &actions)
        return actions
    }

    /// `.listAgents` got no answer.
    package mutating func listingFailed(at now: NIODeadline) -> [Action] {
        self.listAnswered(at: now)
        return self.settled(at: now)
    }

    /// Other agents may be used than before: `agentsListed` is to bring those that may.
    package mutating func permissionsChanged(at now: NIODeadline) -> [Action] {
        self.selection.forgetFailures()
        self.list.expire(at: now)
        return self.settled(at: now)
    }

    private mutating func listAnswered(at now: NIODeadline) {
        self.list.answered(
            at: now, nextAfter: self.isAwaited ? self.timing.urgentListInterval : self.timing.listInterval)
    }

    /// The answer to `.watch`.
    package mutating func watchAnswered(_ key: AgentKey, _ answer: WatchAnswer, at now: NIODeadline) -> [Action] {
        var actions: [Action] = []
        for (id, channel) in self.channelsInOrder where channel.agent.key == key {
            if channel.watch == .asked { self.channels[id]?.watch = answer == .watched ? .yes : .no }
            guard answer == .watched, channel.registration != .registered else { continue }
            self.channels[id]?.registration = .registered
            actions.append(.restoreRoute(id))
        }
        switch answer {
        case .otherInstance: return self.agentGone(key, .replaced, at: now)
        case .notRegistered: self.forget(key, at: now, &actions)
        case .watched, .failed: break
        }
        self.settle(at: now, &actions)
        return actions
    }

    /// The server says that an agent is no longer registered.
    package mutating func agentGone(_ key: AgentKey, _ departure: AgentDeparture, at now: NIODeadline) -> [Action] {
        var actions: [Action] = []
        self.forget(key, at: now, &actions)
        for (id, channel) in self.channelsInOrder where channel.agent.key == key {
            guard channel.registration != .left, departure.isFinal || channel.registration != .lost else { continue }
            self.channels[id]?.registration = departure.isFinal ? .left : .lost
            self.channels[id]?.watch = .no
            actions.append(.agentGone(key, departure))
            self.agentWent(id, at: now, &actions)
        }
        self.settle(at: now, &actions)
        return actions
    }

    private mutating func agentWent(_ id: ChannelID, at now: NIODeadline, _ actions: inout [Action]) {
        guard let channel = self.channels[id] else { return }
        let time = self.healingTime(of: channel)
        self.changeHealth(of: id, at: now, &actions) { $0.agentWent(healing: time, at: now) }
    }

    /// The agent can't be asked for a channel now, and what is known of the others may be old as well.
    private mutating func forget(_ key: AgentKey, at now: NIODeadline, _ actions: inout [Action]) {
        self.agents.removeAll { $0.key == key }
        self.list.expire(at: now)
        for (id, channel) in self.channelsInOrder where channel.agent.key == key && !channel.isReady {
            self.channels[id] = nil
            actions.append(.closeChannel(id))
        }
    }

    mutating func watch(_ id: ChannelID, _ actions: inout [Action]) {
        guard self.isConnected, let key = self.channels[id]?.agent.key else { return }
        self.channels[id]?.watch = .asked
        actions.append(.watch(key))
    }
}
