import Basics
import CommandSupport
import FileWatch
import Logging
import NIOCore
import OperatingSystem

/// The file of `--authorized-keys`.
struct AuthorizedKeysFile: Sendable {
    let path: String

    /// Reads it. Throws with exit code 69 when it cannot be read, 78 when a line is wrong.
    func load() throws(ProgramError) -> AuthorizedKeys {
        let contents: [UInt8]
        do throws(SmallFile.ReadError) {
            contents = try SmallFile.contents(of: self.path, limit: KeyLines.byteLimit)
        } catch {
            throw ProgramError(.unavailable, "cannot read --authorized-keys \(self.path): \(error)")
        }
        do throws(KeyLineError) {
            return try AuthorizedKeys(parsing: contents)
        } catch {
            throw ProgramError(.configuration, "--authorized-keys \(self.path): \(error)")
        }
    }
}

extension FileReloader where Loaded == AuthorizedKeys {
    /// Keeps the keys up to date; `use` puts them into effect and tells how many sessions that has ended.
    static func authorizedKeys(
        _ file: AuthorizedKeysFile, loaded stamp: FileStamp?, eventLoop: any EventLoop, logger: Logger,
        use: @escaping (AuthorizedKeys) -> Int
    ) -> FileReloader {
        let source = Source(
            paths: [file.path], interval: .seconds(5), settling: .seconds(1), load: { try file.load() })
        return FileReloader(source, loaded: stamp, eventLoop: eventLoop) { loaded in
            do {
                let keys = try loaded.get()
                let ended = use(keys)
                logger.notice(
                    "the authorized keys were read again",
                    metadata: keys.metadata("keys.reloaded", file).merging(["sessions_closed": "\(ended)"]) { $1 })
            } catch {
                logger.error(
                    "the authorized keys cannot be read again, the previous ones stay in use: \(error)",
                    metadata: ["event": "keys.reload_failed", "file": "\(file.path)", "error": "\(error)"])
            }
        }
    }
}

extension AuthorizedKeys {
    /// For the log.
    func metadata(_ event: String, _ file: AuthorizedKeysFile) -> Logger.Metadata {
        [
            "event": "\(event)", "file": "\(file.path)", "agents": .stringConvertible(self.agentCount),
            "clients": .stringConvertible(self.clientCount),
        ]
    }
}
