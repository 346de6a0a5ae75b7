package import CommandSupport

extension ChannelPool {
    /// Which agent is in use, and how it is reached.
    package var liveStatus: LiveStatus {
        var status = LiveStatus()
        status.hasServer = self.hasServer
        if let (agent, channel) = self.serving {
            status.channels = [
                LiveStatus.Channel(
                    agent: agent.name, path: channel.path?.name, roundTripTime: channel.roundTripTime)
            ]
        } else {
            status.idle = 1
            status.trouble = self.obstacle
        }
        return status
    }
}
