import Basics
import CommandSupport

/// What `/status.json` answers: the members that all programs have, and then the program's own. docs/observability.md describes
/// them; within a schema members are added, and keep their names and meanings.
struct StatusDocument {
    static let schema: Int64 = 1

    let program: String
    let status: any ProgramStatus
    let readiness: Readiness
    let process: ProcessUsage
    let startedAt: UInt64
    let history: TrafficHistory
    let rates: Rates

    var json: JSON {
        var reason: String?
        if case .notReady(let words) = self.readiness { reason = words }
        let seconds = TrafficHistory.interval.nanoseconds / 1_000_000
        let common: JSON = [
            "schema": .integer(Self.schema),
            "program": .string(self.program),
            "version": .string(Software.version),
            "commit": JSON(Software.commit),
            "time_ms": .unsigned(UnixTime.milliseconds),
            "started_at_ms": .unsigned(self.startedAt),
            "ready": .boolean(self.readiness == .ready),
            "not_ready_because": JSON(reason),
            "process": [
                "pid": .integer(Int64(self.process.pid)),
                "resident_bytes": JSON(self.process.residentBytes),
                "open_files": JSON(self.process.openFiles),
                "max_open_files": JSON(self.process.maximumFiles),
            ],
            "traffic": [
                "bytes": self.status.traffic.json,
                "rate": self.rates.rate(of: self.status.traffic).json,
                "history": [
                    "interval_ms": .integer(seconds),
                    "sent": .array(self.history.rates.map { .unsigned($0.sent) }),
                    "received": .array(self.history.rates.map { .unsigned($0.received) }),
                ],
            ],
        ]
        guard case .object(let members) = common else { return common }
        return .object(members + self.status.members(self.rates))
    }

    /// What `/metrics` answers: the program's own, and those that all have. The names that begin with `process_` are those that
    /// Prometheus's own client libraries give.
    var metrics: Metrics {
        var metrics = Metrics()
        metrics.add(
            .gauge, "rtun_build_info", "Always 1; the labels say which program this is, of which version and commit.",
            [
                Metrics.Sample(
                    [
                        .init("program", self.program), .init("version", Software.version),
                        .init("commit", Software.commit ?? ""),
                    ], 1)
            ])
        metrics.gauge(
            "rtun_ready", "Whether the program does what it is there for, as /readyz says.",
            self.readiness == .ready ? 1 : 0)
        self.status.addMetrics(to: &metrics)
        if let bytes = self.process.residentBytes {
            metrics.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", Double(bytes))
        }
        if let seconds = self.process.processorSeconds {
            metrics.add(
                .counter, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                [Metrics.Sample([], seconds)])
        }
        if let count = self.process.openFiles {
            metrics.gauge("process_open_fds", "Number of open file descriptors.", count)
        }
        metrics.gauge("process_max_fds", "Maximum number of open file descriptors.", self.process.maximumFiles)
        metrics.gauge(
            "process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
            Double(self.startedAt) / 1000)
        return metrics
    }
}
