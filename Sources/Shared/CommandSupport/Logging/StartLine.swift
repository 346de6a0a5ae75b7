package import Logging

/// The line that says at start what a program is going to do: `program.started`.
package enum StartLine {
    /// Writes `rtun-socks 0.1.0 WORDS`, with all that is worth knowing of the options in `metadata`.
    package static func log(program: String, _ words: String, _ metadata: Logger.Metadata, to logger: Logger) {
        logger.info(
            "\(program) \(Software.version) \(words)",
            metadata: metadata.merging(["event": "program.started", "version": "\(Software.version)"]) { $1 })
    }
}

extension PeerOptions {
    /// What these say, for `program.started`; only what differs from the default where that goes without saying.
    package var startMetadata: Logger.Metadata {
        var metadata: Logger.Metadata = ["p2p": "\(self.pathChoice.rawValue)"]
        if !self.interfaces.isEmpty { metadata["interfaces"] = "\(self.interfaces.joined(separator: ","))" }
        if !self.stunServers.isEmpty {
            metadata["stun"] = "\(self.stunServers.map { "\($0)" }.joined(separator: ","))"
        }
        if self.congestion != .bbr { metadata["congestion"] = "\(self.congestion.rawValue)" }
        return metadata
    }
}
