import Foundation
import TestSupport
import Testing

/// A host gets another address: flows go on from there, and connections that cannot end.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct AddressLossTests {
    /// The agent's host moves to another address of its network.
    private static let renumberAgent = """
        ip addr del 192.0.2.130/26 dev eth0
        ip addr add 192.0.2.131/26 dev eth0
        ip route add default via 192.0.2.129
        """

    @Test(arguments: ["auto", "direct", "bridge"])
    func `flows of an agent get new sockets with its new address, and connections end at both ends`(
        mode: String
    ) async throws {
        let lab = try await NATLab(client: .open, agent: .port)
        var options = LabPrograms.Options.far
        options.agent = ["--p2p", mode]
        options.clients = ["--p2p", mode]
        let programs = try await LabPrograms(on: lab, options)
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        let datagrams = try programs.steady(.relay)
        let stream = try programs.steady(.socks)
        // Stands still: nothing is sent that could be answered with an error.
        let silent = try lab.launchTraffic(on: "client", options.place + "idle-socks \(LabPrograms.proxyPort) 7000")
        for traffic in [datagrams, stream] { try await traffic.flows() }
        _ = try await silent.line("the connection") { $0 == "connected" }

        try await lab.shell(on: "agent", Self.renumberAgent)
        // The senders keep their sockets: it is the same flow, and the same connections.
        try await datagrams.flows(within: .seconds(15))
        _ = try await silent.line(within: .seconds(15), "the reset") { $0.hasPrefix("closed [Errno 104]") }
        // Of a connection with traffic the sender may be told first; the receiver sees the end only then (tcp(7)).
        _ = try await stream.program.line(within: .seconds(15), "the end") { $0.hasPrefix("closed") }
        #expect(try await lab.shell(on: "agent", "ss -Htn src 192.0.2.130 dst \(LabPrograms.farTarget)").isEmpty)
        let events = programs.agent.events("address.lost")
        #expect(events.contains { $0["flows"] == "1" && $0["moved"] == "1" })
        #expect(events.compactMap { $0["connections"].flatMap(Int.init) }.reduce(0, +) == 2)
        #expect(try await programs.firstByte(.socks) < 10_000)
        await programs.stop(socks, relay, datagrams.program, stream.program, silent)
    }

    @Test func `an address that is back within 2 s costs no connection`() async throws {
        let lab = try await NATLab(client: .open, agent: .port)
        let programs = try await LabPrograms(on: lab, .far)
        let socks = try await programs.start(.socks)
        let stream = try programs.steady(.socks)
        try await stream.flows()
        try await lab.shell(
            on: "agent",
            """
            ip addr del 192.0.2.130/26 dev eth0
            sleep 1
            ip addr add 192.0.2.130/26 dev eth0
            ip route add default via 192.0.2.129
            """)
        try await stream.flows()
        #expect(programs.agent.events("address.lost").isEmpty)
        await programs.stop(socks, stream.program)
    }

    /// A client in another network of the user's machine, such as a container, or the machine itself by an address that goes.
    @Test func `proxy and relay let go of the clients of a lost local address`() async throws {
        let lab = try await NATLab(client: .open, agent: .port)
        try await lab.shell(on: "client", "ip addr add 198.51.100.7/32 dev lo")
        var options = LabPrograms.Options.far
        options.relay = ["-L", "0.0.0.0:\(LabPrograms.relayPort)?to=\(LabPrograms.farTarget):\(LabPrograms.echoPort)"]
        let programs = try await LabPrograms(on: lab, options)
        let socks = try lab.launch(
            "rtun-socks", on: "client", ["--listen", "0.0.0.0:\(LabPrograms.proxyPort)", lab.serverURL(for: .client)])
        try await LabPrograms.ready(socks)
        let relay = try await programs.start(.relay)
        let near = "near=198.51.100.7 " + options.place
        let silent = try lab.launchTraffic(on: "client", near + "idle-socks \(LabPrograms.proxyPort) 7000")
        _ = try await silent.line("the connection") { $0 == "connected" }
        _ = try await lab.traffic(on: "client", near + "udp \(LabPrograms.relayPort)")
        #expect(try await Cluster.statistics(of: relay)["flows"] == "1")

        try await lab.shell(on: "client", "ip addr del 198.51.100.7/32 dev lo")
        try await eventually(within: .seconds(10), "the end of flow and connection") {
            let flows = try await Cluster.statistics(of: relay)["flows"]
            let connections = try await lab.shell(
                on: "server", "ss -Htn state established sport = :\(LabPrograms.echoPort)")
            return flows == "0" && connections.isEmpty
        }
        await programs.stop(socks, relay, silent)
    }
}
