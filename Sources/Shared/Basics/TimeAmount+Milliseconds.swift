package import NIOCore

extension TimeAmount {
    /// The length in milliseconds, with whatever fraction there is.
    package var milliseconds: Double { Double(self.nanoseconds) / 1_000_000 }
}
