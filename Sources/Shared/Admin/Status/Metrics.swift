import Basics
package import FlowLedger

/// Metrics in the text format of Prometheus, version 0.0.4: families of samples, each with HELP and TYPE.
///
/// The names of labels, and the values that a label may have, are few: no label has a client or a target.
package struct Metrics: Sendable {
    package enum Kind: String, Sendable {
        /// Only grows; its name ends in `_total`.
        case counter
        case gauge
    }

    package struct Label: Equatable, Sendable {
        let name: String
        let value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package struct Sample: Equatable, Sendable {
        let labels: [Label]
        /// As it is written.
        let value: String

        package init(_ labels: [Label], _ value: UInt64) {
            self.labels = labels
            self.value = "\(value)"
        }

        package init(_ labels: [Label], _ value: Int) {
            self.labels = labels
            self.value = "\(value)"
        }

        package init(_ labels: [Label], _ value: Double) {
            self.labels = labels
            self.value = value.isNaN ? "NaN" : value.isFinite ? "\(value)" : value > 0 ? "+Inf" : "-Inf"
        }
    }

    struct Family: Equatable, Sendable {
        let name: String
        let kind: Kind
        let help: String
        let samples: [Sample]
    }

    /// Characters of a label's value; the rest of a longer one is cut off.
    private static let maximumLabel = 128

    private(set) var families: [Family] = []

    package init() {}

    /// The content type that says which format and version it is.
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Adds a family. One without samples is left out.
    package mutating func add(_ kind: Kind, _ name: String, _ help: String, _ samples: [Sample]) {
        guard !samples.isEmpty else { return }
        self.families.append(Family(name: name, kind: kind, help: help, samples: samples))
    }

    package mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        self.add(.counter, name, help, [Sample([], value)])
    }

    package mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        self.add(.gauge, name, help, [Sample([], value)])
    }

    package mutating func gauge(_ name: String, _ help: String, _ value: Double) {
        self.add(.gauge, name, help, [Sample([], value)])
    }

    /// One sample for each value of a label.
    package mutating func counter(_ name: String, _ help: String, by label: String, _ values: [(String, UInt64)]) {
        self.add(.counter, name, help, values.map { Sample([Label(label, $0.0)], $0.1) })
    }

    /// One sample for each value of a label.
    package mutating func gauge(_ name: String, _ help: String, by label: String, _ values: [(String, Int)]) {
        self.add(.gauge, name, help, values.map { Sample([Label(label, $0.0)], $0.1) })
    }

    /// Bytes each way.
    package mutating func bytes(_ name: String, _ help: String, _ count: FlowTraffic) {
        self.counter(name, help, by: "direction", [("sent", count.sent), ("received", count.received)])
    }

    var text: String {
        var text = ""
        for family in self.families {
            text += "# HELP \(family.name) \(Self.escaped(family.help, quotes: false))\n"
            text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
            for sample in family.samples {
                text += family.name
                if !sample.labels.isEmpty {
                    let labels = sample.labels.map { label in
                        "\(label.name)=\"\(Self.escaped(String(label.value.prefix(Self.maximumLabel)), quotes: true))\""
                    }
                    text += "{\(labels.joined(separator: ","))}"
                }
                text += " \(sample.value)\n"
            }
        }
        return text
    }

    /// "label_value can be any sequence of UTF-8 characters, but the backslash (\), double-quote ("), and line feed (\n)
    /// characters have to be escaped"; in HELP the backslash and the line feed. Other characters that are not seen would be
    /// obeyed by terminals, and go.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            case _ where scalar.isUnseen: escaped.unicodeScalars.append("\u{FFFD}")
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
