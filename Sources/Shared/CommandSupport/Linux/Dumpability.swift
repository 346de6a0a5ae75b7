import CLinuxProcess

/// Keeps what the process knows in the process.
enum Dumpability {
    /// No core dump, and no look into the memory by other processes of the same user (prctl(2), `PR_SET_DUMPABLE`): secrets
    /// and keys are there in the clear.
    static func turnOff() {
        _ = CLinuxProcess_set_dumpable(0)
    }
}
