import Foundation
import TestSupport
import Testing

/// `rtun-socks` and `rtun-relay` between a client and an agent behind every two kinds of NAT: they always reach each
/// other, the fastest way there is.
///
/// With `RTUN_NAT_TABLE=FILE` the results are written to a file as a Markdown table, and the cells are tried one at a time
/// so that none disturbs another one's times: `make nat-table`.
@Suite(
    .serialized, .timeLimit(.minutes(30)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct MatrixTests {
    private static let tableFile = ProcessInfo.processInfo.environment["RTUN_NAT_TABLE"]

    /// From a side to the server, one way, in milliseconds, until the first byte has come and a path has been found.
    private static let delay = 20
    /// What the network alone takes from when a program listens to the first byte: to the server and back for TCP, WebSocket
    /// along with the server's first message, the mutual proof, and the list of agents; to the peer and back for the offer,
    /// the handshake (one of QUIC's, two of DTLS's), and the echo, before which the proxy has the agent connect.
    private static let floor = 4 * (2 * delay) + 4 * (4 * delay)
    /// With what the programs may take besides, on a machine that has other things to do.
    private static let limit = floor + 400
    /// So often a program is started to see whether it was the machine that took the time.
    private static let tries = 3

    /// How a program fared between two kinds of NAT.
    private struct Outcome: Sendable {
        var path = "none"
        /// From when the program listens to the answer to the first request, which waits for that, in milliseconds.
        var firstByte: Int?
        /// After how many milliseconds on the bridge there was a direct path; 0 when the channel began on one.
        var directAfter: Int?
        var goodput = ""
        /// What went wrong.
        var trouble = ""
        var log = ""
    }

    private struct Cell: Sendable {
        let client: NATKind
        let agent: NATKind
        var socks = Outcome()
        var relay = Outcome()

        var rows: [String] {
            [("rtun-socks", self.socks), ("rtun-relay", self.relay)].map { name, outcome in
                let firstByte = outcome.firstByte.map { "\($0) ms" } ?? "–"
                let directAfter = outcome.directAfter.map { "\($0) ms" } ?? "–"
                return "| \(self.client) | \(self.agent) | \(name) | \(outcome.path) | \(firstByte) | \(directAfter) | "
                    + "\(outcome.goodput) |"
            }
        }
    }

    @Test func `both programs get through between every two kinds of NAT`() async throws {
        let pairs = NATKind.pairs
        // Two at a time: most of a cell's time is waiting.
        let workers = Self.tableFile == nil ? 2 : 1
        let cells = await withTaskGroup(of: (Int, Cell).self) { group in
            var next = 0
            func add() {
                guard next < pairs.count else { return }
                let (index, pair) = (next, pairs[next])
                next += 1
                group.addTask { (index, await Self.cell(pair.client, pair.agent)) }
            }
            for _ in 0..<workers { add() }
            var cells: [(Int, Cell)] = []
            for await cell in group {
                cells.append(cell)
                add()
            }
            return cells.sorted { $0.0 < $1.0 }.map(\.1)
        }
        for cell in cells {
            for (name, outcome) in [("rtun-socks", cell.socks), ("rtun-relay", cell.relay)] {
                let what = "\(name), \(cell.client) to \(cell.agent)"
                #expect(outcome.trouble == "", "\(what); the log:\n\(outcome.log)")
                if cell.client.isPunchable(with: cell.agent) {
                    #expect(outcome.path == "direct", "\(what); the log:\n\(outcome.log)")
                } else if cell.client.isGuessable(with: cell.agent) {
                    // Luck decides: SpreadTests has the odds.
                    #expect(outcome.path == "direct" || outcome.path == "bridge", "\(what); the log:\n\(outcome.log)")
                } else {
                    #expect(outcome.path == "bridge", "\(what); the log:\n\(outcome.log)")
                }
                // Signalling and one handshake, and nothing that waits for a path to be found.
                #expect(outcome.firstByte ?? .max < Self.limit, "\(what); the log:\n\(outcome.log)")
            }
        }
        try self.write(cells.flatMap(\.rows))
    }

    // MARK: A cell

    private static func cell(_ client: NATKind, _ agent: NATKind) async -> Cell {
        var cell = Cell(client: client, agent: agent)
        do {
            let lab = try await NATLab(client: client, agent: agent)
            let programs = try await LabPrograms(on: lab)
            for side in NATLab.Side.allCases { try await lab.change("delay \(side) \(Self.delay)") }
            async let socksStart = Self.start(.socks, programs)
            async let relayStart = Self.start(.relay, programs)
            let (socks, relay) = (try await socksStart.program, try await relayStart.program)
            (cell.socks.firstByte, cell.socks.trouble) = try await (socksStart.firstByte, socksStart.trouble)
            (cell.relay.firstByte, cell.relay.trouble) = try await (relayStart.firstByte, relayStart.trouble)
            // For the table; SpreadTests see to what can be guessed.
            if client.isPunchable(with: agent) || (Self.tableFile != nil && client.isGuessable(with: agent)) {
                for program in [socks, relay] { try? await program.awaitPath("direct", within: .seconds(15)) }
            }
            for side in NATLab.Side.allCases { try await lab.change("delay \(side) 0") }
            if cell.socks.trouble.isEmpty {
                do {
                    // Until congestion control has learned that the network has become fast.
                    if Self.tableFile != nil { _ = try await programs.download(2 << 20).end() }
                    let (mbits, _) = try await programs.download(Self.tableFile == nil ? 1 << 20 : 8 << 20).end()
                    cell.socks.goodput = "\(Int(mbits)) Mbit/s"
                } catch { cell.socks.trouble = "\(error)" }
            }
            if cell.relay.trouble.isEmpty {
                do {
                    let (mbits, lost) = try await programs.flood(seconds: Self.tableFile == nil ? 0.3 : 1)
                    cell.relay.goodput = "\(Int(mbits)) Mbit/s, \(lost) % lost"
                    if mbits < 1 || lost > 20 { cell.relay.trouble = cell.relay.goodput }
                } catch { cell.relay.trouble = "\(error)" }
            }
            for (program, outcome) in [(socks, \Cell.socks), (relay, \Cell.relay)] {
                cell[keyPath: outcome].path = program.path
                cell[keyPath: outcome].directAfter = Self.timeToDirect(program)
                cell[keyPath: outcome].log = program.errors.text
            }
            await programs.stop(socks, relay)
        } catch {
            cell.socks.trouble = "\(error)"
        }
        return cell
    }

    /// A program that has been started, and how long its first byte took or why there was none.
    private struct Start: Sendable {
        let program: RunningProgram
        var firstByte: Int?
        var trouble = ""
    }

    private static func start(_ client: LabPrograms.Client, _ programs: LabPrograms) async throws -> Start {
        var triesLeft = Self.tries
        while true {
            triesLeft -= 1
            // The request waits for the program.
            async let time = programs.firstByte(client)
            var start = Start(program: try LabPrograms.launch(client, on: programs.lab, programs.options))
            do { start.firstByte = try await time } catch { start.trouble = "\(error)" }
            // What does not work at all is not tried again.
            guard let time = start.firstByte, time >= Self.limit, triesLeft > 0 else { return start }
            await stopAll([start.program])
            try await Task.sleep(for: .seconds(1))
        }
    }

    private static func timeToDirect(_ program: RunningProgram) -> Int? {
        guard let begin = program.events("peer.connected").first else { return nil }
        if begin["path"] == "direct" { return 0 }
        let changes = program.events("peer.path_changed")
        return changes.first { $0["to"] == "direct" }.map { Int((($0.time - begin.time) * 1000).rounded()) }
    }

    private func write(_ rows: [String]) throws {
        guard let file = Self.tableFile else { return }
        let head = [
            "| client behind | agent behind | program | path | first byte | direct after | goodput |",
            "|---|---|---|---|---|---|---|",
        ]
        try (head + rows).map { $0 + "\n" }.joined().write(toFile: file, atomically: true, encoding: .utf8)
    }
}
