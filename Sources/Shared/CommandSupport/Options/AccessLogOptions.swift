import ArgumentParser

/// `--access-log`.
package struct AccessLogOptions: ParsableArguments {
    @Option(
        name: .customLong("access-log"),
        help: ArgumentHelp(
            "Append a line to this file for each connection and flow that has ended, in the format of --log-format; - for "
                + "stdout.",
            valueName: "file"))
    var file: String?

    package init() {}

    /// Throws with exit code 69 when the file cannot be written, or made in its folder; makes none.
    package func check() throws(ProgramError) {
        if let file, file != "-" { try LogOutput.check(file, called: "access log") }
    }

    /// Opens it; nil when none is wanted. Throws with exit code 69 when the file cannot be opened. `log`: the program's, whose
    /// live line may be on the same terminal.
    package func open(_ logging: LoggingOptions, beside log: ProgramLog) throws(ProgramError) -> AccessLog? {
        guard let file else { return nil }
        let output =
            file == "-"
            ? LogOutput(StandardStream.output, beside: log.output) : try LogOutput(path: file, called: "access log")
        ProgramExit.beforehand { output.flush() }
        return AccessLog(output: output, format: logging.format(onTerminal: false))
    }
}
