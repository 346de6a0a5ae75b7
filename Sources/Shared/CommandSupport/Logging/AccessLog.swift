package import FlowLedger
import LibC
import NIOCore

/// One line for each connection and flow that has ended: who wanted what, which way it went, how much has passed, and how
/// it ended. From any thread.
package final class AccessLog: Sendable {
    private let output: LogOutput
    private let format: LogFormat

    /// Lines in `format` go to `output`.
    init(output: LogOutput, format: LogFormat) {
        self.output = output
        self.format = format
    }

    /// Opens the file anew, after a rotation; see ``LogOutput/reopen()``.
    package func reopen() throws(ProgramError) { try self.output.reopen() }

    /// Has the ends of a ledger's flows written from now on. On the ledger's event loop.
    package func follow(_ ledger: FlowLedger) {
        ledger.ended = { record, outcome, end in self.write(record, outcome, end: end) }
    }

    private func write(_ record: FlowRecord, _ outcome: FlowOutcome, end: NIODeadline) {
        self.output.write(line: self.line(record, outcome, end: end, at: .now()) + "\n")
    }

    /// The line, without its end, of a flow that ended at `end`, which was `time`.
    func line(_ record: FlowRecord, _ outcome: FlowOutcome, end: NIODeadline, at time: LogTimestamp) -> String {
        let duration = end - record.openedAt
        let milliseconds = duration.nanoseconds / 1_000_000
        let fields: [(name: String, value: Field?)] = [
            ("start", .text("\(time.advanced(by: .nanoseconds(-duration.nanoseconds)))")),
            ("kind", .text(record.origin.kind.rawValue)),
            ("client", .text(record.origin.client)),
            ("target", .text(record.target)),
            ("resolved", record.resolved.map(Field.text)),
            ("agent", record.agent.map(Field.text)),
            ("path", record.path.map(Field.text)),
            ("sent", .number(record.traffic.sent)),
            ("received", .number(record.traffic.received)),
            ("ms", .number(UInt64(max(0, milliseconds)))),
            ("outcome", .text(outcome.rawValue)),
        ]
        let known = fields.compactMap { field in field.value.map { (field.name, $0) } }
        return switch self.format {
        case .text, .terminal: (["\(time)"] + known.map { "\($0)=\($1.text)" }).joined(separator: " ")
        case .json: "{\"end\":\"\(time)\"" + known.map { ",\"\($0)\":\($1.json)" }.joined() + "}"
        }
    }

    private enum Field {
        case text(String)
        case number(UInt64)

        var text: String {
            switch self {
            case .text(let text): LogText.value(text)
            case .number(let number): "\(number)"
            }
        }

        var json: String {
            switch self {
            case .text(let text): LogText.json(text)
            case .number(let number): "\(number)"
            }
        }
    }
}
