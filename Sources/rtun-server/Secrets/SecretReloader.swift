import CommandSupport
import FileWatch
import Logging
import NIOCore
import Signaling

/// A file of secrets that a running server goes by, and what its keys are made with.
struct WatchedSecrets: Sendable {
    let file: String
    /// From before it was read.
    let stamp: FileStamp?
    let keys: SecretKeys
}

extension FileReloader where Loaded == AcceptedSecrets {
    /// Keeps the secrets up to date; `use` lets their holders in, and ends the sessions of those that are gone, of which it
    /// tells the number.
    static func secrets(
        _ watched: WatchedSecrets, eventLoop: any EventLoop, logger: Logger,
        use: @escaping (AcceptedSecrets) -> Int
    ) -> FileReloader {
        let source = Source(
            paths: [watched.file], interval: .seconds(5), settling: .seconds(1),
            load: {
                let file = try SecretOptions.read(watched.file)
                if file.entries.contains(where: \.secret.isShort) {
                    StandardStream.error.write(
                        "warning: a secret in \(watched.file) has fewer than 16 bytes, which can be guessed\n")
                }
                return try watched.keys.accepted(file.entries)
            })
        return FileReloader(source, loaded: watched.stamp, eventLoop: eventLoop) { loaded in
            do {
                let secrets = try loaded.get()
                let ended = use(secrets)
                logger.notice(
                    "the secrets were read again",
                    metadata: [
                        "event": "secrets.reloaded", "file": "\(watched.file)",
                        "secrets": "\(secrets.entries.count)", "sessions_closed": "\(ended)",
                    ])
            } catch {
                logger.error(
                    "the secrets cannot be read again, the previous ones stay in use: \(error)",
                    metadata: ["event": "secrets.reload_failed", "error": "\(error)"])
            }
        }
    }
}
