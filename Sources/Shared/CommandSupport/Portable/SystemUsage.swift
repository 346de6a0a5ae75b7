/// What the system says of this process.
enum SystemUsage {
    /// There is no way to ask for it that all systems have.
    static var residentBytes: UInt64? { nil }
}
