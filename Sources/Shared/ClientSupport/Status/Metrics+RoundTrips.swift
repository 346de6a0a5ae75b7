package import Admin

extension Metrics {
    /// Round trips to the agents of `channels`, the shortest where an agent has several.
    package mutating func addRoundTrips(_ channels: [PoolStatus.Channel]) {
        let times = channels.reduce(into: [String: Double]()) { times, channel in
            guard let time = channel.status.roundTripTime else { return }
            times[channel.agent.name] = min(time, times[channel.agent.name] ?? time)
        }
        self.add(
            .gauge, "rtun_peer_rtt_seconds", "Round trip to the agent.",
            times.sorted { $0.key < $1.key }.map { Sample([.init("agent", $0.key)], $0.value / 1000) })
    }
}
