package import NIOCore

/// What channels, their users and the clock bring.
extension AgentChoice {
    /// The attempt succeeded.
    package mutating func channelReady(_ id: ChannelID, at now: NIODeadline) -> [Action] {
        guard let channel = self.channels[id], !channel.isReady else { return [] }
        self.channels[id]?.phase = .ready
        var actions: [Action] = []
        // The Bind that came first is forgotten if the control connection was lost since.
        if channel.watch == .no { self.watch(id, &actions) }
        self.settle(at: now, &actions)
        return actions
    }

    /// The attempt failed, or the channel is closed. `blameAgent`: the agent is put last for a while; not so when the
    /// reason lies on this side, such as a lost control connection.
    package mutating func channelClosed(
        _ id: ChannelID, blameAgent: Bool = true, at now: NIODeadline
    ) -> [Action] {
        guard let channel = self.channels.removeValue(forKey: id) else { return [] }
        if blameAgent {
            self.selection.markFailed(channel.agent.key, retryAtOnce: channel.isReady, at: now)
        } else {
            self.pausedUntil = now + self.timing.pause
        }
        return self.settled(at: now)
    }

    /// The peer of a channel leaves what was sent unanswered and nothing at all is heard of it, or it speaks again.
    package mutating func suspicionChanged(
        _ id: ChannelID, isSuspect: Bool, at now: NIODeadline
    ) -> [Action] {
        guard let channel = self.channels[id], channel.isReady else { return [] }
        var actions: [Action] = []
        if !isSuspect {
            self.channels[id]?.health = .well
        } else if self.usage == .connections {
            self.changeHealth(of: id, at: now, &actions) {
                $0.connectionsFellSilent(isAwaited: channel.unanswered > 0)
            }
        } else {
            let time = self.healingTime(of: channel)
            // Where there is another agent nobody need wait: ask.
            self.list.expire(at: now)
            self.changeHealth(of: id, at: now, &actions) { $0.flowsFellSilent(healing: time, at: now) }
        }
        self.settle(at: now, &actions)
        return actions
    }

    /// Changes what is thought of a channel's peer, with all that follows when it is taken for gone.
    mutating func changeHealth(
        of id: ChannelID, at now: NIODeadline, _ actions: inout [Action], _ change: (inout ChannelHealth) -> Void
    ) {
        guard var channel = self.channels[id], channel.health != .suspect else { return }
        change(&channel.health)
        self.channels[id] = channel
        guard channel.health == .suspect else { return }
        self.selection.markFailed(channel.agent.key, retryAtOnce: true, at: now)
        // What is known of the agents may be as old as the channel.
        self.list.expire(at: now)
        if channel.unanswered > 0 { actions.append(.doubt(id)) }
    }

    /// Call at `nextDeadline`; early or late does no harm.
    package mutating func timerFired(at now: NIODeadline) -> [Action] {
        var actions: [Action] = []
        for (id, _) in self.channelsInOrder { self.changeHealth(of: id, at: now, &actions) { $0.timePassed(at: now) } }
        self.settle(at: now, &actions)
        return actions
    }
}

// MARK: - Connections

extension AgentChoice {
    /// Somebody wants to open a connection, which counts as unanswered on the channel returned; nil: `.serve` will tell
    /// when there is one.
    package mutating func claim(at now: NIODeadline) -> (channel: ChannelID?, actions: [Action]) {
        var actions: [Action] = []
        if let channel = self.serving {
            // One that has been silent for long is found out by its next open, before that is made.
            self.changeHealth(of: channel, at: now, &actions) { $0.awaited() }
            self.settle(at: now, &actions)
        }
        guard let channel = self.serving else {
            // Somebody waits now: ask again soon, if the last answer is not brand-new.
            self.list.hurry(self.timing.urgentListInterval)
            self.settle(at: now, &actions)
            return (nil, actions)
        }
        self.channels[channel]?.unanswered += 1
        return (channel, actions)
    }

    /// The agent reached the target: the connection carries data from now on.
    package mutating func connectionAnswered(on id: ChannelID) {
        self.channels[id]?.unanswered -= 1
        self.channels[id]?.streaming += 1
    }

    /// A connection that was answered is over, or one that was not answered is not opened on this channel any more.
    package mutating func connectionEnded(on id: ChannelID, wasAnswered: Bool, at now: NIODeadline) -> [Action] {
        if wasAnswered {
            self.channels[id]?.streaming -= 1
        } else {
            self.channels[id]?.unanswered -= 1
        }
        return self.settled(at: now)
    }
}
