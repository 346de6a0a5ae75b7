import Basics

@testable import CommandSupport

/// Text from other machines on its way to the log, and into JSON.
func fuzzLogText(_ bytes: UnsafeRawBufferPointer) throws {
    let text = FuzzInput(bytes).text()
    let value = LogText.value(text)
    try promise(isHarmless(value), "a log line that is more than one: \(value.utf8.map(\.self))")
    let isQuoted = value.utf8.first == UInt8(ascii: "\"")
    try promise(isQuoted || !value.utf8.contains(0x20) && !value.isEmpty, "two values: \(value)")
    try promise(isHarmless(LogText.escapingControlCharacters(text)), "control characters for a terminal")
    try promise(isHarmless(LogText.json(text)), "control characters in JSON")
    for json in [LogText.json(text), JSON.string(text).text] {
        try promise(unquoted(json).map { Array($0.utf8) } == Array(text.utf8), "other text in JSON: \(json)")
    }
}

private func isHarmless(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { scalar in
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }
}

/// What a JSON string says (RFC 8259 §7); nil when it is none.
private func unquoted(_ json: String) -> String? {
    var units: [UInt16] = []
    var rest = Array(json.utf16)[...]
    guard rest.popFirst() == 0x22, rest.popLast() == 0x22 else { return nil }
    while let unit = rest.popFirst() {
        guard unit >= 0x20, unit != 0x22 else { return nil }
        guard unit == 0x5C else {
            units.append(unit)
            continue
        }
        switch rest.popFirst().flatMap({ Unicode.Scalar($0) }) {
        case "n": units.append(0x0A)
        case "r": units.append(0x0D)
        case "t": units.append(0x09)
        case "\"": units.append(0x22)
        case "\\": units.append(0x5C)
        case "u":
            guard let code = UInt16(String(decoding: rest.prefix(4), as: UTF16.self), radix: 16) else { return nil }
            units.append(code)
            rest = rest.dropFirst(4)
        default: return nil
        }
    }
    return String(decoding: units, as: UTF16.self)
}
