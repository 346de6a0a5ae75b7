internal import Glibc

/// Ends the program with words on standard error: 64 for bad usage, 69 for what cannot be had.
public func fail(_ words: String, code: Int32 = 69) -> Never {
    let program = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "rtun-load"
    write("\(program): \(words)", to: STDERR_FILENO)
    exit(code)
}

/// Prints a line on standard output at once, also where that is a pipe.
public func report(_ line: some CustomStringConvertible) { write(line.description, to: STDOUT_FILENO) }

private func write(_ line: String, to descriptor: Int32) {
    var line = line + "\n"
    line.withUTF8 { bytes in
        var rest = UnsafeRawBufferPointer(bytes)
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress!, rest.count)
            guard count > 0 else { return }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }
}

/// The words of the last failed system call.
public func systemError() -> String { String(cString: strerror(errno)) }

/// A command line of `--name VALUE`, `--name=VALUE`, `--flag` and other words. What does not fit ends the program with 64.
public struct Arguments {
    private var values: [String: String] = [:]
    private var flags: Set<String> = []
    /// What is no option, in order.
    public private(set) var words: [String] = []

    /// - Parameters:
    ///   - options: the names, without dashes, of the options that take a value.
    ///   - flags: the names of those that take none.
    public init(_ arguments: some Sequence<String>, options: Set<String>, flags: Set<String> = []) {
        var arguments = arguments.makeIterator()
        while let argument = arguments.next() {
            guard argument.hasPrefix("--") else {
                self.words.append(argument)
                continue
            }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            if flags.contains(name), parts.count == 1 {
                self.flags.insert(name)
            } else if options.contains(name) {
                guard let value = parts.count == 2 ? String(parts[1]) : arguments.next() else {
                    fail("--\(name) needs a value", code: 64)
                }
                self.values[name] = value
            } else {
                fail("unknown option --\(name)", code: 64)
            }
        }
    }

    public func has(_ flag: String) -> Bool { self.flags.contains(flag) }

    public func text(_ name: String) -> String? { self.values[name] }

    public func required(_ name: String) -> String {
        guard let value = self.values[name] else { fail("--\(name) is missing", code: 64) }
        return value
    }

    public func number(_ name: String, in range: ClosedRange<Double>, default fallback: Double? = nil) -> Double {
        guard let text = self.values[name] else {
            guard let fallback else { fail("--\(name) is missing", code: 64) }
            return fallback
        }
        guard let value = Double(text), range.contains(value) else {
            fail("--\(name) takes a number from \(range.lowerBound) to \(range.upperBound), not \"\(text)\"", code: 64)
        }
        return value
    }

    public func integer(_ name: String, in range: ClosedRange<Int>, default fallback: Int? = nil) -> Int {
        guard let text = self.values[name] else {
            guard let fallback else { fail("--\(name) is missing", code: 64) }
            return fallback
        }
        guard let value = Int(text), range.contains(value) else {
            fail(
                "--\(name) takes a whole number from \(range.lowerBound) to \(range.upperBound), not \"\(text)\"",
                code: 64)
        }
        return value
    }
}
