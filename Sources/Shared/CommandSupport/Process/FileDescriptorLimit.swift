import Glibc

/// The number of files, sockets included, that the process may have open.
enum FileDescriptorLimit {
    /// Raises the soft limit to the hard one: every connection takes a descriptor, and the usual 1024 is soon used up.
    static func raise() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < limit.rlim_max
        else {
            return
        }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
