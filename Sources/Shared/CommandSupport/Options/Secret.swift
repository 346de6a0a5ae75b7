import OperatingSystem

/// A shared secret. Its description shows nothing of it.
package struct Secret: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The secret's bytes, at least one.
    package let bytes: [UInt8]

    /// - Parameter bytes: at least one.
    package init(bytes: [UInt8]) {
        precondition(!bytes.isEmpty, "an empty secret is none")
        self.bytes = bytes
    }

    /// A placeholder.
    package var description: String { "(secret)" }
    /// A placeholder.
    package var debugDescription: String { "(secret)" }
    /// Without children: not even `dump` shows the bytes.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Finds a secret in the places where a user may put one.
struct SecretSource {
    /// The option's name, such as `--secret`; `-file` is appended for the file.
    let option: String
    /// The environment variable, such as `RTUN_SECRET`.
    let variable: String

    /// A longer file is a mistake.
    static let maximumFileSize = 64 * 1024

    /// The secret, or nil when none is given: the option or the file, else the environment variable.
    ///
    /// Throws with exit code 64 when both options are given or the secret is empty, 69 when the file cannot be read.
    func load(option value: String?, file: String?, environment: (String) -> String?) throws(ProgramError) -> Secret? {
        // Asked for in any case: this also removes the variable from the environment.
        let variableValue = environment(self.variable)
        switch (value, file) {
        case (.some, .some):
            throw self.bothGiven
        case (.some(let value), nil):
            return try self.secret(Array(value.utf8), from: self.option)
        case (nil, .some(let file)):
            FileAccess.warn(of: file, holding: "secret")
            return try self.secret(
                Self.contents(self.read(file)), from: "the file \(file) given by \(self.option)-file")
        case (nil, nil):
            guard let variableValue else { return nil }
            return try self.secret(Array(variableValue.utf8), from: self.variable)
        }
    }

    var bothGiven: ProgramError {
        ProgramError(.usage, "give either \(self.option) or \(self.option)-file, not both")
    }

    /// What is in the file. Throws with exit code 69 when it cannot be read.
    func read(_ file: String) throws(ProgramError) -> [UInt8] {
        do {
            return try SmallFile.contents(of: file, limit: Self.maximumFileSize)
        } catch {
            throw ProgramError(.unavailable, "cannot read the file \(file) given by \(self.option)-file: \(error)")
        }
    }

    /// What a file says: editors put a byte order mark in front, and end lines, the last one as well, in their system's way,
    /// which is no part of the secret.
    private static func contents(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = TextFile.withoutByteOrderMark(bytes)
        while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { bytes.removeLast() }
        return bytes
    }

    private func secret(_ bytes: [UInt8], from source: String) throws(ProgramError) -> Secret {
        guard !bytes.isEmpty else { throw ProgramError(.usage, "the secret from \(source) is empty") }
        // A secret may be anything; what is easily there by mistake is told of.
        let blanks: [UInt8?] = [0x20, 0x09]
        if blanks.contains(bytes.first) || blanks.contains(bytes.last) {
            StandardStream.error.write("warning: the secret from \(source) begins or ends with a blank, which counts\n")
        } else if bytes.contains(UInt8(ascii: "\n")) {
            StandardStream.error.write("warning: the secret from \(source) has several lines, which all count\n")
        }
        return Secret(bytes: bytes)
    }
}
