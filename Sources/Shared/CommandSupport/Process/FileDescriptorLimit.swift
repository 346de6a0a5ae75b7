import Glibc

/// The number of files, sockets included, that the process may have open.
enum FileDescriptorLimit {
    /// What a program needs before it serves anybody: its own files, and three for each event loop.
    private static var least: rlim_t { 48 + 4 * rlim_t(max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN)))) }

    /// Raises the soft limit to the hard one: every connection takes a descriptor, and the usual 1024 is soon used up.
    ///
    /// Throws with exit code 69 when even that is not enough for the program itself.
    static func raise() throws(ProgramError) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        if limit.rlim_cur < limit.rlim_max {
            let before = limit.rlim_cur
            limit.rlim_cur = limit.rlim_max
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 { limit.rlim_cur = before }
        }
        guard limit.rlim_cur >= Self.least else {
            throw ProgramError(
                .unavailable,
                """
                only \(limit.rlim_cur) files may be open, and the program itself needs up to \(Self.least), each connection \
                one more: raise the limit (ulimit -n 65536; systemd: LimitNOFILE=65536)
                """)
        }
    }
}
