/// Numbers, truth values, and points in time.
enum TOMLScalar {
    /// The value that `word` is; nil when it is none.
    static func value(of word: String) -> TOMLValue? {
        switch word {
        case "true": .boolean(true)
        case "false": .boolean(false)
        default: Self.integer(word) ?? Self.float(word) ?? Self.time(word)
        }
    }

    /// Whether `word` is an integer that does not fit 64 bits.
    static func isTooLarge(_ word: String) -> Bool { Self.integer(word, asFloat: true) != nil }

    static func hexadecimalValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    // MARK: Numbers

    /// - Parameter asFloat: for any integer, of whatever size, something.
    private static func integer(_ word: String, asFloat: Bool = false) -> TOMLValue? {
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where word.hasPrefix(prefix) {
            guard let digits = Self.digits(word.dropFirst(2), radix: radix) else { return nil }
            return asFloat ? .float(0) : Int64(digits, radix: radix).map { .integer($0) }
        }
        let (sign, rest) = Self.signed(word)
        guard let digits = Self.digits(rest, radix: 10), digits == "0" || digits.first != "0" else { return nil }
        return asFloat ? .float(0) : Int64(sign + digits).map { .integer($0) }
    }

    private static func float(_ word: String) -> TOMLValue? {
        let (sign, rest) = Self.signed(word)
        if rest == "inf" { return .float(sign == "-" ? -.infinity : .infinity) }
        if rest == "nan" { return .float(.nan) }
        let parts = rest.split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == "e" || $0 == "E" }
        let mantissa = parts[0].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 || mantissa.count == 2,
            let whole = Self.digits(mantissa[0], radix: 10), whole == "0" || whole.first != "0"
        else { return nil }
        var text = sign + whole
        if mantissa.count == 2 {
            guard let fraction = Self.digits(mantissa[1], radix: 10) else { return nil }
            text += "." + fraction
        }
        if parts.count == 2 {
            let (exponentSign, exponent) = Self.signed(String(parts[1]))
            guard let digits = Self.digits(exponent, radix: 10) else { return nil }
            text += "e" + exponentSign + digits
        }
        return Double(text).map { .float($0) }
    }

    /// The sign, nothing for plus, and what is behind it.
    private static func signed(_ word: String) -> (sign: String, rest: Substring) {
        switch word.first {
        case "-": ("-", word.dropFirst())
        case "+": ("", word.dropFirst())
        default: ("", word[...])
        }
    }

    /// One or more digits, without the underscores that each stand between two of them.
    private static func digits(_ text: Substring, radix: Int) -> String? {
        var digits = ""
        var mayEnd = false
        for character in text {
            if character == "_" {
                guard mayEnd else { return nil }
                mayEnd = false
            } else {
                guard let ascii = character.asciiValue, let value = Self.hexadecimalValue(ascii), value < radix else {
                    return nil
                }
                digits.append(character)
                mayEnd = true
            }
        }
        return mayEnd ? digits : nil
    }

    // MARK: Points in time (RFC 3339 §5.6)

    private static func time(_ word: String) -> TOMLValue? {
        let bytes = Array(word.utf8)
        guard let date = bytes.count >= 10 ? Self.date(bytes[..<10]) : nil else {
            return Self.clock(bytes[...]).map { .time(.time, $0) }
        }
        if bytes.count == 10 { return .time(.date, date) }
        guard [UInt8(ascii: "T"), UInt8(ascii: "t"), UInt8(ascii: " ")].contains(bytes[10]) else { return nil }
        let rest = bytes[11...]
        if rest.last == UInt8(ascii: "Z") || rest.last == UInt8(ascii: "z") {
            return Self.clock(rest.dropLast()).map { .time(.offsetDateTime, "\(date)T\($0)Z") }
        }
        guard let sign = rest.firstIndex(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }) else {
            return Self.clock(rest).map { .time(.dateTime, "\(date)T\($0)") }
        }
        let offset = rest[sign...]
        guard let clock = Self.clock(rest[..<sign]), offset.count == 6, offset[sign + 3] == UInt8(ascii: ":"),
            Self.number(offset[(sign + 1)..<(sign + 3)], in: 0...23) != nil,
            Self.number(offset[(sign + 4)...], in: 0...59) != nil
        else { return nil }
        return .time(.offsetDateTime, "\(date)T\(clock)" + String(decoding: offset, as: UTF8.self))
    }

    /// `2026-11-30`.
    private static func date(_ bytes: ArraySlice<UInt8>) -> String? {
        let start = bytes.startIndex
        guard bytes[start + 4] == UInt8(ascii: "-"), bytes[start + 7] == UInt8(ascii: "-"),
            let year = Self.number(bytes[start..<(start + 4)], in: 0...9999),
            let month = Self.number(bytes[(start + 5)..<(start + 7)], in: 1...12)
        else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
        guard Self.number(bytes[(start + 8)...], in: 1...days) != nil else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `07:32:00` or `07:32:00.5`; 60 is the leap second.
    private static func clock(_ bytes: ArraySlice<UInt8>) -> String? {
        let start = bytes.startIndex
        guard bytes.count >= 8, bytes[start + 2] == UInt8(ascii: ":"), bytes[start + 5] == UInt8(ascii: ":"),
            Self.number(bytes[start..<(start + 2)], in: 0...23) != nil,
            Self.number(bytes[(start + 3)..<(start + 5)], in: 0...59) != nil,
            Self.number(bytes[(start + 6)..<(start + 8)], in: 0...60) != nil
        else { return nil }
        let fraction = bytes[(start + 8)...]
        guard fraction.isEmpty || fraction.first == UInt8(ascii: ".") && fraction.count > 1,
            fraction.dropFirst().allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func number(_ digits: ArraySlice<UInt8>, in range: ClosedRange<Int>) -> Int? {
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let number = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        return range.contains(number) ? number : nil
    }
}
