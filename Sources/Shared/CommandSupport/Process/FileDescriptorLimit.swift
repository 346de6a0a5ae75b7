import LibC

/// The number of files, sockets included, that the process may have open.
package enum FileDescriptorLimit {
    /// The limit in force.
    package static var current: Int {
        var limit = rlimit()
        guard getrlimit(ResourceLimit.openFiles, &limit) == 0 else { return .max }
        return Int(clamping: limit.rlim_cur)
    }

    /// Raises the soft limit to the hard one: every connection takes a descriptor, and the usual 1024 is soon used up.
    static func raise() {
        var limit = rlimit()
        guard getrlimit(ResourceLimit.openFiles, &limit) == 0, limit.rlim_cur < limit.rlim_max
        else { return }
        let better = limit.rlim_cur + 1...limit.rlim_max
        // macOS often has no hard limit, and refuses what it cannot give.
        for wanted in [limit.rlim_max, 1 << 20, 1 << 16, 10_240] where better.contains(wanted) {
            limit.rlim_cur = wanted
            if setrlimit(ResourceLimit.openFiles, &limit) == 0 { return }
        }
    }

    /// What a program needs for itself: four for each event loop, and its own sockets.
    package static func least(eventLoops: Int) -> Int { 40 + 4 * eventLoops }

    /// Throws with exit code 69 when the limit is not enough for the program itself.
    static func check(eventLoops: Int) throws(ProgramError) {
        let (limit, least) = (self.current, self.least(eventLoops: eventLoops))
        guard limit >= least else {
            throw ProgramError(
                .unavailable,
                """
                only \(limit) files may be open, and the program itself needs up to \(least), each connection one more: raise \
                the limit (ulimit -n 65536; systemd: LimitNOFILE=65536)
                """)
        }
    }
}
