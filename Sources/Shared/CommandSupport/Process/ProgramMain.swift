import ArgumentParser
import Basics
import LibC

/// The way in and the way out that all programs share.
package enum ProgramMain {
    /// Parses the command line, runs the command, and exits with the code that its outcome has in ``ExitStatus``.
    ///
    /// Before anything else: secrets are wiped from the process's argument list, core dumps are off, SIGPIPE is ignored, the allocator is
    /// set up for a small footprint, and the limit of open files is raised to what the system allows.
    package static func run<Command: ProgramCommand>(_ type: Command.Type) async -> Never {
        // `CommandLine.arguments` is a copy made at its first use: take it before the original is overwritten.
        let commandLine = Array(CommandLine.arguments.dropFirst())
        var hasSaidNothing = commandLine.isEmpty
        ArgumentList.wipeSecrets()
        Dumpability.turnOff()
        signal(SIGPIPE, SIG_IGN)
        StartupSignals.takeOver()
        Allocator.preferSmallFootprint()

        do {
            FileDescriptorLimit.raise()
            try CommandLineCheck.check(commandLine, of: type)
            if commandLine.contains("-V"), try CommandSyntax(of: type).names(givenIn: commandLine).contains("V") {
                _ = try type.parseAsRoot(["--version"])
            }
            let source = ConfigurationSource(type, commandLine: commandLine)
            let configuration = source.wants("--print-config") ? try source.read() : try source.readIfAny()
            hasSaidNothing = commandLine.isEmpty && configuration == nil
            if let configuration, source.wants("--print-config") {
                // In front of what may be wrong with it.
                let report = ConfigurationReport(
                    program: source.program, configuration: configuration, places: source.places)
                try StandardStream.output.writeAnswer(report.text)
            }
            if let question = try Self.question(type, source) {
                StartupSignals.giveBack()
                try await question.ask()
                ProgramExit.exit(ExitStatus.done.rawValue)
            }
            var command =
                try configuration.map { try CommandParser.command(type, $0) }
                ?? CommandParser.command(type, commandLine)
            if let command = command as? any ProgramCommand {
                if source.wants("--print-config"), !source.wants("--check-config") {
                    ProgramExit.exit(ExitStatus.done.rawValue)
                }
                try FileDescriptorLimit.check(eventLoops: command.eventLoopCount)
                if source.wants("--check-config") {
                    try Self.check(command, files: configuration?.files ?? [])
                    ProgramExit.exit(ExitStatus.done.rawValue)
                }
                ConfigurationReload.begin(source, configuration)
            }
            if var asyncCommand = command as? any AsyncParsableCommand {
                do {
                    try await asyncCommand.run()
                } catch let error where Command.exitCode(for: error) == .failure && !(error is ProgramError) {
                    // One that nobody has foreseen in a program that was asked for something sensible.
                    throw ProgramError(.internalError, "\(error)")
                }
            } else {
                try command.run()  // the built-in ones, such as the one that prints shell completions
            }
            ProgramExit.exit(ExitStatus.done.rawValue)
        } catch let error as ProgramError where hasSaidNothing && error.status == .usage {
            StandardStream.error.write("\(Command._commandName): \(error.message)\n\n")
            showHowToBegin(type)
        } catch let error as ProgramError {
            fail(program: Command._commandName, error)
        } catch let error where hasSaidNothing && Command.exitCode(for: error) == .validationFailure {
            showHowToBegin(type)
        } catch {
            // Help and version exit 0, usage errors 64 with the usage line; both are ArgumentParser's own.
            ProgramExit.prepare()
            let code = Command.exitCode(for: error)
            let text = Command.fullMessage(for: error)
            let shown = LinkSecret.masked(in: text)
            // Help shows links as well, which are nobody's.
            guard code != .success, shown != text else { Command.exit(withError: error) }
            StandardStream.error.write("\(shown)\n")
            ProgramExit.exit(code.rawValue)
        }
    }

    /// What is asked of a program that runs. Looked for before anything is parsed: who asks has no URL and no secret.
    private static func question<Command: ProgramCommand>(
        _ type: Command.Type, _ source: ConfigurationSource
    ) throws -> (any ProgramQuestion)? {
        guard source.wants("--status") || source.wants("--healthcheck") || source.wants("--print-identity")
        else { return nil }
        let syntax = try CommandSyntax(of: type)
        try CommandLineCheck.checkOptions(source.commandLine, syntax)
        let configuration = try source.read()
        return try type.question(
            GivenValues(
                commandLine: syntax.names(givenIn: source.commandLine), values: configuration.values))
    }

    /// For those who have typed nothing: ArgumentParser would print the whole help, which hides what to do next.
    private static func showHowToBegin<Command: ProgramCommand>(_ type: Command.Type) -> Never {
        StandardStream.error.write(
            """
            Usage: \(Command.usageString())

            Example:
              \(Command.example)

            '\(Command._commandName) --help' explains the options.

            """)
        ProgramExit.exit(ExitStatus.usage.rawValue)
    }

    /// Looks at all that can be looked at without starting, and says that it is fine. Throws what the start would throw.
    private static func check(_ command: some ProgramCommand, files: [String]) throws {
        do {
            try command.checkConfiguration()
        } catch let error where type(of: command).exitCode(for: error) == .failure && !(error is ProgramError) {
            throw ProgramError(.configuration, "\(error)")
        }
        let read = files.isEmpty ? "no configuration file" : files.joined(separator: ", ")
        try StandardStream.output.writeAnswer(
            "\(type(of: command)._commandName): the configuration is fine (\(LogText.escapingControlCharacters(read)))\n"
        )
    }

    private static func fail(program: String, _ error: ProgramError) -> Never {
        // Line breaks are ours: what others have written is quoted in one line.
        let lines = LinkSecret.masked(in: error.message).split(separator: "\n", omittingEmptySubsequences: false).map {
            LogText.escapingControlCharacters(String($0))
        }
        // Behind what the log has said of it.
        ProgramExit.prepare()
        StandardStream.error.write("\(program): \(lines.joined(separator: "\n  "))\n")
        ProgramExit.exit(error.status.rawValue)
    }
}
