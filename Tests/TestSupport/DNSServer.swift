import Glibc

/// dnsmasq on loopback, which knows `host0.rtun.test` to `host99.rtun.test` as 192.0.2.0 to 192.0.2.99.
package final class DNSServer: Sendable {
    package let port: Int
    private let shell: RunningProgram
    private let pid: pid_t

    package init() async throws {
        let port = try FreePort.next()
        self.port = port
        let names = (0..<100).map { "--host-record=host\($0).rtun.test,192.0.2.\($0)" }.joined(separator: " ")
        // Behind a shell: dnsmasq closes what it inherits, which Foundation's `Process` takes for its end.
        self.shell = try RunningProgram(
            "/bin/bash",
            [
                "-c",
                """
                /usr/sbin/dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
                    --listen-address=127.0.0.1 --bind-interfaces --port=\(port) --pid-file= \(names) &
                echo $!
                wait
                """,
            ])
        let line = try await self.shell.line("its process id", where: { !$0.isEmpty })
        guard let pid = pid_t(line) else { throw UnexpectedProcessID(line: line) }
        self.pid = pid
        try await eventually(within: .seconds(5), "the start of dnsmasq") {
            try await ShellCommand.outcome(of: "dig +short +tries=1 +time=1 @127.0.0.1 -p \(port) host1.rtun.test A")
                .output == "192.0.2.1"
        }
    }

    deinit { kill(self.pid, SIGKILL) }

    /// The shell says something else.
    private struct UnexpectedProcessID: Error { let line: String }
}
