/// What the system says of this process.
enum SystemUsage {
    /// A folder with an entry for each open file of the process that reads it.
    static let openFilesFolder = "/dev/fd"

    /// There is no way to ask for it that all systems have.
    static var residentBytes: UInt64? { nil }
}
