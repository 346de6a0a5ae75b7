import Foundation
import TestSupport
import Testing

/// Names that nobody answers for, beside others, at an agent whose name server is on another host.
@Suite(
    .serialized, .timeLimit(.minutes(3)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct NameServerTests {
    @Test(arguments: ["auto", "direct", "bridge"])
    func `unanswered lookups delay no others, and are forgotten with their clients`(
        mode: String
    ) async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        let at = "at=\(LabPrograms.farTarget) "
        let names = try lab.launchTraffic(on: "server", at + "names 53")
        _ = try await names.line("the name server") { $0 == "serving" }
        try await lab.change("names agent \(LabPrograms.farTarget)")
        var options = LabPrograms.Options.far
        options.agent = ["--p2p", mode]
        options.clients = ["--p2p", mode]
        let programs = try await LabPrograms(on: lab, options)
        let socks = try await programs.start(.socks)

        let text = try await lab.traffic(
            on: "client", options.place + "name-socks \(LabPrograms.proxyPort) \(LabPrograms.echoPort) 40")
        let times = text.split(separator: "\n").compactMap { Int($0) }
        try #require(times.count == 3, "\(text)")
        #expect(times[1] < 3000, "beside silent names")
        #expect(times[2] < 3000, "after they have hung up")
        // A question that goes on would be asked again after 1.5, 3, and 6 s. Some are repeated until the agent has heard.
        try await Task.sleep(for: .seconds(1))
        let asked = try await self.silentQuestions(names)
        #expect(asked >= 40)
        try await Task.sleep(for: .seconds(4))
        #expect(try await self.silentQuestions(names) == asked)
        await programs.stop(socks, names)
    }

    @Test func `a client that looks up hundreds of names delays no other client`() async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        let names = try lab.launchTraffic(on: "server", "at=\(LabPrograms.farTarget) names 53")
        _ = try await names.line("the name server") { $0 == "serving" }
        try await lab.change("names agent \(LabPrograms.farTarget)")
        let programs = try await LabPrograms(on: lab, .far)
        let greedy = try await programs.start(.socks)
        var options = LabPrograms.Options.far
        options.clients = ["--listen", "127.0.0.1:2081"]
        let modest = try LabPrograms.launch(.socks, on: lab, options)
        try await LabPrograms.ready(modest)

        let flood = try lab.launchTraffic(
            on: "client", options.place + "name-socks \(LabPrograms.proxyPort) \(LabPrograms.echoPort) 900")
        _ = try await flood.line(within: .seconds(20), "the greedy client's first echo") { Int($0) != nil }
        for _ in 0..<5 {
            let text = try await lab.traffic(on: "client", options.place + "name-socks 2081 \(LabPrograms.echoPort) 0")
            let times = text.split(separator: "\n").compactMap { Int($0) }
            #expect(times.count == 3 && times.allSatisfy { $0 < 2000 }, "\(text)")
        }
        #expect(try await self.silentQuestions(names) >= 100)
        await programs.stop(greedy, modest, names, flood)
    }

    /// How many questions the name server has not answered.
    private func silentQuestions(_ names: RunningProgram) async throws -> Int {
        let known = names.output.lines.count
        try names.write("\n")
        let line = await names.output.firstLine(from: known) { $0.hasPrefix("silent=") } ?? ""
        return try #require(KeyValues.parse(line)["silent"].flatMap { Int($0) })
    }
}
