import AppProto
import ArgumentParser
import CommandSupport
import LibC
import NIOCore

/// `--agent`, `--expire_in`, `--label`: what the agent is registered as.
struct RegistrationOptions: ParsableArguments {
    @Option(
        name: .customLong("agent"),
        help: ArgumentHelp("The name to register under (default: the host name).", valueName: "name"))
    private var givenName: String?

    @Option(
        name: [.customLong("expire_in"), .customLong("expire-in")],
        help: ArgumentHelp(
            "Stop after this time, in minutes or with a unit: 90s, 2h, 7d (default: never).", valueName: "time"),
        transform: { try Self.expiry($0) })
    var expireIn: TimeAmount?

    @Option(
        name: .customLong("label"),
        help: ArgumentHelp("A label that clients see in the list of agents. Repeatable.", valueName: "key=value"),
        transform: { try Label(parsing: $0) })
    private var givenLabels: [Label] = []

    /// A label as given on the command line.
    struct Label: Equatable {
        let key: String
        let value: String

        init(parsing text: String) throws {
            guard let separator = text.firstIndex(of: "=") else { throw ValidationError("expected key=value") }
            self.key = String(text[..<separator])
            self.value = String(text[text.index(after: separator)...])
            guard (1...AppProtoLimits.name).contains(self.key.utf8.count),
                self.value.utf8.count <= AppProtoLimits.labelValue, isPrintable(text)
            else {
                throw ValidationError("key (1 to 255 bytes) and value (up to 255 bytes) must be printable text")
            }
        }
    }

    mutating func validate() throws {
        if let name = self.givenName, !isValidAgentName(name) {
            throw ValidationError("--agent must be 1 to 255 bytes of printable text")
        }
        guard self.givenLabels.count <= AppProtoLimits.labels else {
            throw ValidationError("at most \(AppProtoLimits.labels) --label are possible")
        }
        guard Set(self.givenLabels.map(\.key)).count == self.givenLabels.count else {
            throw ValidationError("the same key is given to --label twice")
        }
    }

    /// The labels, by key.
    var labels: [String: String] {
        Dictionary(self.givenLabels.map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
    }

    /// The name given, or the host name. Throws with exit code 64 when the host name is no possible name.
    func name() throws(ProgramError) -> String {
        if let name = self.givenName { return name }
        var buffer = [CChar](repeating: 0, count: 256)  // HOST_NAME_MAX is 64 on Linux.
        let name =
            gethostname(&buffer, buffer.count - 1) == 0
            ? String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) : ""
        guard isValidAgentName(name) else {
            throw ProgramError(.usage, "the host name cannot be used as the agent's name: give one with --agent NAME")
        }
        return name
    }

    private static func expiry(_ text: String) throws -> TimeAmount {
        let time = try TimeAmount(parsing: text, bareUnit: .minutes)
        guard time >= .milliseconds(1) else {
            throw ValidationError("it must be more than 0; leave the option out for a registration that never expires")
        }
        return time
    }
}
