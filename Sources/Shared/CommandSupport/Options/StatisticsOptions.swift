package import ArgumentParser
package import NIOCore

/// `--stats-interval`.
package struct StatisticsOptions: ParsableArguments {
    @Option(
        name: .customLong("stats-interval"),
        help: ArgumentHelp(
            "Log statistics of relayed traffic at this interval, in seconds or with a unit (default: only on SIGUSR1).",
            valueName: "time"),
        transform: { try Self.interval($0) })
    package var interval: TimeAmount?

    package init() {}

    private static func interval(_ text: String) throws -> TimeAmount {
        let interval = try TimeAmount(parsing: text, bareUnit: .seconds)
        guard interval >= .milliseconds(100) else { throw ValidationError("it must be at least 100ms") }
        return interval
    }
}
