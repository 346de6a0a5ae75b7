import LibC

/// What signals do until a program serves, and takes them itself.
package enum StartupSignals {
    /// There is nothing to reload or to report yet, and stopping is easy: SIGTERM and SIGINT end the process with 0.
    static func takeOver() {
        for number in [SIGHUP, SIGUSR1] { signal(number, SIG_IGN) }
        for number in [SIGTERM, SIGINT] { signal(number) { _ in _exit(ExitStatus.done.rawValue) } }
    }

    /// For what only answers a question: to be interrupted is no success, and nobody is there to reload anything for.
    package static func giveBack() {
        for number in [SIGHUP, SIGUSR1, SIGTERM, SIGINT] { signal(number, SIG_DFL) }
    }
}
