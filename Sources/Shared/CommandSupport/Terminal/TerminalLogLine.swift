import Basics
import Logging

/// A log line for people: `12:04:07 connected to office, direct, 12 ms`, with the level as a word where it matters, then what
/// they can use of the keys, and advice below. A value; the same in, the same out.
struct TerminalLogLine {
    /// Whether it has colours.
    enum Style: Sendable {
        case plain
        case colored
    }

    /// Of no use to people: names that programs go by, and what stands in the words already.
    private static let unused: Set<String> = [
        "event", "advice", "report", "peer", "instance", "session", "software", "fingerprint", "retry_in_ms", "away_s",
        "after_s", "for_s", "registered", "names", "pattern", "version", "max_connections", "max_flows", "max_peers",
        "max_streams",
    ]

    /// What is not so need not be said.
    private static let silent: Set<String> = ["", "false", ".*"]

    /// A value of so many bytes that is part of the words need not be said again; a shorter one may be there by chance.
    private static let shortestTelling = 4

    private let level: Logger.Level
    private let words: String
    private let pairs: [(key: String, value: String)]
    private let advice: String?
    /// Lines of their own.
    private let report: [String]

    init(level: Logger.Level, message: String, metadata: Logger.Metadata) {
        let fields = metadata.mapValues(\.description)
        let event = EventWords(level: level, message: message, fields: fields)
        self.level = level
        self.words = event.text
        self.advice = fields["advice"]
        // We wrote it, in several lines.
        self.report = fields["report"]?.split(separator: "\n").map(String.init) ?? []
        self.pairs = fields.sorted { $0.key < $1.key }.filter { key, value in
            // Who looks for a fault wants everything.
            if level <= .debug { return key != "advice" && key != "report" }
            return !Self.unused.contains(key) && !Self.silent.contains(value) && !event.used.contains(key)
                && !(value.utf8.count >= Self.shortestTelling && event.text.includes(value))
        }
    }

    /// The line, or lines, without the end of the last. `time`: of day.
    func text(at time: String, style: Style) -> String {
        let paint = Paint(style: style)
        var line = "\(paint.dim(time)) \(self.label(paint))"
        let words = LogText.escapingControlCharacters(self.words)
        line += self.level <= .debug ? paint.dim(words) : words
        for (key, value) in self.pairs { line += " " + paint.dim("\(LogText.value(key))=\(Self.shown(value))") }
        let indent = "\n" + String(repeating: " ", count: TextWidth.columns(of: time) + 1)
        if let advice { line += indent + paint.hint(LogText.escapingControlCharacters(advice)) }
        for part in self.report { line += indent + paint.dim(LogText.escapingControlCharacters(part)) }
        return line
    }

    private func label(_ paint: Paint) -> String {
        switch self.level {
        case .trace, .debug: paint.dim("\(self.level): ")
        case .info, .notice: ""
        case .warning: paint.warning("warning:") + " "
        case .error, .critical: paint.error("error:") + " "
        }
    }

    /// In quotes where it has blanks; letters of other scripts need none.
    private static func shown(_ value: String) -> String {
        let escaped = LogText.escapingControlCharacters(value)
        return value.isEmpty || value.contains(where: { $0 == " " || $0 == "\"" }) ? LogText.value(value) : escaped
    }

    /// Colours by SGR (ECMA-48 §8.3.117), of those that every palette can show.
    private struct Paint {
        let style: Style

        func dim(_ text: String) -> String { self.sgr("2", text) }
        func hint(_ text: String) -> String { self.sgr("36", text) }
        func warning(_ text: String) -> String { self.sgr("1;33", text) }
        func error(_ text: String) -> String { self.sgr("1;31", text) }

        private func sgr(_ code: String, _ text: String) -> String {
            self.style == .colored ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
        }
    }
}
