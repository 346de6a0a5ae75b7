import LibC

/// What this process takes of the machine.
package struct ProcessUsage: Sendable {
    package let pid: Int32
    /// nil where the system does not say.
    package let residentBytes: UInt64?
    /// User and system time; nil where the system does not say.
    package let processorSeconds: Double?
    /// nil where the system does not say.
    package let openFiles: Int?
    package let maximumFiles: Int

    /// As it is now. Reads a few files of the kernel's, so not on an event loop with something to carry.
    package static func now() -> ProcessUsage {
        ProcessUsage(
            pid: getpid(), residentBytes: SystemUsage.residentBytes, processorSeconds: Self.processorSeconds,
            openFiles: Self.openFiles, maximumFiles: FileDescriptorLimit.current)
    }

    private static var processorSeconds: Double? {
        var time = timespec()
        guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return nil }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1_000_000_000
    }

    /// One of the entries is of the reader itself.
    private static var openFiles: Int? {
        guard let folder = opendir(SystemUsage.openFilesFolder) else { return nil }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            // Neither "." nor "..".
            if entry.pointee.d_name.0 != CChar(bitPattern: UInt8(ascii: ".")) { count += 1 }
        }
        return max(0, count - 1)
    }
}
