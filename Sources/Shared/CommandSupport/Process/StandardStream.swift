import LibC
import OperatingSystem

/// The process's output streams, written without buffering.
package enum StandardStream: Int32, Sendable {
    case output = 1
    case error = 2

    /// Whether a person may sit there.
    package var isTerminal: Bool { isatty(self.rawValue) == 1 }

    /// Writes all of `text`; what cannot be written (closed pipe, full disk) is lost.
    package func write(_ text: String) {
        FileDescriptorWriter.write(text, to: self.rawValue)
    }

    /// Writes what a program was asked for. Throws with exit code 69 when it cannot be written.
    package func writeAnswer(_ text: String) throws(ProgramError) {
        guard FileDescriptorWriter.write(text, to: self.rawValue) else {
            throw ProgramError(.unavailable, "cannot write the answer: \(SystemError.text(errno))")
        }
    }
}

enum FileDescriptorWriter {
    /// Writes all of `text` to `descriptor`, continuing after interruptions and short writes. Gives up on any other
    /// error, with `errno` as it was.
    ///
    /// - Returns: whether all has been written.
    @discardableResult
    static func write(_ text: String, to descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let written = LibC.write(descriptor, rest.baseAddress, rest.count)
                if written > 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
                } else if written == 0 || errno != EINTR {
                    return false
                }
            }
            return true
        }
    }
}
