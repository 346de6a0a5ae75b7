import NIOCore
import Testing

@testable import QUIC

@Suite struct PathMovesTests {
    enum Sign {
        case owner
        case arrival(UInt32)
    }

    struct Course: Sendable {
        let name: String
        /// What happens at which time, in milliseconds, after the handshake on path 1.
        let signs: [(at: Int64, sign: Sign)]
        let moves: UInt32
        let arrival: UInt32
    }

    private static let courses = [
        Course(name: "nothing happens", signs: [(0, .arrival(1))], moves: 0, arrival: 1),
        Course(name: "the owner says so", signs: [(0, .owner)], moves: 1, arrival: 1),
        Course(name: "datagrams come in elsewhere", signs: [(0, .arrival(2))], moves: 1, arrival: 2),
        Course(name: "both signs of one move", signs: [(0, .owner), (999, .arrival(2))], moves: 1, arrival: 2),
        Course(name: "the same in the other order", signs: [(0, .arrival(2)), (999, .owner)], moves: 1, arrival: 2),
        Course(name: "signs too far apart", signs: [(0, .owner), (1000, .arrival(2))], moves: 2, arrival: 2),
        Course(name: "the owner twice", signs: [(0, .owner), (1, .owner)], moves: 2, arrival: 1),
        Course(
            name: "two moves with both signs", signs: [(0, .owner), (1, .arrival(2)), (2, .owner), (3, .arrival(3))],
            moves: 2, arrival: 3),
        Course(name: "overtaken datagrams", signs: [(0, .arrival(2)), (999, .arrival(1))], moves: 1, arrival: 2),
        Course(name: "back for good", signs: [(0, .arrival(2)), (1000, .arrival(1))], moves: 2, arrival: 1),
        Course(
            name: "overtaken by two paths", signs: [(0, .arrival(2)), (500, .arrival(3)), (600, .arrival(1))],
            moves: 2, arrival: 3),
    ]

    @Test(arguments: Self.courses)
    func `moves are counted once`(course: Course) {
        var moves = PathMoves()
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        moves.arrived(on: 1, isHandshakeComplete: false, at: start)
        for (milliseconds, sign) in course.signs {
            let now = start + .milliseconds(milliseconds)
            switch sign {
            case .owner: moves.ownerTells(at: now)
            case .arrival(let number): moves.arrived(on: number, isHandshakeComplete: true, at: now)
            }
        }
        #expect(moves.count == course.moves)
        #expect(moves.arrival == course.arrival)
        let resets = [moves.takeReset(), moves.takeReset()]
        #expect(resets == [course.moves > 0, false])
    }

    @Test func `whatever comes during the handshake is one path`() {
        var moves = PathMoves()
        for number: UInt32 in [1, 2, 1, 3] { moves.arrived(on: number, isHandshakeComplete: false, at: .now()) }
        #expect(moves.count == 0 && moves.arrival == 3)
        let wantsReset = moves.takeReset()
        #expect(!wantsReset)
    }
}
