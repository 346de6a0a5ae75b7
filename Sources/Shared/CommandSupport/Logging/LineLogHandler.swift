package import Logging

/// How a log line is written.
package enum LogFormat: String, Sendable, CaseIterable {
    /// `time level message key=value …`, `event` first among the keys and `advice` last, the others sorted.
    case text
    /// One JSON object a line, with the same members in the same order.
    case json
}

/// Writes each event as one line of ``LogFormat``.
package struct LineLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let format: LogFormat
    private let output: LogOutput

    /// A handler that writes lines of `level` and above to `output`.
    package init(level: Logger.Level, format: LogFormat, output: LogOutput) {
        self.logLevel = level
        self.format = format
        self.output = output
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
        switch self.format {
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
