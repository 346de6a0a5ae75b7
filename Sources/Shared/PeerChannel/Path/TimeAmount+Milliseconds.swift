package import NIOCore

extension TimeAmount {
    /// In milliseconds with one decimal, for logs: `12.3`.
    package var milliseconds: Double {
        Double((self.nanoseconds + 50_000) / 100_000) / 10
    }
}
