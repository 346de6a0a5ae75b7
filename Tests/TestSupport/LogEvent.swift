package import Foundation

/// A log line of one of our programs that has an event.
package struct LogEvent: Sendable {
    /// When it was written, in seconds.
    package let time: TimeInterval
    package let values: [String: String]

    /// Nil for a line without an event.
    package init?(_ line: String) {
        guard let start = line.range(of: " event=") else { return nil }
        let format = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        guard let time = try? format.parse(String(line.prefix { $0 != " " })) else { return nil }
        self.time = time.timeIntervalSince1970
        self.values = KeyValues.parse(line[start.lowerBound...])
    }

    package var name: String { self.values["event"] ?? "" }
    package subscript(key: String) -> String? { self.values[key] }
}

/// `key=value …` with values in quotes where needed, as the programs write them.
package enum KeyValues {
    package static func parse(_ text: some StringProtocol) -> [String: String] {
        var values: [String: String] = [:]
        var rest = Substring(text)
        while true {
            rest = rest.drop { $0 == " " }
            guard let equals = rest.firstIndex(of: "=") else { return values }
            let key = rest[..<equals]
            rest = rest[rest.index(after: equals)...]
            var value = ""
            if rest.first == "\"" {
                rest.removeFirst()
                while let character = rest.popFirst(), character != "\"" {
                    value.append(character == "\\" ? rest.popFirst() ?? "\\" : character)
                }
            } else {
                value = String(rest.prefix { $0 != " " })
                rest = rest.dropFirst(value.count)
            }
            values[String(key)] = value
        }
    }
}

extension RunningProgram {
    /// The events of one of our programs so far, of one name or all.
    ///
    /// - Parameter start: how many of the earliest lines to pass over.
    package func events(_ name: String? = nil, from start: Int = 0) -> [LogEvent] {
        self.errors.lines.dropFirst(start).compactMap(LogEvent.init).filter { name == nil || $0.name == name }
    }

    /// How the program reaches its peer, as its log has it: "direct", "bridge", or "none".
    package var path: String {
        for event in self.events().reversed() {
            switch event.name {
            case "peer.connected": return event["path"] ?? "none"
            case "peer.path_changed": return event["to"] ?? event["path"] ?? "none"
            case "peer.closed": return "none"
            default: continue
            }
        }
        return "none"
    }

    /// Waits until the program reaches its peer that way.
    package func awaitPath(_ path: String, within limit: Duration) async throws {
        do {
            try await eventually(within: limit, "\(self.name): path \(path)") { self.path == path }
        } catch {
            throw WrongPath(wanted: path, limit: limit, log: self.errors.text)
        }
    }

    /// Waits for a change of the path, and returns its reason.
    @discardableResult
    package func pathChange(
        from old: String, to new: String, after start: Int = 0, within limit: Duration = .seconds(15)
    ) async throws -> String {
        let line = try await self.logLine(within: limit, "the path changed from \(old) to \(new)", from: start) {
            guard let event = LogEvent($0), event.name == "peer.path_changed" else { return false }
            return event["from"] == old && event["to"] == new
        }
        return LogEvent(line)?["reason"] ?? ""
    }
}

/// A program did not come to reach its peer as it should.
package struct WrongPath: Error, CustomStringConvertible {
    let wanted: String
    let limit: Duration
    let log: String
    package var description: String { "the path was not \(self.wanted) within \(self.limit); the log:\n\(self.log)" }
}
