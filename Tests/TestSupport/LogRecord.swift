package import Logging
import Synchronization

/// Keeps what is logged.
package final class LogRecord: Sendable {
    package struct Line: Sendable {
        package let level: Logger.Level
        package let message: String
        package let metadata: Logger.Metadata

        package var event: String? { self.metadata["event"].map { "\($0)" } }
    }

    private let stored = Mutex<[Line]>([])

    package var lines: [Line] { self.stored.withLock { $0 } }

    package init() {}

    package var logger: Logger {
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

        func log(event: Logging.LogEvent) {
            let line = Line(level: event.level, message: "\(event.message)", metadata: event.metadata ?? [:])
            self.record.stored.withLock { $0.append(line) }
        }
    }
}
