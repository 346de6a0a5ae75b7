import Basics
import CommandSupport

/// What `--status` prints: a document as its layout wants it shown, in plain text.
struct StatusTable {
    let document: JSON
    let layout: StatusLayout

    /// Lines with their ends. What others have chosen is escaped.
    var text: String {
        var lines = [self.headline]
        let facts = self.layout.facts.compactMap { field in
            self.shown(field, in: self.document).map { [field.title, $0] }
        }
        if !facts.isEmpty { lines += [""] + Self.aligned(facts) }
        for table in self.layout.tables { lines += self.lines(of: table) }
        let counters = self.layout.counters.compactMap { field -> [String]? in
            guard let shown = self.shown(field, in: self.document), shown != "0" else { return nil }
            return [field.title, shown]
        }
        if !counters.isEmpty { lines += ["", "COUNTERS"] + Self.aligned(counters) }
        return lines.map { $0 + "\n" }.joined()
    }

    private var headline: String {
        let name = "\(self.string("program")) \(self.string("version"))"
        let now = self.number("time_ms")
        let age = Quantity.duration(
            milliseconds: now >= self.number("started_at_ms") ? now - self.number("started_at_ms") : 0)
        guard let reason = self.document.value(at: "not_ready_because")?.asText else { return "\(name), up \(age)" }
        return "\(name), up \(age), not ready: \(reason)"
    }

    private func string(_ name: String) -> String { self.document[name]?.asText ?? "" }
    private func number(_ path: String) -> UInt64 { self.document.value(at: path)?.asNumber ?? 0 }

    private func lines(of table: StatusLayout.Table) -> [String] {
        guard case .array(let rows)? = self.document.value(at: table.path), !rows.isEmpty else {
            return ["", table.title.uppercased(), table.empty]
        }
        let total = self.number(table.path + "_total")
        let count = max(total, UInt64(rows.count))
        let cells = rows.map { row in table.columns.map { self.shown($0, in: row) ?? "-" } }
        var lines = ["", "\(table.title.uppercased()) (\(count))"]
        lines += Self.aligned([table.columns.map { $0.title.uppercased() }] + cells)
        if count > rows.count { lines.append("and \(count - UInt64(rows.count)) more") }
        return lines
    }

    private func shown(_ field: StatusLayout.Field, in row: JSON) -> String? {
        guard let value = row.value(at: field.path) else { return field.kind == .until ? "never" : nil }
        switch field.kind {
        case .text, .path: return value.asText.map { $0.isEmpty ? "-" : $0 }
        case .list:
            guard case .array(let values) = value else { return nil }
            return values.isEmpty ? nil : values.compactMap(\.asText).joined(separator: ", ")
        case .count: return value.asNumber.map { "\($0)" }
        case .flag: return value == .boolean(true) ? "yes" : "no"
        case .bytes: return value.asNumber.map(ByteText.size)
        case .traffic: return self.bothWays(value) { ByteText.size($0) }
        case .rates: return self.bothWays(value) { ByteText.rate(Double($0)) }
        case .milliseconds: return value.asDouble.map(Quantity.milliseconds)
        case .since: return value.asNumber.map { Quantity.duration(milliseconds: self.age(of: $0)) }
        case .until, .when: return value.asNumber.map(self.until)
        }
    }

    private func bothWays(_ value: JSON, _ shown: (UInt64) -> String) -> String? {
        guard let sent = value["sent"]?.asNumber, let received = value["received"]?.asNumber else { return nil }
        return "↑ \(shown(sent))  ↓ \(shown(received))"
    }

    private func age(of moment: UInt64) -> UInt64 {
        let now = self.number("time_ms")
        return now > moment ? now - moment : 0
    }

    private func until(_ moment: UInt64) -> String {
        let now = self.number("time_ms")
        return moment > now
            ? "in \(Quantity.duration(milliseconds: moment - now))"
            : "\(Quantity.duration(milliseconds: now - moment)) ago"
    }

    private static func aligned(_ rows: [[String]]) -> [String] {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { $0.indices.contains(column) ? TextWidth.columns(of: $0[column]) : 0 }.max() ?? 0
        }
        return rows.map { row in
            var line = ""
            for (cell, width) in zip(row, widths) {
                line += cell + String(repeating: " ", count: width - TextWidth.columns(of: cell) + 2)
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}

extension JSON {
    fileprivate var asText: String? {
        switch self {
        case .string(let text): LogText.escapingControlCharacters(text)
        case .integer, .unsigned, .number, .boolean: self.text
        case .null, .array, .object: nil
        }
    }

    fileprivate var asNumber: UInt64? {
        switch self {
        case .integer(let value): UInt64(exactly: value)
        case .unsigned(let value): value
        default: nil
        }
    }

    fileprivate var asDouble: Double? {
        if case .number(let value) = self { value } else { self.asNumber.map(Double.init) }
    }
}
