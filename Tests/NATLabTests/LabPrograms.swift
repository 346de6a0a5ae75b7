import Foundation
import TestSupport

/// The programs on a lab, and traffic through them.
struct LabPrograms: Sendable {
    /// Ports of what `lab_traffic.py serve` offers on the agent's host.
    static let echoPort = 7000
    static let downloadPort = 7001
    static let sinkPort = 7002
    static let proxyPort = 2080
    /// Where `rtun-relay` listens, for the echo.
    static let relayPort = 9000

    enum Client: String, CaseIterable, Sendable, CustomStringConvertible {
        case socks, relay
        var description: String { "rtun-\(self.rawValue)" }
    }

    /// What the programs are started with.
    struct Options: Sendable {
        var server: [String] = []
        var agent: [String] = []
        var clients: [String] = []
        var relay: [String] = ["-L", "127.0.0.1:\(relayPort)?to=127.0.0.1:\(echoPort)"]
        /// Where agent and clients find the server.
        var serverPort = 8888
        /// An address of the server's host that the services are at, on a host of their own from the agent's point of view;
        /// nil for 127.0.0.1 of the agent's host.
        var target: String?

        /// With the services at `farTarget`.
        static var far: Options {
            Options(
                relay: ["-L", "127.0.0.1:\(relayPort)?to=\(farTarget):\(echoPort)"], target: farTarget)
        }

        /// What comes first in the arguments of `lab_traffic.py`.
        var place: String { self.target.map { "at=\($0) " } ?? "" }
    }

    static let farTarget = "203.0.113.11"

    let lab: NATLab
    let options: Options
    let server: RunningProgram
    let agent: RunningProgram
    let services: RunningProgram

    /// Starts a server, an agent and the services beside it.
    init(on lab: NATLab, _ options: Options = Options()) async throws {
        let server = try await Self.launchServer(on: lab, options)
        let services = try await Self.launchServices(on: lab, options)
        let agent = try Self.launchAgent(on: lab, options)
        try await Self.ready(agent)
        self.init(lab: lab, options: options, server: server, agent: agent, services: services)
    }

    init(
        lab: NATLab, options: Options = Options(), server: RunningProgram, agent: RunningProgram,
        services: RunningProgram
    ) {
        self.lab = lab
        self.options = options
        self.server = server
        self.agent = agent
        self.services = services
    }

    static func launchServer(on lab: NATLab, _ options: Options = Options()) async throws -> RunningProgram {
        let server = try lab.launch("rtun-server", on: "server", ["--addr", "[::]:8888"] + options.server)
        _ = try await Cluster.readyPort(of: server)
        return server
    }

    static func launchServices(on lab: NATLab, _ options: Options = Options()) async throws -> RunningProgram {
        let services = try lab.launchTraffic(
            on: options.target == nil ? "agent" : "server", "\(options.place)serve \(Self.echoPort)")
        _ = try await services.line("the services") { $0 == "serving" }
        return services
    }

    static func launchAgent(on lab: NATLab, _ options: Options = Options()) throws -> RunningProgram {
        let url = lab.serverURL(for: .agent, port: options.serverPort)
        return try lab.launch("rtun-agent", on: "agent", [url, "--agent", "lab"] + options.agent)
    }

    static func launch(_ client: Client, on lab: NATLab, _ options: Options = Options()) throws -> RunningProgram {
        let url = lab.serverURL(for: .client, port: options.serverPort)
        let own = client == .relay ? options.relay : []
        return try lab.launch("\(client)", on: "client", own + [url] + options.clients)
    }

    /// Waits until a program serves.
    static func ready(_ program: RunningProgram, within limit: Duration = .seconds(20)) async throws {
        _ = try await program.line(within: limit, "the ready line") { $0.contains(" ready ") }
    }

    /// Starts a client and waits until it listens.
    func start(_ client: Client) async throws -> RunningProgram {
        let program = try Self.launch(client, on: self.lab, self.options)
        try await Self.ready(program)
        return program
    }

    /// Ends the programs, and those given before them.
    func stop(_ more: RunningProgram...) async {
        await stopAll([self.server, self.agent, self.services] + more)
    }

    // MARK: Traffic

    /// The milliseconds until an echo came back through a client, which may be about to start.
    func firstByte(_ client: Client) async throws -> Int {
        let arguments =
            switch client {
            case .socks: "socks \(Self.proxyPort) \(Self.echoPort)"
            case .relay: "udp \(Self.relayPort)"
            }
        let text = try await self.lab.traffic(on: "client", self.options.place + arguments)
        guard let milliseconds = Int(text) else { throw UnexpectedOutput(text: text) }
        return milliseconds
    }

