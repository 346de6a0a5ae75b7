import ArgumentParser
import Logging
import Synchronization

/// The configuration that a program runs with, read again on SIGHUP.
package enum ConfigurationReload {
    private struct Running {
        let source: ConfigurationSource
        /// What the program goes by, by option; nil until it is needed when there was nothing but the command line.
        var said: [String: [String]]?
        /// Those that were read.
        var files: [String]
        var hadFiles: Bool { !self.files.isEmpty }
        /// One that cannot be read a second time.
        let unrepeatable: String?
    }

    private static let running = Mutex<Running?>(nil)

    /// Remembers what the program starts with. Call it once.
    static func begin(_ source: ConfigurationSource, _ configuration: Configuration?) {
        self.running.withLock {
            $0 = Running(
                source: source, said: configuration?.said, files: configuration?.files ?? [],
                unrepeatable: source.places.unrepeatable)
        }
    }

    /// Says which files the program goes by, if there are any.
    static func announce(_ logger: Logger) {
        guard let files = self.running.withLock({ $0?.files }), !files.isEmpty else { return }
        logger.info(
            "options come from \(files.count == 1 ? "a file" : "files, of which the last wins")",
            metadata: ["event": "config.read", "files": "\(files.joined(separator: ","))"])
    }

    /// Reads the files anew. Returns the command that they make now and the names of the options that have changed, of those
    /// `atRunTime`, which the caller puts into effect; nil when there are none, or when something is wrong with the files. The
    /// log's level and format change here.
    ///
    /// The log tells what has changed, what needs a restart (`config.restart_needed`), and why nothing has
    /// (`config.reload_failed`). A file that has gone is such a reason: without it the program might be open to everybody. A value that needs a restart is told of at each call until there is one.
    ///
    /// - Parameter atRunTime: without dashes, besides the log's.
    package static func read<Command: ProgramCommand>(
        _ type: Command.Type, log: ProgramLog, atRunTime: Set<String> = []
    ) -> (command: Command, changed: Set<String>)? {
        // Read and parsed inside: of two signals the one that comes later has the last word.
        self.running.withLock { running in
            guard var now = running else { return nil }
            do {
                // One that has become a pipe would keep us waiting for its writer.
                if let path = now.unrepeatable ?? now.source.places.unrepeatable {
                    throw ProgramError(.unavailable, "\(path) is not a regular file and cannot be read a second time")
                }
                let configuration = try now.source.read()
                if let gone = now.files.first(where: { !configuration.files.contains($0) }) {
                    throw ProgramError(
                        .unavailable,
                        "the configuration file \(gone) is gone or can no longer be read; restart to do without it")
                }
                guard now.hadFiles || !configuration.files.isEmpty else { return nil }
                guard let command = try CommandParser.command(type, configuration) as? Command else { return nil }
                let said = configuration.said
                var before = try now.said ?? now.source.withoutFiles().said
                let changed = Set(said.keys).union(before.keys).filter { said[$0] != before[$0] }
                let possible = changed.intersection(atRunTime.union(LoggingOptions.atRunTime))
                for name in changed.subtracting(possible).sorted() {
                    Self.warn(name, configuration, log.logger)
                }
                for name in possible { before[name] = said[name] }
                now.said = before
                now.files = configuration.files
                running = now
                // The line below belongs to whichever of the two levels shows more.
                let logChanges = !possible.isDisjoint(with: LoggingOptions.atRunTime)
                let logsMore = command.logging.level <= log.settings.level
                if logChanges, logsMore { command.logging.apply(to: log) }
                log.logger.notice(
                    possible.isEmpty
                        ? "the configuration was reloaded; nothing has changed" : "the configuration has changed",
                    metadata: [
                        "event": "config.reloaded", "files": "\(configuration.files.joined(separator: ","))",
                        "changed": "\(possible.sorted().joined(separator: ","))",
                    ])
                if logChanges, !logsMore { command.logging.apply(to: log) }
                return possible.isEmpty ? nil : (command, possible)
            } catch {
                let text = (error as? ProgramError)?.message ?? type.message(for: error)
                log.logger.error(
                    "the configuration cannot be reloaded, the previous one stays in use: \(text)",
                    metadata: ["event": "config.reload_failed", "error": "\(text)"])
                return nil
            }
        }
    }

    private static func warn(_ name: String, _ configuration: Configuration, _ logger: Logger) {
        let place = configuration.settings.last { $0.argument.name == name }?.origin.description
        logger.warning(
            "\(name) has changed, which takes effect only after a restart",
            metadata: [
                "event": "config.restart_needed", "option": "\(name)", "place": "\(place ?? "default")",
            ])
    }
}

extension Configuration {
    /// What is said of each option. Of those whose order counts beside each other (`--allow`, `--deny`) each has what is said of
    /// both.
    fileprivate var said: [String: [String]] {
        let ordered: Set<String> = ["allow", "deny"]
        var said = self.values
        let both = self.settings.filter { ordered.contains($0.argument.name) }.flatMap { setting in
            setting.values.map { "\(setting.argument.name) \($0)" }
        }
        for name in ordered where said[name] != nil { said[name] = both }
        return said
    }
}
