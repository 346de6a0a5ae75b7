import LibC
import NIOCore

/// The system's words for what it refuses.
package enum SystemError {
    /// For example "permission denied": as strerror(3) has it, in lower case, to be put inside a sentence.
    package static func text(_ code: CInt) -> String {
        guard let text = strerror(code) else { return "error \(code)" }
        return String(cString: text).lowercased()
    }

    /// The same for an error of NIO that is the system's; any other describes itself.
    package static func text(of error: any Error) -> String {
        (error as? IOError).map { Self.text($0.errnoCode) } ?? "\(error)"
    }
}
