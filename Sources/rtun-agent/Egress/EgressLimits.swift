import CommandSupport
import Logging

/// How many connections and UDP flows there may be, where each takes an open file: those that were asked for, or three
/// quarters of those that the process can have, so that neither kind takes them from the other, nor from what else there is.
struct EgressLimits: Equatable {
    let streams: Int
    let flows: Int

    init(streams: Int, flows: Int) {
        self.streams = streams
        self.flows = flows
    }

    /// - Parameters:
    ///   - openFiles: how many the process may have.
    ///   - eventLoops: how many it runs, each of which takes some, as does each peer, which has up to four sockets.
    init(_ options: EgressOptions, openFiles: Int, eventLoops: Int) {
        let own =
            FileDescriptorLimit.least(eventLoops: eventLoops)
            + min(4 * min(options.maximumPeers, openFiles), openFiles / 8)
        let free = max(4, openFiles - own)
        self.streams = min(options.maximumStreams, free / 4 * 3)
        self.flows = min(options.maximumFlows, free / 4 * 3)
    }

    /// Says when they are less than what was asked for.
    func warn(about options: EgressOptions, _ logger: Logger) {
        guard self.streams < options.maximumStreams || self.flows < options.maximumFlows else { return }
        logger.warning(
            "the limit on open files is too low for --max-streams and --max-flows, which are reduced",
            metadata: [
                "event": "limit.files", "files": .stringConvertible(FileDescriptorLimit.current),
                "streams": .stringConvertible(self.streams), "flows": .stringConvertible(self.flows),
                "advice": "raise it (ulimit -n; systemd: LimitNOFILE=), or lower the options",
            ])
    }
}
