import LibC
import NIOCore

extension IOError {
    /// The operating system's words alone, such as `connection refused`: in lower case, to be put inside a sentence.
    var words: String {
        guard let text = strerror(self.errnoCode) else { return "error \(self.errnoCode)" }
        return String(cString: text).lowercased()
    }
}
