import ArgumentParser
import CommandSupport
import NIOCore
import RelayChannel
import UDPRelay

/// `-L`, `--udp-idle-timeout`, `--udp-max-payload`, `--max-flows`.
struct RelayOptions: ParsableArguments {
    @Option(
        name: .customShort("L"),
        help: ArgumentHelp(
            "Forward as in [udp://]LISTEN?to=TARGET, for datagrams, or tcp://LISTEN?to=TARGET, for connections. Both are "
                + "IP:PORT, with IPv6 in brackets; port 0 of LISTEN takes a free one. Repeatable.",
            valueName: "rule"))
    private var ruleTexts: [String] = []

    @Option(
        name: .customLong("udp-idle-timeout"),
        help: ArgumentHelp(
            "Forget a flow after this time without a datagram, in seconds or with a unit: 90s, 2m (default: 120s).",
            valueName: "time"),
        transform: { try Self.timeout($0) })
    var idleTimeout = TimeAmount.seconds(120)

    @Option(
        name: .customLong("udp-max-payload"),
        help: ArgumentHelp(
            "Drop datagrams with a payload of more than this many bytes (default: what the path to the agent carries, up "
                + "to \(DatagramChannel.largestPayload)).",
            valueName: "bytes"))
    private var givenPayload: Int?

    @Option(
        name: .customLong("max-flows"),
        help: ArgumentHelp(
            "How many local senders a udp rule serves at once (default: \(Self.defaultFlows)), and how many connections a "
                + "tcp rule (default: \(Self.defaultConnections)). Further connections wait.",
            valueName: "n"))
    private var givenFlows: Int?

    private static let defaultFlows = 65_536
    private static let defaultConnections = 4096

    /// How many local senders a udp rule serves at once.
    var maximumFlows: Int { self.givenFlows ?? Self.defaultFlows }
    /// How many connections a tcp rule serves at once.
    var maximumConnections: Int { self.givenFlows ?? Self.defaultConnections }

    /// The payload limit that was asked for; `validate` has seen to it that it is possible.
    var maximumPayload: UInt16? { self.givenPayload.flatMap(UInt16.init(exactly:)) }

    /// The rules in the order given; `validate` has seen to it that they can be read.
    var rules: [RelayRule] { (try? RelayRule.parse(self.ruleTexts)) ?? [] }

    mutating func validate() throws {
        do {
            _ = try RelayRule.parse(self.ruleTexts)
        } catch {
            throw ValidationError("\(error)")
        }
        if let maximumPayload = self.givenPayload {
            guard maximumPayload > 0 else { throw ValidationError("--udp-max-payload must be at least 1") }
            guard maximumPayload <= DatagramChannel.largestPayload else {
                throw ValidationError(
                    "--udp-max-payload \(maximumPayload) is more than a datagram to the agent can hold; the largest "
                        + "possible value is \(DatagramChannel.largestPayload)")
            }
        }
        guard (1...Self.largestFlowLimit).contains(self.maximumFlows) else {
            throw ValidationError("--max-flows must be from 1 to \(Self.largestFlowLimit)")
        }
    }

    /// Far fewer than there are flow ids.
    private static let largestFlowLimit = 1 << 24

    private static func timeout(_ text: String) throws -> TimeAmount {
        let timeout = try TimeAmount(parsing: text, bareUnit: .seconds)
        guard timeout >= .milliseconds(100) else { throw ValidationError("it must be at least 100ms") }
        return timeout
    }
}
