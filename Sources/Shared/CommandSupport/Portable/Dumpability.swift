import LibC

/// Keeps what the process knows in the process.
enum Dumpability {
    /// No core dump: secrets and keys are there in the clear. Whether other processes of the same user may look into the memory is
    /// up to the system.
    static func turnOff() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        _ = setrlimit(ResourceLimit.coreFileSize, &none)
    }
}
