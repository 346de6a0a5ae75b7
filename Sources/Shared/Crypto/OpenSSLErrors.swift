internal import COpenSSL

/// What OpenSSL left in this thread's error queue, oldest first.
package struct OpenSSLErrors: Hashable, Sendable, CustomStringConvertible {
    /// One entry of the queue.
    package struct Entry: Hashable, Sendable {
        /// OpenSSL's packed code: library and reason.
        package let code: UInt
        /// What OpenSSL says about it, such as `certificate verify failed`.
        package let text: String
    }

    /// The entries, oldest first; may be empty, because not every failure leaves one.
    package let entries: [Entry]

    /// Errors with these entries; without any, that something failed and OpenSSL says no more.
    package init(entries: [Entry] = []) {
        self.entries = entries
    }

    /// Takes everything out of the calling thread's error queue.
    ///
    /// The queue belongs to a thread: call this right after the failure, on the same thread, and call
    /// ``clear()`` before the operation so that what is found belongs to it.
    package static func drain() -> OpenSSLErrors {
        var entries: [Entry] = []
        while true {
            let code = ERR_get_error()
            guard code != 0 else { break }
            entries.append(Entry(code: code, text: Self.text(of: code)))
        }
        return OpenSSLErrors(entries: entries)
    }

    /// Empties the calling thread's error queue.
    package static func clear() {
        ERR_clear_error()
    }

    /// Whether an entry says `reason` on behalf of `library` (an `ERR_LIB_…` number).
    package func contains(library: Int32, reason: Int32) -> Bool {
        self.entries.contains {
            COpenSSL_ERR_GET_LIB($0.code) == library && COpenSSL_ERR_GET_REASON($0.code) == reason
        }
    }

    /// The texts joined with `; `, or `no further detail`.
    package var description: String {
        self.entries.isEmpty ? "no further detail" : self.entries.map(\.text).joined(separator: "; ")
    }

    private static func text(of code: UInt) -> String {
        if let reason = ERR_reason_error_string(code) {
            return String(cString: reason)
        }
        // No text is registered for system errors; the long form has the number.
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress else { return "error \(code)" }
            ERR_error_string_n(code, base, buffer.count)
            return String(cString: base)
        }
    }
}
