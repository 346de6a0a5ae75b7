package import Basics
package import FlowLedger
package import NIOCore

/// Whether a program does what it is there for.
package enum Readiness: Equatable, Sendable {
    case ready
    /// With the reason, for people.
    case notReady(String)
}

/// What a program tells of itself at one moment. From it come all views: `/status.json`, the page, `--status` and `/metrics`.
package protocol ProgramStatus: Sendable {
    var readiness: Readiness { get }
    /// What has passed through.
    var traffic: FlowTraffic { get }
    /// The members of `/status.json` that are the program's own, after those that all have.
    func members(_ rates: Rates) -> [JSON.Member]
    /// The program's own metrics.
    func addMetrics(to metrics: inout Metrics)
}

/// Where the status of a program is to be had.
package struct StatusSource: Sendable {
    /// How the page and the table show it.
    package let layout: StatusLayout
    /// Asks the program's event loops. Never fails for other reasons than their end.
    package let status: @Sendable () -> EventLoopFuture<any ProgramStatus>
    /// What has passed through so far. Asked every 5 s; cheap.
    package let traffic: @Sendable () -> EventLoopFuture<Traffic>

    package init(
        layout: StatusLayout, status: @escaping @Sendable () -> EventLoopFuture<any ProgramStatus>,
        traffic: @escaping @Sendable () -> EventLoopFuture<Traffic>
    ) {
        self.layout = layout
        self.status = status
        self.traffic = traffic
    }
}
