import ArgumentParser
import Glibc

/// The way in and the way out that all programs share.
package enum ProgramMain {
    /// Parses the command line, runs the command, and exits with the code that its outcome has in ``ExitStatus``.
    ///
    /// Before anything else: secrets are wiped from the process's argument list, core dumps are off, SIGPIPE is ignored, the allocator is
    /// set up for a small footprint, and the limit of open files is raised to what the system allows.
    package static func run<Command: ProgramCommand>(_ type: Command.Type) async -> Never {
        // `CommandLine.arguments` is a copy made at its first use: take it before the original is overwritten.
        let commandLine = Array(CommandLine.arguments.dropFirst())
        let hasSaidNothing = commandLine.isEmpty && (ProcessEnvironment.value("RTUN_CONFIG") ?? "").isEmpty
        ArgumentList.wipeSecrets()
        Dumpability.turnOff()
        signal(SIGPIPE, SIG_IGN)
        StartupSignals.takeOver()
        Allocator.preferSmallFootprint()

        do {
            FileDescriptorLimit.raise()
            var command = try Self.parse(type, commandLine)
            if let command = command as? any ProgramCommand {
                try FileDescriptorLimit.check(eventLoops: command.eventLoopCount)
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
            Command.exit(withError: error)
        }
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

    /// Parses what the configuration file and the command line say.
    private static func parse<Command: ProgramCommand>(
        _ type: Command.Type, _ commandLine: [String]
    ) throws -> any ParsableCommand {
        try CommandLineCheck.check(commandLine, of: type)
        if commandLine.contains("-V"), try CommandSyntax(of: Command.self).names(givenIn: commandLine).contains("V") {
            return try type.parseAsRoot(["--version"])
        }
        guard let file = try ConfigurationFile.find(commandLine: commandLine) else {
            return try Self.parse(type, given: commandLine)
        }
        let syntax = try CommandSyntax(of: Command.self)
        let configured = try file.arguments(
            program: Command._commandName, syntax: syntax, commandLine: commandLine)
        let words = configured.words
        do {
            return try Self.parse(type, given: words + commandLine)
        } catch {
            // The file's fault when the command line alone does not draw the same complaint, and that of the line without
            // which it goes.
            let complaint = Command.message(for: error)
            let lines = configured.lines.filter { line in
                Self.complaint(type, configured.words(without: line) + commandLine) != complaint
            }
            // Without the URL there is another complaint as well.
            let line =
                lines.first { Self.complaint(type, configured.words(of: $0) + commandLine) == complaint }
                ?? lines.first
            guard Command.exitCode(for: error) != .success, let line, Self.complaint(type, commandLine) != complaint
            else { throw error }
            throw ProgramError(.configuration, "configuration file \(file.path), line \(line): \(complaint)")
        }
    }

    private static func parse<Command: ProgramCommand>(
        _ type: Command.Type, given words: [String]
    ) throws -> any ParsableCommand {
        do {
            return try type.parseAsRoot(words)
        } catch {
            // ArgumentParser takes "-1" for an option and misses a value, and tells of an unknown option last.
            guard type.exitCode(for: error) == .validationFailure, let syntax = try? CommandSyntax(of: type) else {
                throw error
            }
            try CommandLineCheck.checkOptions(words, syntax)
            guard let joined = CommandLineCheck.joiningValues(words, syntax) else { throw error }
            return try type.parseAsRoot(joined)
        }
    }

    private static func complaint(_ type: (some ProgramCommand).Type, _ arguments: [String]) -> String? {
        do {
            _ = try Self.parse(type, given: arguments)
            return nil
        } catch {
            return type.message(for: error)
        }
    }

    private static func fail(program: String, _ error: ProgramError) -> Never {
        // Line breaks are ours: what others have written is quoted in one line.
        let lines = error.message.split(separator: "\n", omittingEmptySubsequences: false).map {
            LogText.escapingControlCharacters(String($0))
        }
        // Behind what the log has said of it.
        ProgramExit.prepare()
        StandardStream.error.write("\(program): \(lines.joined(separator: "\n  "))\n")
        ProgramExit.exit(error.status.rawValue)
    }
}
