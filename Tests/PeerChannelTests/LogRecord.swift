import Logging
import Synchronization

/// Keeps what is logged.
final class LogRecord: Sendable {
    struct Line: Sendable {
        let level: Logger.Level
        let metadata: Logger.Metadata

        var event: String? { self.metadata["event"].map { "\($0)" } }
    }

    private let stored = Mutex<[Line]>([])

    var lines: [Line] { self.stored.withLock { $0 } }

    var logger: Logger {
        Logger(label: "test") { _ in Handler(record: self) }
    }

    private struct Handler: LogHandler {
        let record: LogRecord
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = Line(level: event.level, metadata: event.metadata ?? [:])
            self.record.stored.withLock { $0.append(line) }
        }
    }
}