    /// Begins a download through the proxy.
    ///
    /// - Parameter rate: of the sender, bytes a second; 0 for as fast as it goes.
    func download(_ bytes: Int, rate: Int = 0) throws -> Download {
        let arguments = "download \(Self.proxyPort) \(Self.downloadPort) \(bytes) \(rate)"
        return Download(program: try self.lab.launchTraffic(on: "client", self.options.place + arguments))
    }

    /// Begins steady traffic through a client.
    func steady(_ client: Client, interval: Int = 20, size: Int = 200) throws -> SteadyTraffic {
        let arguments =
            switch client {
            case .socks: "steady-socks \(Self.proxyPort) \(Self.echoPort) \(interval)"
            case .relay: "steady \(Self.relayPort) \(interval) \(size)"
            }
        return SteadyTraffic(program: try self.lab.launchTraffic(on: "client", self.options.place + arguments))
    }

    /// What goes through the relay: Mbit/s one way, and the percentage that is lost.
    func flood(seconds: Double = 1, size: Int = 1000) async throws -> (mbits: Double, lost: Double) {
        let text = try await self.lab.traffic(on: "client", "flood \(Self.relayPort) \(seconds) \(size)")
        let values = KeyValues.parse(text).mapValues { Double($0) ?? .nan }
        guard let mbits = values["mbits"], let lost = values["lost_percent"] else {
            throw UnexpectedOutput(text: text)
        }
        return (mbits, lost)
    }
}

/// A download on its way.
struct Download: Sendable {
    let program: RunningProgram

    /// Waits until so much has come, in tenths.
    func reaches(tenths: Int, within limit: Duration = .seconds(60)) async throws {
        _ = try await self.program.line(within: limit, "\(tenths) tenths of the download") { $0 == "\(tenths)0 %" }
    }

    /// Waits for the end: what came was what was sent.
    func end(within limit: Duration = .seconds(90)) async throws -> (mbits: Double, longestPause: Duration) {
        _ = try await self.program.end(within: limit)
        let values = KeyValues.parse(self.program.output.lines.last ?? "")
        guard self.program.output.lines.last?.hasPrefix("done ") == true,
            let mbits = values["mbits"].flatMap(Double.init), let pause = values["longest_pause_ms"].flatMap(Int.init)
        else { throw UnexpectedOutput(text: self.program.output.text + self.program.errors.text) }
        return (mbits, .milliseconds(pause))
    }
}

/// Numbers that go out at a steady pace, and what comes back.
struct SteadyTraffic: Sendable {
    struct Report: Sendable, CustomStringConvertible {
        let sent: Int
        let answered: Int
        let lost: Int
        /// Between two answers; beyond what the sender itself was late, as it is on a busy machine.
        let longestGap: Duration
        /// Until the latest answer came, the sender's own lateness included.
        let worst: Duration
        let description: String
    }

    let program: RunningProgram

    /// How it went since the start or the last restart.
    @discardableResult
    func report() async throws -> Report { try await self.ask("\n") }

    /// Forgets how it went so far.
    func restart() async throws { _ = try await self.ask("restart\n") }

    private func ask(_ question: String) async throws -> Report {
        let known = self.program.output.lines.count
        try self.program.write(question)
        let line = await self.program.output.firstLine(from: known) { $0.hasPrefix("sent=") || $0.hasPrefix("closed") }
        let values = KeyValues.parse(line ?? "").compactMapValues(Int.init)
        guard let sent = values["sent"], let answered = values["answered"], let lost = values["lost"],
            let gap = values["longest_gap_ms"], let stall = values["own_stall_ms"],
            let worst = values["worst_ms"]
        else { throw UnexpectedOutput(text: self.program.output.text + self.program.errors.text) }
        return Report(
            sent: sent, answered: answered, lost: lost, longestGap: .milliseconds(max(gap - stall, 0)),
            worst: .milliseconds(worst), description: line ?? "")
    }

    /// Waits until so much has been sent since the start or the last restart, and answered but for what gets lost.
    func reaches(sent count: Int, within limit: Duration = .seconds(60)) async throws {
        try await eventually(within: limit, "\(count) datagrams of steady traffic") {
            let report = try await self.report()
            return report.sent >= count && report.answered + report.lost >= count
        }
    }

    /// Waits until answers come.
    func flows(within limit: Duration = .seconds(20)) async throws {
        let before = try await self.report().answered
        try await eventually(within: limit, "steady traffic") { try await self.report().answered > before }
    }
}

/// A helper of the lab printed something else.
struct UnexpectedOutput: Error, CustomStringConvertible {
    let text: String
    var description: String { "unexpected output: \(self.text)" }
}
