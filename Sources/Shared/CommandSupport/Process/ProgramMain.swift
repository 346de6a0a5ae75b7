package import ArgumentParser
import Glibc

/// The way in and the way out that all programs share.
package enum ProgramMain {
    /// Parses the command line, runs the command, and exits with the code that its outcome has in ``ExitStatus``.
    ///
    /// Before anything else: secrets are wiped from the process's argument list, core dumps are off, SIGPIPE is ignored, the allocator is
    /// set up for a small footprint, and the limit of open files is raised to what the system allows.
    package static func run<Command: AsyncParsableCommand>(_ type: Command.Type) async -> Never {
        // `CommandLine.arguments` is a copy made at its first use: take it before the original is overwritten.
        let commandLine = Array(CommandLine.arguments.dropFirst())
        ArgumentList.wipeSecrets()
        Dumpability.turnOff()
        signal(SIGPIPE, SIG_IGN)
        Allocator.preferSmallFootprint()
        FileDescriptorLimit.raise()

        do {
            var command = try Self.parse(type, commandLine)
            if var asyncCommand = command as? any AsyncParsableCommand {
                try await asyncCommand.run()
            } else {
                try command.run()  // the built-in ones, such as the one that prints shell completions
            }
            exit(ExitStatus.done.rawValue)
        } catch let error as ProgramError {
            fail(program: Command._commandName, error)
        } catch {
            // Help and version exit 0, usage errors 64 with the usage line; both are ArgumentParser's own.
            Command.exit(withError: error)
        }
    }

    /// Parses what the configuration file and the command line say.
    private static func parse<Command: ParsableCommand>(
        _ type: Command.Type, _ commandLine: [String]
    ) throws -> any ParsableCommand {
        guard let file = try ConfigurationFile.find(commandLine: commandLine) else {
            return try Command.parseAsRoot(commandLine)
        }
        let configured = try file.arguments(
            program: Command._commandName, syntax: try CommandSyntax(of: Command.self), commandLine: commandLine)
        do {
            return try Command.parseAsRoot(configured + commandLine)
        } catch {
            // The file's fault when it alone draws the same complaint.
            guard Command.exitCode(for: error) != .success, let alone = Self.complaint(type, configured),
                alone == Command.message(for: error)
            else { throw error }
            throw ProgramError(.configuration, "configuration file \(file.path): \(alone)")
        }
    }

    private static func complaint(_ type: (some ParsableCommand).Type, _ arguments: [String]) -> String? {
        do {
            _ = try type.parseAsRoot(arguments)
            return nil
        } catch {
            return type.message(for: error)
        }
    }

    private static func fail(program: String, _ error: ProgramError) -> Never {
        StandardStream.error.write("\(program): \(LogText.escapingControlCharacters(error.message))\n")
        exit(error.status.rawValue)
    }
}
