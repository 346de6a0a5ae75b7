import Basics
import ICE
import NIOCore
import STUN
import Testing

@testable import PeerPath

struct MappingInferenceTests {
    /// One socket, its own address, and what each server that was asked sees; nil: no answer.
    typealias Row = (base: Int, host: String, answers: [(server: String, mapped: String?)])

    private static let inside = "192.0.2.2:5000"

    private static func socketAddress(_ text: String) throws -> SocketAddress {
        let colon = try #require(text.lastIndex(of: ":"))
        let host = text[..<colon].filter { $0 != "[" && $0 != "]" }
        return try SocketAddress(ipAddress: host, port: try #require(Int(text[text.index(after: colon)...])))
    }

    private static func behavior(_ rows: [Row]) throws -> MappingBehavior {
        var inference = MappingInference(
            hosts: try rows.enumerated().map { index, row in
                .host(address: try socketAddress(row.host), base: LocalBaseID(row.base), interfaceIndex: index)
            })
        for row in rows {
            for answer in row.answers {
                let server = try #require(TransportAddress(try self.socketAddress(answer.server)))
                inference.asked(on: LocalBaseID(row.base), family: server.family)
                guard let mapped = answer.mapped else { continue }
                inference.answered(
                    on: LocalBaseID(row.base), server: server, mapped: try self.socketAddress(mapped))
            }
        }
        return inference.behavior
    }

    private static let table: [Case] = [
        Case([], .unknown),
        Case([("198.51.100.1:1", nil), ("198.51.100.1:2", nil)], .udpBlocked),
        // Its own address, as everybody sees it.
        Case([("198.51.100.1:1", inside)], .none),
        Case([("198.51.100.1:1", inside), ("198.51.100.2:1", inside)], .none),
        // One question is not enough, nor is the same server twice.
        Case([("198.51.100.1:1", "203.0.113.7:9")], .unknown),
        Case([("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.1:2", nil)], .unknown),
        Case([("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.1:1", "203.0.113.7:9")], .unknown),
        // The ports of one address.
        Case([("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.1:2", "203.0.113.7:9")], .portIndependent),
        Case([("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.1:2", "203.0.113.7:8")], .addressAndPortDependent),
        // Another outside address counts as another port does.
        Case([("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.1:2", "203.0.113.8:9")], .addressAndPortDependent),
        // Two addresses.
        Case([("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.2:1", "203.0.113.7:9")], .endpointIndependent),
        Case(
            [
                ("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.1:2", "203.0.113.7:9"),
                ("198.51.100.2:1", "203.0.113.7:9"), ("198.51.100.2:2", "203.0.113.7:9"),
            ], .endpointIndependent
        ),
        Case(
            [
                ("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.1:2", "203.0.113.7:9"),
                ("198.51.100.2:1", "203.0.113.7:8"),
            ], .addressDependent
        ),
        Case(
            [
                ("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.1:2", "203.0.113.7:7"),
                ("198.51.100.2:1", "203.0.113.7:8"),
            ], .addressAndPortDependent
        ),
        // Whether the port matters has not been asked.
        Case([("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.2:1", "203.0.113.7:8")], .addressAndPortDependent),
        // A server on the same side of the NAT says nothing of it.
        Case(
            [
                ("192.0.2.1:1", inside), ("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.1:2", "203.0.113.7:9"),
            ], .portIndependent
        ),
    ]

    @Test func `the answers to one socket tell how its NAT maps`() throws {
        for row in Self.table {
            #expect(try Self.behavior([(0, Self.inside, row.answers)]) == row.behavior, "\(row.answers)")
        }
    }

    private struct Case {
        let answers: [(server: String, mapped: String?)]
        let behavior: MappingBehavior

        init(_ answers: [(server: String, mapped: String?)], _ behavior: MappingBehavior) {
            self.answers = answers
            self.behavior = behavior
        }
    }

    @Test func `a socket on all addresses knows each of them`() throws {
        let rows: [Row] = [
            (0, Self.inside, []), (0, "10.0.0.2:5000", [("198.51.100.1:1", "10.0.0.2:5000")]),
        ]
        #expect(try Self.behavior(rows) == .none)
    }

    @Test func `IPv4 decides if it has an answer`() throws {
        let six: Row = (1, "[2001:db8::2]:5001", [("[2001:db8::1]:1", "[2001:db8::2]:5001")])
        let dependent: Row = (
            0, Self.inside, [("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.1:2", "203.0.113.7:8")]
        )
        #expect(try Self.behavior([six, dependent]) == .addressAndPortDependent)
        #expect(try Self.behavior([six, (0, Self.inside, [("198.51.100.1:1", nil)])]) == .none)
    }

    @Test func `of several sockets the friendliest counts`() throws {
        let dependent: Row = (
            0, Self.inside, [("198.51.100.1:1", "203.0.113.7:9"), ("198.51.100.1:2", "203.0.113.7:8")]
        )
        let open: Row = (1, "198.51.100.9:6000", [("198.51.100.1:1", "198.51.100.9:6000")])
        #expect(try Self.behavior([dependent, open]) == .none)
        #expect(try Self.behavior([open, dependent]) == .none)
    }
}
