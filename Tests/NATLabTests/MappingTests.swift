import TestSupport
import Testing

/// What agents and clients find out about their own NATs, behind every kind of them.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct MappingTests {
    /// The server's second address in the lab.
    private static let secondAddress = ["--stun-addr", "203.0.113.11"]

    private static let kinds: [(kind: NATLab.Kind, mapping: String)] = [
        (.open, "no-nat"), (.fullCone, "endpoint-independent"), (.address, "endpoint-independent"),
        (.port, "endpoint-independent"), (.symmetric, "address-and-port-dependent"),
        (.carrier, "endpoint-independent"), (.noUDP, "udp-blocked"),
    ]

    @Test func `an agent reports the mapping of its NAT, and a client's check shows both`() async throws {
        for (kind, mapping) in Self.kinds {
            let lab = try await NATLab(client: kind, agent: kind)
            let server = try lab.launch(
                "rtun-server", on: "server", ["--addr", "203.0.113.10:8888"] + Self.secondAddress)
            _ = try await server.line("the server") { $0.hasPrefix("rtun-server ready") }
            let agent = try lab.launch("rtun-agent", on: "agent", [NATLab.serverURL, "--agent", "lab"])
            let found = try await agent.logLine("the mapping") { $0.contains("event=nat.mapping") }
            #expect(found.hasSuffix("mapping=\(mapping)"), "\(kind): \(found)")
            let check = try lab.launch("rtun-socks", on: "client", [NATLab.serverURL, "--check"])
            _ = try await check.end(within: .seconds(16))
            let lines = check.output.lines
            #expect(lines.contains { $0.contains("lab: NAT \(mapping); ") }, "\(kind): \(lines)")
            let words =
                mapping == "udp-blocked" ? "no STUN server has answered" : mapping == "no-nat" ? "no NAT" : mapping
            #expect(lines.contains { $0.contains(" mapping ") && $0.contains(words) }, "\(kind): \(lines)")
            await stopAll([server, agent])
        }
    }

    @Test func `without a second address only ports are compared, without a second port nothing`() async throws {
        for (options, mapping) in [([String](), "port-independent"), (["--stun-port", "off"], "unknown")] {
            let lab = try await NATLab(client: .open, agent: .port)
            let server = try lab.launch("rtun-server", on: "server", ["--addr", "203.0.113.10:8888"] + options)
            _ = try await server.line("the server") { $0.hasPrefix("rtun-server ready") }
            let agent = try lab.launch("rtun-agent", on: "agent", [NATLab.serverURL, "--agent", "lab"])
            let found = try await agent.logLine("the mapping") { $0.contains("event=nat.mapping") }
            #expect(found.hasSuffix("mapping=\(mapping)"), "\(options): \(found)")
            await stopAll([server, agent])
        }
    }
}
