/// Durations in nanoseconds, sorted, with the values that a share of them does not exceed.
public struct Percentiles {
    private let sorted: [Int64]

    public init(_ values: [Int64]) { self.sorted = values.sorted() }

    public var count: Int { self.sorted.count }

    /// The value at that share of the way, from 0 to 1, in nanoseconds; nil when there are none.
    public func at(_ share: Double) -> Int64? {
        guard !self.sorted.isEmpty else { return nil }
        return self.sorted[min(self.sorted.count - 1, Int(Double(self.sorted.count) * share))]
    }

    /// The value at that share, in units of so many nanoseconds, to print.
    public func json(_ share: Double, unit: Double) -> JSON {
        self.at(share).map { .number(Double($0) / unit) } ?? .null
    }
}
