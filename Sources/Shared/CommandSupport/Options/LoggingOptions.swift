package import ArgumentParser
import LibC
package import Logging
import OperatingSystem

/// `--log-level`, `--log-format`, `--log-file`.
package struct LoggingOptions: ParsableArguments {
    @Option(
        name: .customLong("log-level"),
        help: ArgumentHelp(
            "Log lines of this level and above: trace, debug, info, notice, warn, error, critical (default: info).",
            valueName: "level"),
        transform: { try Self.level($0) })
    package var level: Logger.Level = .info

    @Option(
        name: .customLong("log-format"),
        help: ArgumentHelp(
            "Format of log lines: text (key=value), json, terminal (for people), or auto: terminal if stderr is a terminal "
                + "and there is no --log-file, else text (default: auto).",
            valueName: "format"),
        transform: { try Self.givenFormat($0) })
    private var formatChoice: FormatChoice = .auto

    /// What `--log-format` takes.
    private enum FormatChoice: Sendable {
        case auto
        case one(LogFormat)
    }

    /// How lines look that go to a terminal, or do not.
    package func format(onTerminal isOnTerminal: Bool) -> LogFormat {
        switch self.formatChoice {
        case .auto: isOnTerminal ? .terminal : .text
        case .one(let format): format
        }
    }

    @Option(
        name: .customLong("log-file"),
        help: ArgumentHelp("Append log lines to this file instead of writing them to stderr.", valueName: "file"))
    package var file: String?

    package init() {}

    /// Opens the log. Throws with exit code 69 when the file cannot be opened.
    package func open(program: String) throws(ProgramError) -> ProgramLog {
        let output: LogOutput
        if let file = self.file {
            output = try LogOutput(path: file)
        } else {
            output = LogOutput()
        }
        ProgramExit.beforehand { output.flush() }
        let isOnTerminal = output.terminal != nil
        let settings = LogSettings(level: self.level, format: self.format(onTerminal: isOnTerminal))
        let handler = LineLogHandler(settings: settings, output: output)
        return ProgramLog(
            logger: Logger(label: program, factory: { _ in handler }), output: output, settings: settings,
            accessLog: nil, isOnTerminal: isOnTerminal)
    }

    /// Those that ``apply(to:)`` changes in a running program.
    static let atRunTime: Set<String> = ["log-level", "log-format"]

    /// Makes a running program log as these say, but for the file.
    func apply(to log: ProgramLog) {
        log.settings.level = self.level
        log.settings.format = self.format(onTerminal: log.isOnTerminal)
    }

    /// Throws with exit code 69 when the file cannot be written, or made in its folder; makes none.
    package func check() throws(ProgramError) {
        if let file { try LogOutput.check(file, called: "log file") }
    }

    private static func level(_ text: String) throws -> Logger.Level {
        if text == "warn" { return .warning }
        guard let level = Logger.Level(rawValue: text) else {
            throw ValidationError("expected trace, debug, info, notice, warn, error or critical")
        }
        return level
    }

    private static func givenFormat(_ text: String) throws -> FormatChoice {
        if text == "auto" { return .auto }
        guard let format = LogFormat(rawValue: text) else {
            throw ValidationError("expected auto, text, json or terminal")
        }
        return .one(format)
    }
}

/// A program's open log.
package struct ProgramLog: Sendable {
    /// Writes to `output`.
    package let logger: Logger
    /// Reopen it on SIGHUP.
    package let output: LogOutput
    /// What can change while the program runs.
    let settings: LogSettings
    /// Where ended connections and flows are written, if anywhere.
    package var accessLog: AccessLog?
    /// Whether it was shown on a terminal at start: when that is closed, nobody is there any more.
    package let isOnTerminal: Bool

    /// Whether that terminal has been closed.
    package var hasLostTerminal: Bool { self.isOnTerminal && isatty(StandardStream.error.rawValue) == 0 }

    /// Whether a line that stays at the bottom is wanted: on a terminal, in the form for people.
    package var showsLiveLine: Bool { self.output.canShowLiveLine && self.settings.format == .terminal }

    /// The same log without what is only interesting of a program that serves: unless more than the usual was asked for,
    /// nothing below warnings.
    package var forOneAnswer: ProgramLog {
        var logger = self.logger
        if logger.logLevel > .debug { logger.logLevel = max(logger.logLevel, .warning) }
        return ProgramLog(
            logger: logger, output: self.output, settings: self.settings, accessLog: nil,
            isOnTerminal: self.isOnTerminal)
    }

    /// Opens the files anew and says so in the log when that fails.
    package func reopen() {
        do {
            try self.output.reopen()
            try self.accessLog?.reopen()
        } catch {
            self.logger.error("\(error)", metadata: ["event": "log.reopen_failed"])
        }
    }
}
