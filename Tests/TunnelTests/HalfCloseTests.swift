import Testing

@testable import Tunnel

@Suite struct HalfCloseTests {
    /// A state, by what leads to it, and what each event makes the splice do there, in letters.
    struct Row: Sendable {
        let path: [HalfClose.Event]
        let upload: HalfClose.Upload
        let download: HalfClose.Download
        /// In the order of `HalfClose.Event.allCases`: the TCP side ends, breaks, is over; the stream ends, is reset, is
        /// stopped, is closed; the end is written.
        let actions: [String]
    }

    private static let letters: [Character: HalfClose.Action] = [
        "F": .finishStream, "R": .resetStream, "D": .resetStreamAfterDelivery, "S": .stopStream, "W": .writeEnd,
        "I": .endInOrder, "O": .closeOutput, "C": .close, "X": .resetWhenDelivered,
    ]

    private static let rows = [
        Row(path: [], upload: .open, download: .open, actions: ["F", "DSC", "DS", "W", "RX", "", "X", ""]),
        Row(path: [.inputEnded], upload: .ended, download: .open, actions: ["", "SC", "S", "W", "X", "", "X", ""]),
        Row(
            path: [.streamStopped], upload: .refused, download: .open, actions: ["", "SC", "S", "W", "X", "", "X", ""]),
        Row(
            path: [.streamFinished], upload: .open, download: .ending,
            actions: ["F", "DSC", "DS", "", "R", "", "", "IO"]),
        Row(
            path: [.streamFinished, .endWritten], upload: .open, download: .ended,
            actions: ["FC", "DSC", "F", "", "RX", "X", "X", ""]),
        Row(
            path: [.inputEnded, .streamFinished], upload: .ended, download: .ending,
            actions: ["", "SC", "S", "", "", "", "", "IC"]),
        Row(
            path: [.inputEnded, .streamFinished, .endWritten], upload: .ended, download: .ended,
            actions: ["", "SC", "", "", "X", "X", "", ""]),
        Row(
            path: [.streamStopped, .streamFinished], upload: .refused, download: .ending,
            actions: ["", "SC", "S", "", "", "", "", "IOX"]),
        // With the input closed, NIO would take the end of the output for the whole.
        Row(
            path: [.streamStopped, .inputEnded, .streamFinished], upload: .refused, download: .ending,
            actions: ["", "SC", "S", "", "", "", "", "IX"]),
        Row(path: [.streamReset], upload: .refused, download: .breaking, actions: ["", "SC", "", "", "", "", "", ""]),
        Row(
            path: [.inputEnded, .streamReset], upload: .ended, download: .breaking,
            actions: ["", "SC", "", "", "", "", "", ""]),
        Row(path: [.connectionBroke], upload: .broken, download: .over, actions: ["", "C", "", "", "", "", "", ""]),
        Row(path: [.connectionOver], upload: .broken, download: .over, actions: ["", "", "", "", "", "", "", ""]),
    ]

    @Test(arguments: Self.rows.indices, HalfClose.Event.allCases.indices)
    func `each event does in each state what the table says`(row: Int, event: Int) throws {
        let row = Self.rows[row]
        var ends = HalfClose()
        for event in row.path { _ = ends.receive(event) }
        #expect(ends.upload == row.upload && ends.download == row.download)
        let expected = row.actions[event].map { Self.letters[$0] }
        #expect(ends.receive(HalfClose.Event.allCases[event]) == expected)
    }

    /// What has been done since the start.
    private struct Course: Hashable {
        var ends = HalfClose()
        var hasFinished = false
        var hasReset = false
        var waitsForEnd = false
    }

    /// Follows every order of events from the start, and what is done about each.
    @Test func `no order of events does what does not fit`() {
        var known: Set<Course> = [Course()]
        var left = [Course()]
        while let course = left.popLast() {
            for event in HalfClose.Event.allCases where event != .endWritten || course.waitsForEnd {
                var next = course
                if event == .endWritten { next.waitsForEnd = false }
                for action in next.ends.receive(event) {
                    switch action {
                    case .finishStream:
                        #expect(!next.hasFinished && !next.hasReset)
                        next.hasFinished = true
                    case .resetStream, .resetStreamAfterDelivery:
                        // RESET_STREAM after FIN would take back what was sent in good order.
                        #expect(!next.hasFinished && !next.hasReset)
                        next.hasReset = true
                    case .writeEnd:
                        #expect(!course.ends.isConnectionOver)
                        next.waitsForEnd = true
                    case .close, .closeOutput, .endInOrder, .resetWhenDelivered:
                        #expect(!next.ends.isConnectionOver)
                    case .stopStream: break
                    }
                }
                // Only who has sent FIN both ways ends in order.
                if next.ends.isOver, !next.ends.wasReset { #expect(next.hasFinished && next.ends.download == .ended) }
                if next.ends.isConnectionOver { #expect(!next.ends.takesOutput) }
                if known.insert(next).inserted { left.append(next) }
            }
        }
        #expect(known.contains { $0.ends.isOver && !$0.ends.wasReset })
        #expect(known.contains { $0.ends.isOver && $0.ends.wasReset })
    }

    @Test func `reading stops while the stream takes no more, but for NIO's own reasons`() {
        var gate = ReadGate.open
        let steps: [(reads: Bool, gate: ReadGate)] = [
            (gate.wants(takesMore: true), gate),
            (gate.readComplete(takesMore: false), gate),
            // NIO asks after each read, which is no news.
            (gate.isAsked(takesMore: false), gate),
            // Once more, and it has a reason of its own.
            (gate.isAsked(takesMore: false), gate),
            (gate.wants(takesMore: true), gate),
            (gate.isAsked(takesMore: false), gate),
        ]
        #expect(steps.map(\.reads) == [true, false, false, true, true, false])
        #expect(steps.map(\.gate) == [.open, .shutAfterRead, .shut, .shut, .open, .shut])
    }
}
