package import Logging
import Synchronization

/// How a log line is written.
package enum LogFormat: String, Sendable, CaseIterable {
    /// `time level message key=value …`, `event` first among the keys and `advice` last, the others sorted.
    case text
    /// One JSON object a line, with the same members in the same order.
    case json
    /// For people: the time of day, what has happened in words, and of the keys what they can use.
    case terminal
}

/// How a program logs, which may change while it runs: for all of its loggers at once.
package final class LogSettings: Sendable {
    private static let levels = Logger.Level.allCases
    private static let formats = LogFormat.allCases
    private let levelIndex: Atomic<Int>
    private let formatIndex: Atomic<Int>

    /// Lines of `level` and above, in `format`.
    package init(level: Logger.Level, format: LogFormat) {
        self.levelIndex = Atomic(Self.levels.firstIndex(of: level) ?? 0)
        self.formatIndex = Atomic(Self.formats.firstIndex(of: format) ?? 0)
    }

    /// The least important level that is logged.
    package var level: Logger.Level {
        get { Self.levels[self.levelIndex.load(ordering: .relaxed)] }
        set { self.levelIndex.store(Self.levels.firstIndex(of: newValue) ?? 0, ordering: .relaxed) }
    }

    /// How lines look.
    package var format: LogFormat {
        get { Self.formats[self.formatIndex.load(ordering: .relaxed)] }
        set { self.formatIndex.store(Self.formats.firstIndex(of: newValue) ?? 0, ordering: .relaxed) }
    }
}

/// Writes each event as one line of ``LogFormat``.
package struct LineLogHandler: LogHandler {
    /// What a logger has been given for itself.
    private var ownLevel: Logger.Level?
    /// The program's, unless a logger is given one for itself.
    package var logLevel: Logger.Level {
        get { self.ownLevel ?? self.settings.level }
        set { self.ownLevel = newValue }
    }
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let settings: LogSettings
    private let output: LogOutput
    private let terminalStyle: TerminalLogLine.Style
    /// When the program began, about.
    private let start = LogTimestamp.now()

    /// A handler that writes to `output` as `settings` say.
    package init(settings: LogSettings, output: LogOutput) {
        self.settings = settings
        self.output = output
        self.terminalStyle = output.terminal?.traits.hasColors == true ? .colored : .plain
    }

    /// A handler that writes lines of `level` and above to `output`.
    package init(level: Logger.Level, format: LogFormat, output: LogOutput) {
        self.init(settings: LogSettings(level: level, format: format), output: output)
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var metadata = self.metadata
        if let provided = self.metadataProvider?.get() {
            metadata.merge(provided) { $1 }
        }
        if let own = event.metadata {
            metadata.merge(own) { $1 }
        }
        self.output.write(
            line: self.line(
                time: .now(), level: event.level, message: event.message.description, metadata: metadata) + "\n")
    }

    /// The line, without its end.
    func line(time: LogTimestamp, level: Logger.Level, message: String, metadata: Logger.Metadata) -> String {
        let pairs = metadata.sorted { left, right in
            if (left.key == "event") != (right.key == "event") { return left.key == "event" }
            if (left.key == "advice") != (right.key == "advice") { return right.key == "advice" }
            return left.key < right.key
        }
        switch self.settings.format {
        case .terminal:
            return TerminalLogLine(level: level, message: message, metadata: metadata)
                .text(at: time.timeOfDay(since: self.start), style: self.terminalStyle)
        case .text:
            let values = pairs.map { " \(LogText.value($0.key))=\(LogText.value($0.value.description))" }
            return "\(time) \(Self.name(level)) \(LogText.escapingControlCharacters(message))\(values.joined())"
        case .json:
            let values = pairs.map { ",\(LogText.json($0.key)):\(Self.json($0.value))" }
            let head = #"{"time":"\#(time)","level":"\#(Self.name(level))","message":\#(LogText.json(message))"#
            return head + values.joined() + "}"
        }
    }

    private static func name(_ level: Logger.Level) -> String {
        level == .warning ? "warn" : level.rawValue
    }

    private static func json(_ value: Logger.Metadata.Value) -> String {
        switch value {
        case .string(let text):
            return LogText.json(text)
        case .stringConvertible(let value):
            // Numbers and truth values keep their type; everything else is text.
            let isNumber = value is any FixedWidthInteger || (value as? Double)?.isFinite ?? false
            if isNumber || value is Bool { return value.description }
            return LogText.json(value.description)
        case .array(let values):
            return "[" + values.map(Self.json).joined(separator: ",") + "]"
        case .dictionary(let values):
            let members = values.sorted { $0.key < $1.key }.map { "\(LogText.json($0.key)):\(Self.json($0.value))" }
            return "{" + members.joined(separator: ",") + "}"
        }
    }
}
