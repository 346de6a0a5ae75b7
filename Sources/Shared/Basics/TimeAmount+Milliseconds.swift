package import NIOCore

extension TimeAmount {
    /// The length in milliseconds, with whatever fraction there is.
    package var milliseconds: Double { Double(self.nanoseconds) / 1_000_000 }

    /// The length in milliseconds with one decimal, for logs: `12.3`.
    package var loggedMilliseconds: Double { Double((self.nanoseconds + 50_000) / 100_000) / 10 }
}
