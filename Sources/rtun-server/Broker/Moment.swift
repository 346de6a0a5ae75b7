import NIOCore

/// A moment by the two clocks that the registry needs.
struct Moment: Equatable {
    /// What people see, and may set.
    let unixMilliseconds: UInt64
    /// What only goes on.
    let deadline: NIODeadline
}
