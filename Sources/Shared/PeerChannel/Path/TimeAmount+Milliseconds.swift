import NIOCore

extension TimeAmount {
    /// In milliseconds with one decimal, for logs: `12.3`.
    var milliseconds: String {
        let tenths = (self.nanoseconds + 50_000) / 100_000
        return "\(tenths / 10).\(tenths % 10)"
    }
}
